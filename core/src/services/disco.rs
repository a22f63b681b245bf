//! What the server says of itself (XEP-0030), and the verification string under which its clients
//! remember that (XEP-0115).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};

/// Where the software is described: the first half of a caps node (XEP-0115 §4).
pub const NODE: &str = "https://hearth.im";

/// Who an entity is (XEP-0030 §3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    pub category: &'static str,
    pub kind: &'static str,
    pub name: &'static str,
}

/// The server's identity.
pub const SERVER: Identity = Identity { category: "server", kind: "im", name: "Hearth" };
/// An account's.
pub const ACCOUNT: Identity = Identity { category: "account", kind: "registered", name: "" };

/// What the server announces.
#[derive(Clone, Debug)]
pub struct Disco {
    /// Sorted by octets, without repetition.
    pub features: Vec<&'static str>,
    /// XEP-0115 §5: base64 of the SHA-1 of identity and features.
    pub verification: String,
}

impl Disco {
    pub fn new(features: impl IntoIterator<Item = &'static str>) -> Disco {
        let mut features: Vec<_> = features.into_iter().collect();
        features.sort_unstable();
        features.dedup();
        let mut text = format!("{}/{}//{}<", SERVER.category, SERVER.kind, SERVER.name);
        for feature in &features {
            text.push_str(feature);
            text.push('<');
        }
        let digest = digest(&SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes());
        Disco { features, verification: STANDARD.encode(digest) }
    }

    /// The node under which the announced features can be asked for (XEP-0115 §6.2).
    pub fn is_node(&self, node: &str) -> bool {
        node.strip_prefix(NODE).and_then(|rest| rest.strip_prefix('#')) == Some(&self.verification)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn features_are_sorted_and_stand_once() {
        let disco = Disco::new(["urn:b", "urn:a", "urn:b"]);
        assert_eq!(disco.features, ["urn:a", "urn:b"]);
    }

    #[test]
    fn the_node_names_exactly_what_is_announced() {
        let disco = Disco::new(["urn:a"]);
        assert!(disco.is_node(&format!("{NODE}#{}", disco.verification)));
        assert!(!disco.is_node(&format!("{NODE}#{}", Disco::new(["urn:b"]).verification)));
        assert!(!disco.is_node(NODE));
    }
}
