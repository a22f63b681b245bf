//! What the one who carries calls: the other nodes, as this one sees them.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use arc_swap::ArcSwap;
use hashbrown::HashMap;
use parking_lot::{Mutex, RwLock};
use smallvec::SmallVec;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::keys::Keys;
use super::outbox::{Far, Outbox, Unsent};
use super::{Alone, Cluster, ClusterError, Listener, Service, View};
use crate::clock::Clock;
use crate::router::{Out, Router};
use crate::session::{Acks, Delta, Envelope, Node, Registry, RemoteSession};
use crate::shutdown::Tracker;
use crate::stanza::Kind;

/// Octets of changes that are told in one piece, so that other traffic comes between them.
const PORTION: usize = 64 * 1024;
/// How long an outcome waits for company: whoever sends often is told of several at once. The
/// origin keeps its copy so much longer, and acknowledges the message to its sender so much later.
const COMPANY: Duration = Duration::from_millis(50);
/// So often outcomes go along with what is sent anyway.
const RIDE: Duration = Duration::from_millis(5);
/// How long a node that left takes word of what it sent before.
const HEARSAY: Duration = Duration::from_secs(1);
/// Nodes that are gone, and whose sessions are remembered.
const MAX_LOST: usize = 4;

/// The sessions of a node that is gone.
type Lost = Arc<[Arc<RemoteSession>]>;

/// What [`Nodes`] stands on.
pub struct Parts {
    pub registry: Arc<Registry>,
    pub clock: Clock,
    pub tracker: Tracker,
}

/// Who carries, and for whom.
struct Link {
    /// This run of this node.
    me: Node,
    view: View,
    cluster: Arc<dyn Cluster>,
}

/// The other nodes.
pub struct Nodes {
    pub(super) registry: Arc<Registry>,
    clock: Clock,
    tracker: Tracker,
    link: ArcSwap<Link>,
    services: RwLock<HashMap<&'static str, Service>>,
    listeners: RwLock<Vec<(&'static str, Listener)>>,
    router: OnceLock<Weak<Router>>,
    pub(super) outbox: Outbox,
    pub(super) acks: Arc<Acks>,
    /// When it was last looked for outcomes to tell, in milliseconds of the boot-time clock.
    told: AtomicU64,
    pub(super) keys: Keys,
    /// Held by who tells of changed sessions.
    telling: Mutex<()>,
    /// What is still to be carried out.
    late: Mutex<Vec<Out>>,
    /// There is something in `late`, or room in an outbox.
    wake: Notify,
    /// The task is there that tells the others.
    tells: AtomicBool,
    /// The nodes that went last.
    lost: Mutex<VecDeque<(Node, Lost)>>,
}

fn returned(unsent: Unsent) -> Out {
    let mut out = Out::default();
    out.returned.extend(unsent.into_iter().map(|envelope| (None, envelope)));
    out
}

/// Cuts changes into pieces of at most so many octets; one change is a piece in any case.
fn portions(mut rest: &[Delta], most: usize) -> impl Iterator<Item = &[Delta]> {
    std::iter::from_fn(move || {
        let mut octets = 0;
        let fits = |delta: &&Delta| {
            octets += size_of::<Delta>() + delta.account.len() + delta.resource.len();
            octets <= most
        };
        let count = rest.iter().take_while(fits).count().max(1).min(rest.len());
        let portion = rest.split_off(..count)?;
        (!portion.is_empty()).then_some(portion)
    })
}

impl Nodes {
    /// A node on its own.
    pub fn new(parts: Parts) -> Arc<Nodes> {
        let Parts { registry, clock, tracker } = parts;
        let me = Node { id: clock.node(), incarnation: 0 };
        let link = Link { me, view: View::default(), cluster: Arc::new(Alone(me)) };
        Arc::new(Nodes {
            registry,
            clock,
            tracker,
            link: ArcSwap::from_pointee(link),
            services: RwLock::default(),
            listeners: RwLock::default(),
            router: OnceLock::new(),
            outbox: Outbox::default(),
            acks: Arc::default(),
            told: AtomicU64::new(0),
            keys: Keys::default(),
            telling: Mutex::default(),
            late: Mutex::default(),
            wake: Notify::new(),
            tells: AtomicBool::new(false),
            lost: Mutex::default(),
        })
    }

    /// The router stands on this, so it comes later.
    pub fn set_router(&self, router: &Arc<Router>) {
        if self.router.set(Arc::downgrade(router)).is_ok() {
            router.im.listen(self);
            self.offer_endings();
        }
    }

    pub(super) fn router(&self) -> Option<Arc<Router>> {
        self.router.get().and_then(Weak::upgrade)
    }

    /// This run of this node; its incarnation is 0 while it is alone.
    pub fn me(&self) -> Node {
        self.link.load().me
    }

    /// Who belongs to the cluster; empty while this node is alone.
    pub fn current(&self) -> View {
        self.link.load().view.clone()
    }

    /// Who carries; [`Alone`] while nobody does.
    pub fn cluster(&self) -> Arc<dyn Cluster> {
        self.link.load().cluster.clone()
    }

    /// There are, or may be, other nodes.
    pub fn is_clustered(&self) -> bool {
        self.registry.is_clustered()
    }

    /// From now on this node is `me` in a cluster whose traffic `cluster` carries. Called from within
    /// the runtime.
    pub fn entered(self: &Arc<Self>, me: Node, view: View, cluster: Arc<dyn Cluster>) {
        let epoch = view.epoch;
        self.link.store(Arc::new(Link { me, view, cluster }));
        self.registry.join(me, epoch, self.clock.clone());
        if !self.tells.swap(true, Ordering::AcqRel) {
            let nodes = self.clone();
            self.tracker.spawn("cluster", async move { nodes.tell().await });
        }
        let nodes = self.clone();
        self.tracker.spawn("cluster keys", async move { nodes.acquire_again(me).await });
    }

    /// Another view of the same cluster. Nodes that are no longer in it are dropped one by one, by
    /// [`Nodes::drop_node`].
    pub fn view(&self, view: View) {
        let link = self.link.load();
        self.registry.set_epoch(view.epoch);
        self.link.store(Arc::new(Link { me: link.me, view, cluster: link.cluster.clone() }));
    }

    /// This node is alone from now on. Called from within the runtime.
    pub fn left(self: &Arc<Self>) {
        self.tell_last_outcomes();
        let me = Node { id: self.clock.node(), incarnation: 0 };
        let link = Link { me, view: View::default(), cluster: Arc::new(Alone(me)) };
        self.link.store(Arc::new(link));
        self.keys.disown_all();
        self.registry.part();
        self.lost.lock().clear();
        let (last, errors) = self.outbox.cut();
        self.later(Out { routes: errors.into(), ..Out::default() });
        let nodes = self.clone();
        self.tracker.spawn("cluster copies", async move { nodes.resolve(last).await });
    }

    /// Finds another home for what this node has sent, up to the copy `last`, and nobody has told of.
    async fn resolve(&self, last: u64) {
        // A process that was stopped for a while is put out before it has read what arrived meanwhile.
        tokio::select! {
            () = tokio::time::sleep(HEARSAY) => {}
            () = self.tracker.soft().cancelled() => {}
        }
        let Some(router) = self.router() else { return };
        let unsent = self.outbox.give_up(last);
        tracing::info!(messages = unsent.len(), "what nobody has told of is brought again");
        router.perform(&mut returned(unsent)).await;
    }

    /// Tells the others what there is to tell.
    async fn tell(self: Arc<Self>) {
        let mut company = None;
        loop {
            tokio::select! {
                () = self.registry.has_changes() => {}
                () = self.acks.any() => {
                    if self.acks.are_many() {
                        self.tell_outcomes();
                    }
                    company.get_or_insert_with(|| Instant::now() + COMPANY);
                    continue;
                }
                () = sleep_until(company.unwrap_or_else(Instant::now)), if company.is_some() => {
                    company = None;
                    self.acks.await_more();
                    self.tell_outcomes();
                }
                () = self.wake.notified() => {}
                // By then all sessions are over, and the plugin that carries has stopped.
                () = self.tracker.soft().cancelled() => return,
            }
            self.tell_changes();
            let Some(router) = self.router() else { return };
            if self.outbox.is_waiting() {
                let unsent = self.outbox.resume(&*self.cluster());
                self.perform(&router, returned(unsent));
            }
            for mut out in std::mem::take(&mut *self.late.lock()) {
                let router = router.clone();
                let perform = async move { router.perform(&mut out).await };
                self.tracker.spawn("cluster-routing", perform);
            }
        }
    }

    /// Tells what there is to tell before nobody carries it any more.
    pub fn tell_last_outcomes(&self) {
        self.tell_outcomes();
        self.cluster().flush();
    }

    /// Tells the others what became of what they have sent.
    fn tell_outcomes(&self) {
        self.told.store(self.clock.boot().as_millis() as u64, Ordering::Relaxed);
        let (cluster, outcomes) = (self.cluster(), self.acks.take());
        for (origin, acks) in &outcomes {
            cluster.acknowledge(*origin, acks);
        }
    }

    /// Tells the others which sessions changed.
    fn tell_changes(&self) {
        // One at a time, so that numbers follow each other.
        let _turn = self.telling.lock();
        let Some((mut seq, deltas)) = self.registry.take_changes() else { return };
        let cluster = self.cluster();
        for portion in portions(&deltas, PORTION.min(cluster.largest())) {
            cluster.sessions_changed(seq, portion);
            seq += portion.len() as u64;
        }
    }

    /// Carries out what must wait, where nobody can.
    pub fn later(&self, out: Out) {
        self.late.lock().push(out);
        self.wake.notify_one();
    }

    /// Sends what is for other nodes.
    pub(in crate::router) fn send(&self, far: Vec<(Far, Envelope)>, out: &mut Out) {
        if far.iter().any(|(_, envelope)| matches!(envelope.stanza.head.kind, Kind::Presence(_))) {
            // Whoever gets a presence knows already where it comes from.
            self.tell_changes();
        }
        let cuts = self.outbox.cuts();
        let link = self.link.load();
        let others = link.view.members.iter().map(|member| member.node);
        let others: SmallVec<[Node; 8]> = others.filter(|node| *node != link.me).collect();
        let now = self.clock.boot();
        let told = Duration::from_millis(self.told.load(Ordering::Relaxed));
        if now >= told + RIDE || self.acks.are_many() {
            self.tell_outcomes();
        }
        self.outbox.send((&*link.cluster, &others, cuts), far, &self.clock, out);
        if self.outbox.is_waiting() {
            self.wake.notify_one();
        }
    }

    /// The outbox towards `node` takes parcels again.
    pub fn ready(&self, node: Node) {
        self.registry.reopen(node);
        self.wake.notify_one();
    }

    /// Takes the changes `seq`, `seq + 1`, … of a node's sessions. Answers the number that is wanted
    /// next: a smaller one than follows the last means a gap, and [`Nodes::replace`] mends it.
    pub fn apply(&self, node: Node, seq: u64, deltas: &[Delta]) -> u64 {
        let Some(router) = self.router() else { return seq + deltas.len() as u64 };
        self.registry.apply(node, seq, deltas, &|host| Some(router.hosts.domain(host).clone()))
    }

    /// Takes all sessions of a node, as of its change `seq`. Answers the number that is wanted next.
    pub fn replace(&self, node: Node, seq: u64, sessions: &[Delta]) -> u64 {
        let Some(router) = self.router() else { return seq + 1 };
        self.registry.replace(node, seq, sessions, &|host| Some(router.hosts.domain(host).clone()))
    }

    /// What is known of another node's sessions, and the number of the change that is wanted next.
    pub fn known(&self, node: Node) -> (u64, Vec<Delta>) {
        self.registry.known(node)
    }

    /// All sessions of this node, and the number of the last change that is in it.
    pub fn directory(&self) -> (u64, Vec<Delta>) {
        self.registry.directory()
    }

    /// Another node changed something. An empty key means all of the topic, an empty topic everything.
    pub fn invalidated(&self, topic: &str, key: &str) {
        let listeners = self.listeners.read().clone();
        for (of, listener) in listeners {
            match topic {
                "" => listener(""),
                _ if topic == of => listener(key),
                _ => {}
            }
        }
    }

    /// Tells all other nodes that something changed.
    pub fn invalidate(&self, topic: &str, key: &str) {
        if self.is_clustered() {
            self.cluster().invalidate(topic, key);
        }
    }

    /// Calls `listener` with every key of `topic` that another node changed.
    pub fn listen(&self, topic: &'static str, listener: impl Fn(&str) + Send + Sync + 'static) {
        self.listeners.write().push((topic, Arc::new(listener)));
    }

    /// Forgets a run of a node. With `announce` this node tells the contacts of its users that they are
    /// gone, which may be done twice.
    pub async fn drop_node(&self, node: Node, announce: bool) {
        let gone = self.gone(node);
        let (unsent, errors) = self.outbox.drop_node(node);
        tracing::info!(
            ?node,
            sessions = gone.len(),
            messages = unsent.len(),
            requests = errors.len(),
            announce,
            "a node left the cluster"
        );
        let Some(router) = self.router() else { return };
        let mut out = returned(unsent);
        out.routes.extend(errors);
        let tell = async {
            if announce {
                router.im.node_gone(node, &gone).await;
            }
        };
        // Contacts need not wait until the last message is stored.
        tokio::join!(router.perform(&mut out), tell);
    }

    /// The sessions that a run of a node had. They are remembered for a while: whoever was to tell of
    /// their end may go himself before he has done so, and then this node may have to.
    fn gone(&self, node: Node) -> Lost {
        let gone: Lost = self.registry.drop_node(node).into();
        let mut remembered = self.lost.lock();
        let known = remembered.iter().find(|(of, _)| *of == node).map(|(_, known)| known.clone());
        if let Some(known) = known {
            return known;
        }
        if gone.is_empty() {
            // It would only take the place of one of whom there is something to tell.
            return gone;
        }
        if remembered.len() == MAX_LOST {
            remembered.pop_front();
        }
        remembered.push_back((node, gone.clone()));
        gone
    }

    /// Copies of messages that wait for another node's word, and parcels that wait for room.
    pub fn waiting(&self) -> (usize, usize) {
        self.outbox.counts()
    }

    /// Answers another node.
    pub async fn serve(
        &self,
        from: Node,
        method: &str,
        body: Vec<u8>,
    ) -> Result<Vec<u8>, ClusterError> {
        let service = self.services.read().get(method).cloned();
        match service {
            Some(service) => service(from, body).await,
            None => Err(ClusterError::Unsupported(method.to_owned())),
        }
    }

    /// Answers the requests of `method` by `service`.
    pub fn offer(&self, method: &'static str, service: Service) {
        self.services.write().insert(method, service);
    }

    /// Asks another node.
    pub async fn request(
        &self,
        to: Node,
        method: &str,
        body: Vec<u8>,
    ) -> Result<Vec<u8>, ClusterError> {
        self.cluster().request(to, method, body).await
    }
}
