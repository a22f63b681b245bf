//! What plugins add to service discovery: features and identities of the server, and of their own
//! components, in whose name the server then answers.

use std::collections::BTreeMap;
use std::sync::Arc;

use hearth_plugin_api::{Error, Offer, StanzasSpec};

use super::{Guest, Hooks, Registered};
use crate::host::HostId;
use crate::ns;
use crate::services::disco::{Added, Identity, Said};

/// What the components of a plugin say of themselves, by label.
#[derive(Default)]
pub(super) struct OfComponents(BTreeMap<String, (Vec<Identity>, Vec<String>)>);

impl OfComponents {
    /// `None`: the plugin answers for it itself.
    pub fn of(&self, label: &str) -> Option<Said> {
        let (identities, features) = self.0.get(label)?.clone();
        Some(Said::new(identities, features))
    }
}

pub(super) fn open(
    guest: &Arc<Guest>,
    registered: &Registered,
    hooks: &mut Hooks,
) -> Result<OfComponents, Error> {
    let mut components = OfComponents::default();
    for (offer, _) in &registered.offers {
        match offer {
            Offer::Feature { var, of: None } => announce(guest, of_server(var), hooks),
            Offer::Identity(identity) if identity.of.is_none() => {
                announce(guest, Added::Identity(own(identity)), hooks);
            }
            Offer::Feature { var, of: Some(label) } => {
                components.0.entry(label.clone()).or_default().1.push(var.clone());
            }
            Offer::Identity(identity) => {
                let label = identity.of.clone().unwrap_or_default();
                components.0.entry(label).or_default().0.push(own(identity));
            }
            _ => {}
        }
    }
    let mut labels = Vec::new();
    for (spec, _) in &registered.stanzas {
        match spec {
            StanzasSpec::Iq(spec) => {
                let (of_server, of_accounts) = (spec.to_server, spec.to_account);
                let var = spec.namespace.clone();
                announce(guest, Added::Feature { var, of_server, of_accounts }, hooks);
            }
            StanzasSpec::Component(spec) => {
                let domain = guest.seams.router.hosts.domain(HostId::FIRST);
                let jid = format!("{}.{}", spec.label, domain.as_str());
                announce(guest, Added::Item(jid, spec.name.clone()), hooks);
                complete(&mut components, &spec.label, &spec.name);
                labels.push(&spec.label);
            }
            _ => {}
        }
    }
    match components.0.keys().find(|label| !labels.contains(label)) {
        Some(label) => Err(Error::invalid(format!("`{label}` is no component of the plugin"))),
        None => Ok(components),
    }
}

/// XEP-0030 §3.1: whoever answers has an identity, and says that it can be asked.
fn complete(components: &mut OfComponents, label: &str, name: &str) {
    let Some((identities, features)) = components.0.get_mut(label) else { return };
    features.push(ns::DISCO_INFO.to_owned());
    if identities.is_empty() {
        identities.push(Identity::new("component", "generic", name));
    }
}

fn of_server(var: &str) -> Added {
    Added::Feature { var: var.to_owned(), of_server: true, of_accounts: false }
}

fn own(identity: &hearth_plugin_api::Identity) -> Identity {
    Identity::new(&identity.category, &identity.type_, &identity.name)
}

fn announce(guest: &Arc<Guest>, added: Added, hooks: &mut Hooks) {
    let disco = guest.seams.disco.clone();
    let ticket = disco.add(added);
    hooks.undo(move || disco.remove(&ticket));
}
