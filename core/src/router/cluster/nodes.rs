//! What the one who carries calls: the other nodes, as this one sees them.

use std::sync::{Arc, OnceLock, Weak};

use arc_swap::ArcSwap;
use hashbrown::HashMap;
use parking_lot::RwLock;

use super::{Ack, Alone, Cluster, ClusterError, Listener, Outcome, Parcel, Service, View};
use crate::clock::Clock;
use crate::router::Router;
use crate::session::{Delta, Node, Registry};
use crate::shutdown::Tracker;

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
        })
    }

    /// The router stands on this, so it comes later.
    pub fn set_router(&self, router: &Arc<Router>) {
        self.router.get_or_init(|| Arc::downgrade(router));
    }

    fn router(&self) -> Option<Arc<Router>> {
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
        let nodes = self.clone();
        self.tracker.spawn("cluster", async move { nodes.tell(me).await });
    }

    /// Another view of the same cluster. Nodes that are no longer in it are dropped one by one, by
    /// [`Nodes::drop_node`].
    pub fn view(&self, view: View) {
        let link = self.link.load();
        self.registry.set_epoch(view.epoch);
        self.link.store(Arc::new(Link { me: link.me, view, cluster: link.cluster.clone() }));
    }

    /// This node is alone from now on.
    pub fn left(&self) {
        let me = Node { id: self.clock.node(), incarnation: 0 };
        let link = Link { me, view: View::default(), cluster: Arc::new(Alone(me)) };
        self.link.store(Arc::new(link));
        self.registry.part();
    }

    /// Tells the others what there is to tell, until this run is over.
    async fn tell(self: Arc<Self>, me: Node) {
        loop {
            tokio::select! {
                () = self.registry.has_changes() => {}
                () = self.tracker.hard().cancelled() => return,
            }
            let link = self.link.load_full();
            if link.me != me {
                return;
            }
            if let Some((seq, deltas)) = self.registry.take_changes() {
                link.cluster.sessions_changed(seq, &deltas);
            }
        }
    }

    /// Takes parcels that came from another node, in the order of their lanes.
    pub fn receive(&self, from: Node, parcels: &[Parcel<'_>]) {
        let awaited = parcels.iter().filter(|parcel| parcel.ticket != 0);
        let refused =
            |parcel: &Parcel<'_>| Ack { ticket: parcel.ticket, outcome: Outcome::Refused };
        let acks: Vec<_> = awaited.map(refused).collect();
        self.cluster().acknowledge(from, &acks);
    }

    /// Takes what became of parcels that this node sent.
    pub fn acknowledged(&self, from: Node, acks: &[Ack]) {
        tracing::debug!(?from, count = acks.len(), "acknowledged");
    }

    /// The outbox towards `node` takes parcels again.
    pub fn ready(&self, node: Node) {
        self.registry.reopen(node);
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
        let gone = self.registry.drop_node(node);
        tracing::info!(?node, sessions = gone.len(), announce, "a node left the cluster");
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
