//! Whether this node's core knows the sessions of the others as they are.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use bytes::Bytes;
use hearth_plugin_api::cluster::Delta;
use hearth_plugin_api::{Error, Result};
use serde::Serialize;

use super::wire::{Ask, Message};
use super::{Carrier, Seam};
use crate::membership::Member;

/// While sessions come and go, the two are compared again.
const ATTEMPTS: usize = 10;
const PAUSE: Duration = Duration::from_millis(200);
/// Differences that are named.
const NAMED: usize = 50;

/// One node's sessions, here and there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Comparison {
    pub node: u32,
    pub equal: bool,
    /// Sessions that this node knows of.
    pub here: usize,
    /// Sessions that it has.
    pub there: usize,
    /// By address: `missing`, `gone` or `differs`; the first of them.
    pub differences: BTreeMap<String, &'static str>,
    /// Why it could not be compared; empty when it could.
    pub error: String,
}

type Name = (u32, String, String);

impl<S: Seam> Carrier<S> {
    /// Compares with each other member.
    pub async fn compare(&self) -> Vec<Comparison> {
        let members: Vec<_> = self.state().peers.keys().copied().collect();
        let mut all = Vec::new();
        for member in members {
            let compared = self.compare_with(member).await;
            all.push(compared.unwrap_or_else(|error| Comparison {
                node: member.node,
                equal: false,
                here: 0,
                there: 0,
                differences: BTreeMap::new(),
                error: error.message,
            }));
        }
        all
    }

    async fn compare_with(&self, member: Member) -> Result<Comparison> {
        let stopped = || Error::unavailable("this node does not serve");
        let seam = self.0.seam.get().ok_or_else(stopped)?;
        for attempt in 1.. {
            let body = self.ask(member, Ask::Directory, Bytes::new()).await?;
            let Ok(Some(Message::Directory { seq, sessions })) = Message::decode(body.into())
            else {
                return Err(Error::from("the answer is no directory"));
            };
            let there: HashMap<Name, Delta> =
                sessions.into_iter().map(|delta| (name(&delta), delta)).collect();
            let known = seam.known(member.into()).await?;
            let here: HashMap<Name, Delta> =
                known.sessions.into_iter().map(|delta| (name(&delta), delta)).collect();
            let is_settled = known.next > seq && here == there;
            if is_settled || attempt == ATTEMPTS {
                return Ok(difference(member.node, &here, &there));
            }
            self.0.host.sleep(PAUSE).await?;
        }
        Err(Error::from("it was never compared"))
    }
}

fn name(delta: &Delta) -> Name {
    (delta.host, delta.account.clone(), delta.resource.clone())
}

fn difference(node: u32, here: &HashMap<Name, Delta>, there: &HashMap<Name, Delta>) -> Comparison {
    let shown = |(_, account, resource): &Name| format!("{account}/{resource}");
    let mut differences = BTreeMap::new();
    for (name, delta) in there {
        match here.get(name) {
            None => differences.insert(shown(name), "missing"),
            Some(known) if known != delta => differences.insert(shown(name), "differs"),
            Some(_) => None,
        };
    }
    for name in here.keys().filter(|name| !there.contains_key(*name)) {
        differences.insert(shown(name), "gone");
    }
    let equal = differences.is_empty();
    let differences = differences.into_iter().take(NAMED).collect();
    let (here, there) = (here.len(), there.len());
    Comparison { node, equal, here, there, differences, error: String::new() }
}
