//! Questions between nodes: those of this one that wait for an answer, and the answers to others.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use hearth_plugin_api::cluster::Node;
use hearth_plugin_api::{Error, ErrorKind, Result};
use tokio::sync::oneshot;

use super::wire::{Ask, LARGEST, Message};
use super::{Carrier, Seam, State};
use crate::membership::Member;
use crate::patience::within;

/// How long the answer of another node may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// A claimant that has said nothing for this time does not get the session: it has waited less long
/// for it.
const FROZEN: Duration = Duration::from_secs(15);

/// What waits for an answer.
#[derive(Debug, Default)]
pub struct Questions {
    last: u64,
    open: HashMap<u64, (Member, oneshot::Sender<Result<Bytes>>)>,
    /// Sessions that a node has claimed and not said whether it has them.
    frozen: HashMap<String, Member>,
}

impl Questions {
    fn ask(&mut self, to: Member) -> (u64, oneshot::Receiver<Result<Bytes>>) {
        let (sender, receiver) = oneshot::channel();
        self.last += 1;
        // Those whose asker has gone.
        self.open.retain(|_, (_, sender)| !sender.is_closed());
        self.open.insert(self.last, (to, sender));
        (self.last, receiver)
    }

    #[cfg(test)]
    pub fn is_waiting(&self) -> bool {
        !self.open.is_empty()
    }

    pub fn answered(&mut self, id: u64, answer: Result<Bytes>) {
        if let Some((_, sender)) = self.open.remove(&id) {
            // Nobody waits any more.
            let _ = sender.send(answer);
        }
    }

    /// A node is gone: its answers will not come.
    pub fn forget(&mut self, member: Member) {
        self.open.retain(|_, (to, _)| *to != member);
    }

    /// Takes the sessions that a node has claimed.
    pub fn frozen_by(&mut self, member: Member) -> Vec<String> {
        let taken = self.frozen.extract_if(|_, by| *by == member);
        taken.map(|(session, _)| session).collect()
    }
}

/// What crosses in one message.
fn sized(body: Bytes) -> Result<Bytes> {
    match body.len() {
        0..=LARGEST => Ok(body),
        octets => Err(Error::invalid(format!(
            "{octets} octets are too many for one message to another node: it takes {LARGEST}"
        ))),
    }
}

impl<S: Seam> Carrier<S> {
    /// Asks another node. `Unavailable` when it is gone.
    pub(super) async fn ask(&self, to: Member, ask: Ask, body: Bytes) -> Result<Vec<u8>> {
        let gone = || Error::unavailable(format!("node {} left the cluster", to.node));
        let body = sized(body)?;
        let answer = {
            let state = &mut *self.state();
            let peer = state.peers.get_mut(&to).ok_or_else(gone)?;
            let (id, answer) = state.questions.ask(to);
            peer.push(Message::Ask { id, ask, body }.encode());
            answer
        };
        (self.0.ways.wake)();
        let answer = async { answer.await.unwrap_or_else(|_| Err(gone())) };
        let who = format!("node {}", to.node);
        within(&self.0.host, PATIENCE, &who, answer).await.map(Vec::from)
    }

    /// The member that a session's id names; its incarnation may be 0.
    pub(super) fn living(&self, owner: Node) -> Result<Member> {
        let state = self.state();
        let is_it = |member: &&Member| {
            member.node == owner.id
                && (owner.incarnation == 0 || member.incarnation == owner.incarnation as i64)
        };
        // Of several runs the last one.
        let found = state.peers.keys().filter(is_it).max_by_key(|member| member.incarnation);
        found.copied().ok_or_else(|| Error::not_found("its node left the cluster"))
    }

    /// Answers another node, when it is done.
    pub(super) fn answer(&self, from: Member, id: u64, ask: Ask, body: Bytes) {
        let carrier = self.clone();
        self.0.tasks.spawn(async move {
            let answer = carrier.found(from, ask, body).await;
            let answer = answer.and_then(|body| sized(body.into()));
            let answer = Message::Answer { id, answer }.encode();
            if let Some(peer) = carrier.state().peers.get_mut(&from) {
                peer.push(answer);
            }
            (carrier.0.ways.wake)();
        });
    }

    async fn found(&self, from: Member, ask: Ask, body: Bytes) -> Result<Vec<u8>> {
        let stopped = || Error::new(ErrorKind::Stopped, "the node does not serve");
        let seam = self.0.seam.get().ok_or_else(stopped)?;
        match ask {
            Ask::Serve { method } => seam.serve(from.into(), &method, body.into()).await,
            Ask::Claim { session } => self.freeze(seam, from, session).await,
            Ask::Claimed { session, imported } => {
                self.settle(seam, from, &session, imported).await.map(|()| Vec::new())
            }
            Ask::Directory => {
                let (seq, sessions) = seam.directory();
                Ok(Message::Directory { seq, sessions }.encode().into())
            }
            Ask::Unknown => Err(Error::unsupported("this node is of an older version")),
        }
    }

    async fn freeze(&self, seam: &S, from: Member, session: String) -> Result<Vec<u8>> {
        let exported = seam.freeze(&session, from.into()).await?;
        let is_here = {
            let State { peers, questions, .. } = &mut *self.state();
            questions.frozen.insert(session.clone(), from);
            peers.contains_key(&from)
        };
        if !is_here {
            self.thaw_claimed(session, from);
            return Err(Error::unavailable("the claimant left the cluster"));
        }
        let carrier = self.clone();
        self.0.tasks.spawn(async move {
            if carrier.0.host.sleep(FROZEN).await.is_ok() {
                carrier.thaw_claimed(session, from);
            }
        });
        Ok(exported)
    }

    /// The claimant tells whether it has the session. `Conflict`: it was too late, the session is here.
    async fn settle(&self, seam: &S, from: Member, session: &str, imported: bool) -> Result<()> {
        {
            let frozen = &mut self.state().questions.frozen;
            if frozen.get(session) != Some(&from) {
                let message = "the session was given to nobody, or to another node";
                return Err(Error::new(ErrorKind::Conflict, message));
            }
            frozen.remove(session);
        }
        match imported {
            true => seam.release(session, from.into()).await,
            false => seam.thaw(session).await,
        }
    }

    /// Lets a session go on here, unless its claimant has settled that.
    fn thaw_claimed(&self, session: String, by: Member) {
        let frozen = &mut self.state().questions.frozen;
        if frozen.get(&session) == Some(&by) {
            frozen.remove(&session);
            self.thaw(session);
        }
    }

    pub(super) fn thaw(&self, session: String) {
        let Some(seam) = self.0.seam.get().cloned() else { return };
        let host = self.0.host.clone();
        self.0.tasks.spawn(async move {
            if let Err(error) = seam.thaw(&session).await {
                host.warn(format!("a session that was to move did not go on: {error}"));
            }
        });
    }
}
