//! A small world for tests: accounts, sessions whose mailboxes the test reads, and a router that
//! knows nothing but `im`.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use super::*;
use crate::clock::Timestamp;
use crate::properties::Live;
use crate::router::To;
use crate::session::{Envelope, Origin, Session, Shared, ToOverride};
use crate::stanza::{Kind, RootNamespace, Stanza};
use crate::storage::migrate;
use crate::storage::testing::{self, TestDb};
use crate::telemetry::Counter;

/// The instant at which every test world begins.
pub const NOW: Timestamp = Timestamp(1_700_000_000_000);

pub struct World {
    pub im: Arc<Im>,
    pub registry: Arc<Registry>,
    pub clock: Clock,
    pub test: TestDb,
    /// What left for other servers.
    pub remote: Vec<String>,
    /// No account is in the cache, and the database does not answer for any.
    pub is_away: Arc<AtomicBool>,
}

struct Names {
    accounts: HashMap<String, AccountId>,
    is_away: Arc<AtomicBool>,
}

/// The accounts of [`NAMES`].
pub fn directory() -> Arc<dyn Directory> {
    directory_that_may_be_away(&Arc::default())
}

fn directory_that_may_be_away(is_away: &Arc<AtomicBool>) -> Arc<dyn Directory> {
    let accounts = NAMES.iter().map(|name| (name.to_string(), key(name).account));
    Arc::new(Names { accounts: accounts.collect(), is_away: is_away.clone() })
}

impl Directory for Names {
    fn peek(&self, _host: HostId, local: &str) -> Option<Option<AccountId>> {
        // Half of the names are not in the cache, so that both ways are walked.
        let is_cached = |account: &&AccountId| account.0 % 2 == 0 && !self.is_away.load(Relaxed);
        self.accounts.get(local).filter(is_cached).map(|account| Some(*account))
    }

    fn find<'a>(
        &'a self,
        _host: HostId,
        local: &'a str,
    ) -> BoxFuture<'a, Result<Option<AccountId>, StorageError>> {
        let away = StorageError::Unreachable { place: "here".into(), why: "a test".into() };
        let answer = match self.is_away.load(Relaxed) {
            true => Err(away),
            false => Ok(self.accounts.get(local).copied()),
        };
        Box::pin(async move { answer })
    }
}

pub const NAMES: [&str; 4] = ["juliet", "romeo", "nurse", "mercutio"];

pub fn jid(text: &str) -> Jid {
    Jid::parse(text).unwrap()
}

/// A stanza from its text.
pub fn stanza(text: &str) -> Stanza {
    stored::read(text.as_bytes()).unwrap()
}

pub fn key(name: &str) -> roster::Key {
    let at = NAMES.iter().position(|known| *known == name).unwrap();
    roster::Key { host: HostId::FIRST, account: AccountId(at as i64 + 1) }
}

pub fn settings() -> Settings {
    Settings {
        roster_max_items: Live::fixed(5),
        roster_cache_mb: Live::fixed(1),
        offline_policy: Live::fixed(OfflinePolicy::StoreAndBounce),
        offline_quota_kb: Live::fixed(1),
    }
}

impl World {
    pub async fn new() -> World {
        World::with(testing::sqlite().await, settings()).await
    }

    pub async fn with(test: TestDb, settings: Settings) -> World {
        let clock = Clock::fake(NOW);
        migrate(&test.db, MIGRATIONS, NOW).await.unwrap();
        let (registry, is_away) = (Arc::new(Registry::default()), Arc::default());
        let im = Im::new(Parts {
            db: test.db.clone(),
            registry: registry.clone(),
            hosts: Arc::new(Hosts::new(jid("hearth.example"))),
            directory: directory_that_may_be_away(&is_away),
            clock: clock.clone(),
            tracker: Tracker::new(Arc::new(Counter::default())),
            settings,
            events: Arc::default(),
        });
        im.begin_run(i64::from_be_bytes(clock.random().bytes())).await;
        World { im, registry, clock, test, remote: Vec::new(), is_away }
    }

    /// The server was killed and starts again on the same database: no session is left.
    pub async fn restart(self) -> World {
        let settings = self.im.settings.clone();
        World::with(self.test, settings).await
    }

    /// A bound session of `name@hearth.example/resource`.
    pub fn session(&self, address: &str) -> Session {
        let jid = jid(&address.replace('/', "@hearth.example/"));
        let key = key(jid.local().unwrap());
        let origin =
            Origin { peer: "[::1]:1".parse().unwrap(), tls: None, mechanism: "PLAIN", since: NOW };
        let (id, pair) = (self.registry.next_id(), (key.host, key.account));
        let shared = Arc::new(Shared::new(id, pair, jid, origin, 1 << 20));
        self.registry.bind(&shared);
        Session::new(shared)
    }

    /// A session that asked for its roster and sent initial presence; its inbox is empty.
    pub async fn online(&mut self, address: &str) -> Session {
        let mut session = self.session(address);
        self.send(&mut session, "<iq id='r' type='get'><query xmlns='jabber:iq:roster'/></iq>")
            .await;
        self.send(&mut session, "<presence/>").await;
        inbox(&session);
        self.remote.clear();
        session
    }

    /// The client sends a stanza.
    pub async fn send(&mut self, session: &mut Session, text: &str) {
        let mut stanza = stanza(text);
        stanza.head.from = Some(session.jid().clone());
        let mut out = Out::default();
        match stanza.head.kind {
            Kind::Iq(_) => self.im.roster_iq(&session.shared, stanza, &mut out),
            Kind::Presence(_) => self.im.presence_sent(session, stanza, &mut out),
            Kind::Message(_) => {
                self.im.no_recipient(HostId::FIRST, Arc::new(stanza), None, &mut out);
            }
        }
        self.perform(out).await;
    }

    /// Another server sends a stanza.
    pub async fn receive(&mut self, text: &str) {
        let mut out = Out::default();
        out.route(stanza(text));
        self.perform(out).await;
    }

    pub async fn end(&mut self, mut session: Session) {
        self.registry.unbind(&session.shared);
        session.shared.mailbox.close();
        let mut out = Out::default();
        self.im.session_ended(&mut session, &mut out);
        self.perform(out).await;
    }

    /// What the router does, as far as `im` can tell.
    pub async fn perform(&mut self, mut out: Out) {
        loop {
            while let Some(stanza) = out.routes.pop_front() {
                self.route(stanza, &mut out);
            }
            for (to, envelope) in out.deliveries.drain(..) {
                match to {
                    To::Session(Entry::Local(session)) => drop(session.mailbox.push(envelope)),
                    To::Interested(push) => self.im.push_here(&push),
                    _ => panic!("there are no other nodes"),
                }
            }
            let Some(work) = out.work.pop_front() else { return };
            let mut caused = work.await;
            out.deliveries.append(&mut caused.deliveries);
            out.routes.append(&mut caused.routes);
            while let Some(work) = caused.work.pop_back() {
                out.work.push_front(work);
            }
        }
    }

    fn route(&mut self, stanza: Stanza, out: &mut Out) {
        let to = stanza.head.to.clone().unwrap();
        assert!(stanza.head.from.is_some(), "everything routed has a sender");
        match (stanza.head.kind, to.domain()) {
            (Kind::Presence(_), "hearth.example") => {
                self.im.presence_received(HostId::FIRST, stanza, out);
            }
            (Kind::Message(_), "hearth.example") => {
                let Some(resource) = to.resource() else {
                    return self.im.no_recipient(HostId::FIRST, Arc::new(stanza), None, out);
                };
                let found = self.registry.resource(HostId::FIRST, to.local().unwrap(), resource);
                let Some(Entry::Local(session)) = found else { return };
                out.deliver(&session, Arc::new(stanza));
            }
            _ => self.remote.push(text(&stanza, None)),
        }
    }

    /// Reads an account's roster anew, past the cache.
    pub async fn stored(&self, name: &str) -> roster::Roster {
        let key = key(name);
        let read = self.test.db.read(move |tx| Box::pin(roster::store::load(tx, key)));
        read.await.unwrap()
    }

    /// `contact`'s subscription in the roster of `name`, as `both`, or `none ask`.
    pub async fn subscription(&self, name: &str, contact: &str) -> String {
        let roster = self.stored(name).await;
        match roster.item(contact) {
            Some(item) if item.state.pending_out() => format!("{} ask", item.state.subscription()),
            Some(item) => item.state.subscription().to_owned(),
            None => "absent".to_owned(),
        }
    }

    /// Makes two accounts of this server subscribe to each other.
    pub async fn befriend(&mut self, one: &str, other: &str) {
        let mut sessions =
            [self.online(&format!("{one}/x")).await, self.online(&format!("{other}/x")).await];
        let names = [one, other];
        for (from, to) in [(0, 1), (1, 0)] {
            let ask = format!("<presence type='subscribe' to='{}@hearth.example'/>", names[to]);
            let yes = format!("<presence type='subscribed' to='{}@hearth.example'/>", names[from]);
            self.send(&mut sessions[from], &ask).await;
            self.send(&mut sessions[to], &yes).await;
        }
        for session in sessions {
            self.end(session).await;
        }
        self.remote.clear();
    }
}

fn text(stanza: &Stanza, to: Option<&Jid>) -> String {
    let mut bytes = Vec::new();
    stanza.render(to, RootNamespace::Inherited, &mut bytes);
    String::from_utf8(bytes).unwrap()
}

/// What the session was sent, as written.
pub fn inbox(session: &Session) -> Vec<String> {
    envelopes(session).iter().map(|envelope| show(session, envelope)).collect()
}

pub fn show(session: &Session, envelope: &Envelope) -> String {
    let own = (envelope.to == ToOverride::Own).then(|| session.jid());
    text(&envelope.stanza, own)
}

pub fn envelopes(session: &Session) -> VecDeque<Envelope> {
    let mut taken = VecDeque::new();
    session.shared.mailbox.take(&mut taken);
    taken
}

/// Waits until `done` says so; five seconds at most.
pub async fn eventually(what: &str, mut done: impl AsyncFnMut() -> bool) {
    let wait = async {
        while !done().await {
            tokio::task::yield_now().await;
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), wait).await.expect(what);
}
