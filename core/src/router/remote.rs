//! Domains that are not ours: other servers and components register themselves here.

use super::Out;
use crate::stanza::Stanza;
use crate::stanza::{Condition, StanzaError};

/// Takes stanzas for other domains.
pub trait Remote: Send + Sync {
    fn route(&self, stanza: Stanza, out: &mut Out);
}

/// No federation: every other domain is unreachable (RFC 6120 §8.3.3.16).
#[derive(Debug)]
pub struct Unreachable;

impl Remote for Unreachable {
    fn route(&self, stanza: Stanza, out: &mut Out) {
        let error = StanzaError::from(Condition::RemoteServerNotFound);
        if let Some(error) = stanza.error(&error) {
            out.route(error);
        }
    }
}
