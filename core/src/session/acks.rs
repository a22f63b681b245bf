//! What became here of messages of which other nodes keep a copy. Gathered, so that one wake-up tells
//! all of them.

use hashbrown::HashMap;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tokio::sync::Notify;

use super::remote::Node;

/// What became of an envelope at its destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A client acknowledged it.
    Delivered,
    /// It is committed to the database.
    Committed,
    /// The destination could not: the origin resolves it again.
    Refused,
}

/// The delivery's acknowledgement of an envelope, or of one letter in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ack {
    /// The origin's number for it.
    pub ticket: u64,
    pub outcome: Outcome,
}

/// Acknowledgements that wait for no more company: the copies for which they stand grow cold.
const MANY: usize = 64;

/// Acknowledgements on their way to the nodes that wait for them.
#[derive(Debug, Default)]
pub struct Acks {
    waiting: Mutex<HashMap<Node, Vec<Ack>>>,
    count: AtomicUsize,
    /// Somebody was woken, and takes them before long.
    is_awaited: AtomicBool,
    wake: Notify,
}

impl Acks {
    pub fn add(&self, origin: Node, ack: Ack) {
        let mut waiting = self.waiting.lock();
        waiting.entry(origin).or_insert_with(|| Vec::with_capacity(MANY)).push(ack);
        let before = self.count.fetch_add(1, Ordering::Relaxed);
        drop(waiting);
        if before + 1 == MANY || !self.is_awaited.swap(true, Ordering::AcqRel) {
            self.wake.notify_one();
        }
    }

    /// All that wait.
    pub fn take(&self) -> HashMap<Node, Vec<Ack>> {
        let mut waiting = self.waiting.lock();
        self.count.store(0, Ordering::Relaxed);
        std::mem::take(&mut waiting)
    }

    /// So many that they wait for no more.
    pub fn are_many(&self) -> bool {
        self.count.load(Ordering::Relaxed) >= MANY
    }

    /// Resolves when there are some, and once more when there are many. Others may take them meanwhile:
    /// it does not resolve for the next ones before [`Acks::await_more`].
    pub async fn any(&self) {
        self.wake.notified().await;
    }

    /// To be called before they are taken because it is time.
    pub fn await_more(&self) {
        self.is_awaited.store(false, Ordering::Release);
    }
}

/// Tells one node what became here of its messages. Those that came together share it: a counter on which
/// all threads count would go from one processor to the other with each message.
#[derive(Debug)]
pub struct Teller {
    pub origin: Node,
    pub acks: Arc<Acks>,
}

/// The copy that another node keeps of a message.
#[derive(Clone, Debug)]
pub struct Ticket {
    pub teller: Arc<Teller>,
    /// The origin's number for it.
    pub number: u64,
}

impl Ticket {
    pub fn tell(&self, outcome: Outcome) {
        self.teller.acks.add(self.teller.origin, Ack { ticket: self.number, outcome });
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn the_first_one_is_told_and_then_nothing_until_there_are_many() {
        let (acks, origin) = (Arc::new(Acks::default()), Node { id: 2, incarnation: 7 });
        let is_told = || acks.any().now_or_never().is_some();
        let add = |ticket| acks.add(origin, Ack { ticket, outcome: Outcome::Delivered });
        assert!(!is_told());
        add(1);
        assert!(is_told() && !acks.are_many());
        (2..MANY as u64).for_each(add);
        assert!(!is_told() && !acks.are_many());
        add(MANY as u64);
        assert!(is_told() && acks.are_many());
        assert_eq!(acks.take()[&origin].len(), MANY);
        assert!(!acks.are_many());
        add(65);
        assert!(!is_told(), "somebody comes for it in time");
        acks.await_more();
        assert_eq!(acks.take()[&origin].len(), 1);
        add(66);
        assert!(is_told(), "it is the first one again");
    }
}
