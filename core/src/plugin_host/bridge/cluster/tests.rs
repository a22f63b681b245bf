//! The seam with a plugin of make-believe within the process, on the external database.

use std::io::{Read, Write};
use std::num::NonZeroUsize;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use abi_stable::std_types::{RSlice, RStr, RString, RVec};
use async_ffi::FfiFuture;
use hearth_plugin_api::abi::{self, Cluster_TO, Fut, Message};
use hearth_plugin_api::cluster::{ClusterCall, ClusterHost, Member, Reader, Reading, View};
use hearth_plugin_api::{Manifest, to_abi};
use tempfile::TempDir;
use tokio::sync::Notify;

use super::*;
use crate::admin::{Gate, Token};
use crate::auth::accounts::Accounts;
use crate::auth::derive::Derivation;
use crate::clock::{Clock, Timestamp};
use crate::config::{Config, Home};
use crate::http::Routes;
use crate::net::tls::Certificates;
use crate::plugin_host::bridge::Seams;
use crate::plugin_host::guard::Guard;
use crate::plugin_host::{Parts, PluginHost};
use crate::properties::{Live, Properties};
use crate::router::cluster::{Answer, ClusterError, Keeper, Ownership, Parcel, Queued};
use crate::server::xmpp::Xmpp;
use crate::server::{self, Foundation, Routing};
use crate::session::Node;
use crate::shutdown::Tracker;
use crate::storage::lease::{Lease, Serving};
use crate::storage::migrate::migrate;
use crate::storage::testing::{TestDb, postgres};
use crate::telemetry::{Counter, Metrics};

/// The engine: takes two envelopes, knows node 2 only.
#[derive(Clone, Default)]
struct Engine {
    delivered: Arc<AtomicU64>,
    flushed: Arc<Notify>,
}

impl abi::Cluster for Engine {
    fn deliver(&self, to: abi::Node, envelope: &abi::Envelope<'_>) -> u32 {
        assert_eq!((envelope.lane, envelope.bytes.as_slice()), (4, &b"octets"[..]));
        match (to.id, self.delivered.fetch_add(1, Ordering::SeqCst)) {
            (2, 0 | 1) => 0,
            (2, _) => 1,
            _ => 2,
        }
    }

    fn acknowledge(&self, _: abi::Node, _: RSlice<'_, abi::Ack>) {}

    fn sessions_changed(&self, _: u64, _: RSlice<'_, abi::Delta<'_>>) {}

    fn invalidate(&self, _: RStr<'_>, _: RStr<'_>) {}

    fn owner(&self, _: RStr<'_>, _: RStr<'_>) -> abi::Owner {
        abi::Owner { epoch: 9, ..abi::Owner::default() }
    }

    fn call(&self, head: RString, body: RVec<u8>) -> Fut<Message> {
        FfiFuture::new(async move {
            let answer = match serde_json::from_str(&head) {
                Ok(ClusterCall::Request { method, .. }) if method == "echo" => {
                    Ok(Message { head: RString::new(), body })
                }
                // Another node's slowness, told by the plugin.
                _ => Err(Error::new(ErrorKind::Timeout, "no answer")),
            };
            to_abi(answer)
        })
    }

    fn flush(&self) {
        self.flushed.notify_one();
    }
}

/// Takes every key.
struct Rooms;

impl Keeper for Rooms {
    fn own<'a>(&'a self, _: &'a str, _: Ownership) -> Answer<'a, ()> {
        Box::pin(async { Ok(()) })
    }

    fn disown(&self, _: &str, _: Node) {}
}

/// A node with a database, of which the plugin of make-believe is a guest.
struct Bench {
    guest: Arc<Guest>,
    lease: Lease,
    _home: TempDir,
}

impl Bench {
    async fn new(test: &TestDb, capabilities: &[Capability]) -> Bench {
        let clock = Clock::fake_of(1, Timestamp(1_700_000_000_000));
        let db = test.db.clone();
        migrate(&db, &server::migrations(), clock.now()).await.unwrap();
        let folder = TempDir::new().unwrap();
        let home = Home::new(folder.path());
        let tracker = Tracker::new(Arc::new(Counter::new()));
        let derivation = Derivation::new(tracker.clone(), NonZeroUsize::MIN, 8);
        let accounts = Accounts::open(db.clone(), clock.clone(), derivation).await.unwrap();
        let declared = server::properties();
        let properties = Properties::load(db.clone(), clock.clone(), &declared).await.unwrap();
        let plugins = PluginHost::new(&Parts {
            home: &home,
            db: &db,
            clock: &clock,
            tracker: &tracker,
            properties: &properties,
        });
        let foundation = Foundation {
            events: Arc::default(),
            home,
            config: Config::new(clock.random()),
            clock: clock.clone(),
            tracker: tracker.clone(),
            metrics: Arc::new(Metrics::new()),
            db: db.clone(),
            accounts: Arc::new(accounts),
            properties: properties.clone(),
            plugins,
        };
        let routing = Routing::build(&foundation, "hearth.example");
        let certificates =
            Certificates::open(folder.path(), ["hearth.example", ""], SystemTime::now());
        let (certificates, seat) = (certificates.unwrap(), Seat::new(&clock));
        let xmpp = Xmpp::build(&foundation, &routing, &certificates, &seat);
        let token = Token::new(clock.random());
        let seams = Arc::new(Seams {
            db: db.clone(),
            clock: clock.clone(),
            tracker: tracker.clone(),
            metrics: foundation.metrics.clone(),
            properties,
            events: foundation.events.clone(),
            accounts: foundation.accounts.clone(),
            im: routing.router.im.clone(),
            router: routing.router.clone(),
            cluster: ClusterSeam::new(seat.clone(), Drain::default(), xmpp.c2s.clone()),
            disco: routing.services.disco.clone(),
            public: Routes::new(),
            console: Routes::new(),
            gate: Arc::new(Gate::new(db.clone(), clock.clone(), token.hash())),
            data: folder.path().to_owned(),
            started: clock.now(),
        });
        let guest = guest(&seams, "engine", capabilities);
        Bench { guest, lease: Lease::new(db, seat), _home: folder }
    }

    fn seat(&self) -> &Seat {
        &self.guest.seams.cluster.seat
    }

    fn serving(&self) -> bool {
        self.seat().state().borrow().serving == Serving::Serving
    }
}

fn guest(seams: &Arc<Seams>, id: &str, capabilities: &[Capability]) -> Arc<Guest> {
    let manifest = Manifest { id: id.to_owned(), ..Manifest::default() }.asks_for(capabilities);
    let guard = Guard::new(id, &seams.clock, &seams.tracker, &Live::fixed(3));
    Guest::new(seams, &guard, &Arc::new(manifest))
}

fn registered(guest: &Arc<Guest>) -> (Result<Offered, Error>, Option<ClusterHost>) {
    registered_with(guest, Engine::default())
}

fn registered_with(
    guest: &Arc<Guest>,
    engine: Engine,
) -> (Result<Offered, Error>, Option<ClusterHost>) {
    let engine = Cluster_TO::from_ptr(RArc::new(engine), TD_Opaque);
    match register(guest, r#"{"name":"make-believe","max_envelope":6}"#, engine) {
        Ok((offered, host)) => (Ok(offered), Some(ClusterHost::new(host))),
        Err(error) => (Err(error), None),
    }
}

fn view(host: &ClusterHost, epoch: i64) -> View {
    let (name, version) = (String::new(), String::new());
    View { epoch, members: vec![Member { node: host.me(), name, version, draining: false }] }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugin_leads_its_node_from_its_start_to_its_end() {
    let Some(test) = postgres("a_plugin_leads_its_node").await else { return };
    let bench = Bench::new(&test, &[Capability::Cluster]).await;
    let (offered, host) = registered(&bench.guest);
    let (offered, host) = (offered.unwrap(), host.unwrap());
    bench.lease.renew().await;
    let early = host.enter(view(&host, 1)).await.unwrap_err();
    assert_eq!(early.kind, ErrorKind::Unavailable, "it has not started");
    let mut hooks = Hooks::default();
    open(&bench.guest, &offered, &mut hooks).unwrap();
    let second = guest(&bench.guest.seams, "rival", &[Capability::Cluster]);
    let taken = open(&second, &registered(&second).0.unwrap(), &mut Hooks::default());
    assert_eq!(taken.unwrap_err().kind, ErrorKind::Conflict, "there is one already");

    let before = host.lease().await.unwrap();
    assert_eq!((before.serving, before.mode.as_str(), before.holder), (true, "alone", 1));
    host.enter(view(&host, 1)).await.unwrap();
    let until = bench.guest.seams.clock.boot() + Duration::from_secs(2);
    host.hold(1, until.as_millis() as i64).await.unwrap();
    let lease = host.lease().await.unwrap();
    assert_eq!((lease.serving, lease.mode.as_str(), lease.epoch), (true, "cluster", 1));
    assert_eq!(host.hold(2, 0).await.unwrap_err().kind, ErrorKind::Conflict);
    host.view(view(&host, 2)).await.unwrap();
    assert_eq!(bench.guest.seams.router.nodes.current().epoch, 2);
    assert!(host.receive(host.me(), &[]).is_ok());
    let unknown = host.own("room", "tea", host.me(), 2).await.unwrap_err();
    assert_eq!(unknown.kind, ErrorKind::Unsupported, "nothing here has rooms");
    let nodes = bench.guest.seams.router.nodes.clone();
    nodes.keep("room", Arc::new(Rooms));
    host.own("room", "tea", host.me(), 2).await.unwrap();
    assert!(nodes.owns("room", "tea"));
    host.disown("room", "tea", host.me()).await.unwrap();
    assert!(!nodes.owns("room", "tea"));

    let run = host.me();
    let fenced = tokio::spawn({
        let host = host.clone();
        async move { host.fence("the links are cut").await }
    });
    let mut state = bench.seat().state();
    state.wait_for(|state| state.serving != Serving::Serving).await.unwrap();
    assert_eq!(host.receive(run, &[]).unwrap_err().kind, ErrorKind::Unavailable);
    bench.guest.seams.router.nodes.left();
    bench.seat().followed(&state.borrow().clone());
    fenced.await.unwrap().unwrap();
    assert_ne!(host.me(), run);
    assert_eq!(host.lease().await.unwrap().reason, "the links are cut");

    hooks.close_last();
    drop(offered);
    assert_eq!(host.enter(view(&host, 3)).await.unwrap_err().kind, ErrorKind::Unavailable);
    bench.lease.renew().await;
    assert!(!bench.serving(), "the database is the cluster's");
    let (again, mut hooks) = (registered(&second).0.unwrap(), Hooks::default());
    open(&second, &again, &mut hooks).unwrap();
}

#[tokio::test]
async fn traffic_goes_through_the_plugin() {
    let Some(test) = postgres("traffic_goes_through_the_plugin").await else { return };
    let bench = Bench::new(&test, &[Capability::Cluster]).await;
    let engine = Engine::default();
    let offered = registered_with(&bench.guest, engine.clone()).0.unwrap();
    open(&bench.guest, &offered, &mut Hooks::default()).unwrap();
    let carrier: Arc<dyn crate::router::cluster::Cluster> = offered.carrier.clone();
    let parcel = Parcel { lane: 4, ticket: 1, bytes: b"octets" };
    let to = Node { id: 2, incarnation: 1 };
    let queued = [0; 3].map(|_| carrier.deliver(to, parcel));
    assert_eq!(queued, [Queued::Queued, Queued::Queued, Queued::Full]);
    engine.flushed.notified().await;
    assert_eq!(carrier.deliver(Node { id: 3, incarnation: 1 }, parcel), Queued::Gone);
    assert_eq!(carrier.largest(), 6, "as the plugin has said");
    assert_eq!(carrier.owner("room", "garden").epoch, 9);
    assert_eq!(carrier.request(to, "echo", vec![7]).await, Ok(vec![7]));
    for _ in 0..5 {
        assert_eq!(carrier.claim(to, "session").await, Err(ClusterError::Timeout));
    }
    assert_eq!(bench.guest.guard.faults().0, 0, "another node is slow, not the plugin");
    bench.guest.guard.close(Duration::ZERO).await;
    assert_eq!(carrier.deliver(to, parcel), Queued::Gone);
}

/// Reads one octet at a time, until it is told that it is over.
struct Octets {
    socket: std::net::TcpStream,
    read: tokio::sync::mpsc::UnboundedSender<u8>,
}

impl Reader for Octets {
    fn read(&self) -> Reading {
        let mut octet = [0];
        match (&self.socket).read(&mut octet) {
            Ok(1) => {
                let _ = self.read.send(octet[0]);
                if octet[0] == b'!' { Reading::Ended } else { Reading::More }
            }
            Ok(_) => Reading::Ended,
            Err(_) => Reading::Drained,
        }
    }
}

/// Both ends of a connection; the second one is for a reader.
fn connection() -> (std::net::TcpStream, std::net::TcpStream) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let far = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (near, _) = listener.accept().unwrap();
    near.set_nonblocking(true).unwrap();
    (far, near)
}

#[tokio::test]
async fn the_plugins_sockets_are_read_by_our_threads() {
    let Some(test) = postgres("the_plugins_sockets_are_read").await else { return };
    let bench = Bench::new(&test, &[Capability::Cluster]).await;
    let host = registered(&bench.guest).1.unwrap();
    let watch = || {
        let ((far, socket), (read, octets)) =
            (connection(), tokio::sync::mpsc::unbounded_channel());
        let reader = Arc::new(Octets { socket, read });
        host.watch(reader.socket.as_fd(), &reader).unwrap();
        (far, octets, Arc::downgrade(&reader))
    };
    let ((mut far, mut octets, reader), (_silent, mut nothing, forgotten)) = (watch(), watch());
    for word in [b"one", b"two"] {
        far.write_all(word).unwrap();
        for octet in word {
            assert_eq!(octets.recv().await, Some(*octet));
        }
    }
    // The reader says that it is over: nobody has it any more.
    far.write_all(b"!not read").unwrap();
    assert_eq!((octets.recv().await, octets.recv().await), (Some(b'!'), None));
    assert!(reader.upgrade().is_none());
    assert!(forgotten.upgrade().is_some(), "it may still be needed");
    bench.guest.guard.close(Duration::ZERO).await;
    assert_eq!(nothing.recv().await, None, "the plugin was stopped");
    let (_far, socket) = connection();
    let reader = Arc::new(Octets { socket, read: tokio::sync::mpsc::unbounded_channel().0 });
    let late = host.watch(reader.socket.as_fd(), &reader).unwrap_err();
    assert_eq!(late.kind, ErrorKind::Stopped);
}

#[tokio::test]
async fn who_does_not_ask_for_it_leads_nobody() {
    let Some(test) = postgres("who_does_not_ask_for_it").await else { return };
    let bench = Bench::new(&test, &[Capability::Route]).await;
    let refused = registered(&bench.guest).0.err().expect("refused");
    assert_eq!(refused.kind, ErrorKind::Forbidden);
}

#[tokio::test]
async fn the_reserved_connection_does_not_wait_for_the_others() {
    let Some(test) = postgres("the_reserved_connection").await else { return };
    let bench = Bench::new(&test, &[Capability::Cluster, Capability::Tables]).await;
    let statement = |text: &str| abi::SqlStatement {
        text: text.into(),
        params: RVec::new(),
        expect: 0,
        count: 0,
    };
    // Every common connection waits.
    let db = &bench.guest.seams.db;
    let (started, mut waiting) = tokio::sync::mpsc::channel(64);
    for _ in 0..db.load().size {
        let (db, started) = (db.clone(), started.clone());
        tokio::spawn(async move {
            let wait = db.write(move |tx| {
                Box::pin(async move {
                    tx.query("SELECT 1", &[]).await?;
                    let _ = started.send(()).await;
                    std::future::pending::<()>().await;
                    Ok(())
                })
            });
            wait.await
        });
    }
    for _ in 0..db.load().size {
        waiting.recv().await.unwrap();
    }
    let rows = super::super::sql::run(&bench.guest, 2, vec![statement("SELECT 1 AS one")]).await;
    assert_eq!(rows.unwrap()[0].affected, 1);
    let late =
        super::super::sql::run(&bench.guest, 2, vec![statement("SELECT pg_sleep(60)")]).await;
    assert_eq!(late.unwrap_err().kind, ErrorKind::Unavailable, "it has a time of its own");
    let rows = super::super::sql::run(&bench.guest, 3, vec![statement("SELECT 1 AS one")]).await;
    assert_eq!(rows.unwrap()[0].affected, 1, "the one that was late is not used again");
}
