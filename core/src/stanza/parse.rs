//! From one frame to a stanza, or to an element of negotiation.

use std::cell::RefCell;

use bytes::Bytes;
use compact_str::{CompactString, ToCompactString};
use smallvec::SmallVec;

use super::{Child, Defect, Head, IqType, Kind, Marks, MessageType, Payload, PresenceType, Stanza};
use crate::jid::{Jid, JidError};
use crate::ns;
use crate::xml::reader::{Attribute, Name, Reader, Token};
use crate::xml::{Element, StreamContext, XmlError, canonical};

/// What a first-level element is.
#[derive(Clone, Debug)]
pub enum Parsed {
    Stanza(Stanza),
    /// Well-formed, but to be answered with an error. What cannot be read (an address, the type of
    /// an iq) is left out of `stanza` or set to its default.
    Invalid {
        stanza: Stanza,
        defect: Defect,
    },
    /// Not a stanza: negotiation, stream management.
    Element(Element),
}

/// Remembers the last recipient of a stream, so that a conversation prepares its address once.
#[derive(Clone, Debug, Default)]
pub struct AddressMemo {
    last: Option<Jid>,
}

impl AddressMemo {
    fn prepare(&mut self, text: &str) -> Result<Jid, JidError> {
        if let Some(last) = self.last.as_ref().filter(|last| last.as_str() == text) {
            return Ok(last.clone());
        }
        let jid = Jid::parse(text)?;
        self.last = Some(jid.clone());
        Ok(jid)
    }
}

/// Reads what the framer gave as one element.
pub fn parse(
    frame: &[u8],
    context: &StreamContext,
    memo: &mut AddressMemo,
) -> Result<Parsed, XmlError> {
    let mut reader = Reader::new(frame, context)?;
    let Token::Start { name, .. } = reader.next_token()? else {
        return Err(XmlError::NotWellFormed("not an element"));
    };
    let kind = if name.ns == context.content.as_str() { stanza_kind(name.local) } else { None };
    let Some(kind) = kind else {
        let element = Element::read(&mut reader, &name)?;
        reader.finish()?;
        return Ok(Parsed::Element(element));
    };
    let (head, mut defect) = head(kind, reader.attributes(), context, memo);
    let mut marks = Marks::NONE;
    let payload = payload(&mut reader, &mut marks)?;
    reader.finish()?;
    if defect.is_none() {
        defect = iq_defect(&head, &payload);
    }
    let stanza = Stanza { head, payload, marks, appended: None, hidden: 0, hops: 0, origin: 0 };
    Ok(match defect {
        None => Parsed::Stanza(stanza),
        Some(defect) => Parsed::Invalid { stanza, defect },
    })
}

/// The stanza of that name with the type that an absent attribute means.
fn stanza_kind(name: &str) -> Option<Kind> {
    match name {
        "message" => Some(Kind::Message(MessageType::Normal)),
        "presence" => Some(Kind::Presence(PresenceType::Available)),
        "iq" => Some(Kind::Iq(IqType::Get)),
        _ => None,
    }
}

/// RFC 6120 §8.1. Other attributes of the root mean nothing to anybody and are not passed on.
fn head(
    kind: Kind,
    attributes: &[Attribute<'_>],
    context: &StreamContext,
    memo: &mut AddressMemo,
) -> (Head, Option<Defect>) {
    let mut head = Head::new(kind);
    let mut defect = matches!(kind, Kind::Iq(_)).then_some(Defect::IqType);
    let mut bad_address = None;
    for attribute in attributes {
        let value = &*attribute.value;
        match (attribute.prefix, attribute.local) {
            ("", "to") => match memo.prepare(value) {
                Ok(to) => head.to = Some(to),
                Err(error) => bad_address = Some(Defect::To(error)),
            },
            ("", "from") => match Jid::parse(value) {
                Ok(from) => head.from = Some(from),
                Err(error) => bad_address = Some(Defect::From(error)),
            },
            ("", "id") => head.id = Some(value.to_compact_string()),
            ("", "type") => match typed(kind, value) {
                Ok(kind) => (head.kind, defect) = (kind, None),
                Err(error) => defect = Some(error),
            },
            ("xml", "lang") => head.lang = Some(value.to_compact_string()),
            _ => {}
        }
    }
    if head.lang.is_none() {
        head.lang.clone_from(&context.lang);
    }
    let id = || matches!(kind, Kind::Iq(_)) && head.id.as_ref().is_none_or(CompactString::is_empty);
    let defect = bad_address.or(defect).or_else(|| id().then_some(Defect::IqId));
    (head, defect)
}

fn typed(kind: Kind, name: &str) -> Result<Kind, Defect> {
    Ok(match kind {
        Kind::Message(_) => Kind::Message(match name {
            "chat" => MessageType::Chat,
            "groupchat" => MessageType::Groupchat,
            "headline" => MessageType::Headline,
            "error" => MessageType::Error,
            // RFC 6121 §5.2.2: an unknown type counts as normal.
            _ => MessageType::Normal,
        }),
        Kind::Presence(_) => Kind::Presence(match name {
            "unavailable" => PresenceType::Unavailable,
            "subscribe" => PresenceType::Subscribe,
            "subscribed" => PresenceType::Subscribed,
            "unsubscribe" => PresenceType::Unsubscribe,
            "unsubscribed" => PresenceType::Unsubscribed,
            "probe" => PresenceType::Probe,
            "error" => PresenceType::Error,
            _ => return Err(Defect::PresenceType),
        }),
        Kind::Iq(_) => Kind::Iq(match name {
            "get" => IqType::Get,
            "set" => IqType::Set,
            "result" => IqType::Result,
            "error" => IqType::Error,
            _ => return Err(Defect::IqType),
        }),
    })
}

/// Octets of scratch memory that a worker keeps after a large stanza.
const KEEP: usize = 64 * 1024;

thread_local! {
    /// Children are written here first, so that a stanza owns exactly what it needs.
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Rewrites the children in canonical form. Text between them means nothing and is left out.
fn payload(reader: &mut Reader<'_>, marks: &mut Marks) -> Result<Payload, XmlError> {
    SCRATCH.with_borrow_mut(|bytes| {
        bytes.clear();
        bytes.shrink_to(KEEP);
        let index = rewrite(reader, bytes, marks)?;
        Ok(Payload { bytes: Bytes::copy_from_slice(bytes), index })
    })
}

fn rewrite(
    reader: &mut Reader<'_>,
    bytes: &mut Vec<u8>,
    marks: &mut Marks,
) -> Result<SmallVec<[Child; 4]>, XmlError> {
    let mut index = SmallVec::new();
    while reader.depth() > 0 {
        let Token::Start { name, inherits } = reader.next_token()? else { continue };
        let start = bytes.len();
        canonical::element(reader, &name, inherits, bytes)?;
        *marks = *marks | Marks::of(name.local, (!inherits).then_some(&*name.ns));
        let ns = (!inherits).then(|| escaped_length(&name, &bytes[start..]));
        index.push(Child::new(start..bytes.len(), name.local.len(), ns)?);
    }
    Ok(index)
}

/// Octets of the namespace as it was written.
fn escaped_length(name: &Name<'_>, written: &[u8]) -> usize {
    let from = 1 + name.local.len() + " xmlns='".len();
    memchr::memchr(b'\'', &written[from..]).unwrap_or(0)
}

fn iq_defect(head: &Head, payload: &Payload) -> Option<Defect> {
    let Kind::Iq(kind) = head.kind else { return None };
    let valid = match kind {
        IqType::Get | IqType::Set => payload.index.len() == 1,
        IqType::Result => payload.index.len() <= 1,
        IqType::Error => payload.find("error", ns::CLIENT).is_some(),
    };
    (!valid).then_some(Defect::IqPayload)
}
