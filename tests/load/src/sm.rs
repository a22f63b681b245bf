//! Stream management (XEP-0198) as a client without resumption does it.

use crate::error::{LoadError, Result};
use crate::scan;
use crate::session::Session;
use crate::tally::{Tally, add};
use std::io::Write;

const ENABLE: &[u8] = b"<enable xmlns='urn:xmpp:sm:3'/>";
const REQUEST: &[u8] = b"<r xmlns='urn:xmpp:sm:3'/>";

/// Counts of one session, from `<enabled/>` on.
#[derive(Debug, Default)]
pub struct StreamManagement {
    /// Stanzas received, modulo 2^32 (XEP-0198 §4).
    handled: u32,
    /// The `h` that the server sent last.
    acknowledged: u32,
}

impl StreamManagement {
    /// Enables it and waits for the server's answer; stanzas that come before it are dropped.
    pub async fn enable(session: &mut Session) -> Result<Self> {
        if !session.offers_sm {
            return Err(LoadError::NotOffered("stream management (XEP-0198)".into()));
        }
        let mut answer = session.link.ask(ENABLE).await?;
        while scan::name(&answer) != b"enabled" {
            if scan::name(&answer) == b"failed" {
                return Err(LoadError::refused("stream management", &answer));
            }
            answer = session.link.element().await?;
        }
        Ok(Self::default())
    }

    /// Counts a stanza, answers a request, takes an acknowledgement.
    pub fn received(&mut self, element: &[u8], out: &mut Vec<u8>, tally: &Tally) {
        match scan::name(element) {
            b"message" | b"presence" | b"iq" => self.handled = self.handled.wrapping_add(1),
            b"r" => {
                write!(out, "<a xmlns='urn:xmpp:sm:3' h='{}'/>", self.handled)
                    .expect("a vector takes every byte");
            }
            b"a" => {
                let text = scan::attribute(element, b"h").and_then(|h| str::from_utf8(h).ok());
                if let Some(h) = text.and_then(|text| text.parse::<u32>().ok()) {
                    add(&tally.acknowledged, u64::from(h.wrapping_sub(self.acknowledged)));
                    self.acknowledged = h;
                }
            }
            _ => {}
        }
    }

    /// Asks for an acknowledgement: once per batch of messages.
    pub fn request(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(REQUEST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_answers_and_wraps() {
        let tally = Tally::default();
        let mut sm = StreamManagement { handled: u32::MAX, acknowledged: u32::MAX };
        let mut out = Vec::new();
        sm.received(b"<message/>", &mut out, &tally);
        sm.received(b"<r xmlns='urn:xmpp:sm:3'/>", &mut out, &tally);
        assert_eq!(out, b"<a xmlns='urn:xmpp:sm:3' h='0'/>");
        sm.received(b"<a xmlns='urn:xmpp:sm:3' h='2'/>", &mut out, &tally);
        assert_eq!((sm.acknowledged, tally.acknowledged.get()), (2, 3));
    }
}
