//! Lets [`Node`] decide and does what it says: beats by the database, words over the links, calls of
//! core. What the machine orders is done in its order; while a call takes its time, core's own term
//! ([`Action::Hold`]) keeps this node from acting for too long.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use hearth_plugin_api::{Host, Result};

use super::links::{self, Links};
use super::node::{Action, Beat, HASTE, Input, Node, Terms};
use super::{About, Happened, Member, Snapshot, State};
use crate::engine::{Ear, Engine, Event, ForAll, Open, Piece, Wake};
use crate::licence::Standing;
use crate::licence::office;
use crate::patience::within;
use crate::store;

/// A beat that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(1);
/// How often the licence is looked at.
const LICENCE: Duration = Duration::from_secs(5);
/// Who waits for a link for this time looks for it anew: addresses may have changed meanwhile.
const LINKED: Duration = Duration::from_secs(4);
/// After a failure the links are opened again in this time.
const AGAIN: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_millis(20);
const DATABASE: &str = "the database";

/// Core, as far as membership needs it.
pub trait Core: Send + Sync + 'static {
    /// This run of this node; another one after a fence.
    fn me(&self) -> Member;

    /// No other node serves alone from this database.
    fn may_found(&self) -> impl Future<Output = Result<bool>> + Send;

    /// Does what is core's to do. `snapshot` knows the members' names.
    fn perform(
        &self,
        action: &Action,
        snapshot: &Snapshot,
    ) -> impl Future<Output = Result<()>> + Send;
}

/// Carries stanzas over the links.
pub trait Carry: Send + Sync + 'static {
    type Sample: Piece;

    /// Takes a sample that is no word of membership, from any thread.
    fn hear(&self, from: Member, bytes: Bytes, now: Duration);

    /// What is to be sent; with `flush` also what may wait a little.
    fn samples(&self, now: Duration, flush: bool) -> ForAll<Self::Sample>;
}

/// One node of the cluster.
pub struct Driver<C, O: Open, L> {
    host: Host,
    core: C,
    open: O,
    ear: Arc<Listener<L>>,
    inner: Mutex<Inner<O::Engine>>,
}

/// What comes over the links.
struct Listener<L> {
    host: Host,
    carry: L,
    wake: Wake,
}

struct Inner<E> {
    node: Node,
    links: Links,
    engine: Option<(Member, Arc<E>)>,
    opened: Duration,
    /// Not before: it has failed.
    open_at: Duration,
    snapshot: Snapshot,
    standings: Vec<Standing>,
    looked: Option<Duration>,
    next_beat: Duration,
    /// The run whose row was renewed last; 0 for none.
    listed: i64,
    orders: VecDeque<Action>,
    /// Somebody is doing the orders.
    is_busy: bool,
    is_stopped: bool,
}

impl<C: Core, O: Open, L: Carry> Driver<C, O, L> {
    /// `wake` is called when [`Driver::talk`] has something to do.
    pub fn new(host: Host, core: C, (open, carry): (O, L), wake: Wake) -> Driver<C, O, L> {
        let inner = Inner {
            node: Node::default(),
            links: Links::default(),
            engine: None,
            opened: Duration::ZERO,
            open_at: Duration::ZERO,
            snapshot: Snapshot::default(),
            standings: vec![Standing::Unlicensed],
            looked: None,
            next_beat: Duration::ZERO,
            listed: 0,
            orders: VecDeque::new(),
            is_busy: false,
            is_stopped: false,
        };
        let ear = Arc::new(Listener { host: host.clone(), carry, wake });
        Driver { host, core, open, ear, inner: Mutex::new(inner) }
    }

    /// To be called each 100 ms: says the word, and fences in time. Never waits; what is to be done is
    /// for [`Driver::obey`].
    pub fn tick(&self, about: &About) {
        self.talk(true);
        self.step(None, about, true);
    }

    /// To be called when this process may have been stopped for a while: hears what came meanwhile.
    pub fn catch_up(&self) {
        let engine = self.inner().engine.as_ref().map(|(_, engine)| engine.clone());
        if let Some(engine) = engine {
            engine.catch_up();
        }
    }

    /// To be called whenever it was woken: the words that came are heard, what is to be sent is sent. With
    /// `flush` also what may wait for the next tick.
    pub fn talk(&self, flush: bool) {
        let now = self.now();
        let inner = &mut *self.inner();
        self.hear(inner, now);
        self.say(inner, now, flush);
        if inner.links.newest_epoch() > inner.snapshot.view.epoch {
            // Somebody knows of another view: look at once.
            inner.next_beat = Duration::ZERO;
        }
    }

    /// Sends what is to be sent, from any thread.
    pub fn flush(&self) {
        self.say(&mut self.inner(), self.now(), false);
    }

    /// Samples leave in the order in which they are made: the lock is held.
    fn say(&self, inner: &mut Inner<O::Engine>, now: Duration, flush: bool) {
        let Some((_, engine)) = &inner.engine else { return };
        if flush {
            for (member, word) in inner.links.say(inner.node.word(now), now) {
                engine.send(member, &[word]);
            }
        }
        for (member, samples) in self.ear.carry.samples(now, flush) {
            engine.send(member, &samples);
        }
    }

    /// Something has changed: the next beat comes at once.
    pub fn hurry(&self) {
        self.inner().next_beat = Duration::ZERO;
    }

    /// To be called each 100 ms beside [`Driver::tick`]: beats when it is time.
    pub async fn beat(&self, about: &About) {
        let sent = self.now();
        if self.inner().next_beat > sent {
            return;
        }
        self.look_at_licence(sent).await;
        let me = self.core.me();
        let (listed, links, about) = {
            let inner = self.inner();
            let (state, refused) = (inner.node.state(), inner.node.refused().to_owned());
            let addresses = self.open.addresses();
            let about = About { state, refused, addresses, ..about.clone() };
            (inner.listed, inner.links.up(), about)
        };
        let may_found = self.core.may_found().await.unwrap_or(false);
        let sent = self.now();
        let beat = store::beat(&self.host, (me, listed), &links, &about);
        let beat = within(&self.host, PATIENCE, DATABASE, beat).await;
        let before = self.inner().node.state();
        match beat {
            Ok(snapshot) => {
                let is_on_now = snapshot.enabled && !self.inner().snapshot.enabled;
                self.keep(me, &snapshot);
                if is_on_now {
                    // The licence may have come after it was looked at, and just before this.
                    self.look_at_licence(sent).await;
                }
                self.step(Some(Beat { sent, snapshot }), &about, may_found);
                self.tell_refusal(&about.refused);
            }
            Err(error) => self.host.warn(format!("no beat of the cluster: {error}")),
        }
        self.plan_beat(sent, before);
    }

    /// Leaves the cluster for good.
    pub async fn stop(&self) -> Result<()> {
        {
            let inner = &mut *self.inner();
            let orders = inner.node.stop(&inner.snapshot);
            inner.orders.extend(orders);
            inner.is_stopped = true;
        }
        self.obey().await?;
        // Somebody else may be doing the orders.
        while self.inner().is_busy {
            self.host.sleep(PAUSE).await?;
        }
        if let Some((_, engine)) = self.inner().engine.take() {
            engine.close();
        }
        Ok(())
    }

    pub fn state(&self) -> State {
        self.inner().node.state()
    }

    /// Why this node may not join; empty when it may.
    pub fn refused(&self) -> String {
        self.inner().node.refused().to_owned()
    }

    fn now(&self) -> Duration {
        now(&self.host)
    }

    fn inner(&self) -> MutexGuard<'_, Inner<O::Engine>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell_refusal(&self, before: &str) {
        let refused = self.inner().node.refused().to_owned();
        if !refused.is_empty() && refused != before {
            self.host.error(format!("this node may not join the cluster: {refused}"));
        }
    }

    fn keep(&self, me: Member, snapshot: &Snapshot) {
        let inner = &mut *self.inner();
        if snapshot.node(me.node).is_some_and(|row| row.member == me) {
            inner.listed = me.incarnation;
        }
        inner.snapshot = snapshot.clone();
        if let Some((_, engine)) = &inner.engine {
            engine.know(&snapshot.nodes);
        }
    }

    /// News of this node is told at once.
    fn plan_beat(&self, sent: Duration, before: State) {
        let mut inner = self.inner();
        let is_news = inner.node.state() != before;
        let is_urgent = inner.node.view().is_some() && inner.links.is_any_missing();
        let pace = match is_urgent {
            true => HASTE,
            false => inner.node.pace(),
        };
        inner.next_beat = sent + if is_news { Duration::ZERO } else { pace };
    }

    /// The licence may be looked at later when the database is away.
    async fn look_at_licence(&self, now: Duration) {
        {
            let inner = self.inner();
            // The one thing that is missing: it may come at any moment.
            let has_none = inner.standings.iter().all(|standing| standing.grant().is_none());
            let is_awaited = inner.snapshot.enabled && has_none;
            let is_new = |looked| now.saturating_sub(looked) < LICENCE;
            if inner.looked.is_some_and(is_new) && !is_awaited {
                return;
            }
        }
        let look = office::look(&self.host);
        let office = within(&self.host, PATIENCE, DATABASE, look).await;
        let mut inner = self.inner();
        // Without an answer not each beat waits for one.
        inner.looked = Some(now);
        if let Ok(office) = office {
            inner.standings = office.situation.standings();
        }
    }

    /// What came to the run before this one is heard still: it may tell what became of messages.
    fn hear(&self, inner: &mut Inner<O::Engine>, now: Duration) {
        let me = self.core.me();
        let events = inner.engine.as_ref().map_or_else(Vec::new, |(_, engine)| engine.events());
        events.iter().for_each(|event| self.note(event));
        if events.iter().any(|event| matches!(event, Event::Down(_) | Event::Refused(_))) {
            // Somebody is to be put out soon.
            inner.next_beat = Duration::ZERO;
        }
        events.into_iter().for_each(|event| inner.links.hear(event, now));
        self.mind_engine(inner, me, now);
    }

    /// For the one who looks later why somebody was put out.
    fn note(&self, event: &Event) {
        match event {
            Event::Up(member) => self.host.log_info(format!("there is a link to node {member}")),
            Event::Down(member) => self.host.warn(format!("there is no link to node {member}")),
            Event::Refused(member) => self.host.warn(format!("node {member} has ended")),
            Event::Sample { .. } => {}
        }
    }

    /// There is an engine for this run of this node, once its row is there and while clustering is on.
    fn mind_engine(&self, inner: &mut Inner<O::Engine>, me: Member, now: Duration) {
        let is_listed = inner.snapshot.node(me.node).is_some_and(|row| row.member == me);
        let is_on = inner.snapshot.enabled || inner.node.view().is_some();
        let is_wanted = is_on && !inner.is_stopped;
        let failure = inner.engine.as_ref().and_then(|(_, engine)| engine.failure());
        if let Some(why) = &failure {
            self.host.error(format!("no links to other nodes: {why}; trying again"));
            inner.open_at = now + AGAIN;
        }
        let is_good = inner.engine.as_ref().is_some_and(|(of, _)| *of == me)
            && failure.is_none()
            && is_wanted
            && !inner.waits_in_vain(now);
        if !is_good && let Some((_, engine)) = inner.engine.take() {
            // The old one is closed first: its port comes free when its thread gets round to it.
            engine.close();
            inner.links = Links::default();
            inner.open_at = inner.open_at.max(now + PAUSE);
        }
        if inner.engine.is_some() || !is_wanted || !is_listed || now < inner.open_at {
            return;
        }
        inner.opened = now;
        let ear: Arc<dyn Ear> = self.ear.clone();
        match self.open.open(me, &inner.snapshot.nodes, &ear) {
            Ok(engine) => inner.engine = Some((me, Arc::new(engine))),
            Err(error) => {
                self.host.error(format!("no links to other nodes: {error}"));
                inner.open_at = now + AGAIN;
            }
        }
    }

    fn step(&self, beat: Option<Beat>, about: &About, may_found: bool) {
        let (now, me) = (self.now(), self.core.me());
        let inner = &mut *self.inner();
        if inner.is_stopped {
            return;
        }
        let members = match (&beat, inner.node.view()) {
            (Some(beat), _) => beat.snapshot.view.members.as_slice(),
            (None, Some(view)) => view.members.as_slice(),
            (None, None) => &[],
        };
        let others: Vec<_> = members.iter().copied().filter(|it| it.node != me.node).collect();
        let peers = inner.links.peers(&others, now);
        let terms = Terms::new(inner.standings.clone(), about.clone(), may_found);
        let orders = inner.node.step(Input { now, me, beat, peers: &peers, terms: &terms });
        inner.orders.extend(orders);
    }

    /// Something waits for [`Driver::obey`].
    pub fn has_orders(&self) -> bool {
        let inner = self.inner();
        !inner.is_busy && !inner.orders.is_empty()
    }

    /// Does what is to be done. One does it all, so that it keeps its order: the others return at once.
    pub async fn obey(&self) -> Result<()> {
        if std::mem::replace(&mut self.inner().is_busy, true) {
            return Ok(());
        }
        let mut done = Ok(());
        while let Some((order, snapshot)) = self.next_order() {
            if let Err(error) = self.perform(&order, &snapshot).await {
                self.host.warn(format!("the cluster: {error}"));
                match order {
                    Action::Enter(_) => self.inner().node.did_not_enter(),
                    Action::Leave => self.inner().node.did_not_leave(),
                    _ => {}
                }
                done = Err(error);
            }
        }
        done
    }

    /// The next order; with none, nobody is busy any more.
    fn next_order(&self) -> Option<(Action, Snapshot)> {
        let mut inner = self.inner();
        let order = inner.orders.pop_front();
        inner.is_busy = order.is_some();
        order.map(|order| (order, inner.snapshot.clone()))
    }

    async fn perform(&self, order: &Action, snapshot: &Snapshot) -> Result<()> {
        let Action::Propose(change) = order else {
            return self.core.perform(order, snapshot).await;
        };
        for (member, what) in &change.happened {
            if let Happened::Evicted(sentence) = what {
                self.host.warn(format!("node {member} is to be put out: {sentence}"));
            }
        }
        // Whether it was this change or another one: the next beat tells.
        self.inner().next_beat = Duration::ZERO;
        let swap = store::swap_view(&self.host, change);
        within(&self.host, PATIENCE, DATABASE, swap).await.map(drop)
    }
}

impl<L: Carry> Ear for Listener<L> {
    fn hear(&self, from: Member, sample: Bytes) -> Option<Bytes> {
        if links::is_word(&sample) {
            return Some(sample);
        }
        self.carry.hear(from, sample, now(&self.host));
        None
    }

    fn wake(&self) {
        (self.wake)();
    }
}

fn now(host: &Host) -> Duration {
    Duration::from_millis(host.boot_ms().max(0) as u64)
}

impl<E> Inner<E> {
    /// It would join, and has had no link to a member for too long.
    fn waits_in_vain(&self, now: Duration) -> bool {
        if self.node.state() != State::Joining || now.saturating_sub(self.opened) < LINKED {
            return false;
        }
        let up = self.links.up();
        let lacks = |member: &Member| {
            let row = self.snapshot.node(member.node);
            !up.contains(member) && row.is_some_and(|row| row.member == *member)
        };
        self.snapshot.view.members.iter().any(lacks)
    }
}

#[cfg(test)]
mod tests;
