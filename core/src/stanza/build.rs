//! Making stanzas and changing them on their way.

use bytes::Bytes;
use compact_str::CompactString;

use super::{
    ChildRef, Head, IqType, Kind, Marks, MessageType, Payload, PresenceType, Stanza, StanzaError,
};
use crate::jid::Jid;
use crate::xml::Element;

impl Stanza {
    pub fn new(kind: Kind) -> Stanza {
        Stanza {
            head: Head::new(kind),
            payload: Payload::default(),
            marks: Marks::NONE,
            appended: None,
            hidden: 0,
            hops: 0,
            origin: 0,
        }
    }

    pub fn message(kind: MessageType) -> Stanza {
        Stanza::new(Kind::Message(kind))
    }

    pub fn presence(kind: PresenceType) -> Stanza {
        Stanza::new(Kind::Presence(kind))
    }

    pub fn iq(kind: IqType, id: impl Into<CompactString>) -> Stanza {
        Stanza::new(Kind::Iq(kind)).with_id(id)
    }

    pub fn with_to(mut self, to: Jid) -> Stanza {
        self.head.to = Some(to);
        self
    }

    pub fn with_from(mut self, from: Jid) -> Stanza {
        self.head.from = Some(from);
        self
    }

    pub fn with_id(mut self, id: impl Into<CompactString>) -> Stanza {
        self.head.id = Some(id.into());
        self
    }

    /// Replaces the children by canonical ones.
    pub fn with_payload(mut self, payload: Payload) -> Stanza {
        self.marks = payload.marks();
        self.payload = payload;
        self.hidden = 0;
        self
    }

    /// Replaces the children by `child`.
    pub fn with_child(self, child: &Element) -> Stanza {
        let payload = Payload::from_canonical(child.to_bytes());
        self.with_payload(payload.expect("the writer writes canonical elements"))
    }

    /// An empty answer to an iq: result, addresses swapped, same id.
    pub fn result(&self) -> Stanza {
        let mut answer = Stanza::new(Kind::Iq(IqType::Result));
        answer.head.to.clone_from(&self.head.from);
        answer.head.from.clone_from(&self.head.to);
        answer.head.id.clone_from(&self.head.id);
        answer
    }

    /// The error that answers this stanza, without its payload. `None` where RFC 6120 §8.3.1
    /// forbids an answer: to an error, and to the result of an iq.
    pub fn error(&self, error: &StanzaError) -> Option<Stanza> {
        if self.head.kind.is_error() || self.head.kind == Kind::Iq(IqType::Result) {
            return None;
        }
        let mut answer = self.result();
        answer.head.kind = self.head.kind.to_error();
        let mut bytes = Vec::with_capacity(160);
        error.write(&mut bytes);
        let payload = Payload::from_canonical(bytes);
        Some(answer.with_payload(payload.expect("the writer writes canonical elements")))
    }

    /// Adds a canonical child behind all others. It is not in the payload's index.
    pub fn append(&mut self, child: Bytes) {
        if let Ok(payload) = Payload::from_canonical(child.clone()) {
            self.marks = self.marks | payload.marks();
        }
        self.appended.get_or_insert_default().push(child);
    }

    /// Children of the payload that are not hidden.
    pub fn visible(&self) -> impl Iterator<Item = ChildRef<'_>> {
        let hidden = self.hidden;
        self.payload.children().filter(move |c| c.position >= 32 || hidden & (1 << c.position) == 0)
    }

    /// The first visible child of that name; `jabber:client` stands for any content namespace.
    pub fn child(&self, name: &str, ns: &str) -> Option<ChildRef<'_>> {
        self.visible().find(|child| child.is(name, ns))
    }

    /// Delivers no child for which `unwanted` holds. Shared bytes stay shared, except that a
    /// child beyond the 32 of the bit set costs a copy.
    pub fn hide(&mut self, unwanted: impl Fn(&ChildRef<'_>) -> bool) {
        let found: Vec<usize> =
            self.visible().filter(|child| unwanted(child)).map(|child| child.position).collect();
        if found.iter().any(|position| *position >= 32) {
            return self.remove(&found);
        }
        for position in found {
            self.hidden |= 1 << position;
        }
    }

    fn remove(&mut self, positions: &[usize]) {
        let kept = self.visible().filter(|child| !positions.contains(&child.position));
        let bytes: Vec<u8> = kept.flat_map(|child| child.as_bytes()).copied().collect();
        self.payload = Payload::from_canonical(bytes).expect("the payload is canonical");
        self.hidden = 0;
    }
}
