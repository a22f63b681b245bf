//! Takes what a plugin offers while it registers. Nothing is hung in before it has started.

use std::collections::BTreeSet;
use std::sync::Arc;

use abi_stable::sabi_trait::TD_Opaque;
use abi_stable::std_types::{RArc, ROption, RStr};
use hearth_plugin_api::abi::{
    ClusterHostRef, ClusterRef, HandlerRef, PluginRef, Registrar, Registrar_TO, Res, StanzasRef,
    StepRef,
};
use hearth_plugin_api::{
    Error, ErrorKind, Listener, Offer, Phase, StanzasSpec, StepSpec, from_abi, to_abi,
};
use parking_lot::Mutex;

use super::super::manifest::Manifest;
use super::{Guest, cluster};

/// What a plugin offers.
#[derive(Default)]
pub struct Registered {
    pub steps: Vec<(StepSpec, StepRef)>,
    pub stanzas: Vec<(StanzasSpec, StanzasRef)>,
    pub offers: Vec<(Offer, Option<HandlerRef>)>,
    pub cluster: Option<cluster::Offered>,
    names: BTreeSet<String>,
}

struct Collector {
    guest: Arc<Guest>,
    manifest: Arc<Manifest>,
    registered: Mutex<Registered>,
}

impl Registered {
    /// Asks a plugin what it offers.
    pub(in super::super) fn of(
        plugin: &PluginRef,
        guest: &Arc<Guest>,
    ) -> Result<Registered, String> {
        let (guest, manifest) = (guest.clone(), guest.manifest.clone());
        let collector = RArc::new(Collector { guest, manifest, registered: Mutex::default() });
        let registrar = Registrar_TO::from_ptr(collector.clone(), TD_Opaque);
        from_abi(plugin.register(&registrar)).map_err(|error| error.message)?;
        Ok(std::mem::take(&mut *collector.registered.lock()))
    }

    /// Does what must be done before the plugin starts: its properties and tables.
    pub(in super::super) async fn prepare(&self, guest: &Arc<Guest>) -> Result<(), String> {
        let offers = || self.offers.iter().map(|(offer, _)| offer);
        super::properties::declare(guest, offers()).await.map_err(|error| error.message)?;
        super::sql::migrate(guest, offers()).await.map_err(|error| error.message)
    }
}

impl Collector {
    /// Two things of one name cannot be told apart.
    fn take(&self, name: String) -> Result<(), Error> {
        match self.registered.lock().names.insert(name.clone()) {
            true => Ok(()),
            false => Err(Error::new(ErrorKind::Conflict, format!("{name} is registered twice"))),
        }
    }

    fn step(&self, spec: &str, step: StepRef) -> Result<(), Error> {
        let spec: StepSpec = serde_json::from_str(spec)?;
        self.manifest.require(hearth_plugin_api::Capability::Steps)?;
        if spec.asynchronous && spec.phase == Phase::ToSession {
            return Err(Error::unsupported("a step of phase to-session answers at once"));
        }
        self.take(format!("step {}", spec.name))?;
        self.registered.lock().steps.push((spec, step));
        Ok(())
    }

    fn stanzas(&self, spec: &str, handler: StanzasRef) -> Result<(), Error> {
        let spec: StanzasSpec = serde_json::from_str(spec)?;
        self.manifest.require(spec.capability())?;
        self.registered.lock().stanzas.push((spec, handler));
        Ok(())
    }

    fn cluster(&self, spec: &str, cluster: ClusterRef) -> Result<ClusterHostRef, Error> {
        self.take("cluster".to_owned())?;
        let (offered, host) = cluster::register(&self.guest, spec, cluster)?;
        self.registered.lock().cluster = Some(offered);
        Ok(host)
    }

    fn offer(&self, offer: &str, handler: Option<HandlerRef>) -> Result<(), Error> {
        let offer: Offer = serde_json::from_str(offer).map_err(|error| {
            Error::unsupported(format!("this server does not know the offer: {error}"))
        })?;
        if let Some(capability) = offer.capability() {
            self.manifest.require(capability)?;
        }
        for name in [name(&offer), place(&offer)].into_iter().flatten() {
            self.take(name)?;
        }
        self.registered.lock().offers.push((offer, handler));
        Ok(())
    }
}

/// What stands beside each other in the console, below the plugin's own path.
fn place(offer: &Offer) -> Option<String> {
    let first = match offer {
        Offer::Page(page) => &page.slug,
        Offer::Endpoint(endpoint) if endpoint.listener == Listener::Console => {
            endpoint.path.trim_matches('/').split('/').next().unwrap_or_default()
        }
        _ => return None,
    };
    Some(format!("the console's path {first}"))
}

/// What must be unique.
fn name(offer: &Offer) -> Option<String> {
    Some(match offer {
        Offer::Property(property) => format!("property {}", property.name),
        Offer::Timer(timer) => format!("timer {}", timer.name),
        Offer::Endpoint(endpoint) => format!("{:?} endpoint {}", endpoint.listener, endpoint.path),
        Offer::Tab(tab) => format!("tab {}", tab.slug),
        Offer::Page(page) => format!("page {}", page.slug),
        Offer::Auth(source) => format!("auth {}", source.name),
        Offer::Directory(source) => format!("directory {}", source.name),
        Offer::Command(command) => format!("command {}", command.name),
        _ => return None,
    })
}

impl Registrar for Collector {
    fn offer(&self, offer: RStr<'_>, handler: ROption<HandlerRef>) -> Res<()> {
        to_abi(self.offer(&offer, handler.into_option()))
    }

    fn step(&self, spec: RStr<'_>, step: StepRef) -> Res<()> {
        to_abi(self.step(&spec, step))
    }

    fn stanzas(&self, spec: RStr<'_>, handler: StanzasRef) -> Res<()> {
        to_abi(self.stanzas(&spec, handler))
    }

    fn cluster(&self, spec: RStr<'_>, cluster: ClusterRef) -> Res<ClusterHostRef> {
        to_abi(self.cluster(&spec, cluster))
    }
}
