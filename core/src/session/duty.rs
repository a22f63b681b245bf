//! The zero-loss contract, seen from one durable message: who must be told when it is safe, and
//! whether it already is.
//!
//! Every envelope of one message shares its duty. The message is *done* when a recipient's client
//! acknowledged it; its sender is *released* when it is done or committed to the database. Whoever
//! lets go of a duty last, when it is not done, must find the message another home.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use super::Shared;
use crate::clock::StanzaId;
use crate::stanza::{Kind, Marks, MessageType, Stanza};

/// Whether the server answers for a message once its sender was told `h`: chat and normal messages
/// with content (or the hint of XEP-0334 §4.4), and invitations.
pub fn is_durable(stanza: &Stanza) -> bool {
    const CONTENT: Marks = Marks::BODY
        .union(Marks::HINT_STORE)
        .union(Marks::ENCRYPTED)
        .union(Marks::MUC_USER)
        .union(Marks::CONFERENCE);
    matches!(stanza.head.kind, Kind::Message(MessageType::Chat | MessageType::Normal))
        && stanza.marks.intersects(CONTENT)
        && !stanza.marks.intersects(Marks::HINT_NO_STORE)
}

/// Shared by the envelopes of one durable message.
#[derive(Debug)]
pub struct Duty {
    /// Id under which the message is archived or spooled.
    pub id: StanzaId,
    done: AtomicBool,
    spooling: AtomicBool,
    /// A row of the offline table holds the message.
    spooled: AtomicBool,
    /// The sender's acknowledgement that waits; `None` when it promised nothing.
    waiting: Option<Pending>,
    released: AtomicBool,
    /// Envelopes that still may bring the message to a client.
    holders: AtomicU32,
}

/// One place in a sender's watermark.
#[derive(Debug)]
pub struct Pending {
    pub sender: Arc<Shared>,
    /// The sender's stanza count when it sent the message.
    pub seq: u32,
}

impl Duty {
    pub fn new(id: StanzaId, waiting: Option<Pending>) -> Duty {
        Duty {
            id,
            done: AtomicBool::new(false),
            spooling: AtomicBool::new(false),
            spooled: AtomicBool::new(false),
            waiting,
            released: AtomicBool::new(false),
            holders: AtomicU32::new(0),
        }
    }

    /// A duty whose message comes from the offline table; one envelope carries it.
    pub fn spooled(id: StanzaId) -> Duty {
        let duty = Duty::new(id, None);
        duty.hold(1);
        duty.spooled.store(true, Ordering::Relaxed);
        duty
    }

    /// `count` more envelopes carry the message.
    pub fn hold(&self, count: usize) {
        self.holders.fetch_add(count as u32, Ordering::AcqRel);
    }

    /// An envelope was not delivered. True when it was the last and nobody has the message: the
    /// caller must find it another home.
    pub fn let_go(&self) -> bool {
        self.holders.fetch_sub(1, Ordering::AcqRel) == 1 && !self.is_done()
    }

    /// A recipient has it. Returns true for the first caller when a row of the offline table is
    /// now to be removed.
    pub fn done(&self) -> bool {
        let first = !self.done.swap(true, Ordering::SeqCst);
        self.release();
        first && self.is_spooled()
    }

    pub fn is_done(&self) -> bool {
        self.done.load(Ordering::Acquire)
    }

    /// The message is committed in the archive: the sender may forget it.
    pub fn release(&self) {
        if let Some(pending) = &self.waiting
            && !self.released.swap(true, Ordering::AcqRel)
        {
            pending.sender.settle(pending.seq);
        }
    }

    /// True while a sender's acknowledgement waits for this message.
    pub fn is_awaited(&self) -> bool {
        self.waiting.is_some() && !self.released.load(Ordering::Acquire)
    }

    /// True once, for who may put the message into the offline table on behalf of a slow client.
    pub fn start_spool(&self) -> bool {
        self.is_awaited() && !self.is_done() && !self.spooling.swap(true, Ordering::AcqRel)
    }

    /// The message is committed in the offline table. True when a recipient acknowledged it in the
    /// meantime, so that the row is to be removed.
    pub fn set_spooled(&self) -> bool {
        self.spooled.store(true, Ordering::SeqCst);
        self.release();
        self.done.load(Ordering::SeqCst)
    }

    pub fn is_spooled(&self) -> bool {
        self.spooled.load(Ordering::SeqCst)
    }
}
