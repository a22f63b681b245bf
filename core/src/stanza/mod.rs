//! A stanza: an owned head, and children that everybody shares.
//!
//! The children are the canonical re-serialisation of what the peer sent, never its bytes. A child
//! in the content namespace (`jabber:client`, `jabber:server`, …) carries no `xmlns`, so the same
//! bytes serve every kind of stream; any other child declares its own.

use bytes::Bytes;
use compact_str::CompactString;
use smallvec::SmallVec;

use crate::jid::Jid;

/// What the head says: the stanza's name and its `type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Message(MessageType),
    Presence(PresenceType),
    Iq(IqType),
}

/// RFC 6121 §5.2.2. An unknown type counts as normal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageType {
    Normal,
    Chat,
    Groupchat,
    Headline,
    Error,
}

/// RFC 6121 §4.7.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PresenceType {
    Available,
    Unavailable,
    Subscribe,
    Subscribed,
    Unsubscribe,
    Unsubscribed,
    Probe,
    Error,
}

/// RFC 6120 §8.2.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IqType {
    Get,
    Set,
    Result,
    Error,
}

/// Owned part of a stanza.
#[derive(Clone, Debug)]
pub struct Head {
    pub kind: Kind,
    pub to: Option<Jid>,
    pub from: Option<Jid>,
    pub id: Option<CompactString>,
    pub lang: Option<CompactString>,
}

/// Where a child stands in [`Payload::bytes`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Child {
    /// Octet range of the whole element.
    pub start: u32,
    pub end: u32,
    /// Octet range of its local name.
    pub name_start: u32,
    pub name_end: u32,
    /// Octet range of its namespace; empty for the content namespace.
    pub ns_start: u32,
    pub ns_end: u32,
}

/// Canonical children with their index. Cloning shares the bytes.
#[derive(Clone, Debug, Default)]
pub struct Payload {
    pub bytes: Bytes,
    pub index: SmallVec<[Child; 2]>,
}

/// One stanza on its way through the server.
#[derive(Clone, Debug)]
pub struct Stanza {
    pub head: Head,
    pub payload: Payload,
    /// Children that steps added on the way (stanza-id, delay), in canonical form.
    pub appended: Option<Box<Vec<Bytes>>>,
    /// Bit per index of `payload` that is not delivered (a foreign stanza-id, say).
    pub hidden: u32,
    /// How often the stanza was sent on by a plugin or another node; bounded by the router.
    pub hops: u8,
}
