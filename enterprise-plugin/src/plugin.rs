//! The plugin: who it is, what it offers, and what it keeps in memory.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hearth_plugin_api::wire::HostCall;
use hearth_plugin_api::{
    Capability, Event, Host, Manifest, NoticeLevel, Page, Plugin, Registrar, Result, Tab, Timer,
    json, manifest,
};

use crate::cluster::Clustering;
use crate::licence::Standing;
use crate::licence::office::{self, Office};
use crate::live::{Live, Node};
use crate::membership::{About, Snapshot};
use crate::{protocol, store};

/// How often the live picture gets a new value.
const PICTURE: Duration = Duration::from_secs(2);

pub struct Enterprise {
    pub(crate) host: Host,
    /// What this node tells of itself.
    about: Mutex<About>,
    live: Mutex<Live>,
    pub(crate) clustering: Clustering,
}

/// Why this node cannot be clustered. Each sentence is for the administrator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Obstacle {
    #[error(
        "clustering needs an external database: set up this node anew with the PostgreSQL database \
         that all nodes share"
    )]
    Embedded,
    #[error(transparent)]
    Licence(#[from] crate::licence::Refusal),
    #[error("unavailable: this server does not let a plugin carry its traffic between nodes")]
    NoSeam,
}

impl Plugin for Enterprise {
    fn manifest() -> Manifest {
        let asks = [
            Capability::Console,
            Capability::Commands,
            Capability::Tables,
            Capability::Events,
            Capability::Cluster,
        ];
        Manifest { id: "enterprise".to_owned(), ..manifest!() }
            .name("Hearth Enterprise")
            .licence("LicenseRef-Hearth-Enterprise")
            .asks_for(&asks)
            .readme(include_str!("../README.md"))
            .changelog(include_str!("../CHANGELOG.md"))
    }

    fn create(host: Host) -> Result<Enterprise> {
        let info = host.info();
        let own = ("enterprise".to_owned(), env!("CARGO_PKG_VERSION").to_owned());
        let about = About {
            name: info.machine.clone(),
            domain: info.domain.clone(),
            protocol: protocol::own(),
            versions: BTreeMap::from([("server".to_owned(), info.version.clone()), own]),
            ..About::default()
        };
        let clustering = Clustering::new(&host);
        Ok(Enterprise { host, about: Mutex::new(about), live: Mutex::default(), clustering })
    }

    fn register(self: &Arc<Self>, registrar: &Registrar<'_>) -> Result<()> {
        registrar.migrations(store::migrations())?;
        registrar.tab(Tab { order: 600, ..Tab::new("enterprise", "Enterprise") })?;
        let overview = Page::new("overview", "Overview").translated("de", "Übersicht");
        registrar.page(
            overview.in_tab("enterprise").order(100),
            self,
            Enterprise::overview_page,
        )?;
        let licence = Page::new("licence", "Licence").translated("de", "Lizenz");
        registrar.page(licence.in_tab("enterprise").order(200), self, Enterprise::licence_page)?;
        let clustering = Page::new("clustering", "Clustering").translated("de", "Cluster");
        registrar.page(clustering.in_tab("server"), self, Enterprise::clustering_page)?;
        self.register_commands(registrar)?;
        self.clustering.register(registrar)?;
        registrar.events(&["plugin.*"], self, Enterprise::plugin_changed)?;
        registrar.timer(Timer::every("picture", PICTURE), self, Enterprise::picture)?;
        let hourly = Timer::every("licence", Duration::from_secs(3600));
        registrar.timer(hourly, self, Enterprise::warn)
    }

    async fn start(self: Arc<Self>) -> Result<()> {
        self.start_clustering()?;
        self.warn().await
    }

    /// The others take over at once from a node that leaves.
    async fn stop(self: Arc<Self>, deadline: Duration) -> Result<()> {
        self.clustering.stop(deadline / 4).await
    }
}

impl Enterprise {
    /// What keeps this node from being clustered, if anything does.
    pub fn obstacle(&self, office: &Office) -> Option<Obstacle> {
        if self.is_embedded() {
            return Some(Obstacle::Embedded);
        }
        if office.standing.grant().is_none() {
            return office.standing.admit(true, 0).err().map(Obstacle::Licence);
        }
        (!self.clustering.has_seam()).then_some(Obstacle::NoSeam)
    }

    pub fn is_embedded(&self) -> bool {
        self.host.info().database != "postgres"
    }

    pub fn live(&self) -> MutexGuard<'_, Live> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn about(&self) -> MutexGuard<'_, About> {
        self.about.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Shows on every page what the licence makes worth knowing, and takes back what no longer is.
    pub(crate) async fn warn(self: Arc<Self>) -> Result<()> {
        let office = office::look(&self.host).await?;
        let worry = match &office.standing {
            Standing::Grace { .. } | Standing::Lapsed(_) => Some(office.standing.to_string()),
            _ => None,
        };
        self.notice("licence", worry).await?;
        let back = office.situation.is_set_back().then(|| {
            "The clock of the database was set back. Licences go by the latest time that was seen: \
             set the clock right."
                .to_owned()
        });
        self.notice("clock", back).await
    }

    async fn notice(&self, key: &str, text: Option<String>) -> Result<()> {
        let Some(text) = text else { return self.host.clear_notice(key).await };
        let (key, page) = (key.to_owned(), "licence".to_owned());
        let level = NoticeLevel::Warning;
        let call = HostCall::NoticeRaise { key, level, text, page, everywhere: true };
        self.host.call(&call).await
    }

    async fn plugin_changed(self: Arc<Self>, event: Event) -> Result<()> {
        let (id, version) = (event.text("id").to_owned(), event.text("version").to_owned());
        let mut about = self.about();
        match event.kind.as_str() {
            "plugin.started" => about.versions.insert(id, version),
            _ => about.versions.remove(&id),
        };
        Ok(())
    }

    /// The next value of the live picture.
    async fn picture(self: Arc<Self>) -> Result<()> {
        let nodes = self.nodes(&store::snapshot(&self.host).await?).await?;
        self.live().add(self.host.now_ms(), &nodes);
        Ok(())
    }

    /// All nodes that are members or could be, as they publish themselves; this one alone when nothing
    /// is shared. Who was put out of the view and has not come back is not among them.
    pub(crate) async fn nodes(&self, snapshot: &Snapshot) -> Result<Vec<Node>> {
        let figures = numbers(&self.host.statistics().await?);
        self.about().figures = figures;
        let id = self.host.info().node;
        let others = snapshot.nodes.iter().filter(|row| row.member.node != id);
        let others = others.map(|row| Node {
            id: row.member.node,
            silent_ms: row.silent_ms,
            is_member: snapshot.view.contains(row.member),
            about: row.about.clone(),
        });
        let mut all: Vec<Node> = others.filter(|node| !node.is_gone()).collect();
        all.push(self.me(snapshot));
        all.sort_by_key(|node| node.id);
        Ok(all)
    }

    /// This node. What it tells of itself is fresher here than in its row.
    fn me(&self, snapshot: &Snapshot) -> Node {
        let id = self.host.info().node;
        let mut about = self.about().clone();
        about.state = self.clustering.state();
        if let Some(row) = snapshot.node(id) {
            about.refused.clone_from(&row.about.refused);
            about.addresses.clone_from(&row.about.addresses);
        }
        let is_member = snapshot.view.members.iter().any(|member| member.node == id);
        Node { id, silent_ms: 0, is_member, about }
    }
}

fn numbers(statistics: &json::Value) -> BTreeMap<String, i64> {
    let fields = statistics.as_object().into_iter().flatten();
    fields.filter_map(|(name, value)| Some((name.clone(), value.as_i64()?))).collect()
}
