//! The only wiring: builds every part in explicit order and hands each its own handles.

mod entrance;
mod lease_events;
pub mod routing;
pub mod set_up;
pub mod wizard;
pub mod xmpp;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use entrance::Entrance;
pub use routing::Routing;
use xmpp::Xmpp;

use crate::admin::api::{self, About, Api, Running};
use crate::admin::backups::Backups;
use crate::admin::{self, Gate, Token, pages, setup};
use crate::auth;
use crate::auth::accounts::Accounts;
use crate::auth::derive::Derivation;
use crate::c2s::drain::Drain;
use crate::clock::Clock;
use crate::config::{Config, ConfigError, Home, HomeLock, OpenPorts, Port, write_atomically};
use crate::events::Events;
use crate::http::{self, Door, Health, Plain, Readiness, Routes};
use crate::im;
use crate::net::listener::{ListenError, Listener};
use crate::net::tls::{CertificateError, Certificates, Service};
use crate::plugin_host::bridge::{ClusterSeam, Seams};
use crate::plugin_host::{self, PluginHost};
use crate::properties::{self, Declared, Properties};
use crate::services::{archive, groups};
use crate::shutdown::{Asked, Signals, Tracker};
use crate::storage::lease::{self, Lease, Seat, State};
use crate::storage::migrate::{Migration, check_reader, migrate};
use crate::storage::{Db, StorageError};
use crate::telemetry::metrics::series;
use crate::telemetry::{Counter, Metrics, log};

/// Time that connections have to end by themselves.
const GRACE: Duration = Duration::from_secs(10);
/// Time that tasks have to notice that the grace is over.
const LAST: Duration = Duration::from_secs(2);
/// Passwords that may wait for a processor.
const DERIVATIONS: usize = 1024;
/// How often the certificate files are looked at.
const CERTIFICATES: Duration = Duration::from_secs(60);

/// Every property of the server.
pub fn properties() -> Vec<&'static dyn Declared> {
    let edges: [&[&dyn Declared]; 4] =
        [&http::PROPERTIES, &admin::PROPERTIES, &plugin_host::PROPERTIES, &log::PROPERTIES];
    [xmpp::PROPERTIES.concat(), edges.concat()].concat()
}

/// The tables of every part, in an order in which each finds what it refers to.
pub fn migrations() -> Vec<Migration> {
    [
        setup::MIGRATIONS,
        properties::MIGRATIONS,
        lease::MIGRATIONS,
        auth::store::MIGRATIONS,
        admin::MIGRATIONS,
        im::MIGRATIONS,
        archive::MIGRATIONS,
        groups::MIGRATIONS,
        plugin_host::MIGRATIONS,
    ]
    .concat()
}

/// Why the server does not start. Each names the thing and the remedy.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Storage(#[from] StorageError),
    #[error(transparent)]
    Listen(#[from] ListenError),
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    #[error("no installation is in the database; run `hearth setup`")]
    NotSetUp,
    #[error("signals cannot be handled: {0}; restart the machine")]
    Signals(std::io::Error),
}

/// What both the server and the command line stand on.
pub struct Foundation {
    pub home: Home,
    pub config: Config,
    pub clock: Clock,
    pub tracker: Tracker,
    pub metrics: Arc<Metrics>,
    pub db: Db,
    pub events: Arc<Events>,
    pub accounts: Arc<Accounts>,
    pub properties: Properties,
    pub plugins: Arc<PluginHost>,
}

impl Foundation {
    /// Opens the database, which gets its tables, and what is kept in it.
    pub async fn open(home: Home, config: Config) -> Result<Foundation, StorageError> {
        let clock = Clock::system(config.node_id().unwrap_or_default());
        let metrics = Arc::new(Metrics::new());
        let panics = series("hearth_task_panics_total", "Tasks that ended by a bug.");
        let tracker = Tracker::new(metrics.counter(panics));
        let db = Db::open(&config.database_url(&home)?, config.synchronous()).await?;
        check_reader(&db).await?;
        migrate(&db, &migrations(), clock.now()).await?;
        let cores = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        let derivation = Derivation::new(tracker.clone(), cores, DERIVATIONS);
        let accounts = Accounts::open(db.clone(), clock.clone(), derivation).await?;
        let properties = Properties::load(db.clone(), clock.clone(), &properties()).await?;
        let events = Arc::new(Events::default());
        let accounts = Arc::new(
            accounts
                .telling(&events)
                .demanding(properties.live(&auth::password::SHORTEST_PASSWORD)),
        );
        let plugins = PluginHost::new(&plugin_host::Parts {
            home: &home,
            db: &db,
            clock: &clock,
            tracker: &tracker,
            properties: &properties,
        });
        Ok(Foundation {
            home,
            config,
            clock,
            tracker,
            metrics,
            db,
            events,
            accounts,
            properties,
            plugins,
        })
    }

    /// The domain that the database is set up for.
    pub async fn domain(&self) -> Result<String, ServerError> {
        setup::installed_domain(&self.db).await?.ok_or(ServerError::NotSetUp)
    }

    /// The API on this foundation.
    pub fn api(&self, domain: String, health: Arc<Health>, routing: &Routing) -> Api {
        let ports = ArcSwap::from_pointee(BTreeMap::new());
        Api {
            db: self.db.clone(),
            clock: self.clock.clone(),
            accounts: self.accounts.clone(),
            properties: self.properties.clone(),
            router: routing.router.clone(),
            removal: routing.removal.clone(),
            plugins: self.plugins.clone(),
            health,
            about: About { domain, started: self.clock.boot(), ports },
            figures: Arc::default(),
            running: None,
        }
    }
}

/// What a start begins with.
pub struct Start {
    pub foundation: Foundation,
    pub health: Arc<Health>,
    /// Whom the HTTP ports are told.
    pub opened: watch::Sender<Option<OpenPorts>>,
}

impl Start {
    /// A start that nobody waits for.
    pub fn new(foundation: Foundation) -> Start {
        Start { foundation, health: Health::starting(), opened: watch::Sender::new(None) }
    }
}

/// Serves until a signal ends it. `_lock` keeps other processes away from the home.
pub async fn run(start: Start, mut signals: Signals, _lock: HomeLock) -> Result<(), ServerError> {
    let Start { foundation, health, opened } = start;
    let Foundation { home, config, clock, tracker, metrics, .. } = &foundation;
    let domain = foundation.domain().await?;
    let certificates = Certificates::open(
        &config.certificates(home),
        [&domain, &config.listen.host_name],
        wall(clock),
    )?;
    let routing = Routing::build(&foundation, &domain);
    let (seat, drain) = (Seat::new(clock), Drain::default());
    let xmpp = Arc::new(Xmpp::build(&foundation, &routing, &certificates, &seat));
    let running = running(&foundation, &certificates, &seat);
    let api = Arc::new(Api { running, ..foundation.api(domain, health.clone(), &routing) });
    let listeners = Listeners::bind(config)?;

    let run_files = RunFiles::create(home, clock)?;
    let gate = Arc::new(Gate::new(foundation.db.clone(), clock.clone(), run_files.token.hash()));
    let console = Routes::new();
    http::mount_health(&console, health.clone());
    admin::mount_metrics(&console, metrics.clone(), gate.clone());
    api::mount(&console, api.clone(), gate.clone());
    setup::mount_gone(&console);
    pages::mount(&console, Arc::new(pages::Console::new(api.clone(), tracker.clone())));
    let doors = Doors { console: console.clone(), public: Routes::new(), gate };

    // Its own tracker: commits go on until everything that writes has ended.
    let appends = Tracker::new(Arc::new(Counter::new()));
    appends.spawn("appends", foundation.db.run_appends());
    until_stop(tracker, "properties", foundation.properties.clone().follow());
    let (router, soft) = (api.router.clone(), tracker.soft().clone());
    tracker.spawn("figures", api.figures.clone().run(router, clock.clone(), soft));
    tracker.spawn("lock-outs", api::watch_lockouts(api.clone(), tracker.soft().clone()));
    tracker.spawn("certificates", watch(certificates.clone(), clock.clone(), tracker.clone()));
    let cluster = ClusterSeam::new(seat.clone(), drain.clone(), xmpp.c2s.clone());
    foundation.plugins.start(seams(&foundation, &routing, &doors, cluster)).await;
    let settings = http::Settings::of(&foundation.properties);
    let (ports, _accepting) =
        listeners.serve(&certificates, [console, doors.public], &settings, tracker);
    opened.send_replace(Some(ports.clone()));
    until_stop(tracker, "lease events", lease_events::tell(&foundation.events, &seat));
    until_stop(tracker, "drain", drain.clone().run(xmpp.c2s.clone()));
    let released = CancellationToken::new();
    let lease = Lease::new(foundation.db.clone(), seat.clone());
    let mut held = tracker.spawn("lease", lease.run(released.clone().cancelled_owned()));
    let mut entrance = Entrance {
        foundation: &foundation,
        xmpp,
        api,
        run_files: &run_files,
        health: health.clone(),
        seat: seat.clone(),
        drain,
        ports,
        is_serving: false,
        open: None,
    };
    let outcome = serve_until_stop(&mut signals, &mut entrance, &certificates).await;
    health.set(Readiness::Stopping);
    heeding(&mut signals, tracker, entrance.close()).await;
    seat.closed_for_good();
    foundation.plugins.stop().await;
    // Another node may take over only now.
    released.cancel();
    let _ = (&mut held).await;
    let left = heeding(&mut signals, tracker, tracker.stop(GRACE, LAST)).await;
    if left > 0 {
        tracing::warn!(left, "tasks did not end");
    }
    let grace = tokio::select! {
        () = foundation.db.close() => GRACE,
        () = asked_to_stop(&mut signals, &certificates, clock) => {
            tracing::warn!("the database does not answer: what it has not committed is lost");
            Duration::ZERO
        }
    };
    appends.stop(grace, LAST).await;
    tracing::info!("stopped");
    outcome
}

/// Starts a task that the soft stop ends.
fn until_stop<T>(
    tracker: &Tracker,
    name: &'static str,
    task: impl Future<Output = T> + Send + 'static,
) {
    let soft = tracker.soft().clone();
    tracker.spawn(name, async move {
        soft.run_until_cancelled(task).await;
    });
}

/// Where HTTP comes in, and who may be let in.
struct Doors {
    console: Arc<Routes>,
    public: Arc<Routes>,
    gate: Arc<Gate>,
}

/// What plugins work on.
fn seams(foundation: &Foundation, routing: &Routing, doors: &Doors, cluster: ClusterSeam) -> Seams {
    Seams {
        db: foundation.db.clone(),
        clock: foundation.clock.clone(),
        tracker: foundation.tracker.clone(),
        metrics: foundation.metrics.clone(),
        properties: foundation.properties.clone(),
        events: foundation.events.clone(),
        accounts: foundation.accounts.clone(),
        im: routing.router.im.clone(),
        router: routing.router.clone(),
        cluster,
        disco: routing.services.disco.clone(),
        public: doors.public.clone(),
        console: doors.console.clone(),
        gate: doors.gate.clone(),
        data: foundation.home.plugins().join("data"),
        started: foundation.clock.now(),
    }
}

/// What the API can do while the server runs, and the log's levels from now on.
fn running(
    foundation: &Foundation,
    certificates: &Arc<Certificates>,
    seat: &Seat,
) -> Option<Running> {
    let Foundation { home, clock, tracker, db, properties, .. } = foundation;
    let log = log::running()?.clone();
    until_stop(tracker, "log levels", log.clone().follow(properties.live(&log::LEVELS)));
    Some(Running {
        certificates: certificates.clone(),
        log,
        lease: seat.told(),
        backups: Backups::new(home.backups(), db.clone(), clock.clone(), tracker.clone()),
        tracker: tracker.clone(),
    })
}

/// The HTTP ports that the configuration asks for, bound but not served.
struct Listeners {
    console: Vec<Listener>,
    console_tls: Vec<Listener>,
    http: Vec<Listener>,
    https: Vec<Listener>,
}

impl Listeners {
    fn bind(config: &Config) -> Result<Listeners, ListenError> {
        let (ports, listen) = (&config.ports, &config.listen);
        Ok(Listeners {
            console: bind(&listen.console_addresses, ports.console)?,
            console_tls: bind(&listen.console_addresses, ports.console_tls)?,
            http: bind(&listen.addresses, ports.http)?,
            https: bind(&listen.addresses, ports.https)?,
        })
    }

    /// Accepts on all of them, and returns their ports and the tasks that accept.
    fn serve(
        self,
        certificates: &Arc<Certificates>,
        [console, public]: [Arc<Routes>; 2],
        settings: &http::Settings,
        tracker: &Tracker,
    ) -> (OpenPorts, Vec<JoinHandle<()>>) {
        let port = |listeners: &[Listener]| listeners.first().map(|l| l.local_addr().port());
        let ports = OpenPorts {
            console: port(&self.console),
            console_tls: port(&self.console_tls),
            http: port(&self.http),
            https: port(&self.https),
            ..OpenPorts::default()
        };
        let tls = Door::Tls(certificates.acceptor(Service::Http));
        let plain = Door::Plain(ports.console_tls.map_or(Plain::Refuse, Plain::Redirect));
        let groups = [
            (self.console, &console, plain),
            (self.console_tls, &console, tls.clone()),
            (self.http, &public, Door::Plain(Plain::Serve)),
            (self.https, &public, tls),
        ];
        let mut accepting = Vec::new();
        for (listeners, routes, door) in groups {
            for listener in listeners {
                let (routes, door) = (routes.clone(), door.clone());
                let (settings, tracker) = (settings.clone(), tracker.clone());
                let server = http::Server { routes, door, settings, tracker: tracker.clone() };
                accepting.push(tracker.spawn("http listener", server.serve(listener)));
            }
        }
        (ports, accepting)
    }
}

/// One listener per address. Port 0 is picked once and used on all.
fn bind(addresses: &[std::net::IpAddr], port: Port) -> Result<Vec<Listener>, ListenError> {
    let Port::Number(mut port) = port else { return Ok(Vec::new()) };
    let mut listeners = Vec::new();
    for address in addresses {
        let listener = Listener::bind(SocketAddr::new(*address, port))?;
        port = listener.local_addr().port();
        listeners.push(listener);
    }
    Ok(listeners)
}

/// `run/ports.json` and the token of the local administrator; both go with the server.
struct RunFiles {
    home: Home,
    token: Token,
}

impl RunFiles {
    fn create(home: &Home, clock: &Clock) -> Result<RunFiles, ConfigError> {
        let files = RunFiles { home: home.clone(), token: Token::new(clock.random()) };
        let path = admin::local_token_file(home);
        write_atomically(&path, files.token.reveal().as_bytes(), 0o600)
            .map_err(|source| ConfigError::File { path, source })?;
        Ok(files)
    }

    fn publish(&self, ports: &OpenPorts) -> Result<(), ConfigError> {
        ports.write(&self.home.ports())
    }
}

impl Drop for RunFiles {
    fn drop(&mut self) {
        for path in [self.home.ports(), admin::local_token_file(&self.home)] {
            // It may never have been written; the next start replaces it anyway.
            let _ = std::fs::remove_file(path);
        }
    }
}

async fn watch(certificates: Arc<Certificates>, clock: Clock, tracker: Tracker) {
    let pause = || tracker.soft().run_until_cancelled(tokio::time::sleep(CERTIFICATES));
    while pause().await.is_some() {
        let (certificates, now) = (certificates.clone(), wall(&clock));
        let look = move || certificates.reload_if_changed(now);
        if let Some(Err(error)) = tracker.blocking("certificates", look).await {
            tracing::warn!(%error, "still serving the old certificate");
        }
    }
}

/// Follows the lease and the signals.
async fn serve_until_stop(
    signals: &mut Signals,
    entrance: &mut Entrance<'_>,
    certificates: &Certificates,
) -> Result<(), ServerError> {
    let clock = &entrance.foundation.clock;
    let mut stop = std::pin::pin!(asked_to_stop(signals, certificates, clock));
    let (mut serving, mut pace) = (entrance.seat.state(), entrance.drain.pace());
    // The lease may have been decided before anybody followed it.
    if serving.borrow().number > 0 {
        serving.mark_changed();
    }
    loop {
        tokio::select! {
            changed = serving.changed() => if changed.is_err() { return Ok(()) },
            changed = pace.changed() => {
                if changed.is_err() {
                    return Ok(());
                }
                entrance.follow_drain(*pace.borrow_and_update())?;
                continue;
            }
            () = &mut stop => return Ok(()),
        }
        let state: State = serving.borrow_and_update().clone();
        tokio::select! {
            followed = entrance.follow(&state) => followed?,
            // What it leaves half done is done by who stops.
            () = &mut stop => return Ok(()),
        }
    }
}

/// Resolves at the signal to stop; those to reload are obeyed meanwhile.
async fn asked_to_stop(signals: &mut Signals, certificates: &Certificates, clock: &Clock) {
    while signals.next().await == Asked::Reload {
        if let Err(error) = certificates.reload(wall(clock)) {
            tracing::warn!(%error, "still serving the old certificate");
        }
    }
    tracing::info!("stopping");
}

/// Goes on with a part of the stop; another signal skips its grace.
async fn heeding<T>(signals: &mut Signals, tracker: &Tracker, part: impl Future<Output = T>) -> T {
    let mut part = std::pin::pin!(part);
    loop {
        tokio::select! {
            result = &mut part => return result,
            asked = signals.next() => if asked == Asked::Stop {
                tracker.hard().cancel();
            }
        }
    }
}

/// Wall time as the certificates take it.
fn wall(clock: &Clock) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(clock.now().0.max(0) as u64)
}
