//! A stanza: an owned head, and children that everybody shares.
//!
//! The children are the canonical re-serialisation of what the peer sent, never its bytes. A child
//! in the content namespace (`jabber:client`, `jabber:server`, …) carries no `xmlns`, so the same
//! bytes serve every kind of stream; any other child declares its own.

mod build;
mod error;
mod marks;
mod parse;
mod payload;
mod render;
#[cfg(test)]
mod tests;

use bytes::Bytes;
use compact_str::CompactString;

use crate::jid::Jid;

pub use error::{Condition, Defect, ErrorType, StanzaError};
pub use marks::Marks;
pub use parse::{AddressMemo, Parsed, parse};
pub use payload::{Child, ChildRef, Payload};
pub use render::RootNamespace;

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

impl Kind {
    /// Name of the stanza's element.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Message(_) => "message",
            Kind::Presence(_) => "presence",
            Kind::Iq(_) => "iq",
        }
    }

    /// Value of the `type` attribute; `None` for the default, which is not written.
    pub fn type_name(self) -> Option<&'static str> {
        Some(match self {
            Kind::Message(MessageType::Normal) | Kind::Presence(PresenceType::Available) => {
                return None;
            }
            Kind::Message(MessageType::Chat) => "chat",
            Kind::Message(MessageType::Groupchat) => "groupchat",
            Kind::Message(MessageType::Headline) => "headline",
            Kind::Presence(PresenceType::Unavailable) => "unavailable",
            Kind::Presence(PresenceType::Subscribe) => "subscribe",
            Kind::Presence(PresenceType::Subscribed) => "subscribed",
            Kind::Presence(PresenceType::Unsubscribe) => "unsubscribe",
            Kind::Presence(PresenceType::Unsubscribed) => "unsubscribed",
            Kind::Presence(PresenceType::Probe) => "probe",
            Kind::Iq(IqType::Get) => "get",
            Kind::Iq(IqType::Set) => "set",
            Kind::Iq(IqType::Result) => "result",
            Kind::Message(MessageType::Error)
            | Kind::Presence(PresenceType::Error)
            | Kind::Iq(IqType::Error) => "error",
        })
    }

    /// Of type `error`.
    pub fn is_error(self) -> bool {
        self.type_name() == Some("error")
    }

    /// The same stanza of type `error`.
    pub fn to_error(self) -> Kind {
        match self {
            Kind::Message(_) => Kind::Message(MessageType::Error),
            Kind::Presence(_) => Kind::Presence(PresenceType::Error),
            Kind::Iq(_) => Kind::Iq(IqType::Error),
        }
    }
}

/// Owned part of a stanza.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    pub kind: Kind,
    pub to: Option<Jid>,
    pub from: Option<Jid>,
    pub id: Option<CompactString>,
    pub lang: Option<CompactString>,
}

impl Head {
    pub fn new(kind: Kind) -> Head {
        Head { kind, to: None, from: None, id: None, lang: None }
    }
}

/// One stanza on its way through the server.
#[derive(Clone, Debug)]
pub struct Stanza {
    pub head: Head,
    pub payload: Payload,
    /// What the children are about; appended ones included, hidden ones too.
    pub marks: Marks,
    /// Children that steps added on the way (stanza-id, delay), in canonical form.
    pub appended: Option<Box<Vec<Bytes>>>,
    /// Bit per index of `payload` that is not delivered (a foreign stanza-id, say).
    pub hidden: u32,
    /// How often the stanza was sent on by a plugin or another node; bounded by the router.
    pub hops: u8,
    /// The number of the guest that sent it; 0 for everybody else.
    pub origin: u16,
}
