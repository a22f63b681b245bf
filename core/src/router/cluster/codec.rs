//! How stanzas travel between nodes: as letters, one behind the other. Addresses are prepared, and the children
//! are the canonical octets: each was read strictly where it came in, and nodes know each other by certificate.
//! All the rest is checked.

use std::cell::Cell;
use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use compact_str::CompactString;
use smallvec::SmallVec;

use crate::clock::StanzaId;
use crate::jid::{Jid, JidError};
use crate::session::ToOverride;
use crate::stanza::{Head, IqType, Kind, MessageType, Payload, PresenceType, Stanza};

/// The first octet of every letter.
const VERSION: u8 = 1;
/// Bits of the second octet.
const OWN_ADDRESS: u8 = 1;
const HAS_ID: u8 = 2;

/// Octets of a letter's head, as a guess.
const HEAD: usize = 256;
/// Octets for letters for which a thread has room at a time. Whoever keeps one of them for long holds up
/// so much memory.
const ROOM_SIZE: usize = 8 * 1024;

thread_local! {
    /// Letters are written here one after the other, so that none needs memory of its own, and those of one
    /// envelope need not be moved.
    static ROOM: Cell<BytesMut> = Cell::default();
}

/// Recipients that one letter may name.
pub const MAX_RECIPIENTS: usize = 500;

/// The kinds by the number that stands for them: only ever add to the end.
const KINDS: [Kind; 17] = [
    Kind::Message(MessageType::Normal),
    Kind::Message(MessageType::Chat),
    Kind::Message(MessageType::Groupchat),
    Kind::Message(MessageType::Headline),
    Kind::Message(MessageType::Error),
    Kind::Presence(PresenceType::Available),
    Kind::Presence(PresenceType::Unavailable),
    Kind::Presence(PresenceType::Subscribe),
    Kind::Presence(PresenceType::Subscribed),
    Kind::Presence(PresenceType::Unsubscribe),
    Kind::Presence(PresenceType::Unsubscribed),
    Kind::Presence(PresenceType::Probe),
    Kind::Presence(PresenceType::Error),
    Kind::Iq(IqType::Get),
    Kind::Iq(IqType::Set),
    Kind::Iq(IqType::Result),
    Kind::Iq(IqType::Error),
];

/// Why octets are no letter: the other node's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    #[error("the letter is of version {0}, which this server does not know")]
    Version(u8),
    #[error("the letter ends too early")]
    Truncated,
    #[error("the letter's {0} is not valid")]
    Invalid(&'static str),
}

/// A stanza for some sessions of one node.
#[derive(Debug)]
pub struct Letter {
    /// Full addresses; or bare ones, when the node that gets it chooses the sessions.
    pub recipients: SmallVec<[Jid; 1]>,
    pub to: ToOverride,
    /// Of a durable message.
    pub id: Option<StanzaId>,
    pub stanza: Arc<Stanza>,
}

/// Writes `stanza` for the sessions with these full addresses, or for these accounts.
pub fn encode<'j>(
    recipients: impl ExactSizeIterator<Item = &'j Jid>,
    to: ToOverride,
    id: Option<StanzaId>,
    stanza: &Stanza,
) -> BytesMut {
    let mut out = ROOM.take();
    if out.capacity() < stanza.payload.bytes.len() + HEAD {
        out.reserve(ROOM_SIZE.max(stanza.payload.bytes.len() + HEAD));
    }
    out.put_u8(VERSION);
    let own = if to == ToOverride::Own { OWN_ADDRESS } else { 0 };
    out.put_u8(own | if id.is_some() { HAS_ID } else { 0 });
    if let Some(id) = id {
        out.extend_from_slice(&id.to_bytes());
    }
    number(&mut out, recipients.len() as u64);
    for recipient in recipients {
        text(&mut out, recipient.as_str().as_bytes());
    }
    let Head { kind, to, from, id, lang } = &stanza.head;
    let kind = KINDS.iter().position(|known| known == kind);
    out.put_u8(kind.expect("the table has every kind") as u8);
    out.put_u8(stanza.hops);
    out.put_u16(stanza.origin);
    out.put_u32(stanza.hidden);
    maybe(&mut out, to.as_ref().map(Jid::as_str));
    maybe(&mut out, from.as_ref().map(Jid::as_str));
    maybe(&mut out, id.as_deref());
    maybe(&mut out, lang.as_deref());
    text(&mut out, &stanza.payload.bytes);
    let appended = stanza.appended.as_deref().map(Vec::as_slice).unwrap_or_default();
    number(&mut out, appended.len() as u64);
    appended.iter().for_each(|child| text(&mut out, child));
    let letter = out.split();
    ROOM.set(out);
    letter
}

/// LEB128.
fn number(out: &mut BytesMut, mut value: u64) {
    while value >= 0x80 {
        out.put_u8(value as u8 | 0x80);
        value >>= 7;
    }
    out.put_u8(value as u8);
}

fn text(out: &mut BytesMut, octets: &[u8]) {
    number(out, octets.len() as u64);
    out.extend_from_slice(octets);
}

/// The length is one more, and 0 for what is absent.
fn maybe(out: &mut BytesMut, value: Option<&str>) {
    match value {
        Some(value) => {
            number(out, value.len() as u64 + 1);
            out.extend_from_slice(value.as_bytes());
        }
        None => out.put_u8(0),
    }
}

/// The addresses of the letter before: those of one conversation follow each other.
#[derive(Debug, Default)]
pub struct Before {
    recipient: Option<Jid>,
    from: Option<Jid>,
}

/// Takes what [`encode`] wrote off the front of `octets`. After an error what follows cannot be read.
pub fn decode(octets: &mut &[u8], before: &mut Before) -> Result<Letter, CodecError> {
    let mut reader = Reader(octets);
    match reader.octet()? {
        VERSION => {}
        other => return Err(CodecError::Version(other)),
    }
    let flags = reader.octet()?;
    if flags & !(OWN_ADDRESS | HAS_ID) != 0 {
        return Err(CodecError::Invalid("flags"));
    }
    let to = if flags & OWN_ADDRESS != 0 { ToOverride::Own } else { ToOverride::Keep };
    let has_id = flags & HAS_ID != 0;
    let id = if has_id { Some(StanzaId::from_bytes(reader.array()?)) } else { None };
    let mut recipients = SmallVec::new();
    for _ in 0..reader.count(MAX_RECIPIENTS, "number of recipients")? {
        let recipient = address(reader.text("recipient")?, &before.recipient).ok();
        let recipient = recipient.filter(|recipient| recipient.local().is_some());
        recipients.push(recipient.ok_or(CodecError::Invalid("recipient"))?);
    }
    before.recipient = recipients.last().cloned();
    let stanza = reader.stanza(&before.recipient, &before.from)?;
    before.from.clone_from(&stanza.head.from);
    *octets = reader.0;
    Ok(Letter { recipients, to, id, stanza })
}

/// Mostly the `known` one.
fn address(text: &str, known: &Option<Jid>) -> Result<Jid, JidError> {
    match known {
        Some(known) if known.as_str() == text => Ok(known.clone()),
        _ => Jid::prepared(text),
    }
}

struct Reader<'o>(&'o [u8]);

impl<'o> Reader<'o> {
    fn take(&mut self, count: usize) -> Result<&'o [u8], CodecError> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(CodecError::Truncated)?;
        self.0 = rest;
        Ok(taken)
    }

    fn octet(&mut self) -> Result<u8, CodecError> {
        self.array().map(|[octet]| octet)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], CodecError> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(CodecError::Truncated)?;
        self.0 = rest;
        Ok(*taken)
    }

    fn number(&mut self) -> Result<usize, CodecError> {
        let mut value = 0_u64;
        for shift in (0..35).step_by(7) {
            let octet = self.octet()?;
            value |= u64::from(octet & 0x7f) << shift;
            if octet & 0x80 == 0 {
                return Ok(value as usize);
            }
        }
        Err(CodecError::Invalid("number"))
    }

    fn count(&mut self, most: usize, what: &'static str) -> Result<usize, CodecError> {
        Some(self.number()?).filter(|count| *count <= most).ok_or(CodecError::Invalid(what))
    }

    fn octets(&mut self) -> Result<&'o [u8], CodecError> {
        let count = self.number()?;
        self.take(count)
    }

    fn text(&mut self, what: &'static str) -> Result<&'o str, CodecError> {
        std::str::from_utf8(self.octets()?).map_err(|_| CodecError::Invalid(what))
    }

    fn maybe(&mut self, what: &'static str) -> Result<Option<&'o str>, CodecError> {
        let Some(count) = self.number()?.checked_sub(1) else { return Ok(None) };
        let octets = self.take(count)?;
        std::str::from_utf8(octets).map(Some).map_err(|_| CodecError::Invalid(what))
    }

    fn address(
        &mut self,
        known: &Option<Jid>,
        what: &'static str,
    ) -> Result<Option<Jid>, CodecError> {
        let text = self.maybe(what)?;
        text.map(|text| address(text, known)).transpose().map_err(|_| CodecError::Invalid(what))
    }

    fn children(&mut self, what: &'static str) -> Result<Payload, CodecError> {
        let children = Bytes::copy_from_slice(self.text(what)?.as_bytes());
        Payload::from_canonical(children).map_err(|_| CodecError::Invalid(what))
    }

    /// A stanza is large: it is moved once, to where it stays.
    fn stanza(&mut self, to: &Option<Jid>, from: &Option<Jid>) -> Result<Arc<Stanza>, CodecError> {
        let kind = KINDS.get(usize::from(self.octet()?)).ok_or(CodecError::Invalid("kind"))?;
        let hops = self.octet()?;
        let origin = u16::from_be_bytes(self.array()?);
        let hidden = u32::from_be_bytes(self.array()?);
        let head = Head {
            kind: *kind,
            to: self.address(to, "to")?,
            from: self.address(from, "from")?,
            id: self.maybe("id")?.map(CompactString::from),
            lang: self.maybe("lang")?.map(CompactString::from),
        };
        let payload = self.children("payload")?;
        let marks = payload.marks();
        let mut stanza = Stanza { head, payload, marks, appended: None, hidden, hops, origin };
        for _ in 0..self.count(self.0.len(), "number of children")? {
            let child = self.children("child")?;
            if child.index.len() != 1 {
                return Err(CodecError::Invalid("child"));
            }
            stanza.append(child.bytes);
        }
        Ok(Arc::new(stanza))
    }
}
