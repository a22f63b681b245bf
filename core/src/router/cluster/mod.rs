//! The seam to other nodes of a cluster. [`Cluster`] carries bytes to them, [`Nodes`] is what it calls
//! in turn: everything about sessions, stanzas and acknowledgements is decided here, and works without
//! knowing who carries.

use std::sync::Arc;

use futures_util::future::BoxFuture;

pub mod codec;
mod copies;
mod endings;
mod inbound;
mod kept;
mod keys;
mod nodes;
mod outbox;
mod packing;
#[cfg(test)]
mod tests;

pub use crate::session::{Ack, Delta, Node, Outcome};
pub use codec::CodecError;
pub use keys::Keeper;
pub use nodes::{Nodes, Parts};
pub(in crate::router) use outbox::Far;

/// What [`Cluster::deliver`] made of an envelope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Queued {
    /// It will be brought there, or the node leaves the view.
    Queued,
    /// The outbox towards this node is full: [`Nodes::ready`] follows.
    Full,
    /// There is no such node, or no longer.
    Gone,
}

/// One envelope on its way: some letters of [`codec`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parcel<'a> {
    /// Parcels with the same node and lane keep their order.
    pub lane: u32,
    /// The origin's number for it, from which each letter has its own; 0 when nobody waits for the delivery.
    pub ticket: u64,
    pub bytes: &'a [u8],
}

/// Who owns a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ownership {
    /// Does what the key is about. The default node: nobody knows.
    pub owner: Node,
    /// Goes on when the owner dies; the owner itself when there is nobody else.
    pub deputy: Node,
    /// The view in which this holds.
    pub epoch: i64,
}

/// A node of a view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    pub node: Node,
    /// For people.
    pub name: String,
    /// Of its server.
    pub version: String,
    /// Takes no new users: it is about to leave.
    pub draining: bool,
}

/// Who belongs to the cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// Grows with every change.
    pub epoch: i64,
    /// The senior first.
    pub members: Vec<Member>,
}

impl View {
    pub fn contains(&self, node: Node) -> bool {
        self.members.iter().any(|member| member.node == node)
    }
}

/// Why something was not done for another node, or by one. None of them is a client's fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClusterError {
    #[error("the node is gone, or this one is in no cluster")]
    Unavailable,
    #[error("the node did not answer in time")]
    Timeout,
    #[error("there is no such thing: {0}")]
    NotFound(String),
    #[error("somebody else has it: {0}")]
    Conflict(String),
    #[error("the node does not know how: {0}")]
    Unsupported(String),
    #[error("{0}")]
    Failed(String),
}

pub type Answer<'a, T> = BoxFuture<'a, Result<T, ClusterError>>;

/// Carries traffic between nodes. The synchronous ones are called from the hot path: they queue and
/// return, and never wait.
pub trait Cluster: Send + Sync {
    /// Octets of the largest parcel that it takes.
    fn largest(&self) -> usize {
        usize::MAX
    }

    /// Queues a parcel for another node.
    fn deliver(&self, to: Node, parcel: Parcel<'_>) -> Queued;

    /// Brings what became of parcels back to where they came from.
    fn acknowledge(&self, origin: Node, acks: &[Ack]);

    /// Sends at once what was queued, which would leave a moment later.
    fn flush(&self) {}

    /// The changes `seq`, `seq + 1`, … of this node's sessions, for all others.
    fn sessions_changed(&self, seq: u64, deltas: &[Delta]);

    /// Tells all others that something changed which they may have kept.
    fn invalidate(&self, topic: &str, key: &str);

    /// Who owns a key, as far as the view says.
    fn owner(&self, topic: &str, key: &str) -> Ownership;

    /// Takes a key that nobody owns, or tells who has it.
    fn acquire<'a>(&'a self, topic: &'a str, key: &'a str) -> Answer<'a, Ownership>;

    /// Gives a key of this node back.
    fn give_up<'a>(&'a self, topic: &'a str, key: &'a str) -> Answer<'a, ()>;

    /// Asks another node, which answers by [`Nodes::serve`].
    fn request<'a>(&'a self, to: Node, method: &'a str, body: Vec<u8>) -> Answer<'a, Vec<u8>>;

    /// Asks a session's owner to freeze and export it. `owner` has incarnation 0 when the id names the
    /// node only.
    fn claim<'a>(&'a self, owner: Node, session: &'a str) -> Answer<'a, Vec<u8>>;

    /// Tells the owner whether the claimed session lives on here.
    fn claimed<'a>(&'a self, owner: Node, session: &'a str, imported: bool) -> Answer<'a, ()>;
}

/// A node without a cluster: there is no elsewhere, and whatever there is to own is its own.
#[derive(Debug)]
pub struct Alone(pub Node);

impl Alone {
    fn own(&self) -> Ownership {
        Ownership { owner: self.0, deputy: self.0, epoch: 0 }
    }
}

impl Cluster for Alone {
    fn deliver(&self, _to: Node, _parcel: Parcel<'_>) -> Queued {
        Queued::Gone
    }

    fn acknowledge(&self, _origin: Node, _acks: &[Ack]) {}

    fn sessions_changed(&self, _seq: u64, _deltas: &[Delta]) {}

    fn invalidate(&self, _topic: &str, _key: &str) {}

    fn owner(&self, _topic: &str, _key: &str) -> Ownership {
        self.own()
    }

    fn acquire<'a>(&'a self, _topic: &'a str, _key: &'a str) -> Answer<'a, Ownership> {
        Box::pin(async { Ok(self.own()) })
    }

    fn give_up<'a>(&'a self, _topic: &'a str, _key: &'a str) -> Answer<'a, ()> {
        Box::pin(async { Ok(()) })
    }

    fn request<'a>(&'a self, _to: Node, _method: &'a str, _body: Vec<u8>) -> Answer<'a, Vec<u8>> {
        Box::pin(async { Err(ClusterError::Unavailable) })
    }

    fn claim<'a>(&'a self, _owner: Node, session: &'a str) -> Answer<'a, Vec<u8>> {
        Box::pin(async { Err(ClusterError::NotFound(session.to_owned())) })
    }

    fn claimed<'a>(&'a self, _owner: Node, _session: &'a str, _imported: bool) -> Answer<'a, ()> {
        Box::pin(async { Err(ClusterError::Unavailable) })
    }
}

/// What [`Nodes::serve`] calls for the requests of one method.
pub type Service =
    Arc<dyn Fn(Node, Vec<u8>) -> BoxFuture<'static, Result<Vec<u8>, ClusterError>> + Send + Sync>;

/// Told of what other nodes changed: the key, or empty for all of its topic.
pub type Listener = Arc<dyn Fn(&str) + Send + Sync>;
