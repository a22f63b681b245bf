//! The zero-loss contract, seen from one durable message: who must be told when it is safe, and
//! whether it already is.
//!
//! Every envelope of one message shares its duty. The message is *done* when a recipient's client
//! acknowledged it; its sender is *released* when it is done or committed to the database. Whoever
//! lets go of a duty last, when it is not done, must find the message another home.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use super::Shared;
use super::acks::{Outcome, Ticket};
use crate::clock::StanzaId;
use crate::stanza::{Kind, Marks, MessageType, Stanza};

/// What makes a message worth keeping: content, the hint of XEP-0334 §4.4, an invitation.
pub const CONTENT: Marks = Marks::BODY
    .union(Marks::HINT_STORE)
    .union(Marks::ENCRYPTED)
    .union(Marks::MUC_USER)
    .union(Marks::CONFERENCE);

/// Whether the server answers for a message once its sender was told `h`: chat and normal messages
/// with [`CONTENT`].
pub fn is_durable(stanza: &Stanza) -> bool {
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
    /// The session for which it was put into the offline table, or is on its way there; 0 for none.
    spooler: AtomicU64,
    /// A row of the offline table holds the message.
    spooled: AtomicBool,
    /// Who must be told that the message is safe; `None` when nobody was promised anything.
    waiting: Option<Waiting>,
    released: AtomicBool,
    /// Envelopes that still may bring the message to a client.
    holders: AtomicU32,
}

/// Who waits for a message to be safe.
#[derive(Debug)]
enum Waiting {
    Sender(Pending),
    /// Another node keeps a copy until then.
    Origin(Ticket),
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
        Duty::waited_for(id, waiting.map(Waiting::Sender))
    }

    /// The duty of a message that came from another node.
    pub fn from_node(id: StanzaId, ticket: Ticket) -> Duty {
        Duty::waited_for(id, Some(Waiting::Origin(ticket)))
    }

    fn waited_for(id: StanzaId, waiting: Option<Waiting>) -> Duty {
        Duty {
            id,
            done: AtomicBool::new(false),
            spooling: AtomicBool::new(false),
            spooler: AtomicU64::new(0),
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

    /// A new one of the same number would do as well: nobody else shares it, nobody waits, and neither a
    /// client nor a row has the message.
    pub fn is_replaceable(self: &Arc<Self>) -> bool {
        let is_safe = self.is_done() || self.is_spooled();
        Arc::strong_count(self) == 1 && !is_safe && !self.is_awaited()
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
        self.settle(Outcome::Delivered);
        first && self.is_spooled()
    }

    pub fn is_done(&self) -> bool {
        self.done.load(Ordering::Acquire)
    }

    /// The message is committed, or its sender was answered: he may forget it.
    pub fn release(&self) {
        self.settle(Outcome::Committed);
    }

    /// Nobody here has the message: the node that keeps a copy finds it another home. False when none
    /// does, or when it was told already that it need not.
    pub fn refuse(&self) -> bool {
        match &self.waiting {
            Some(Waiting::Origin(ticket)) if !self.released.swap(true, Ordering::AcqRel) => {
                ticket.tell(Outcome::Refused);
                true
            }
            _ => false,
        }
    }

    fn settle(&self, outcome: Outcome) {
        let Some(waiting) = &self.waiting else { return };
        if self.released.swap(true, Ordering::AcqRel) {
            return;
        }
        match waiting {
            Waiting::Sender(pending) => pending.sender.settle(pending.seq),
            Waiting::Origin(ticket) => ticket.tell(outcome),
        }
    }

    /// True while a sender, or another node, waits for this message.
    pub fn is_awaited(&self) -> bool {
        self.waiting.is_some() && !self.released.load(Ordering::Acquire)
    }

    /// True once, for who may put the message into the offline table on behalf of a slow client.
    pub fn start_spool(&self) -> bool {
        self.is_awaited() && !self.is_done() && !self.spooling.swap(true, Ordering::AcqRel)
    }

    /// The message is on its way into the offline table, as one that `session` holds.
    pub fn spools_for(&self, session: u64) {
        self.spooler.store(session, Ordering::Release);
    }

    /// Number of the session that holds the message's row, if there is one; 0 for no session.
    pub fn spooler(&self) -> u64 {
        self.spooler.load(Ordering::Acquire)
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

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr};

    use super::*;
    use crate::clock::Timestamp;
    use crate::host::{AccountId, HostId};
    use crate::jid::Jid;
    use crate::session::Origin;

    /// A duty for which a sender waits, held by `holders` envelopes.
    fn awaited(holders: usize) -> (Duty, Arc<Shared>) {
        let peer = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let origin = Origin { peer, tls: None, mechanism: "PLAIN", since: Timestamp(0) };
        let jid = Jid::parse("romeo@hearth.example/orchard").unwrap();
        let sender = Arc::new(Shared::new(1, (HostId::FIRST, AccountId(1)), jid, origin, 1024));
        sender.start_management(false);
        let seq = sender.watermark().unwrap().wait();
        let duty = Duty::new(StanzaId(1), Some(Pending { sender: sender.clone(), seq }));
        duty.hold(holders);
        (duty, sender)
    }

    fn acknowledged(sender: &Shared) -> u32 {
        sender.watermark().unwrap().report()
    }

    #[test]
    fn only_the_last_who_lets_go_finds_it_another_home() {
        let (duty, sender) = awaited(2);
        assert!(!duty.let_go());
        assert!(duty.let_go());
        assert_eq!(acknowledged(&sender), 0, "it is nowhere yet");
    }

    #[test]
    fn only_a_duty_that_nobody_would_miss_is_replaceable() {
        let alone = Arc::new(Duty::new(StanzaId(1), None));
        assert!(alone.is_replaceable());
        let shared = alone.clone();
        assert!(!alone.is_replaceable() && !Arc::new(Duty::spooled(StanzaId(2))).is_replaceable());
        drop(shared);
        let (duty, _sender) = awaited(1);
        let duty = Arc::new(duty);
        assert!(alone.is_replaceable() && !duty.is_replaceable());
        duty.release();
        assert!(duty.is_replaceable());
        duty.done();
        assert!(!duty.is_replaceable(), "one client has it, and no other one is to get it later");
    }

    #[test]
    fn what_one_client_has_needs_no_other_home() {
        let (duty, sender) = awaited(2);
        assert!(!duty.done(), "there is no row to remove");
        assert!(!duty.let_go() && !duty.let_go());
        assert_eq!(acknowledged(&sender), 1);
    }

    #[test]
    fn a_commit_releases_the_sender_and_keeps_the_duty() {
        let (duty, sender) = awaited(1);
        duty.release();
        assert_eq!(acknowledged(&sender), 1);
        assert!(duty.let_go(), "no client has it");
    }

    #[test]
    fn a_copy_is_made_once_and_removed_once() {
        let (duty, sender) = awaited(2);
        assert!(duty.start_spool() && !duty.start_spool());
        assert_eq!(acknowledged(&sender), 0, "not before the commit");
        assert!(!duty.set_spooled());
        assert_eq!(acknowledged(&sender), 1);
        assert!(duty.done() && !duty.done());
    }

    #[test]
    fn a_copy_that_comes_too_late_is_removed() {
        let (duty, _sender) = awaited(1);
        assert!(duty.start_spool());
        assert!(!duty.done(), "its row is not there yet");
        assert!(duty.set_spooled());
    }

    #[test]
    fn a_client_that_was_faster_needs_no_copy() {
        let (duty, _sender) = awaited(1);
        duty.done();
        assert!(!duty.start_spool());
    }
}
