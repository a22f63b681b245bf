//! Towards other nodes: copies of what is not acknowledged, what waits for room in the carrier's outbox,
//! and requests whose answers are awaited.

use std::collections::VecDeque;
use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use compact_str::CompactString;
use hashbrown::HashMap;
use parking_lot::Mutex;
use smallvec::SmallVec;

use super::copies::{self, Copies};
use super::kept::{Copy, Kept};
use super::packing::{Group, Packed, Sending, Stays};
use super::{Ack, Cluster, Outcome, Queued};
use crate::clock::Clock;
use crate::jid::Jid;
use crate::router::{Out, bounce};
use crate::session::{Envelope, Node, RemoteSession};
use crate::stanza::{Condition, IqType, Kind, Stanza};

/// Runs of lost nodes that are remembered: nobody sends for as long as it takes to lose so many.
const MAX_LOST: usize = 64;
/// Octets that may wait for one node.
const MAX_PARKED: usize = 8 * 1024 * 1024;
/// Requests whose answers are awaited; older than [`IQ_PATIENCE`] make room.
const MAX_REQUESTS: usize = 10_000;
const IQ_PATIENCE: Duration = Duration::from_secs(120);

/// Whom a stanza for other nodes is for.
#[derive(Debug)]
pub(in crate::router) enum Far {
    Session(Arc<RemoteSession>),
    /// Whichever sessions of these accounts every other node has.
    Accounts(Arc<Vec<Jid>>),
}

/// What could not be sent, for [`crate::router::Router::undelivered`].
pub(super) type Unsent = Vec<Envelope>;

/// Where other nodes are concerned.
#[derive(Default)]
pub(super) struct Outbox {
    kept: Mutex<Keeping>,
    /// How often nobody carried any more.
    cuts: AtomicU64,
    /// Parcels that wait in `parked`: mostly none, and then nobody locks it.
    waiting: AtomicUsize,
    parked: Mutex<HashMap<Node, Parked>>,
    requests: Mutex<HashMap<Request, (Node, Duration)>>,
}

/// Whoever sends may have looked for his recipient before a node was lost, and send afterwards.
#[derive(Default)]
struct Keeping {
    copies: Copies<Kept>,
    /// Runs of nodes whose copies have been taken: none is kept any more.
    lost: VecDeque<Node>,
}

#[derive(Default)]
struct Parked {
    queue: VecDeque<Packed>,
    octets: usize,
}

/// An IQ request, seen from its answer.
#[derive(PartialEq, Eq, Hash)]
struct Request {
    from: Jid,
    to: Jid,
    id: CompactString,
}

impl Outbox {
    /// To be taken before it is looked who carries, for [`Outbox::send`].
    pub fn cuts(&self) -> u64 {
        self.cuts.load(Ordering::Acquire)
    }

    /// Sends everything, each stanza once per node. What could not be sent goes back.
    pub fn send(
        &self,
        (cluster, others, cuts): (&dyn Cluster, &[Node], u64),
        far: Vec<(Far, Envelope)>,
        clock: &Clock,
        out: &mut Out,
    ) {
        let mut sending = Sending::new(clock, cluster.largest(), far.len());
        // Of one stanza, for nodes that are few: the recipients of a fan-out follow each other.
        let mut groups: SmallVec<[Group; 2]> = SmallVec::new();
        for (to, envelope) in far {
            if groups.first().is_some_and(|group| !group.brings(&envelope.stanza)) {
                groups.drain(..).for_each(|group| sending.add(group, out));
            }
            let session = match to {
                Far::Session(session) => session,
                Far::Accounts(accounts) => {
                    if !sending.add_for(others, &accounts, &envelope) {
                        bounce::too_large(envelope, out);
                    }
                    continue;
                }
            };
            match groups.iter_mut().rev().find(|group| group.takes(&session, &envelope)) {
                Some(group) => group.push(session),
                None => groups.push(Group::new(session, envelope)),
            }
        }
        groups.into_iter().for_each(|group| sending.add(group, out));
        for (node, packed) in sending.into_posts() {
            for mut packed in packed {
                // Before it is sent: the answer may be faster than we.
                let unsent = match self.expect(node, &mut packed, cuts, clock) {
                    true => self.queue(cluster, node, packed),
                    false => Some(packed),
                };
                let unsent = unsent.map(|packed| self.give_back(packed));
                let unsent = unsent.into_iter().flatten();
                out.returned.extend(unsent.map(|envelope| (None, envelope)));
            }
        }
    }

    /// Another node will tell what became of it, or answer. False: it is lost, or nobody carries any more.
    fn expect(&self, node: Node, packed: &mut Packed, cuts: u64, clock: &Clock) -> bool {
        // Under the lock: who takes the copies takes this one, too, or has said so.
        let mut kept = self.kept.lock();
        if kept.lost.contains(&node) || self.cuts() != cuts {
            return false;
        }
        packed.stays = match mem::replace(&mut packed.stays, Stays::Nothing) {
            Stays::Copies(copies) => Stays::Ticket(kept.copies.keep(copies)),
            stays => stays,
        };
        if let Stays::Stanzas(envelopes) = &packed.stays {
            for Envelope { stanza, .. } in envelopes {
                if let Kind::Iq(IqType::Get | IqType::Set) = stanza.head.kind {
                    self.await_answer(node, stanza, clock.boot());
                }
            }
        }
        true
    }

    /// What cannot be queued, nor wait, comes back.
    fn queue(&self, cluster: &dyn Cluster, node: Node, packed: Packed) -> Option<Packed> {
        if self.waiting.load(Ordering::Acquire) > 0
            && let Some(parked) = self.parked.lock().get_mut(&node)
            && !parked.queue.is_empty()
        {
            // Nothing passes what waits.
            return self.park(parked, packed);
        }
        match cluster.deliver(node, packed.parcel()) {
            Queued::Queued => None,
            Queued::Gone => Some(packed),
            Queued::Full => self.park(self.parked.lock().entry(node).or_default(), packed),
        }
    }

    fn park(&self, parked: &mut Parked, packed: Packed) -> Option<Packed> {
        let octets = packed.bytes.len();
        if parked.octets + octets > MAX_PARKED {
            return Some(packed);
        }
        parked.octets += octets;
        parked.queue.push_back(packed);
        self.waiting.fetch_add(1, Ordering::AcqRel);
        None
    }

    fn give_back(&self, packed: Packed) -> Unsent {
        match packed.stays {
            Stays::Stanzas(envelopes) => {
                for envelope in &envelopes {
                    // Its sender gets an error for it now, and not another one later.
                    if let Some(request) = Request::of(&envelope.stanza, false) {
                        self.requests.lock().remove(&request);
                    }
                }
                envelopes.into_vec()
            }
            Stays::Copies(kept) => returned(kept),
            Stays::Ticket(ticket) => {
                let kept = self.kept.lock().copies.take(ticket);
                kept.map(returned).unwrap_or_default()
            }
            Stays::Nothing => {
                tracing::debug!("a node is not told");
                Unsent::new()
            }
        }
    }

    /// Whether something waits for room.
    pub fn is_waiting(&self) -> bool {
        self.waiting.load(Ordering::Acquire) > 0
    }

    /// Sends what waits, as far as there is room. Only one may do this at a time.
    pub fn resume(&self, cluster: &dyn Cluster) -> Unsent {
        let nodes: Vec<Node> = self.parked.lock().keys().copied().collect();
        let mut unsent = Unsent::new();
        for node in nodes {
            while let Some(parcel) = self.first(node) {
                // It stays in the queue meanwhile, so that nobody passes it.
                let queued = cluster.deliver(node, parcel.parcel());
                if queued == Queued::Full {
                    break;
                }
                let packed = self.pop(node, &parcel);
                if queued == Queued::Gone {
                    unsent.extend(packed.into_iter().flat_map(|packed| self.give_back(packed)));
                }
            }
        }
        unsent
    }

    fn first(&self, node: Node) -> Option<Packed> {
        let parked = self.parked.lock();
        let first = parked.get(&node)?.queue.front()?;
        let stays = Stays::Ticket(first.ticket());
        Some(Packed { lane: first.lane, bytes: first.bytes.clone(), stays })
    }

    /// Takes the first one, unless it is another by now.
    fn pop(&self, node: Node, was: &Packed) -> Option<Packed> {
        let mut all = self.parked.lock();
        let parked = all.get_mut(&node)?;
        let is_it = |first: &Packed| first.bytes.as_ptr() == was.bytes.as_ptr();
        parked.queue.front().filter(|first| is_it(first))?;
        let packed = parked.queue.pop_front()?;
        parked.octets -= packed.bytes.len();
        self.waiting.fetch_sub(1, Ordering::AcqRel);
        if parked.queue.is_empty() {
            all.remove(&node);
        }
        Some(packed)
    }

    /// Takes what became of copies. Gives those about which something is to be done.
    pub fn settle(&self, acks: &[Ack]) -> Vec<(Outcome, Copy)> {
        let mut settled = Vec::new();
        let mut kept = self.kept.lock();
        for Ack { ticket, outcome } in acks {
            let Some(copies) = kept.copies.get_mut(*ticket) else { continue };
            let told = copies.told(copies::letter(*ticket), *outcome);
            let is_over = copies.open() == 0;
            settled.extend(told.into_iter().map(|copy| (*outcome, copy)));
            if is_over {
                kept.copies.take(*ticket);
            }
        }
        settled
    }

    /// Everything that is on its way to a lost node, the oldest first, and errors for the requests that it
    /// will not answer.
    pub fn drop_node(&self, node: Node) -> (Unsent, Vec<Stanza>) {
        let copies = {
            let mut kept = self.kept.lock();
            if !kept.lost.contains(&node) {
                kept.lost.truncate(MAX_LOST - 1);
                kept.lost.push_front(node);
            }
            kept.copies.take_if(|_, kept| kept.node() == node)
        };
        (unsent(copies), self.drop_requests(&|of| of == node))
    }

    /// Nobody carries any more: errors for all requests, and the number of the last copy. What became of
    /// the copies up to it may still be told.
    pub fn cut(&self) -> (u64, Vec<Stanza>) {
        let last = {
            let kept = self.kept.lock();
            self.cuts.fetch_add(1, Ordering::AcqRel);
            kept.copies.last()
        };
        (last, self.drop_requests(&|_| true))
    }

    /// The messages of the copies up to the number `last`.
    pub fn give_up(&self, last: u64) -> Unsent {
        unsent(self.kept.lock().copies.take_if(|number, _| number <= last))
    }

    /// Presence is computed anew, and requests are answered here.
    fn drop_requests(&self, gone: &impl Fn(Node) -> bool) -> Vec<Stanza> {
        let parked: Vec<_> = self.parked.lock().extract_if(|node, _| gone(*node)).collect();
        let count = parked.iter().map(|(_, parked)| parked.queue.len()).sum();
        self.waiting.fetch_sub(count, Ordering::AcqRel);
        let requests: Vec<_> =
            self.requests.lock().extract_if(|_, (node, _)| gone(*node)).collect();
        requests.into_iter().filter_map(|(request, _)| request.failed()).collect()
    }

    fn await_answer(&self, node: Node, stanza: &Stanza, now: Duration) {
        let Some(request) = Request::of(stanza, false) else { return };
        let mut requests = self.requests.lock();
        if requests.len() >= MAX_REQUESTS {
            requests.retain(|_, (_, since)| now.saturating_sub(*since) < IQ_PATIENCE);
        }
        if requests.len() < MAX_REQUESTS {
            requests.insert(request, (node, now));
        }
    }

    /// An answer came from another node.
    pub fn answered(&self, answer: &Stanza) {
        if let Some(request) = Request::of(answer, true) {
            self.requests.lock().remove(&request);
        }
    }

    /// Copies that are kept, and parcels that wait for room.
    pub fn counts(&self) -> (usize, usize) {
        let kept = self.kept.lock().copies.iter().map(Kept::open).sum();
        (kept, self.waiting.load(Ordering::Acquire))
    }
}

fn unsent(kept: Vec<Kept>) -> Unsent {
    kept.into_iter().flat_map(Kept::into_copies).filter_map(Copy::into_envelope).collect()
}

/// Nobody took them.
fn returned(kept: Kept) -> Unsent {
    kept.into_copies().into_iter().filter_map(Copy::returned).collect()
}

impl Request {
    fn of(stanza: &Stanza, is_answer: bool) -> Option<Request> {
        let (from, to) = (stanza.head.from.clone()?, stanza.head.to.clone()?);
        let (from, to) = if is_answer { (to, from) } else { (from, to) };
        Some(Request { from, to, id: stanza.head.id.clone()? })
    }

    /// RFC 6120 §8.3.3.13: the recipient is gone for the moment.
    fn failed(self) -> Option<Stanza> {
        let request = Stanza::iq(IqType::Get, self.id).with_from(self.from).with_to(self.to);
        request.error(&Condition::RecipientUnavailable.into())
    }
}
