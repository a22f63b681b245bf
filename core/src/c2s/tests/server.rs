//! A small server for tests: two accounts, sessions on real sockets, no negotiation.

use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::time::{Duration, UNIX_EPOCH};

use parking_lot::Mutex;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::auth;
use crate::auth::accounts::Accounts;
use crate::auth::derive::Derivation;
use crate::auth::throttle::{LoginThrottle, ThrottleLimits};
use crate::c2s::*;
use crate::clock::{Clock, Timestamp};
use crate::im::{self, Im};
use crate::net::tls::{Certificates, Service};
use crate::properties::Live;
use crate::router::cluster::{self, Nodes};
use crate::router::{Hosts, IqTable, Unreachable};
use crate::services::archive::{self, Archive};
use crate::session::Registry;
use crate::stanza::{AddressMemo, Stanza};
use crate::storage::testing::{self, TestDb};
use crate::storage::{BoxFuture, migrate, params};
use crate::stream::PreAuth;
use crate::telemetry::Counter as Metric;
use crate::xml::{ContentNamespace, FrameLimits, Framer, StreamContext};

const NOW: Timestamp = Timestamp(1_700_000_000_000);
const HEADER: &[u8] = b"<stream:stream xmlns='jabber:client' \
    xmlns:stream='http://etherx.jabber.org/streams' to='hearth.example' version='1.0'>";

pub struct Server {
    pub c2s: Arc<C2s>,
    pub panics: Arc<Metric>,
    pub test: TestDb,
    _certificates: TempDir,
}

/// Nobody registers here.
struct Closed;

impl PreAuth for Closed {
    fn answer<'a>(&'a self, _: std::net::IpAddr, request: &'a Stanza) -> BoxFuture<'a, Stanza> {
        Box::pin(async move { request.result() })
    }
}

impl Server {
    /// With the accounts juliet and romeo, and the IQ handlers that `prepare` adds.
    pub async fn start(prepare: impl FnOnce(&mut IqTable)) -> Server {
        let test = testing::sqlite().await;
        let tables = [im::MIGRATIONS, auth::store::MIGRATIONS, archive::MIGRATIONS].concat();
        migrate(&test.db, &tables, NOW).await.unwrap();
        Server::open(test, Clock::fake(NOW), prepare).await
    }

    /// Another node with the same database.
    pub async fn beside(&self) -> Server {
        Server::open(self.test.beside().await, Clock::fake_of(2, NOW), |_| {}).await
    }

    async fn open(test: TestDb, clock: Clock, prepare: impl FnOnce(&mut IqTable)) -> Server {
        let panics = Arc::new(Metric::new());
        let tracker = Tracker::new(panics.clone());
        let derivation = Derivation::new(tracker.clone(), NonZeroUsize::MIN, 8);
        let accounts = Accounts::open(test.db.clone(), clock.clone(), derivation).await.unwrap();
        let accounts = Arc::new(accounts);
        for name in ["juliet", "romeo"] {
            if accounts.find(HostId::FIRST, name).await.unwrap().is_none() {
                accounts.create(HostId::FIRST, name, "secret").await.unwrap();
            }
        }
        let hosts = Arc::new(Hosts::new(Jid::parse("hearth.example").unwrap()));
        let registry = Arc::new(Registry::default());
        let im = Im::new(im::Parts {
            db: test.db.clone(),
            registry: registry.clone(),
            hosts: hosts.clone(),
            directory: accounts.clone(),
            clock: clock.clone(),
            tracker: tracker.clone(),
            settings: im_settings(),
            events: Arc::default(),
        });
        im.begin_run(1).await;
        let mut iqs = IqTable::default();
        prepare(&mut iqs);
        let nodes = Nodes::new(cluster::Parts {
            registry: registry.clone(),
            clock: clock.clone(),
            tracker: tracker.clone(),
        });
        let router = Arc::new(Router {
            hosts,
            registry,
            directory: accounts.clone(),
            im,
            archive: Archive::new(test.db.clone(), Live::fixed(false), &Arc::default()),
            nodes,
            iqs,
            guests: Arc::default(),
            events: Arc::default(),
            remote: Arc::new(Unreachable),
            messages: Arc::default(),
            clock: clock.clone(),
        });
        router.im.set_router(&router);
        router.nodes.set_router(&router);
        let folder = tempfile::tempdir().unwrap();
        let wall = UNIX_EPOCH + Duration::from_millis(NOW.0 as u64);
        let certificates = Certificates::open(folder.path(), ["hearth.example", ""], wall).unwrap();
        let oracle = Oracle {
            accounts,
            throttle: Mutex::new(LoginThrottle::new(ThrottleLimits::default())),
            pre_auth: Arc::new(Closed),
            clock,
        };
        let c2s = Arc::new(C2s {
            router,
            oracle,
            tls: certificates.acceptor(Service::Client),
            profiles: Box::new(|| Profiles::new([])),
            settings: settings(),
            ending: AtomicUsize::new(0),
            leaving: Mutex::default(),
            may_serve: Box::new(|| true),
            frozen: Frozen::default(),
            tracker,
        });
        Server { c2s, panics, test, _certificates: folder }
    }

    pub async fn account(&self, name: &str) -> AccountId {
        self.c2s.oracle.accounts.find(HostId::FIRST, name).await.unwrap().unwrap().row.id
    }

    /// A bound session at `name/resource`, served on a socket of which the client has the other end.
    pub async fn client(&self, address: &str) -> Client {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let connect = TcpStream::connect(listener.local_addr().unwrap());
        let (stream, accepted) = tokio::join!(connect, listener.accept());
        let (ours, _) = accepted.unwrap();
        let account = self.account(address.split('/').next().unwrap()).await;
        let held = self.bind(account, address).await.unwrap();
        let shared = held.shared.clone();
        let mut framer = Framer::new(FrameLimits::AUTHENTICATED);
        framer.next(&mut &HEADER[..]).unwrap();
        let inbound = Inbound {
            framer,
            context: StreamContext::new(ContentNamespace::Client),
            memo: AddressMemo::default(),
            held,
            ending: None,
        };
        let bound = Box::new(Bound::new(Io::plain(ours), inbound));
        self.c2s.tracker.spawn("client", attend(self.c2s.clone(), bound));
        Client { stream: stream.unwrap(), shared, read: String::new() }
    }

    pub(in crate::c2s) async fn bind(
        &self,
        account: AccountId,
        address: &str,
    ) -> Result<Held, BindRefusal> {
        let jid = Jid::parse(&address.replace('/', "@hearth.example/")).unwrap();
        let peer = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        let origin = Origin { peer, tls: None, mechanism: "PLAIN", since: NOW };
        self.c2s.bind(account, jid, origin).await
    }

    /// Makes every statement about offline messages fail for good.
    pub async fn break_offline_messages(&self) {
        let drop = "DROP TABLE offline_messages";
        self.test.db.write(move |tx| Box::pin(tx.script(drop))).await.unwrap();
    }

    /// Messages of the account in the offline table.
    pub async fn stored(&self, name: &str) -> i64 {
        let account = self.account(name).await;
        let sql = "SELECT COUNT(*) FROM offline_messages WHERE host = $1 AND account = $2";
        let count = self.test.db.read(move |tx| {
            Box::pin(async move {
                tx.query_one(sql, params![HostId::FIRST, account]).await?.get::<i64>(0)
            })
        });
        count.await.unwrap()
    }

    pub async fn until_stored(&self, name: &str, count: i64) {
        let what = format!("{name} has {count} messages");
        eventually(&what, async || self.stored(name).await == count).await;
    }
}

/// What [`C2s::serve`] does with a bound stream.
async fn attend(c2s: Arc<C2s>, mut bound: Box<Bound>) {
    let event = loop {
        match bound.next().await {
            Event::Wait(mut out) => {
                bound.inbound.held.shared.stop_reading();
                c2s.router.perform(&mut out).await;
            }
            event => break event,
        }
    };
    c2s.close(bound, event).await;
}

/// The client's end.
pub struct Client {
    pub stream: TcpStream,
    pub shared: Arc<Shared>,
    read: String,
}

impl Client {
    pub async fn send(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).await.unwrap();
    }

    /// Reads until `text` has come, and forgets everything up to its end.
    pub async fn expect(&mut self, text: &str) -> String {
        let read = async {
            loop {
                if let Some(at) = self.read.find(text) {
                    return self.read.drain(..at + text.len()).collect();
                }
                let mut octets = [0; 4096];
                let count = self.stream.read(&mut octets).await.unwrap();
                assert!(count > 0, "closed before {text}: {}", self.read);
                self.read.push_str(std::str::from_utf8(&octets[..count]).unwrap());
            }
        };
        let read = tokio::time::timeout(Duration::from_secs(10), read);
        read.await.unwrap_or_else(|_| panic!("no {text} came"))
    }

    /// Reads to the end of the connection.
    pub async fn rest(&mut self) -> String {
        let mut rest = Vec::new();
        // A connection that a bug ends may be reset.
        let _ = self.stream.read_to_end(&mut rest).await;
        std::mem::take(&mut self.read) + &String::from_utf8(rest).unwrap()
    }
}

/// Waits until `done` says so; ten seconds at most.
pub async fn eventually(what: &str, mut done: impl AsyncFnMut() -> bool) {
    let wait = async {
        while !done().await {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), wait).await.expect(what);
}

fn im_settings() -> im::Settings {
    im::Settings {
        roster_max_items: Live::fixed(5),
        roster_cache_mb: Live::fixed(1),
        offline_policy: Live::fixed(im::OfflinePolicy::Store),
        offline_quota_kb: Live::fixed(1),
    }
}

fn settings() -> Settings {
    Settings {
        stanzas_per_second: Live::fixed(0),
        kb_per_second: Live::fixed(0),
        resource_conflict: Live::fixed(ResourceConflict::Replace),
        resume_seconds: Live::fixed(300),
        queue_stanzas: Live::fixed(16),
        queue_kb: Live::fixed(8192),
        mailbox_kb: Live::fixed(64),
        sessions: Live::fixed(10),
        unauthenticated: Live::fixed(0),
        header_seconds: Live::fixed(10),
        authentication_seconds: Live::fixed(10),
        idle_seconds: Live::fixed(0),
    }
}
