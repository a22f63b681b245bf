//! Lets [`Node`] decide and does what it says: beats by the database, words over the links, calls of
//! core. What the machine orders is done in its order; while a call takes its time, core's own term
//! ([`Action::Hold`]) keeps this node from acting for too long.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use hearth_plugin_api::cluster::{self, ClusterHost};
use hearth_plugin_api::{Error, ErrorKind, Host, Result};

use super::links::Links;
use super::node::{Action, Beat, Input, Node, Terms};
use super::{About, Member, Snapshot, State};
use crate::engine::{Engine, Open};
use crate::licence::Standing;
use crate::licence::office;
use crate::store;

/// A beat that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(1);
/// How often the licence is looked at.
const LICENCE: Duration = Duration::from_secs(5);

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

/// One node of the cluster.
pub struct Driver<C, O: Open> {
    host: Host,
    core: C,
    open: O,
    inner: Mutex<Inner<O::Engine>>,
}

struct Inner<E> {
    node: Node,
    links: Links,
    engine: Option<(Member, E)>,
    snapshot: Snapshot,
    standing: Standing,
    looked: Option<Duration>,
    next_beat: Duration,
    orders: VecDeque<Action>,
    /// Somebody is doing the orders.
    is_busy: bool,
}

impl<C: Core, O: Open> Driver<C, O> {
    pub fn new(host: Host, core: C, open: O) -> Driver<C, O> {
        let inner = Inner {
            node: Node::default(),
            links: Links::default(),
            engine: None,
            snapshot: Snapshot::default(),
            standing: Standing::Unlicensed,
            looked: None,
            next_beat: Duration::ZERO,
            orders: VecDeque::new(),
            is_busy: false,
        };
        Driver { host, core, open, inner: Mutex::new(inner) }
    }

    /// To be called each 100 ms: hears and talks over the links, and fences in time. Never waits for
    /// the database unless there is something to do.
    pub async fn tick(&self, about: &About) -> Result<()> {
        self.talk()?;
        self.step(None, about, true);
        self.do_orders().await
    }

    /// To be called each 100 ms beside [`Driver::tick`]: beats when it is time.
    pub async fn beat(&self, about: &About) -> Result<()> {
        let sent = self.now();
        if self.inner().next_beat > sent {
            return Ok(());
        }
        self.look_at_licence(sent).await;
        let me = self.core.me();
        let (links, about) = {
            let inner = self.inner();
            let (state, refused) = (inner.node.state(), inner.node.refused().to_owned());
            (inner.links.up(), About { state, refused, ..about.clone() })
        };
        let may_found = self.core.may_found().await.unwrap_or(false);
        let sent = self.now();
        let beat = within(&self.host, PATIENCE, store::beat(&self.host, me, &links, &about)).await;
        let before = self.inner().node.state();
        match beat {
            Ok(snapshot) => {
                self.inner().snapshot = snapshot.clone();
                self.step(Some(Beat { sent, snapshot }), &about, may_found);
            }
            Err(error) => self.host.warn(format!("no beat of the cluster: {error}")),
        }
        self.plan_beat(sent, before);
        self.do_orders().await
    }

    /// Leaves the cluster for good.
    pub async fn stop(&self) -> Result<()> {
        {
            let inner = &mut *self.inner();
            let orders = inner.node.stop(&inner.snapshot);
            inner.orders.extend(orders);
        }
        self.do_orders().await?;
        if let Some((_, engine)) = self.inner().engine.take() {
            engine.close();
        }
        Ok(())
    }

    pub fn state(&self) -> State {
        self.inner().node.state()
    }

    fn now(&self) -> Duration {
        Duration::from_millis(self.host.boot_ms().max(0) as u64)
    }

    fn inner(&self) -> MutexGuard<'_, Inner<O::Engine>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// News of this node is told at once.
    fn plan_beat(&self, sent: Duration, before: State) {
        let mut inner = self.inner();
        let is_news = inner.node.state() != before;
        inner.next_beat = sent + if is_news { Duration::ZERO } else { inner.node.pace() };
    }

    /// The licence may be looked at later when the database is away.
    async fn look_at_licence(&self, now: Duration) {
        if self.inner().looked.is_some_and(|looked| now.saturating_sub(looked) < LICENCE) {
            return;
        }
        if let Ok(office) = within(&self.host, PATIENCE, office::look(&self.host)).await {
            let mut inner = self.inner();
            (inner.standing, inner.looked) = (office.standing, Some(now));
        }
    }

    /// Hears what came and says the word. The engine is opened anew for another incarnation.
    fn talk(&self) -> Result<()> {
        let (now, me) = (self.now(), self.core.me());
        let inner = &mut *self.inner();
        if inner.engine.as_ref().is_none_or(|(of, _)| *of != me) {
            // The old one is closed first.
            inner.engine = None;
            inner.links = Links::default();
            inner.engine = Some((me, self.open.open(me)?));
        }
        let Some((_, engine)) = &inner.engine else { return Ok(()) };
        for event in engine.events() {
            // Samples of lanes are for whoever carries stanzas; nobody does yet.
            inner.links.hear(event, now);
        }
        for (member, bytes) in inner.links.say(inner.node.word(now), now) {
            engine.send(member, bytes);
        }
        Ok(())
    }

    fn step(&self, beat: Option<Beat>, about: &About, may_found: bool) {
        let (now, me) = (self.now(), self.core.me());
        let inner = &mut *self.inner();
        let members = match (&beat, inner.node.view()) {
            (Some(beat), _) => beat.snapshot.view.members.clone(),
            (None, Some(view)) => view.members.clone(),
            (None, None) => Vec::new(),
        };
        let peers = inner.links.peers(&members, now);
        let terms = Terms::new(inner.standing.clone(), about.clone(), may_found);
        let orders = inner.node.step(Input { now, me, beat, peers: &peers, terms: &terms });
        inner.orders.extend(orders);
    }

    /// One does them all, so that they keep their order.
    async fn do_orders(&self) -> Result<()> {
        if std::mem::replace(&mut self.inner().is_busy, true) {
            return Ok(());
        }
        let mut done = Ok(());
        while let Some((order, snapshot)) = self.next_order() {
            if let Err(error) = self.perform(&order, &snapshot).await {
                self.host.warn(format!("the cluster: {error}"));
                if matches!(order, Action::Enter(_)) {
                    self.inner().node.did_not_enter();
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
        // Whether it was this change or another one: the next beat tells.
        self.inner().next_beat = Duration::ZERO;
        within(&self.host, PATIENCE, store::swap_view(&self.host, change)).await.map(drop)
    }
}

/// `Timeout` when a future takes longer.
async fn within<T>(
    host: &Host,
    time: Duration,
    future: impl Future<Output = Result<T>>,
) -> Result<T> {
    let (mut future, mut sleep) = (pin!(future), pin!(host.sleep(time)));
    poll_fn(|context| {
        if let Poll::Ready(done) = future.as_mut().poll(context) {
            return Poll::Ready(done);
        }
        sleep.as_mut().poll(context).map(|slept| {
            slept?;
            Err(Error::new(ErrorKind::Timeout, "the database did not answer in time"))
        })
    })
    .await
}

impl Core for ClusterHost {
    fn me(&self) -> Member {
        let cluster::Node { id, incarnation } = ClusterHost::me(self);
        Member { node: id, incarnation: incarnation as i64 }
    }

    async fn may_found(&self) -> Result<bool> {
        let lease = self.lease().await?;
        Ok(lease.mode != "alone" || lease.holder == ClusterHost::me(self).id)
    }

    async fn perform(&self, action: &Action, snapshot: &Snapshot) -> Result<()> {
        match action {
            Action::Enter(view) => self.enter(named(view, snapshot)).await,
            Action::View(view) => self.view(named(view, snapshot)).await,
            Action::Hold { epoch, until } => self.hold(*epoch, until.as_millis() as i64).await,
            Action::DropNode { member, announce } => self.drop_node(node(*member), *announce).await,
            Action::Fence(why) => self.fence(&why.to_string()).await,
            Action::Leave => self.leave().await,
            Action::Drain(per_second) => self.drain(*per_second).await,
            Action::Propose(_) => Err(Error::from("the view is not core's to change")),
        }
    }
}

fn node(member: Member) -> cluster::Node {
    cluster::Node { id: member.node, incarnation: member.incarnation as u64 }
}

/// The view with what its members tell of themselves.
fn named(view: &super::View, snapshot: &Snapshot) -> cluster::View {
    let member = |member: &Member| {
        let about = snapshot.node(member.node).map(|row| row.about.clone()).unwrap_or_default();
        let version = about.versions.get("server").cloned().unwrap_or_default();
        let draining = about.state == State::Draining;
        cluster::Member { node: node(*member), name: about.name, version, draining }
    };
    cluster::View { epoch: view.epoch, members: view.members.iter().map(member).collect() }
}

#[cfg(test)]
mod tests;
