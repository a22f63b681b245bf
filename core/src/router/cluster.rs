//! The seam to other nodes of a cluster.

use crate::session::Envelope;
use crate::session::registry::RemoteSession;

/// Brings stanzas to sessions on other nodes.
pub trait Cluster: Send + Sync {
    /// Queues an envelope for a session elsewhere; what cannot be queued comes back.
    fn deliver(&self, to: &RemoteSession, envelope: Envelope) -> Result<(), Envelope>;
}

/// A node without a cluster: there is no elsewhere.
#[derive(Debug)]
pub struct Alone;

impl Cluster for Alone {
    fn deliver(&self, _to: &RemoteSession, envelope: Envelope) -> Result<(), Envelope> {
        Err(envelope)
    }
}
