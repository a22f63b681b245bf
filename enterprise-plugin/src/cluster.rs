//! This node's part in the cluster, put together: membership decides, the carrier moves, core does what
//! is to be done. Membership runs on one thread of the plugin's own; core's threads hear and send stanzas.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use hearth_plugin_api::cluster::{self, ClusterHost, ClusterSpec};
use hearth_plugin_api::{Error, ErrorKind, Host, Property, Registrar, Result, Scope};
use tokio::runtime::Handle;
use tokio::sync::Notify;

use crate::authority;
use crate::carrier::{Carrier, Comparison, Ways, wire};
use crate::engine::{ForAll, Mesh, Wake, Watch};
use crate::membership::driver::{Carry, Core, Driver};
use crate::membership::node::Action;
use crate::membership::{Member, Snapshot, State, View};
use crate::plugin::Enterprise;
use crate::protocol;
use crate::tasks::Tasks;

/// Where this node listens for the others.
pub const LISTEN: &str = "listen";
/// From one tick to the next.
const TICK: Duration = Duration::from_millis(100);
/// A tick that comes later by this much was held up.
const LATE: Duration = Duration::from_secs(1);
/// When the database or the address is not there at the start.
const AGAIN: Duration = Duration::from_secs(5);

/// The parts.
pub struct Clustering {
    tasks: Tasks,
    wake: Arc<Notify>,
    carrier: Carrier<ClusterHost>,
    /// Core's side of the seam, if this server has one.
    seam: OnceLock<ClusterHost>,
    driver: Arc<OnceLock<Arc<NodeDriver>>>,
}

type NodeDriver = Driver<Parts, Mesh, Carrier<ClusterHost>>;

/// Core and the carrier, which do what membership orders.
struct Parts {
    seam: ClusterHost,
    carrier: Carrier<ClusterHost>,
    tasks: Tasks,
    host: Host,
}

impl Clustering {
    pub fn new(host: &Host) -> Clustering {
        let (tasks, wake) = (Tasks::default(), Arc::new(Notify::new()));
        let driver = Arc::default();
        let carrier = Carrier::new(host.clone(), tasks.clone(), ways(&driver, &wake));
        Clustering { tasks, wake, carrier, seam: OnceLock::new(), driver }
    }

    /// Takes the seam. A server without one does everything else.
    pub fn register(&self, registrar: &Registrar<'_>) -> Result<()> {
        let doc = "Address at which the other nodes of the cluster reach this one, with or without \
                   port, such as 10.0.0.5 or 10.0.0.5:7447. Empty: all addresses of the machine, port \
                   7447 or, if that is taken, one that the system chooses.";
        registrar.property(Property::text(LISTEN, "", doc).scope(Scope::Node).restart())?;
        let spec = ClusterSpec { name: "mesh".to_owned(), max_envelope: wire::LARGEST as u64 };
        match registrar.cluster(spec, &Arc::new(self.carrier.clone())) {
            Ok(seam) => {
                self.carrier.join(seam.clone());
                let _ = self.seam.set(seam);
                Ok(())
            }
            Err(error) if error.kind == ErrorKind::Unsupported => Ok(()),
            Err(error) => Err(error),
        }
    }

    pub fn has_seam(&self) -> bool {
        self.seam.get().is_some()
    }

    /// What this node does about the cluster.
    pub fn state(&self) -> State {
        self.driver.get().map(|driver| driver.state()).unwrap_or_default()
    }

    /// Why this node may not join; empty when it may.
    pub fn refused(&self) -> String {
        self.driver.get().map(|driver| driver.refused()).unwrap_or_default()
    }

    /// Something in the database has changed.
    pub fn hurry(&self) {
        if let Some(driver) = self.driver.get() {
            driver.hurry();
        }
    }

    /// Compares what this node knows of the others' sessions with what they have.
    pub async fn compare(&self) -> Vec<Comparison> {
        self.carrier.compare().await
    }

    /// Leaves the cluster, and ends the thread.
    pub async fn stop(&self, patience: Duration) -> Result<()> {
        let left = match self.driver.get() {
            Some(driver) => driver.stop().await,
            None => Ok(()),
        };
        self.tasks.shutdown(patience);
        left
    }
}

impl Enterprise {
    /// Begins to take part, where that is possible at all. It goes on until the plugin stops.
    pub(crate) fn start_clustering(self: &Arc<Self>) -> Result<()> {
        let Some(seam) = self.clustering.seam.get().cloned() else { return Ok(()) };
        if self.is_embedded() {
            return Ok(());
        }
        self.clustering.tasks.start()?;
        let plugin = self.clone();
        self.clustering.tasks.spawn(async move {
            while let Err(error) = plugin.clone().take_part(seam.clone()).await {
                plugin.host.error(format!("this node cannot be clustered yet: {error}"));
                if plugin.host.sleep(AGAIN).await.is_err() {
                    return;
                }
            }
        });
        Ok(())
    }

    async fn take_part(self: Arc<Self>, seam: ClusterHost) -> Result<()> {
        let identity = authority::identity(&self.host).await?;
        self.about().fingerprint = identity.fingerprint.clone();
        let watch = watching(&seam);
        let open = Mesh::new(&identity, &self.host.property(LISTEN)?, (Handle::current(), watch))?;
        let Clustering { tasks, wake, carrier, driver, .. } = &self.clustering;
        let (carrier, tasks, host) = (carrier.clone(), tasks.clone(), self.host.clone());
        let parts = Parts { seam, carrier: carrier.clone(), tasks: tasks.clone(), host };
        let new = Driver::new(self.host.clone(), parts, (open, carrier), waking(wake));
        let new = driver.get_or_init(|| Arc::new(new)).clone();
        let (plugin, beating) = (self.clone(), new.clone());
        tasks.spawn(async move {
            loop {
                let about = plugin.about().clone();
                beating.beat(&about).await;
                plugin.obey(&beating);
                tokio::time::sleep(TICK).await;
            }
        });
        self.tick(&new).await
    }

    /// Talks whenever there is something to say, and ticks.
    async fn tick(&self, driver: &Arc<NodeDriver>) -> Result<()> {
        let mut due = Instant::now();
        loop {
            let left = due.saturating_duration_since(Instant::now());
            // Whether it was woken or it is time.
            let _ = tokio::time::timeout(left, self.clustering.wake.notified()).await;
            if Instant::now() < due {
                driver.talk(false);
                continue;
            }
            if due.elapsed() > LATE {
                // This process was stopped for a while: the links are read first, as what waits there tells
                // what became of messages, and this tick may well put the node out.
                driver.catch_up();
            }
            due = Instant::now() + TICK;
            let about = self.about().clone();
            driver.tick(&about);
            self.obey(driver);
        }
    }

    /// Beside everything else: core may take its time.
    fn obey(&self, driver: &Arc<NodeDriver>) {
        if driver.has_orders() {
            let driver = driver.clone();
            // What failed is in the log.
            self.clustering.tasks.spawn(async move { drop(driver.obey().await) });
        }
    }
}

fn waking(wake: &Arc<Notify>) -> Wake {
    let wake = wake.clone();
    Arc::new(move || wake.notify_one())
}

/// Core's threads read the links: they route what comes there.
fn watching(seam: &ClusterHost) -> Watch {
    let seam = seam.clone();
    Arc::new(move |socket, hearing| seam.watch(socket, hearing))
}

/// The driver has the carrier, which has these.
fn ways(driver: &Arc<OnceLock<Arc<NodeDriver>>>, wake: &Arc<Notify>) -> Ways {
    let driver = Arc::downgrade(driver);
    let flush = move || {
        let driver = driver.upgrade();
        if let Some(driver) = driver.as_ref().and_then(|driver| driver.get()) {
            driver.flush();
        }
    };
    Ways { wake: waking(wake), flush: Arc::new(flush) }
}

impl Carry for Carrier<ClusterHost> {
    type Sample = wire::Framed;

    fn hear(&self, from: Member, bytes: bytes::Bytes, now: Duration) {
        Carrier::hear(self, from, bytes, now);
    }

    fn samples(&self, now: Duration, flush: bool) -> ForAll<wire::Framed> {
        Carrier::samples(self, now, flush)
    }
}

impl Core for Parts {
    fn me(&self) -> Member {
        self.seam.me().into()
    }

    async fn may_found(&self) -> Result<bool> {
        let lease = self.seam.lease().await?;
        Ok(lease.mode != "alone" || lease.holder == self.seam.me().id)
    }

    async fn perform(&self, action: &Action, snapshot: &Snapshot) -> Result<()> {
        match action {
            // What comes from the others is left to them until core takes it. By then core has nothing to
            // send: it serves with the term that follows.
            Action::Enter(view) => {
                let view = named(view, snapshot);
                self.seam.enter(view.clone()).await?;
                self.carrier.view(self.me(), view, |member| spoken(member, snapshot));
                Ok(())
            }
            // Stanzas for a new member's accounts may come as soon as core knows of it.
            Action::View(view) => {
                let view = named(view, snapshot);
                self.carrier.view(self.me(), view.clone(), |member| spoken(member, snapshot));
                self.seam.view(view).await
            }
            Action::Hold { epoch, until } => self.seam.hold(*epoch, until.as_millis() as i64).await,
            Action::DropNode { member, announce } => {
                self.drop_node(*member, *announce);
                Ok(())
            }
            Action::Fence(why) => {
                let fenced = self.seam.fence(&why.to_string()).await;
                self.carrier.reset();
                fenced
            }
            Action::Leave => self.seam.leave().await,
            Action::Drain(per_second) => {
                self.drain(*per_second);
                Ok(())
            }
            Action::Propose(_) => Err(Error::from("the view is not core's to change")),
        }
    }
}

impl Parts {
    /// Beside everything else: core finds another home for all that was on its way there, which takes
    /// longer than this node may serve without a new term. To do it twice does no harm.
    fn drop_node(&self, member: Member, announce: bool) {
        let (seam, carrier, host) = (self.seam.clone(), self.carrier.clone(), self.host.clone());
        self.tasks.spawn(async move {
            if let Err(error) = seam.drop_node(member.into(), announce).await {
                host.warn(format!("taking over from node {}: {error}", member.node));
            }
            carrier.forget(member);
        });
    }

    /// Beside everything else: it is over when nobody is left.
    fn drain(&self, per_second: u32) {
        let (seam, carrier, host) = (self.seam.clone(), self.carrier.clone(), self.host.clone());
        self.tasks.spawn(async move {
            if per_second > 0
                && let Err(error) = carrier.let_go_of_keys().await
            {
                host.warn(format!("keys of this node stay with it: {error}"));
            }
            if let Err(error) = seam.drain(per_second).await {
                host.warn(format!("draining: {error}"));
            }
        });
    }
}

/// The version of the protocol between nodes that is spoken with a member.
fn spoken(member: Member, snapshot: &Snapshot) -> u32 {
    let row = snapshot.nodes.iter().find(|row| row.member == member);
    protocol::with(row.map_or(protocol::own(), |row| row.about.protocol))
}

/// The view with what its members tell of themselves.
fn named(view: &View, snapshot: &Snapshot) -> cluster::View {
    let member = |member: &Member| {
        let about = snapshot.node(member.node).map(|row| row.about.clone()).unwrap_or_default();
        let version = about.versions.get("server").cloned().unwrap_or_default();
        let draining = about.state == State::Draining;
        cluster::Member { node: (*member).into(), name: about.name, version, draining }
    };
    cluster::View { epoch: view.epoch, members: view.members.iter().map(member).collect() }
}

#[cfg(test)]
mod tests;
