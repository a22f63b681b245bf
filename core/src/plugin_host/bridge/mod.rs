//! Between the plugin ABI and core: one file per capability, which alone names types of both.

mod audit;
mod cluster;
mod commands;
mod components;
mod disco;
mod endpoints;
pub mod events;
mod fetch;
mod host;
mod kv;
mod metrics;
mod notices;
mod pages;
mod people;
mod properties;
mod registrar;
mod route;
mod sources;
mod sql;
mod stanza;
mod stanzas;
mod steps;
mod timers;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use async_ffi::FfiFuture;
use hearth_plugin_api::abi::{Fut, HandlerRef, HostRef};
use hearth_plugin_api::{Error, ErrorKind, Offer, StanzasSpec, to_abi};
use parking_lot::Mutex;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::oneshot;

use super::guard::{Guard, stopped};
use super::manifest::Manifest;
use super::parking::Parking;
use crate::admin::Gate;
use crate::auth::accounts::Accounts;
use crate::clock::{Clock, Timestamp};
use crate::events::Events;
use crate::http::Routes;
use crate::im::Im;
use crate::properties::Properties;
use crate::router::Router;
use crate::router::guests::Hung;
use crate::services::disco::Disco;
use crate::shutdown::Tracker;
use crate::storage::Db;
use crate::telemetry::Metrics;

pub use cluster::ClusterSeam;
pub use commands::Commands;
pub use commands::Shown as CommandShown;
pub use notices::{Level as NoticeLevel, Notice};
pub use pages::{Asked as PageAsked, Entry as ConsoleEntry, Fragment, Pages};
pub use registrar::Registered;

/// What plugins work on, while a server runs.
pub struct Seams {
    pub db: Db,
    pub clock: Clock,
    pub tracker: Tracker,
    pub metrics: Arc<Metrics>,
    pub properties: Properties,
    pub events: Arc<Events>,
    pub accounts: Arc<Accounts>,
    pub im: Arc<Im>,
    pub router: Arc<Router>,
    pub cluster: ClusterSeam,
    pub disco: Arc<Disco>,
    /// What everybody reaches (7070, 7443).
    pub public: Arc<Routes>,
    /// What administrators reach (9090, 9091), and who finds out whether one is.
    pub console: Arc<Routes>,
    pub gate: Arc<Gate>,
    /// The folder below which each plugin has one of its own.
    pub data: PathBuf,
    pub started: Timestamp,
}

/// One instance, as the parts of its bridge see it.
pub(super) struct Guest {
    pub manifest: Arc<Manifest>,
    pub guard: Arc<Guard>,
    /// Marks what it sends: it does not meet its own steps.
    pub origin: u16,
    pub seams: Arc<Seams>,
    pub properties: properties::Own,
    pub queue: route::Queue,
    pub series: metrics::Series,
    pub notices: Arc<notices::Notices>,
    pub parking: Arc<Parking>,
    /// Where futures of ours run, whoever polls them.
    pub runtime: tokio::runtime::Handle,
}

impl Guest {
    pub fn new(seams: &Arc<Seams>, guard: &Arc<Guard>, manifest: &Arc<Manifest>) -> Arc<Guest> {
        static ORIGIN: AtomicU16 = AtomicU16::new(1);
        Arc::new(Guest {
            manifest: manifest.clone(),
            guard: guard.clone(),
            // 65535 starts later a number comes again: its first bearer is long gone.
            origin: ORIGIN.fetch_add(1, Ordering::Relaxed).max(1),
            seams: seams.clone(),
            properties: properties::Own::default(),
            queue: route::Queue::start(seams, guard),
            series: metrics::Series::default(),
            notices: Arc::default(),
            parking: Arc::default(),
            runtime: tokio::runtime::Handle::current(),
        })
    }

    pub fn id(&self) -> &str {
        &self.manifest.id
    }

    /// Runs work of ours on our runtime; the plugin may wait for it on any.
    pub fn work<T, F>(&self, work: F) -> Fut<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Error>> + Send + 'static,
    {
        if self.guard.is_closed() {
            return FfiFuture::new(async move { to_abi(Err(stopped())) });
        }
        let (answer, answered) = oneshot::channel();
        let guard = self.guard.clone();
        let _here = self.runtime.enter();
        self.seams.tracker.spawn("plugin service", async move {
            let result = tokio::select! {
                result = work => result,
                () = guard.closed() => Err(stopped()),
            };
            // Who asked may have given up.
            let _ = answer.send(result);
        });
        FfiFuture::new(async move { to_abi(answered.await.unwrap_or_else(|_| Err(stopped()))) })
    }

    /// Within [`Guest::work`]: what must not stop halfway when the plugin does.
    pub async fn to_its_end<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, Error> {
        let (answer, answered) = oneshot::channel();
        self.seams.tracker.spawn("plugin service", async move {
            // Who asked may have stopped.
            let _ = answer.send(work.await);
        });
        answered.await.map_err(|_| stopped())
    }

    /// What its tables begin with.
    pub fn prefix(&self) -> String {
        prefix(self.id())
    }
}

/// What the tables of a plugin begin with. The length keeps `a` and `a-b` apart.
pub(super) fn prefix(id: &str) -> String {
    format!("p{}_{}_", id.len(), id.replace('-', "_"))
}

/// The server as one plugin sees it.
pub(super) fn host(guest: &Arc<Guest>) -> HostRef {
    host::host(guest)
}

/// A handler with the guard before it.
#[derive(Clone)]
pub(super) struct Handler {
    pub guard: Arc<Guard>,
    pub handler: Arc<HandlerRef>,
}

impl Handler {
    /// Asks; JSON and octets in both directions.
    pub async fn ask<Q: Serialize, A: DeserializeOwned>(
        &self,
        what: &str,
        deadline: Duration,
        (head, body): (&Q, Vec<u8>),
    ) -> Result<(A, Vec<u8>), Error> {
        let head = serde_json::to_string(head)?;
        let call = || self.handler.call(head.into(), body.into());
        let answer = self.guard.later(what, deadline, call).await?;
        let head = if answer.head.is_empty() { "null" } else { &*answer.head };
        let head = serde_json::from_str(head)
            .map_err(|error| Error::invalid(format!("{what}: its answer: {error}")))?;
        Ok((head, answer.body.into_vec()))
    }
}

/// What a running plugin has hung into the server.
#[derive(Default)]
pub struct Hooks {
    pub commands: Commands,
    pub pages: Pages,
    pub notices: Arc<notices::Notices>,
    ears: Vec<Arc<events::Ear>>,
    pub parking: Arc<Parking>,
    hung: Hung,
    inboxes: Vec<(String, components::Inbox)>,
    /// What begins once it has taken over.
    begin: Mutex<Vec<Undo>>,
    undo: Mutex<Vec<Undo>>,
    late: Mutex<Vec<Undo>>,
    /// What is taken out once the plugin has stopped.
    last: Mutex<Option<Undo>>,
}

type Undo = Box<dyn FnOnce() + Send>;

impl Hooks {
    /// Takes out what calls the plugin.
    pub fn close(&self) {
        self.undo_all(&self.undo);
        self.undo_all(&self.late);
    }

    /// Takes out what a successor cannot take over; for that, traffic waits from now on.
    pub fn suspend(&self) {
        self.parking.begin();
        self.undo_all(&self.undo);
    }

    fn undo_all(&self, undo: &Mutex<Vec<Undo>>) {
        let undo = std::mem::take(&mut *undo.lock());
        undo.into_iter().rev().for_each(|undo| undo());
    }

    /// Tells of a plugin that runs already, if this one listens.
    pub fn introduce(&self, id: &str, version: &str) {
        self.ears.iter().for_each(|ear| ear.introduce(id, version));
    }

    /// Takes out the rest: the plugin has stopped.
    pub fn close_last(&self) {
        let last = self.last.lock().take();
        last.into_iter().for_each(|undo| undo());
    }

    /// Undone when the successor is there, or when none comes.
    fn undo_late(&self, undo: impl FnOnce() + Send + 'static) {
        self.late.lock().push(Box::new(undo));
    }

    fn undo(&self, undo: impl FnOnce() + Send + 'static) {
        self.undo.lock().push(Box::new(undo));
    }

    fn undo_last(&self, undo: impl FnOnce() + Send + 'static) {
        *self.last.lock() = Some(Box::new(undo));
    }
}

/// Hangs in what the plugin offers, in place of what its predecessor had. On an error nothing of it
/// stays.
pub(super) fn open(
    guest: &Arc<Guest>,
    registered: Registered,
    before: Option<&Hooks>,
) -> Result<Hooks, String> {
    let (notices, parking) = (guest.notices.clone(), guest.parking.clone());
    let mut hooks = Hooks { notices, parking, ..Hooks::default() };
    let declared = guest.clone();
    hooks.undo(move || properties::withdraw(&declared));
    let opened = open_all(guest, registered, before, &mut hooks);
    let guests = guest.seams.router.guests.clone();
    let nothing = Hung::default();
    let old = before.map_or(&nothing, |before| &before.hung);
    let opened = opened.and_then(|()| guests.swap(old, &hooks.hung).map_err(|what| taken(&what)));
    let hung = hooks.hung.clone();
    hooks.undo_late(move || {
        // Taking something out is in nobody's way.
        let _ = guests.swap(&hung, &Hung::default());
    });
    match opened {
        Ok(()) => {
            std::mem::take(&mut *hooks.begin.lock()).into_iter().for_each(|begin| begin());
            Ok(hooks)
        }
        Err(error) => {
            hooks.close();
            hooks.close_last();
            Err(error.message)
        }
    }
}

fn taken(what: &str) -> Error {
    Error::new(ErrorKind::Conflict, format!("another plugin has {what} already"))
}

fn open_all(
    guest: &Arc<Guest>,
    registered: Registered,
    before: Option<&Hooks>,
    hooks: &mut Hooks,
) -> Result<(), Error> {
    let said = disco::open(guest, &registered, hooks)?;
    for (spec, step) in registered.steps {
        steps::open(guest, spec, step, hooks)?;
    }
    for (spec, handler) in registered.stanzas {
        match spec {
            StanzasSpec::Iq(spec) => stanzas::open_iq(guest, &spec, handler, hooks),
            StanzasSpec::Component(spec) => {
                let before = before.map_or(&[][..], |before| &before.inboxes);
                let said = said.of(&spec.label);
                components::open(guest, (&spec, handler), (said, before), hooks)?;
            }
            _ => return Err(Error::unsupported("this server has no such handler of stanzas")),
        }
    }
    if let Some(offered) = &registered.cluster {
        cluster::open(guest, offered, hooks)?;
    }
    for (offer, handler) in registered.offers {
        let guard = guest.guard.clone();
        let handler = handler.map(|handler| Handler { guard, handler: Arc::new(handler) });
        open_one(guest, offer, handler, hooks)?;
    }
    Ok(())
}

fn open_one(
    guest: &Arc<Guest>,
    offer: Offer,
    handler: Option<Handler>,
    hooks: &mut Hooks,
) -> Result<(), Error> {
    match (offer, handler) {
        // Dealt with before the start.
        (Offer::Property(_) | Offer::Migrations { .. }, _) => {}
        // Dealt with before the components that they are about.
        (Offer::Feature { .. } | Offer::Identity(_), _) => {}
        (Offer::Tab(tab), _) => hooks.pages.tabs.push(tab),
        (Offer::Page(page), Some(handler)) => hooks.pages.add(page, handler),
        (Offer::Command(command), Some(handler)) => hooks.commands.add(command, handler),
        (Offer::Endpoint(endpoint), Some(handler)) => {
            endpoints::open(guest, endpoint, handler, hooks)?;
        }
        (Offer::Events { kinds }, Some(handler)) => events::open(guest, &kinds, handler, hooks),
        (Offer::Auth(source), Some(handler)) => sources::open_auth(guest, &source, handler, hooks),
        (Offer::Directory(source), Some(handler)) => {
            sources::open_directory(guest, &source, handler, hooks);
        }
        (Offer::Timer(timer), Some(handler)) => timers::open(guest, timer, handler),
        (other, _) => {
            let name = serde_json::to_value(&other)?["offer"].take();
            return Err(Error::unsupported(format!("this server takes no offer of kind {name}")));
        }
    }
    Ok(())
}
