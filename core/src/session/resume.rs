//! What makes a session resumable (XEP-0198 §5): the stanzas that its client has not acknowledged,
//! and the id by which another connection claims it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use compact_str::CompactString;

use super::{Duty, Envelope, Node, Watermark};
use crate::stanza::Stanza;
use crate::stream::sm::{self, AckQueue};

/// The id of a session that can be resumed: it names the run of the node that has it, and nobody
/// guesses its `secret`.
pub fn id(owner: Node, secret: &str) -> CompactString {
    compact_str::format_compact!("{:08x}.{:x}.{secret}", owner.id, owner.incarnation)
}

/// The node that an id names; incarnation 0 when it was in no cluster then.
pub fn owner(id: &str) -> Option<Node> {
    let (node, rest) = id.split_once('.')?;
    let (incarnation, _) = rest.split_once('.')?;
    let id = u32::from_str_radix(node, 16).ok()?;
    Some(Node { id, incarnation: u64::from_str_radix(incarnation, 16).ok()? })
}

/// What others see of a session's XEP-0198 part.
#[derive(Debug, Default)]
pub struct Management {
    pub watermark: Watermark,
    pub resumable: bool,
    unacknowledged: AtomicU32,
}

impl Management {
    pub(super) fn new(resumable: bool) -> Management {
        Management { resumable, ..Management::default() }
    }

    /// Stanzas that were sent and that the client has not acknowledged.
    pub fn unacknowledged(&self) -> u32 {
        self.unacknowledged.load(Ordering::Relaxed)
    }

    pub fn set_unacknowledged(&self, count: usize) {
        self.unacknowledged.store(count as u32, Ordering::Relaxed);
    }
}

/// The XEP-0198 part of a session.
#[derive(Debug)]
pub struct Resumable {
    /// The id of `<enabled/>`; `None` when the client did not ask for resumption.
    pub token: Option<CompactString>,
    /// How long the session waits for its client.
    pub window: Duration,
    /// Written and not acknowledged, oldest first.
    pub unacknowledged: AckQueue<Envelope>,
    /// An `<r/>` is on its way.
    pub asked: bool,
}

impl Resumable {
    /// Keeps what is sent, or what waits for the client to come back. True when the sender of a
    /// durable message waits for its acknowledgement.
    pub fn keep(&mut self, envelope: Envelope) -> bool {
        let size = envelope.size() as u32;
        let awaited = envelope.duty.as_ref().is_some_and(|duty| duty.is_awaited());
        self.unacknowledged.push(envelope, size);
        awaited
    }

    /// Asks for an acknowledgement, if there is anything to acknowledge, and never twice at a time.
    pub fn ask(&mut self, write: &mut Vec<u8>) {
        if !self.unacknowledged.is_empty() && !std::mem::replace(&mut self.asked, true) {
            write.extend_from_slice(sm::REQUEST.as_bytes());
        }
    }

    /// What senders still wait for and nobody spools yet; from now on the caller does.
    pub fn start_spool(&self) -> Vec<(Arc<Stanza>, Arc<Duty>)> {
        self.unacknowledged.unacked().filter_map(Envelope::start_spool).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_names_its_owner() {
        let node = Node { id: 0xabc, incarnation: u64::MAX };
        let named = id(node, "a.secret");
        assert_eq!(named, "00000abc.ffffffffffffffff.a.secret");
        assert_eq!(owner(&named), Some(node));
        for other in ["", "secret", "1.secret", "x.1.secret", "1.x.secret"] {
            assert_eq!(owner(other), None, "{other}");
        }
    }
}
