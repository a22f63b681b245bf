//! Towards other nodes: copies of what is not acknowledged, what waits for room in the carrier's outbox,
//! and requests whose answers are awaited.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use compact_str::CompactString;
use hashbrown::HashMap;
use parking_lot::Mutex;
use smallvec::SmallVec;

use super::codec::{self, MAX_RECIPIENTS};
use super::copies::Copies;
use super::kept::Kept;
use super::{Ack, Cluster, Outcome, Parcel, Queued};
use crate::jid::Jid;
use crate::router::{Out, bounce};
use crate::session::{Envelope, Node, RemoteSession};
use crate::stanza::{Condition, IqType, Kind, Stanza};

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
    kept: Mutex<Copies<Kept>>,
    /// Parcels that wait in `parked`: mostly none, and then nobody locks it.
    waiting: AtomicUsize,
    parked: Mutex<HashMap<Node, Parked>>,
    requests: Mutex<HashMap<Request, (Node, Duration)>>,
}

#[derive(Default)]
struct Parked {
    queue: VecDeque<Packed>,
    octets: usize,
}

struct Packed {
    lane: u32,
    ticket: u64,
    bytes: Bytes,
    /// What is not durable goes back as it is.
    stanza: Option<Envelope>,
}

/// An IQ request, seen from its answer.
#[derive(PartialEq, Eq, Hash)]
struct Request {
    from: Jid,
    to: Jid,
    id: CompactString,
}

/// One stanza for sessions of one node.
struct Group {
    sessions: SmallVec<[Arc<RemoteSession>; 1]>,
    envelope: Envelope,
}

impl Group {
    fn brings(&self, stanza: &Arc<Stanza>) -> bool {
        Arc::ptr_eq(&self.envelope.stanza, stanza)
    }

    fn takes(&self, session: &RemoteSession, envelope: &Envelope) -> bool {
        self.brings(&envelope.stanza)
            && self.sessions[0].node == session.node
            && self.sessions.len() < MAX_RECIPIENTS
            && self.envelope.to == envelope.to
            && self.envelope.duty.is_some() == envelope.duty.is_some()
    }

    fn encode(&self) -> Bytes {
        let Envelope { stanza, to, duty } = &self.envelope;
        let id = duty.as_ref().map(|duty| duty.id);
        let addresses = self.sessions.iter().map(|session| &session.jid);
        codec::encode(addresses, *to, id, stanza)
    }

    /// Two for half of the sessions each; the envelope when there is but one.
    fn halve(mut self) -> Result<[Group; 2], Envelope> {
        if self.sessions.len() < 2 {
            return Err(self.envelope);
        }
        let sessions = self.sessions.drain(self.sessions.len() / 2..).collect();
        let other = Group { sessions, envelope: self.envelope.clone() };
        Ok([self, other])
    }
}

impl Outbox {
    /// Sends everything, each stanza once per node. What could not be sent goes back.
    pub fn send(
        &self,
        (cluster, others): (&dyn Cluster, &[Node]),
        far: Vec<(Far, Envelope)>,
        now: Duration,
        out: &mut Out,
    ) {
        // Of one stanza, for nodes that are few: the recipients of a fan-out follow each other.
        let mut groups: SmallVec<[Group; 2]> = SmallVec::new();
        for (to, envelope) in far {
            if groups.first().is_some_and(|group| !group.brings(&envelope.stanza)) {
                groups.drain(..).for_each(|group| self.send_group(cluster, group, now, out));
            }
            let session = match to {
                Far::Session(session) => session,
                Far::Accounts(accounts) => {
                    if !self.tell_nodes(cluster, others, &accounts, &envelope) {
                        bounce::too_large(envelope, out);
                    }
                    continue;
                }
            };
            match groups.iter_mut().rev().find(|group| group.takes(&session, &envelope)) {
                Some(group) => group.sessions.push(session),
                None => {
                    groups.push(Group { sessions: SmallVec::from_elem(session, 1), envelope });
                }
            }
        }
        groups.into_iter().for_each(|group| self.send_group(cluster, group, now, out));
    }

    /// What each node hands out itself. Beyond what may wait it is lost: nobody waits for it. False: it
    /// is too large.
    fn tell_nodes(
        &self,
        cluster: &dyn Cluster,
        others: &[Node],
        accounts: &[Jid],
        envelope: &Envelope,
    ) -> bool {
        let (lane, stanza) = (lane(&envelope.stanza), &envelope.stanza);
        let encode = || codec::encode(accounts.iter(), envelope.to, None, stanza);
        let bytes = (accounts.len() <= MAX_RECIPIENTS).then(encode);
        let Some(bytes) = bytes.filter(|bytes| bytes.len() <= cluster.largest()) else {
            let (some, rest) = accounts.split_at(accounts.len() / 2);
            return accounts.len() > 1
                && self.tell_nodes(cluster, others, some, envelope)
                && self.tell_nodes(cluster, others, rest, envelope);
        };
        for node in others {
            let packed = Packed { lane, ticket: 0, bytes: bytes.clone(), stanza: None };
            if self.queue(cluster, *node, packed).is_some() {
                tracing::debug!(?node, kind = ?stanza.head.kind, "a node is not told");
            }
        }
        true
    }

    fn send_group(&self, cluster: &dyn Cluster, group: Group, now: Duration, out: &mut Out) {
        let bytes = group.encode();
        if bytes.len() > cluster.largest() {
            return match group.halve() {
                Ok(both) => {
                    both.into_iter().for_each(|group| self.send_group(cluster, group, now, out));
                }
                Err(envelope) => bounce::too_large(envelope, out),
            };
        }
        let Group { sessions, envelope } = group;
        let (node, stanza) = (sessions[0].node, &envelope.stanza);
        if let Kind::Iq(IqType::Get | IqType::Set) = stanza.head.kind {
            self.await_answer(node, stanza, now);
        }
        let mut packed = Packed { lane: lane(stanza), ticket: 0, bytes, stanza: None };
        if let Some(duty) = envelope.duty {
            let kept = Kept::new(sessions, packed.bytes.clone(), duty);
            // Before it is sent: the answer may be faster than we.
            packed.ticket = self.kept.lock().keep(kept);
        } else {
            packed.stanza = Some(envelope);
        }
        let unsent = self.queue(cluster, node, packed).and_then(|packed| self.give_back(packed));
        out.returned.extend(unsent.map(|envelope| (None, envelope)));
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

    fn give_back(&self, packed: Packed) -> Option<Envelope> {
        match packed.stanza {
            Some(envelope) => {
                // Its sender gets an error for it now, and not another one later.
                if let Some(request) = Request::of(&envelope.stanza, false) {
                    self.requests.lock().remove(&request);
                }
                Some(envelope)
            }
            None => self.taken(packed.ticket)?.returned(),
        }
    }

    fn taken(&self, ticket: u64) -> Option<Kept> {
        self.kept.lock().take(ticket)
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
                    unsent.extend(packed.and_then(|packed| self.give_back(packed)));
                }
            }
        }
        unsent
    }

    fn first(&self, node: Node) -> Option<Packed> {
        let parked = self.parked.lock();
        let Packed { lane, ticket, bytes, .. } = parked.get(&node)?.queue.front()?;
        Some(Packed { lane: *lane, ticket: *ticket, bytes: bytes.clone(), stanza: None })
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

    /// The copies with these numbers, which are not needed any more, and what became of them.
    pub fn settle(&self, acks: &[Ack]) -> Vec<(Outcome, Kept)> {
        let mut kept = self.kept.lock();
        let settle = |ack: &Ack| Some((ack.outcome, kept.take(ack.ticket)?));
        acks.iter().filter_map(settle).collect()
    }

    /// Everything that is on its way to the nodes for which `gone` holds, the oldest first, and
    /// errors for the requests that they will not answer.
    pub fn drop_nodes(&self, gone: impl Fn(Node) -> bool) -> (Unsent, Vec<Stanza>) {
        let errors = self.drop_requests(&gone);
        (self.drop_copies(|_, kept| gone(kept.node())), errors)
    }

    /// Nobody carries any more: errors for all requests, and the number of the last copy. What became of
    /// the copies up to it may still be told.
    pub fn cut(&self) -> (u64, Vec<Stanza>) {
        (self.kept.lock().last(), self.drop_requests(&|_| true))
    }

    /// The messages of the copies up to the number `last`.
    pub fn give_up(&self, last: u64) -> Unsent {
        self.drop_copies(|ticket, _| ticket <= last)
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

    fn drop_copies(&self, gone: impl Fn(u64, &Kept) -> bool) -> Unsent {
        let kept = self.kept.lock().take_if(gone);
        kept.into_iter().filter_map(Kept::into_envelope).collect()
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
        (self.kept.lock().len(), self.waiting.load(Ordering::Acquire))
    }
}

impl Packed {
    fn parcel(&self) -> Parcel<'_> {
        Parcel { lane: self.lane, ticket: self.ticket, bytes: &self.bytes }
    }
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

/// One sender's stanzas keep their order: FNV-1a of his bare address.
fn lane(stanza: &Stanza) -> u32 {
    let from = stanza.head.from.as_ref().map(Jid::bare_str).unwrap_or_default();
    from.bytes()
        .fold(0x811c_9dc5, |hash, octet| (hash ^ u32::from(octet)).wrapping_mul(0x0100_0193))
}
