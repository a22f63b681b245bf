//! What the server says of itself and of its accounts (XEP-0030), and the verification string under
//! which its clients remember that (XEP-0115). Plugins add to it while the server runs.

use std::sync::Arc;

use arc_swap::ArcSwap;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use parking_lot::Mutex;
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};

use crate::ns;
use crate::xml::Element;

/// Where the software is described: the first half of a caps node (XEP-0115 §4).
pub const NODE: &str = "https://hearth.im";

/// Who an entity is (XEP-0030 §3.1).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Identity {
    pub category: String,
    pub kind: String,
    /// For people; may be empty.
    pub name: String,
}

impl Identity {
    pub fn new(category: &str, kind: &str, name: &str) -> Identity {
        let [category, kind, name] = [category, kind, name].map(str::to_owned);
        Identity { category, kind, name }
    }
}

/// Something that is announced for a while.
#[derive(Clone, Debug)]
pub enum Added {
    Feature {
        var: String,
        of_server: bool,
        of_accounts: bool,
    },
    /// Of the server.
    Identity(Identity),
    /// An entity that belongs to the server: address and name.
    Item(String, String),
}

/// What one entity says of itself.
#[derive(Clone, Debug)]
pub struct Said {
    /// Sorted by octets, as the features are; without repetition.
    pub identities: Vec<Identity>,
    pub features: Vec<String>,
    /// XEP-0115 §5: base64 of the SHA-1 of both.
    pub verification: String,
}

impl Said {
    pub fn new(mut identities: Vec<Identity>, mut features: Vec<String>) -> Said {
        identities.sort_unstable();
        identities.dedup();
        features.sort_unstable();
        features.dedup();
        let mut text = String::new();
        for Identity { category, kind, name } in &identities {
            text.push_str(&format!("{category}/{kind}//{name}<"));
        }
        for feature in &features {
            text.push_str(feature);
            text.push('<');
        }
        let digest = digest(&SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes());
        Said { identities, features, verification: STANDARD.encode(digest) }
    }

    /// The `<query/>` that says it.
    pub fn element(&self) -> Element {
        let identity = |identity: &Identity| {
            let element = Element::new("identity", ns::DISCO_INFO)
                .with_attr("category", &identity.category)
                .with_attr("type", &identity.kind);
            match identity.name.is_empty() {
                true => element,
                false => element.with_attr("name", &identity.name),
            }
        };
        let feature =
            |feature: &String| Element::new("feature", ns::DISCO_INFO).with_attr("var", feature);
        Element::new("query", ns::DISCO_INFO)
            .with_children(self.identities.iter().map(identity))
            .with_children(self.features.iter().map(feature))
    }
}

/// All that is announced.
#[derive(Debug)]
pub struct Announced {
    pub server: Said,
    pub account: Said,
    /// Address and name of what belongs to the server, by address.
    pub items: Vec<(String, String)>,
}

/// What the server announces.
#[derive(Debug)]
pub struct Disco {
    own: Vec<&'static str>,
    added: Mutex<(u64, Vec<(u64, Added)>)>,
    announced: ArcSwap<Announced>,
}

/// By which something is taken back.
#[derive(Debug)]
pub struct Ticket(u64);

impl Disco {
    pub fn new(features: impl IntoIterator<Item = &'static str>) -> Disco {
        let own: Vec<_> = features.into_iter().collect();
        let announced = ArcSwap::from_pointee(announce(&own, &[]));
        Disco { own, added: Mutex::default(), announced }
    }

    pub fn announced(&self) -> Arc<Announced> {
        self.announced.load_full()
    }

    /// Announces something more.
    pub fn add(&self, added: Added) -> Ticket {
        let mut all = self.added.lock();
        all.0 += 1;
        let ticket = all.0;
        all.1.push((ticket, added));
        self.announced.store(Arc::new(announce(&self.own, &all.1)));
        Ticket(ticket)
    }

    /// Takes it back.
    pub fn remove(&self, ticket: &Ticket) {
        let mut all = self.added.lock();
        all.1.retain(|(known, _)| *known != ticket.0);
        self.announced.store(Arc::new(announce(&self.own, &all.1)));
    }

    /// The node under which the announced features can be asked for (XEP-0115 §6.2).
    pub fn is_node(&self, node: &str) -> bool {
        let version = node.strip_prefix(NODE).and_then(|rest| rest.strip_prefix('#'));
        version == Some(&self.announced.load().server.verification)
    }
}

fn announce(own: &[&'static str], added: &[(u64, Added)]) -> Announced {
    let own: Vec<String> = own.iter().map(|&feature| feature.to_owned()).collect();
    let mut identities = vec![Identity::new("server", "im", "Hearth")];
    let (mut of_server, mut of_accounts, mut items) = (own.clone(), own, Vec::new());
    for (_, added) in added {
        match added.clone() {
            Added::Feature { var, of_server: server, of_accounts: accounts } => {
                of_server.extend(server.then(|| var.clone()));
                of_accounts.extend(accounts.then_some(var));
            }
            Added::Identity(identity) => identities.push(identity),
            Added::Item(jid, name) => items.push((jid, name)),
        }
    }
    items.sort();
    Announced {
        server: Said::new(identities, of_server),
        account: Said::new(vec![Identity::new("account", "registered", "")], of_accounts),
        items,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn features_are_sorted_and_stand_once() {
        let disco = Disco::new(["urn:b", "urn:a", "urn:b"]);
        assert_eq!(disco.announced().server.features, ["urn:a", "urn:b"]);
    }

    #[test]
    fn the_node_names_exactly_what_is_announced() {
        let disco = Disco::new(["urn:a"]);
        let node = || format!("{NODE}#{}", disco.announced().server.verification);
        let before = node();
        assert!(disco.is_node(&before));
        assert!(!disco.is_node(NODE));
        let (var, of_server, of_accounts) = ("urn:b".to_owned(), true, false);
        let ticket = disco.add(Added::Feature { var, of_server, of_accounts });
        assert!(disco.is_node(&node()) && !disco.is_node(&before));
        disco.remove(&ticket);
        assert!(disco.is_node(&before));
    }

    #[test]
    fn what_is_added_stands_where_it_belongs() {
        let disco = Disco::new(["urn:a"]);
        let (var, of_server, of_accounts) = ("urn:b".to_owned(), false, true);
        disco.add(Added::Feature { var, of_server, of_accounts });
        disco.add(Added::Identity(Identity::new("gateway", "sms", "")));
        disco.add(Added::Item("echo.hearth.example".to_owned(), "Echo".to_owned()));
        let announced = disco.announced();
        assert_eq!(announced.server.features, ["urn:a"]);
        assert_eq!(announced.account.features, ["urn:a", "urn:b"]);
        assert_eq!(announced.server.identities.len(), 2);
        assert_eq!(announced.items.len(), 1);
    }

    /// The example of XEP-0115 §5.2.
    #[test]
    fn the_verification_string_is_the_standards() {
        let features = [
            "http://jabber.org/protocol/caps",
            "http://jabber.org/protocol/disco#info",
            "http://jabber.org/protocol/disco#items",
            "http://jabber.org/protocol/muc",
        ];
        let identities = vec![Identity::new("client", "pc", "Exodus 0.9.1")];
        let said = Said::new(identities, features.map(str::to_owned).to_vec());
        assert_eq!(said.verification, "QgayPKawpkPSDYmwT/WM94uAlu0=");
    }
}
