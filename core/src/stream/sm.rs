//! Stream management (XEP-0198 1.6), the pure parts: the elements, the counters, and the queue of
//! what the peer has not acknowledged.

use std::collections::VecDeque;

use crate::ns;
use crate::xml::Element;
use crate::xml::writer::Writer;

/// Number of handled stanzas; RFC-style serial arithmetic modulo 2^32 (XEP-0198 §4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counter(pub u32);

impl Counter {
    #[must_use]
    pub fn next(self) -> Counter {
        Counter(self.0.wrapping_add(1))
    }

    /// How many stanzas lie between `earlier` and this, whatever wrapped in between.
    pub fn since(self, earlier: Counter) -> u32 {
        self.0.wrapping_sub(earlier.0)
    }
}

/// The peer acknowledged more than was sent: a stream error (XEP-0198 §4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("you acknowledged {h} stanzas, but only {sent} were sent")]
pub struct TooHigh {
    pub h: u32,
    pub sent: u32,
}

impl TooHigh {
    /// Appends the application-specific condition.
    pub fn write(&self, writer: &mut Writer<'_>) {
        writer.start("handled-count-too-high", Some(ns::SM));
        writer.attribute("h", &self.h.to_string()).attribute("send-count", &self.sent.to_string());
        writer.end("handled-count-too-high");
    }
}

/// Bounds of an [`AckQueue`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueLimits {
    pub items: usize,
    pub octets: usize,
}

/// What was sent and is not acknowledged, oldest first. An empty queue holds no memory.
#[derive(Debug)]
pub struct AckQueue<T> {
    items: VecDeque<(T, u32)>,
    octets: usize,
    acknowledged: Counter,
    limits: QueueLimits,
}

impl<T> AckQueue<T> {
    pub fn new(limits: QueueLimits) -> AckQueue<T> {
        AckQueue::after(Counter(0), limits)
    }

    /// An empty queue whose peer has acknowledged that many stanzas already.
    pub fn after(acknowledged: Counter, limits: QueueLimits) -> AckQueue<T> {
        AckQueue { items: VecDeque::new(), octets: 0, acknowledged, limits }
    }

    /// Counts one stanza as sent, also when the queue is full: who fills it looks at
    /// [`AckQueue::is_full`] before.
    pub fn push(&mut self, item: T, octets: u32) {
        self.octets += octets as usize;
        self.items.push_back((item, octets));
    }

    /// A bound is reached: nothing more is to be sent until the peer acknowledges.
    pub fn is_full(&self) -> bool {
        self.items.len() >= self.limits.items || self.octets >= self.limits.octets
    }

    /// Takes out what the peer acknowledges by `h`, oldest first.
    pub fn acknowledge(&mut self, h: Counter) -> Result<impl Iterator<Item = T> + '_, TooHigh> {
        let count = h.since(self.acknowledged) as usize;
        // An h behind the last one is so far ahead in serial arithmetic that it fails here too.
        if count > self.items.len() {
            return Err(TooHigh { h: h.0, sent: self.sent().0 });
        }
        self.acknowledged = h;
        let octets: usize = self.items.iter().take(count).map(|(_, size)| *size as usize).sum();
        self.octets -= octets;
        Ok(self.items.drain(..count).map(|(item, _)| item))
    }

    /// What is not acknowledged, oldest first: to be sent again after a resumption.
    pub fn unacked(&self) -> impl DoubleEndedIterator<Item = &T> {
        self.items.iter().map(|(item, _)| item)
    }

    /// Gives up the queue: what goes to offline storage when the session ends.
    pub fn into_unacked(self) -> impl DoubleEndedIterator<Item = T> {
        self.items.into_iter().map(|(item, _)| item)
    }

    /// The last `h` that the peer acknowledged.
    pub fn acknowledged(&self) -> Counter {
        self.acknowledged
    }

    /// Stanzas sent so far, modulo 2^32.
    pub fn sent(&self) -> Counter {
        Counter(self.acknowledged.0.wrapping_add(self.items.len() as u32))
    }

    pub fn len(&self) -> usize {
        self.items.len()
    }

    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Octets of what is not acknowledged.
    pub fn octets(&self) -> usize {
        self.octets
    }
}

/// An element of XEP-0198 that a client sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// §3; `max` is in seconds.
    Enable { resume: bool, max: Option<u32> },
    /// §5.
    Resume { previd: String, h: Counter },
    /// §4: asks for an answer with our count.
    Ack,
    /// §4: the client's count.
    Answer { h: Counter },
}

/// Why an element of this namespace is refused. Always the peer's fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    #[error("XEP-0198 knows no such element")]
    Unknown,
    #[error("an attribute of the element is missing or not a number of 32 bits")]
    Attribute,
}

impl Request {
    /// Reads an element of the namespace `urn:xmpp:sm:3`.
    pub fn parse(element: &Element) -> Result<Request, RequestError> {
        match element.name.as_str() {
            "r" => Ok(Request::Ack),
            "a" => Ok(Request::Answer { h: count(element)? }),
            "enable" => Ok(Request::Enable {
                resume: matches!(element.attr("resume"), Some("true" | "1")),
                max: element.attr("max").and_then(|max| max.parse().ok()),
            }),
            "resume" => {
                let previd = element.attr("previd").ok_or(RequestError::Attribute)?;
                Ok(Request::Resume { previd: previd.to_owned(), h: count(element)? })
            }
            _ => Err(RequestError::Unknown),
        }
    }
}

fn count(element: &Element) -> Result<Counter, RequestError> {
    let h = element.attr("h").and_then(|h| h.parse().ok());
    h.map(Counter).ok_or(RequestError::Attribute)
}

/// Why stream management or a resumption is refused (XEP-0198 §3, §5): `<failed/>`, not an end of
/// the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The session is unknown or gone.
    ItemNotFound,
    /// Not at this moment.
    UnexpectedRequest,
    /// The resumption belongs to another account, or was lost to another connection.
    NotAuthorized,
    /// This server cannot keep one more session.
    ResourceConstraint,
    InternalServerError,
}

impl Refusal {
    fn condition(self) -> &'static str {
        match self {
            Refusal::ItemNotFound => "item-not-found",
            Refusal::UnexpectedRequest => "unexpected-request",
            Refusal::NotAuthorized => "not-authorized",
            Refusal::ResourceConstraint => "resource-constraint",
            Refusal::InternalServerError => "internal-server-error",
        }
    }
}

/// Appends `<enabled/>`. `resumable` holds the id and the seconds for which the session is kept.
pub fn write_enabled(resumable: Option<(&str, u32)>, out: &mut Vec<u8>) {
    let mut writer = Writer::new(out);
    writer.start("enabled", Some(ns::SM));
    if let Some((id, max)) = resumable {
        writer.attribute("id", id).attribute("resume", "true").attribute("max", &max.to_string());
    }
    writer.end("enabled");
}

/// Appends `<resumed/>`.
pub fn write_resumed(previd: &str, h: Counter, out: &mut Vec<u8>) {
    let mut writer = Writer::new(out);
    writer.start("resumed", Some(ns::SM)).attribute("previd", previd);
    writer.attribute("h", &h.0.to_string()).end("resumed");
}

/// Appends `<failed/>`; `h` tells what was handled before the session was given up, if known.
pub fn write_failed(refusal: Refusal, h: Option<Counter>, out: &mut Vec<u8>) {
    let mut writer = Writer::new(out);
    writer.start("failed", Some(ns::SM));
    if let Some(Counter(h)) = h {
        writer.attribute("h", &h.to_string());
    }
    let condition = refusal.condition();
    writer.start(condition, Some(ns::STANZA_ERRORS)).end(condition).end("failed");
}

/// `<r/>`.
pub const REQUEST: &str = "<r xmlns='urn:xmpp:sm:3'/>";

/// Appends `<a/>`.
pub fn write_answer(h: Counter, out: &mut Vec<u8>) {
    Writer::new(out).start("a", Some(ns::SM)).attribute("h", &h.0.to_string()).end("a");
}

#[cfg(test)]
#[path = "sm_tests.rs"]
mod tests;
