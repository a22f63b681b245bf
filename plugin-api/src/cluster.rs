//! The seam between core and the plugin that makes a cluster of several nodes.
//!
//! Core keeps the registry of all sessions, routes, and holds copies of what is not acknowledged. The
//! plugin decides who belongs to the cluster and moves bytes, which it does not look into. So what is
//! on the hot path never crosses here, and both sides can be tested without the other.
//!
//! **Joining.** The plugin registers a [`Cluster`] and gets a [`ClusterHost`]. Core stays alone until
//! [`ClusterHost::enter`], which makes core's claim on the serving lease `cluster(epoch)`. A node
//! serves while it holds that claim *and* the term that the plugin extends by [`ClusterHost::hold`];
//! when the term runs out, or at [`ClusterHost::fence`], sessions are closed and the node stands by.
//! Core never falls back to serving alone by itself.
//!
//! **Directory.** Core numbers the changes of its own sessions and tells them by
//! [`Cluster::sessions_changed`]; the plugin brings them to the others, where
//! [`ClusterHost::apply`] takes them in order. A gap is answered by the number that is wanted; then a
//! full [`ClusterHost::directory`] is brought and handed to [`ClusterHost::replace`]. Two bindings of
//! one resource meet here: the later (`epoch`, `bound_ms`, node) wins, and core closes the other.
//!
//! **Lanes.** Core hands encoded envelopes to [`Cluster::deliver`]; envelopes of one node and lane
//! keep their order. A full outbox is answered at once, and [`ClusterHost::ready`] follows. There are
//! two acknowledgements: the transport's own frees the plugin's copy and never reaches core; the
//! delivery's ([`Outcome`]) goes from the destination's core by [`Cluster::acknowledge`] to the
//! origin's by [`ClusterHost::acknowledged`] and frees core's copy. When a node leaves the view,
//! [`ClusterHost::drop_node`] forgets its sessions and resolves what is not acknowledged again, with
//! the same stanza ids.
//!
//! **Moving a session** (XEP-0198 on another node). The client presents an id that names its owner.
//! Core calls [`Cluster::claim`]; the plugin brings it to the owner, whose core freezes and exports
//! the session by [`ClusterHost::freeze`]. The claimant's core imports it and tells by
//! [`Cluster::claimed`] whether it has it; the owner then lets go ([`ClusterHost::release`]) or goes
//! on ([`ClusterHost::thaw`]). While it is frozen, what arrives for it is kept; on release it is
//! forwarded through the lanes.
//!
//! **Links.** The plugin's connections are its own. [`ClusterHost::watch`] has the server's threads read
//! them: what arrives is routed by the thread that noticed it, and none has to wake another.
//!
//! **Keys** (rooms, singletons). [`Cluster::owner`] answers from the view alone; a key is taken by
//! [`Cluster::acquire`] and given back by [`Cluster::give_up`]. Requests between cores
//! ([`Cluster::request`], [`ClusterHost::serve`]) carry their epoch inside; a mismatch is core's to
//! repeat. A change of owner is told by [`ClusterHost::own`] and [`ClusterHost::disown`].

pub(crate) mod adapter;
mod host;

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

pub use crate::abi::Node;
pub use host::ClusterHost;

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}.{:x}", self.id, self.incarnation)
    }
}

/// What [`crate::Registrar::cluster`] is told.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct ClusterSpec {
    /// For people: the engine.
    pub name: String,
    /// Octets that one envelope may have; core refuses larger ones itself. 0: no bound but core's.
    #[serde(default)]
    pub max_envelope: u64,
}

/// A session of a node that came, changed or went.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delta {
    /// It is gone; the fields below `session` mean nothing then.
    pub gone: bool,
    /// Number of the host; 0 for the first.
    pub host: u32,
    /// Local part of the account's address.
    pub account: String,
    /// Its resource.
    pub resource: String,
    /// Number of the session on its node.
    pub session: u64,
    /// The view's epoch when the resource was bound.
    pub epoch: i64,
    /// When it was bound, milliseconds since 1970 of the hybrid logical clock.
    pub bound_ms: i64,
    /// Of its presence.
    pub priority: i8,
    /// [`Delta::AVAILABLE`] and the like.
    pub flags: u32,
}

impl Delta {
    /// Flag: has sent available presence.
    pub const AVAILABLE: u32 = 1;
    /// Flag: has no connection and waits to be resumed.
    pub const DETACHED: u32 = 2;
    /// Flag: asked for the roster.
    pub const INTERESTED: u32 = 4;
    /// Flag: wants carbons (XEP-0280).
    pub const CARBONS: u32 = 8;
}

/// What [`Cluster::deliver`] made of an envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Queued {
    /// It will be brought there, or the node leaves the view.
    Queued,
    /// The outbox towards this node is full: [`ClusterHost::ready`] follows.
    Full,
    /// There is no such node, or no longer.
    Gone,
}

/// What became of an envelope at its destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// A client acknowledged it.
    Delivered,
    /// It is committed to the database.
    Committed,
    /// The destination could not: the origin resolves it again.
    Refused,
}

/// The delivery's acknowledgement of an envelope, or of one stanza in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ack {
    /// The origin's number for the envelope, or one that core at the destination has made of it for one of
    /// its stanzas. Only the origin's core reads it.
    pub ticket: u64,
    /// What became of it.
    pub outcome: Outcome,
}

/// Encoded stanzas on their way, one or some. What is in `bytes` is core's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Envelope<'a> {
    /// Envelopes with the same node and lane keep their order.
    pub lane: u32,
    /// The origin's number for it; 0 when nobody waits for the delivery.
    pub ticket: u64,
    /// Core's, in the form of its version.
    pub bytes: &'a [u8],
}

/// Who owns a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Ownership {
    /// Does what the key is about.
    #[serde(with = "NodeJson")]
    #[cfg_attr(feature = "schema", schemars(with = "NodeJson"))]
    pub owner: Node,
    /// Goes on when the owner dies; the owner itself when there is nobody else.
    #[serde(with = "NodeJson")]
    #[cfg_attr(feature = "schema", schemars(with = "NodeJson"))]
    pub deputy: Node,
    /// The view in which this holds.
    pub epoch: i64,
}

/// [`Node`] as JSON.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Serialize, Deserialize)]
#[serde(remote = "Node")]
pub(crate) struct NodeJson {
    id: u32,
    incarnation: u64,
}

/// A node of a view.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Which run of which node.
    #[serde(with = "NodeJson")]
    #[cfg_attr(feature = "schema", schemars(with = "NodeJson"))]
    pub node: Node,
    /// For people.
    #[serde(default)]
    pub name: String,
    /// Version of its server.
    #[serde(default)]
    pub version: String,
    /// Takes no new users: it is about to leave.
    #[serde(default)]
    pub draining: bool,
}

/// Who belongs to the cluster.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct View {
    /// Grows with every change.
    pub epoch: i64,
    /// The senior first: it does what must be done once.
    pub members: Vec<Member>,
}

/// Carries core's traffic between nodes. Core calls the synchronous ones from its hot path: they queue
/// and return, and never wait.
pub trait Cluster: Send + Sync + 'static {
    /// Queues an envelope for another node.
    fn deliver(&self, to: Node, envelope: Envelope<'_>) -> Queued;

    /// Brings what became of envelopes back to where they came from.
    fn acknowledge(&self, origin: Node, acks: &[Ack]);

    /// Sends what [`Cluster::deliver`] and [`Cluster::acknowledge`] have queued. A server of level 3 calls
    /// it when those who had something to say at the same time have said it; one below expects that what
    /// is queued leaves by itself.
    fn flush(&self) {}

    /// The changes `seq`, `seq + 1`, … of this node's sessions, for all others.
    fn sessions_changed(&self, seq: u64, deltas: &[Delta]);

    /// Tells all others that something changed which they may have kept.
    fn invalidate(&self, topic: &str, key: &str);

    /// Who owns a key, as far as the view says: whoever has it, or who would get it.
    fn owner(&self, topic: &str, key: &str) -> Ownership;

    /// Takes a key that nobody owns, or tells who has it.
    fn acquire(&self, topic: &str, key: &str) -> impl Future<Output = Result<Ownership>> + Send;

    /// Gives a key of this node back.
    fn give_up(&self, topic: &str, key: &str) -> impl Future<Output = Result<()>> + Send;

    /// Asks another core, which answers by [`ClusterHost::serve`]. `Unavailable` when the node is gone,
    /// `Timeout` when it does not answer in time.
    fn request(
        &self,
        to: Node,
        method: &str,
        body: Vec<u8>,
    ) -> impl Future<Output = Result<Vec<u8>>> + Send;

    /// Asks a session's owner to freeze and export it. `owner` has incarnation 0 when the id names the
    /// node only. `NotFound` when it is not there any more.
    fn claim(&self, owner: Node, session: &str) -> impl Future<Output = Result<Vec<u8>>> + Send;

    /// Tells the owner whether the claimed session lives on here.
    fn claimed(
        &self,
        owner: Node,
        session: &str,
        imported: bool,
    ) -> impl Future<Output = Result<()>> + Send;
}

/// Takes what arrives at a socket. Called from threads of the server, by one at a time unless the plugin
/// calls it, too; it never waits for the socket.
pub trait Reader: Send + Sync + 'static {
    /// Reads until there is nothing more, or for a while.
    fn read(&self) -> Reading;
}

/// How far a [`Reader`] came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// Nothing more is there: it is called when something has arrived.
    Drained,
    /// There may be more: it is called again after others had their turn.
    More,
    /// It is over: the socket is watched no more.
    Ended,
}

/// A cold call of core to the plugin.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "call", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ClusterCall {
    /// Answer: [`Ownership`].
    Acquire {
        /// Such as `room`.
        topic: String,
        /// Within the topic.
        key: String,
    },
    /// Answer: nothing.
    GiveUp {
        /// Such as `room`.
        topic: String,
        /// Within the topic.
        key: String,
    },
    /// The body is beside it. Answer: nothing, the answer's body beside it.
    Request {
        /// Which run of which node.
        #[serde(with = "NodeJson")]
        #[cfg_attr(feature = "schema", schemars(with = "NodeJson"))]
        to: Node,
        /// Core's word for it.
        method: String,
    },
    /// Answer: nothing, the exported session beside it.
    Claim {
        /// Which run of which node.
        #[serde(with = "NodeJson")]
        #[cfg_attr(feature = "schema", schemars(with = "NodeJson"))]
        owner: Node,
        /// Its XEP-0198 id.
        session: String,
    },
    /// Answer: nothing.
    Claimed {
        /// Which run of which node.
        #[serde(with = "NodeJson")]
        #[cfg_attr(feature = "schema", schemars(with = "NodeJson"))]
        owner: Node,
        /// Its XEP-0198 id.
        session: String,
        /// It lives on at the claimant.
        imported: bool,
    },
}

/// A cold call of the plugin to core.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "call", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ClusterHostCall {
    /// Core's claim on the serving lease becomes `cluster(epoch)`, and traffic goes through the plugin.
    /// Answer: nothing, once core holds the claim.
    Enter {
        /// Who belongs to it, this node included.
        view: View,
    },
    /// Another view. Answer: nothing.
    View {
        /// Who belongs to it.
        view: View,
    },
    /// The node may serve until then. Answer: nothing.
    Hold {
        /// The view's.
        epoch: i64,
        /// Milliseconds of the boot-time clock.
        until_boot_ms: i64,
    },
    /// Close all sessions and stand by, now. Answer: nothing, once that is so.
    Fence {
        /// For the console: the thing and the remedy.
        reason: String,
    },
    /// Clustering is switched off: core claims to serve alone again. Answer: nothing.
    Leave,
    /// Forget a node's sessions and resolve what it has not acknowledged again. Answer: nothing, once
    /// that is done.
    DropNode {
        /// Which run of which node.
        #[serde(with = "NodeJson")]
        #[cfg_attr(feature = "schema", schemars(with = "NodeJson"))]
        node: Node,
        /// This node tells its users' contacts that they are gone.
        announce: bool,
    },
    /// Answer: nothing, the exported session beside it.
    Freeze {
        /// Its XEP-0198 id.
        session: String,
        /// Who wants it.
        #[serde(with = "NodeJson")]
        #[cfg_attr(feature = "schema", schemars(with = "NodeJson"))]
        claimant: Node,
    },
    /// The session lives on at the claimant: forward what came, then forget it. Answer: nothing.
    Release {
        /// Its XEP-0198 id.
        session: String,
        /// Who has it.
        #[serde(with = "NodeJson")]
        #[cfg_attr(feature = "schema", schemars(with = "NodeJson"))]
        claimant: Node,
    },
    /// The session stays. Answer: nothing.
    Thaw {
        /// Its XEP-0198 id.
        session: String,
    },
    /// A request of another core; its body is beside it. Answer: nothing, the body beside it.
    Serve {
        /// Who asks.
        #[serde(with = "NodeJson")]
        #[cfg_attr(feature = "schema", schemars(with = "NodeJson"))]
        from: Node,
        /// Core's word for it.
        method: String,
    },
    /// This node owns a key from now on. Answer: nothing, once core goes on with it.
    Own {
        /// Such as `room`.
        topic: String,
        /// Within the topic.
        key: String,
        /// Who goes on after this node.
        #[serde(with = "NodeJson")]
        #[cfg_attr(feature = "schema", schemars(with = "NodeJson"))]
        deputy: Node,
        /// The view's.
        epoch: i64,
    },
    /// This node owns a key no longer. Answer: nothing, once core has let go.
    Disown {
        /// Such as `room`.
        topic: String,
        /// Within the topic.
        key: String,
        /// Who does.
        #[serde(with = "NodeJson")]
        #[cfg_attr(feature = "schema", schemars(with = "NodeJson"))]
        owner: Node,
    },
    /// Ask clients to connect elsewhere, take no new ones. Answer: nothing, once nobody is left.
    Drain {
        /// Sessions closed per second; 0 stops draining.
        per_second: u32,
    },
    /// Answer: [`LeaseState`].
    Lease,
    /// What core knows of another node's sessions, for comparing. Answer: [`Known`].
    Known {
        /// Which run of which node.
        #[serde(with = "NodeJson")]
        #[cfg_attr(feature = "schema", schemars(with = "NodeJson"))]
        node: Node,
    },
}

/// What core knows of another node's sessions.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct Known {
    /// The number of the change that is wanted next.
    pub next: u64,
    /// In no order.
    pub sessions: Vec<Delta>,
}

/// The serving lease as this node sees it. Changes come as the event `lease.changed`.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct LeaseState {
    /// This node serves.
    pub serving: bool,
    /// What the database says: `free`, `alone` or `cluster`.
    pub mode: String,
    /// Number of the node that serves alone; 0 for none.
    #[serde(default)]
    pub holder: u32,
    /// The cluster's epoch in the database; 0 for none.
    #[serde(default)]
    pub epoch: i64,
    /// Why this node does not serve; empty when it does.
    #[serde(default)]
    pub reason: String,
}

pub(crate) fn outcome(code: u32) -> Result<Outcome> {
    match code {
        0 => Ok(Outcome::Delivered),
        1 => Ok(Outcome::Committed),
        2 => Ok(Outcome::Refused),
        _ => Err(Error::unsupported(format!("no such outcome: {code}"))),
    }
}
