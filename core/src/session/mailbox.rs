//! The queue between those who route and the task that writes: bounded in bytes, so that a
//! recipient that does not read never holds up a sender.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;
use smallvec::SmallVec;
use tokio::sync::oneshot;

use super::Session;
use super::duty::Duty;
use crate::stanza::Stanza;

/// Envelopes for which an empty mailbox keeps room.
const KEEP: usize = 64;

/// Whose address a delivered stanza bears in `to`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ToOverride {
    /// The one that the stanza has.
    Keep,
    /// The recipient's full address: fan-out shares one stanza among many.
    Own,
}

/// A stanza on its way to one session.
#[derive(Clone, Debug)]
pub struct Envelope {
    pub stanza: Arc<Stanza>,
    pub to: ToOverride,
    /// What must happen when the recipient has, or has not, received it; `None` for what is not
    /// durable, and for a durable message whose only holder is this envelope.
    pub duty: Option<Arc<Duty>>,
}

impl Envelope {
    pub fn new(stanza: Arc<Stanza>) -> Envelope {
        Envelope { stanza, to: ToOverride::Keep, duty: None }
    }

    /// The message, when its sender waits for it and nobody spools it yet; from now on the caller
    /// does.
    pub fn start_spool(&self) -> Option<(Arc<Stanza>, Arc<Duty>)> {
        let duty = self.duty.as_ref()?;
        duty.start_spool().then(|| (self.stanza.clone(), duty.clone()))
    }

    /// Approximate size in memory, in octets.
    pub fn size(&self) -> usize {
        self.stanza.payload.bytes.len() + size_of::<Stanza>() + size_of::<Envelope>()
    }
}

/// Why the server ends a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// An administrator, or the deletion of the account.
    Kicked,
    /// The server stops.
    Shutdown,
    /// The node serves no longer: others may.
    Standby,
    /// The recipient does not read: its mailbox is full.
    Stalled,
    /// Nothing comes from the client, not even the answer to a ping.
    Idle,
    /// Its client is to connect to another node; what it can resume waits for it.
    Drained,
}

/// What a session is told beside stanzas. The set is closed: nobody runs code inside a session.
#[derive(Debug)]
pub enum Order {
    Close(CloseReason),
    /// Another connection bound the same resource (RFC 6120 §7.7.2.2). The sender is dropped when
    /// everything that ends the session is done.
    Replace(oneshot::Sender<()>),
    /// Another connection resumes the stream (XEP-0198 §5); the session moves there.
    Surrender(oneshot::Sender<Box<Session>>),
    /// The stanzas of this session that wait for a commit have become fewer.
    Acknowledge,
}

impl Order {
    /// Of orders that are read together only the first that ends the connection is obeyed. A
    /// session whose resource has gone, or that must end, is not handed to anybody else; one that
    /// its connection merely leaves behind still is.
    fn rank(&self) -> u8 {
        match self {
            Order::Acknowledge => 0,
            Order::Replace(_) => 1,
            Order::Close(CloseReason::Kicked | CloseReason::Shutdown | CloseReason::Standby) => 2,
            Order::Surrender(_) => 3,
            Order::Close(CloseReason::Stalled | CloseReason::Idle | CloseReason::Drained) => 4,
        }
    }

    /// Ends the session, not only its connection.
    fn is_final(&self) -> bool {
        matches!(self.rank(), 1 | 2)
    }
}

/// Result of [`Mailbox::poll`]: how many envelopes were taken, whether there are more, and the
/// orders, the strongest first.
#[derive(Debug, Default)]
pub struct Taken {
    pub envelopes: usize,
    pub has_more: bool,
    pub orders: SmallVec<[Order; 1]>,
}

#[derive(Debug, Default)]
struct Inner {
    queue: VecDeque<Envelope>,
    bytes: usize,
    waker: Option<Waker>,
    orders: SmallVec<[Order; 1]>,
    /// The session is over: nobody will read an order any more.
    ended: bool,
}

/// One session's inbox.
#[derive(Debug)]
pub struct Mailbox {
    inner: Mutex<Inner>,
    /// Written under the lock, read without it by those who choose recipients.
    closed: AtomicBool,
    /// Set under the lock: an order waits that ends the session.
    ending: AtomicBool,
    limit: usize,
}

impl Mailbox {
    /// `limit`: octets that may wait before the session counts as stalled.
    pub fn new(limit: usize) -> Mailbox {
        let (closed, ending) = (AtomicBool::new(false), AtomicBool::new(false));
        Mailbox { inner: Mutex::default(), closed, ending, limit }
    }

    /// Queues envelopes under one lock and wakes the reader once. What a closed mailbox does not
    /// take comes back. The one that goes over the limit is still taken, and closes the mailbox.
    pub fn push_all(&self, envelopes: impl Iterator<Item = Envelope>) -> Vec<Envelope> {
        let mut inner = self.inner.lock();
        let mut refused = Vec::new();
        for envelope in envelopes {
            if self.is_closed() {
                refused.push(envelope);
                continue;
            }
            inner.bytes += envelope.size();
            inner.queue.push_back(envelope);
            if inner.bytes > self.limit {
                self.closed.store(true, Ordering::Release);
                inner.orders.push(Order::Close(CloseReason::Stalled));
            }
        }
        let waker = inner.waker.take();
        drop(inner);
        if let Some(waker) = waker {
            waker.wake();
        }
        refused
    }

    /// As [`Mailbox::push_all`], with one envelope.
    pub fn push(&self, envelope: Envelope) -> Result<(), Envelope> {
        self.push_all(std::iter::once(envelope)).pop().map_or(Ok(()), Err)
    }

    /// Gives an order; it is read before any stanza that is queued. It is dropped when the session
    /// is over.
    pub fn order(&self, order: Order) {
        let mut inner = self.inner.lock();
        if inner.ended {
            return;
        }
        if order.is_final() {
            self.ending.store(true, Ordering::Release);
        }
        inner.orders.push(order);
        let waker = inner.waker.take();
        drop(inner);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Moves what waits to the end of `into`, about `most` octets of it; pending while there is
    /// nothing. In either case what comes later wakes the reader.
    pub fn poll(
        &self,
        cx: &mut Context<'_>,
        into: &mut VecDeque<Envelope>,
        most: usize,
    ) -> Poll<Taken> {
        let mut inner = self.inner.lock();
        match &mut inner.waker {
            Some(waker) => waker.clone_from(cx.waker()),
            slot => *slot = Some(cx.waker().clone()),
        }
        if inner.queue.is_empty() && inner.orders.is_empty() {
            return Poll::Pending;
        }
        Poll::Ready(inner.take(into, most))
    }

    /// The orders alone, for a reader that has no room for stanzas; pending while there is none.
    pub fn poll_orders(&self, cx: &mut Context<'_>) -> Poll<Taken> {
        let mut inner = self.inner.lock();
        match &mut inner.waker {
            Some(waker) => waker.clone_from(cx.waker()),
            slot => *slot = Some(cx.waker().clone()),
        }
        if inner.orders.is_empty() {
            return Poll::Pending;
        }
        Poll::Ready(Taken { orders: inner.take_orders(), ..Taken::default() })
    }

    /// What waits now, without waiting for more.
    pub fn take(&self, into: &mut VecDeque<Envelope>) -> Taken {
        self.inner.lock().take(into, usize::MAX)
    }

    /// [`Envelope::start_spool`] of everything that waits.
    pub fn start_spool(&self) -> Vec<(Arc<Stanza>, Arc<Duty>)> {
        self.inner.lock().queue.iter().filter_map(Envelope::start_spool).collect()
    }

    /// Refuses everything from now on and hands out what still waits.
    pub fn close(&self) -> VecDeque<Envelope> {
        let mut inner = self.inner.lock();
        self.closed.store(true, Ordering::Release);
        inner.waker = None;
        std::mem::take(&mut inner.queue)
    }

    /// The session is over: orders that wait are dropped, and so is every later one.
    pub fn end(&self) {
        let mut inner = self.inner.lock();
        inner.ended = true;
        inner.orders = SmallVec::new();
    }

    /// The client is back: moves what waits to the end of `into`. False, and nothing is moved, when
    /// something may have been refused meanwhile.
    pub fn catch_up(&self, into: &mut VecDeque<Envelope>) -> bool {
        let mut inner = self.inner.lock();
        if self.is_closed() {
            return false;
        }
        into.append(&mut inner.queue);
        inner.bytes = 0;
        true
    }

    /// An order has come that ends the session: nothing that its client sends counts any more.
    pub fn is_ending(&self) -> bool {
        self.ending.load(Ordering::Acquire)
    }

    /// Refuses what is pushed: the session ended, or its client does not read.
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }
}

impl Inner {
    fn take(&mut self, into: &mut VecDeque<Envelope>, most: usize) -> Taken {
        let before = into.len();
        if self.bytes <= most {
            into.append(&mut self.queue);
            self.bytes = 0;
        }
        let (mut taken, all) = (0, self.bytes);
        while taken < most.min(all)
            && let Some(envelope) = self.queue.pop_front()
        {
            taken += envelope.size();
            into.push_back(envelope);
        }
        self.bytes -= taken;
        // A session that is idle after a burst gives the memory back.
        if self.queue.is_empty() && self.queue.capacity() > KEEP {
            self.queue = VecDeque::new();
        }
        let envelopes = into.len() - before;
        Taken { envelopes, has_more: !self.queue.is_empty(), orders: self.take_orders() }
    }

    fn take_orders(&mut self) -> SmallVec<[Order; 1]> {
        let mut orders = std::mem::take(&mut self.orders);
        // Of two that claim the session the later one knows better where the client is.
        orders.reverse();
        orders.sort_by_key(Order::rank);
        orders
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stanza::PresenceType;

    fn order_taken(orders: Vec<Order>) -> SmallVec<[Order; 1]> {
        let mailbox = Mailbox::new(1 << 20);
        orders.into_iter().for_each(|order| mailbox.order(order));
        mailbox.take(&mut VecDeque::new()).orders
    }

    #[test]
    fn a_portion_at_a_time_is_taken_in_order() {
        let mailbox = Mailbox::new(1 << 20);
        let stanza = Arc::new(Stanza::presence(PresenceType::Available));
        let envelopes: Vec<_> =
            (0..5).map(|_| Envelope::new(Arc::new((*stanza).clone()))).collect();
        let size = envelopes[0].size();
        mailbox.push_all(envelopes.clone().into_iter());
        let (mut into, mut context) = (VecDeque::new(), Context::from_waker(Waker::noop()));
        let mut portion = |into: &mut _| match mailbox.poll(&mut context, into, 2 * size) {
            Poll::Ready(Taken { envelopes, has_more, .. }) => Some((envelopes, has_more)),
            Poll::Pending => None,
        };
        let portions = [0; 4].map(|_| portion(&mut into));
        assert_eq!(portions, [Some((2, true)), Some((2, true)), Some((1, false)), None]);
        let same = |(one, two): (&Envelope, &Envelope)| Arc::ptr_eq(&one.stanza, &two.stanza);
        assert!(into.iter().zip(&envelopes).all(same));
        assert_eq!(mailbox.inner.lock().bytes, 0);
    }

    #[test]
    fn a_session_that_must_end_is_not_handed_on() {
        let (surrender, mut claim) = oneshot::channel();
        let kicked = Order::Close(CloseReason::Kicked);
        let orders = order_taken(vec![Order::Surrender(surrender), kicked]);
        assert!(matches!(orders[0], Order::Close(CloseReason::Kicked)));
        drop(orders);
        assert!(claim.try_recv().is_err());
    }

    #[test]
    fn whoever_takes_the_resource_comes_before_whoever_resumes() {
        let ((surrender, _claim), (done, _over)) = (oneshot::channel(), oneshot::channel());
        let orders = order_taken(vec![Order::Surrender(surrender), Order::Replace(done)]);
        assert!(matches!(orders[0], Order::Replace(_)));
    }

    #[test]
    fn a_stalled_session_is_handed_on() {
        let (surrender, _claim) = oneshot::channel();
        let stalled = Order::Close(CloseReason::Stalled);
        let orders = order_taken(vec![stalled, Order::Surrender(surrender)]);
        assert!(matches!(orders[0], Order::Surrender(_)));
    }
}
