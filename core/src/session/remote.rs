//! Sessions of other nodes, and how they are told of.

use std::sync::atomic::{AtomicBool, Ordering};

use compact_str::CompactString;

use crate::jid::Jid;

/// One run of one node of the cluster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Node {
    pub id: u32,
    /// Tells the runs of a node apart; another one after a fence.
    pub incarnation: u64,
}

/// A session that came, changed or went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delta {
    /// It is gone; the fields below `session` mean nothing then.
    pub gone: bool,
    /// Number of the host; 0 for the first.
    pub host: u32,
    /// Local part of the account's address.
    pub account: CompactString,
    pub resource: CompactString,
    /// Number of the session on its node.
    pub session: u64,
    /// The view's epoch when the resource was bound.
    pub epoch: i64,
    /// When it was bound, milliseconds since 1970 of the hybrid logical clock.
    pub bound_ms: i64,
    pub priority: i8,
    /// [`Delta::AVAILABLE`] and the like.
    pub flags: u32,
}

impl Delta {
    /// Has sent available presence.
    pub const AVAILABLE: u32 = 1;
    /// Has no connection and waits to be resumed (XEP-0198).
    pub const DETACHED: u32 = 2;
    /// Asked for the roster (RFC 6121 §2.2).
    pub const INTERESTED: u32 = 4;
    /// Wants carbons (XEP-0280).
    pub const CARBONS: u32 = 8;
}

/// A session on another node of the cluster, as of its last change.
#[derive(Debug)]
pub struct RemoteSession {
    pub node: Node,
    /// Number of the session on its node.
    pub session: u64,
    /// The full address.
    pub jid: Jid,
    pub epoch: i64,
    pub bound_ms: i64,
    pub priority: i8,
    /// [`Delta::AVAILABLE`] and the like.
    pub flags: u32,
    /// Its node took nothing for it lately; the next change of the session ends that.
    shut: AtomicBool,
}

impl RemoteSession {
    /// `jid` is the full address of what `delta` tells of.
    pub fn new(node: Node, jid: Jid, delta: &Delta) -> RemoteSession {
        RemoteSession {
            node,
            session: delta.session,
            jid,
            epoch: delta.epoch,
            bound_ms: delta.bound_ms,
            priority: delta.priority,
            flags: delta.flags,
            shut: AtomicBool::new(false),
        }
    }

    pub fn resource(&self) -> &str {
        self.jid.resource().unwrap_or_default()
    }

    pub fn is_available(&self) -> bool {
        self.flags & Delta::AVAILABLE != 0
    }

    pub fn is_interested(&self) -> bool {
        self.flags & Delta::INTERESTED != 0
    }

    pub fn is_connected(&self) -> bool {
        self.flags & Delta::DETACHED == 0
    }

    /// Stanzas may be sent to it.
    pub fn is_open(&self) -> bool {
        !self.shut.load(Ordering::Relaxed)
    }

    /// Nothing is to be sent to it until more is known, or until its node takes stanzas again.
    pub fn shut(&self) {
        self.shut.store(true, Ordering::Relaxed);
    }

    pub(super) fn reopen(&self) {
        self.shut.store(false, Ordering::Relaxed);
    }

    /// Orders the bindings of one resource: the greatest keeps it.
    pub(super) fn standing(&self) -> Standing {
        Standing { epoch: self.epoch, bound_ms: self.bound_ms, node: self.node }
    }
}

/// When and where a resource was bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Standing {
    pub epoch: i64,
    pub bound_ms: i64,
    pub node: Node,
}
