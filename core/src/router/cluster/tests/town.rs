//! The nodes, and the carrier between them.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;

use super::*;
use crate::clock::Clock;
use crate::im::testing::{NOW, directory, key, settings};
use crate::im::{self, Im};
use crate::properties::Live;
use crate::router::{Hosts, IqTable, Out, Request, Router, Target, Unreachable};
use crate::services::archive::{self, Archive};
use crate::session::{Envelope, Origin, Registry, Shared};
use crate::shutdown::Tracker;
use crate::storage::migrate;
use crate::storage::testing::{self, TestDb};
use crate::telemetry::Counter;

/// What travels.
enum Packet {
    Parcel { lane: u32, ticket: u64, bytes: Vec<u8> },
    Acks(Vec<Ack>),
    Deltas(u64, Vec<Delta>),
    Invalidated(String, String),
}

/// The carrier's state, seen by all nodes.
#[derive(Default)]
pub struct Roads {
    pub sites: Mutex<HashMap<Node, Arc<Nodes>>>,
    traffic: Mutex<VecDeque<(Node, Node, Packet)>>,
    /// Nodes whose outbox takes nothing.
    pub full: Mutex<HashSet<Node>>,
    /// Who owns what.
    pub owners: Mutex<HashMap<String, Node>>,
    /// Nodes whose changes nobody hears of for the moment.
    pub mute: Mutex<HashSet<Node>>,
    /// Nodes whose stanzas are on their way for the moment.
    pub slow: Mutex<HashSet<Node>>,
    /// Parcels that were taken.
    pub parcels: Mutex<usize>,
    /// Octets of the largest parcel that is taken; 0 for no bound.
    pub largest: AtomicUsize,
    /// Messages about sessions that every node was sent.
    pub tellings: AtomicUsize,
}

impl Roads {
    /// What was sent last is brought first.
    pub fn reverse(&self) {
        self.traffic.lock().make_contiguous().reverse();
    }

    /// What the node has sent that is under way: stanzas, and news of sessions.
    pub fn sent_by(&self, node: Node) -> Vec<&'static str> {
        let is_available = |delta: &Delta| delta.flags & Delta::AVAILABLE != 0;
        let name = |packet: &Packet| match packet {
            Packet::Parcel { .. } => "stanza",
            Packet::Deltas(_, deltas) if deltas.iter().any(is_available) => "available",
            _ => "other",
        };
        let traffic = self.traffic.lock();
        traffic.iter().filter(|(from, ..)| *from == node).map(|(_, _, it)| name(it)).collect()
    }

    /// All parcels under way are damaged where `text` begins, if they have it.
    pub fn garble(&self, text: &str) {
        for (_, _, packet) in self.traffic.lock().iter_mut() {
            if let Packet::Parcel { bytes, .. } = packet
                && let Some(at) = memchr::memmem::find(bytes, text.as_bytes())
            {
                bytes[at] = 99;
            }
        }
    }
}

/// One node's end of it.
struct Carrier {
    me: Node,
    roads: Arc<Roads>,
}

impl Carrier {
    fn to_all(&self, packet: impl Fn() -> Packet) {
        let others: Vec<_> = self.roads.sites.lock().keys().copied().collect();
        for other in others.into_iter().filter(|other| *other != self.me) {
            self.roads.traffic.lock().push_back((self.me, other, packet()));
        }
    }
}

impl Cluster for Carrier {
    fn largest(&self) -> usize {
        match self.roads.largest.load(Ordering::Relaxed) {
            0 => usize::MAX,
            octets => octets,
        }
    }

    fn deliver(&self, to: Node, parcel: Parcel<'_>) -> Queued {
        if !self.roads.sites.lock().contains_key(&to) {
            return Queued::Gone;
        }
        if self.roads.full.lock().contains(&to) {
            return Queued::Full;
        }
        *self.roads.parcels.lock() += 1;
        let Parcel { lane, ticket, bytes } = parcel;
        assert!(bytes.len() <= self.largest(), "{} octets", bytes.len());
        let packet = Packet::Parcel { lane, ticket, bytes: bytes.to_vec() };
        self.roads.traffic.lock().push_back((self.me, to, packet));
        Queued::Queued
    }

    fn acknowledge(&self, origin: Node, acks: &[Ack]) {
        self.roads.traffic.lock().push_back((self.me, origin, Packet::Acks(acks.to_vec())));
    }

    fn sessions_changed(&self, seq: u64, deltas: &[Delta]) {
        self.roads.tellings.fetch_add(1, Ordering::Relaxed);
        self.to_all(|| Packet::Deltas(seq, deltas.to_vec()));
    }

    fn invalidate(&self, topic: &str, key: &str) {
        self.to_all(|| Packet::Invalidated(topic.to_owned(), key.to_owned()));
    }

    fn owner(&self, topic: &str, key: &str) -> Ownership {
        let owner = self.roads.owners.lock().get(&format!("{topic}/{key}")).copied();
        Ownership { owner: owner.unwrap_or_default(), ..Ownership::default() }
    }

    fn acquire<'a>(&'a self, topic: &'a str, key: &'a str) -> Answer<'a, Ownership> {
        Box::pin(async move {
            self.roads.owners.lock().entry(format!("{topic}/{key}")).or_insert(self.me);
            Ok(self.owner(topic, key))
        })
    }

    fn give_up<'a>(&'a self, topic: &'a str, key: &'a str) -> Answer<'a, ()> {
        self.roads.owners.lock().remove(&format!("{topic}/{key}"));
        Box::pin(async { Ok(()) })
    }

    fn request<'a>(&'a self, to: Node, method: &'a str, body: Vec<u8>) -> Answer<'a, Vec<u8>> {
        let site = self.roads.sites.lock().get(&to).cloned();
        Box::pin(async move {
            site.ok_or(ClusterError::Unavailable)?.serve(self.me, method, body).await
        })
    }

    fn claim<'a>(&'a self, _owner: Node, session: &'a str) -> Answer<'a, Vec<u8>> {
        Box::pin(async { Err(ClusterError::NotFound(session.to_owned())) })
    }

    fn claimed<'a>(&'a self, _owner: Node, _session: &'a str, _imported: bool) -> Answer<'a, ()> {
        Box::pin(async { Err(ClusterError::Unavailable) })
    }
}

/// One node.
#[derive(Clone)]
pub struct Site {
    pub node: Node,
    pub router: Arc<Router>,
    pub nodes: Arc<Nodes>,
    pub im: Arc<Im>,
    pub registry: Arc<Registry>,
}

pub struct Town {
    pub roads: Arc<Roads>,
    pub sites: Vec<Site>,
    pub test: TestDb,
}

impl Town {
    /// Nodes that have entered a cluster together.
    pub async fn new<const N: usize>() -> (Town, [Site; N]) {
        let test = testing::sqlite().await;
        let tables = [im::MIGRATIONS, archive::MIGRATIONS].concat();
        migrate(&test.db, &tables, NOW).await.unwrap();
        let mut town = Town { roads: Arc::default(), sites: Vec::new(), test };
        for id in 1..=N as u32 {
            let site = town.site(id);
            town.sites.push(site);
        }
        for site in town.sites.clone() {
            town.enter(&site).await;
        }
        town.carry().await;
        let sites = town.sites.clone().try_into().ok().unwrap();
        (town, sites)
    }

    /// A node on its own.
    pub fn site(&self, id: u32) -> Site {
        let clock = Clock::fake_of(id, NOW);
        let tracker = Tracker::new(Arc::new(Counter::default()));
        let hosts = Arc::new(Hosts::new(jid("hearth.example")));
        let registry = Arc::new(Registry::default());
        let im = Im::new(im::Parts {
            db: self.test.db.clone(),
            registry: registry.clone(),
            hosts: hosts.clone(),
            directory: directory(),
            clock: clock.clone(),
            tracker: tracker.clone(),
            settings: im::Settings {
                offline_policy: Live::fixed(im::OfflinePolicy::Store),
                ..settings()
            },
            events: Arc::default(),
        });
        let nodes = Nodes::new(Parts { registry: registry.clone(), clock: clock.clone(), tracker });
        let mut iqs = IqTable::default();
        let roster = im.clone();
        iqs.register("jabber:iq:roster", &[Target::Own], move |request: Request, out: &mut Out| {
            roster.roster_iq(&request.session.unwrap(), request.stanza, out);
        });
        let router = Arc::new(Router {
            hosts,
            registry: registry.clone(),
            directory: directory(),
            im: im.clone(),
            archive: Archive::new(self.test.db.clone(), Live::fixed(false), &Arc::default()),
            nodes: nodes.clone(),
            iqs,
            guests: Arc::default(),
            events: Arc::default(),
            remote: Arc::new(Unreachable),
            messages: Arc::default(),
            clock,
        });
        im.set_router(&router);
        nodes.set_router(&router);
        let node = Node { id, incarnation: u64::from(id) * 100 };
        Site { node, router, nodes, im, registry }
    }

    fn view(&self) -> View {
        let member = |site: &Site| Member {
            node: site.node,
            name: format!("node{}", site.node.id),
            version: "1".to_owned(),
            draining: false,
        };
        View { epoch: 1, members: self.sites.iter().map(member).collect() }
    }

    pub async fn enter(&self, site: &Site) {
        self.roads.sites.lock().insert(site.node, site.nodes.clone());
        let carrier = Carrier { me: site.node, roads: self.roads.clone() };
        site.im.begin_run(site.node.incarnation as i64).await;
        site.nodes.entered(site.node, self.view(), Arc::new(carrier));
    }

    /// The node is gone: what is on its way from and to it is lost.
    pub fn lose(&self, site: &Site) {
        self.roads.sites.lock().remove(&site.node);
        let gone = |node: Node| node == site.node;
        self.roads.traffic.lock().retain(|(from, to, _)| !gone(*from) && !gone(*to));
    }

    /// Brings everything that is under way, until nothing follows from it. Lanes are brought in an
    /// order that is not the one of sending.
    pub async fn carry(&self) {
        let mut quiet = 0;
        while quiet < 20 {
            quiet += 1;
            tokio::task::yield_now().await;
            // Nobody waits for company here.
            let sites: Vec<_> = self.roads.sites.lock().values().cloned().collect();
            sites.iter().for_each(|nodes| nodes.tell_last_outcomes());
            self.test.db.read(|_| Box::pin(async { Ok(()) })).await.unwrap();
            let mute = self.roads.mute.lock().clone();
            let slow = self.roads.slow.lock().clone();
            let mut batch: Vec<_> = self.roads.traffic.lock().drain(..).collect();
            // Stable: what has one lane stays in order.
            batch.sort_by_key(|(_, _, packet)| match packet {
                Packet::Parcel { lane, .. } => u32::MAX - lane,
                _ => 0,
            });
            for (from, to, packet) in batch {
                let is_kept = match packet {
                    Packet::Deltas(..) => mute.contains(&from),
                    Packet::Parcel { .. } => slow.contains(&from),
                    _ => false,
                };
                if is_kept {
                    self.roads.traffic.lock().push_back((from, to, packet));
                    continue;
                }
                quiet = 0;
                self.hand_over(from, to, packet);
            }
        }
    }

    fn hand_over(&self, from: Node, to: Node, packet: Packet) {
        let sites = self.roads.sites.lock();
        let (Some(origin), Some(nodes)) = (sites.get(&from).cloned(), sites.get(&to).cloned())
        else {
            return;
        };
        drop(sites);
        match packet {
            Packet::Parcel { lane, ticket, bytes } => {
                nodes.receive(from, &[Parcel { lane, ticket, bytes: &bytes }]);
            }
            Packet::Acks(acks) => nodes.acknowledged(from, &acks),
            Packet::Deltas(seq, deltas) => {
                let wanted = nodes.apply(from, seq, &deltas);
                if wanted < seq + deltas.len() as u64 {
                    let (seq, sessions) = origin.directory();
                    assert_eq!(nodes.replace(from, seq, &sessions), seq + 1);
                }
            }
            Packet::Invalidated(topic, key) => nodes.invalidated(&topic, &key),
        }
    }

    /// Carries until `done`; a deadline ends it.
    pub async fn until(&self, what: &str, mut done: impl AsyncFnMut() -> bool) {
        eventually(what, async || {
            self.carry().await;
            done().await
        })
        .await;
    }

    /// Rows of the offline table, as id and whether somebody holds it.
    pub async fn stored(&self) -> Vec<(String, bool)> {
        let read = self.test.db.read(|tx| {
            Box::pin(async move {
                let sql = "SELECT id, holder_node IS NOT NULL FROM offline_messages ORDER BY id";
                let rows = tx.query(sql, &[]).await?;
                rows.iter()
                    .map(|row| {
                        let id: crate::clock::StanzaId = row.get(0)?;
                        Ok((id.to_string(), row.get::<bool>(1)?))
                    })
                    .collect::<Result<Vec<_>, _>>()
            })
        });
        read.await.unwrap()
    }
}

impl Site {
    /// A bound session of `name@hearth.example/resource` whose stanzas are counted.
    pub fn bind(&self, address: &str) -> Session {
        let jid = jid(&address.replace('/', "@hearth.example/"));
        let key = key(jid.local().unwrap());
        let origin =
            Origin { peer: "[::1]:1".parse().unwrap(), tls: None, mechanism: "PLAIN", since: NOW };
        let (id, pair) = (self.registry.next_id(), (key.host, key.account));
        let shared = Arc::new(Shared::new(id, pair, jid, origin, 1 << 24));
        shared.start_management(false);
        self.registry.bind(&shared);
        Session::new(shared)
    }

    /// The client sends a stanza.
    pub async fn send(&self, session: &mut Session, text: &str) {
        self.send_at_once(session, &[text.to_owned()]).await;
    }

    /// One read brings several stanzas of the client.
    pub async fn send_at_once(&self, session: &mut Session, texts: &[String]) {
        let mut out = Out::default();
        texts.iter().for_each(|text| self.router.from_session(session, stanza(text), &mut out));
        self.router.perform(&mut out).await;
    }

    /// A session that asked for its roster and sent initial presence.
    pub async fn online(&self, address: &str) -> Session {
        let mut session = self.bind(address);
        self.send(&mut session, "<iq id='r' type='get'><query xmlns='jabber:iq:roster'/></iq>")
            .await;
        self.send(&mut session, "<presence/>").await;
        session
    }

    /// What the session has been sent; its client acknowledges all of it.
    pub fn acknowledge(&self, session: &Session) -> Vec<Envelope> {
        let envelopes: Vec<_> = crate::im::testing::envelopes(session).into();
        for duty in envelopes.iter().filter_map(|envelope| envelope.duty.as_ref()) {
            if duty.done() {
                self.im.spooled_done(&session.shared, duty.id);
            }
        }
        envelopes
    }

    /// The session ends for good; its client has not acknowledged `taken`.
    pub async fn end(&self, mut session: Session, taken: Vec<Envelope>) {
        self.registry.unbind(&session.shared);
        let mut out = Out::default();
        self.im.session_ended(&mut session, &mut out);
        for envelope in taken.into_iter().chain(session.shared.mailbox.close()) {
            self.router.undelivered(Some(&session.shared), envelope, &mut out);
        }
        self.router.perform(&mut out).await;
    }

    /// What this node knows of an account's sessions: `resource:priority:flags@node`.
    pub fn sessions(&self, name: &str) -> Vec<String> {
        let all = |entries: &[crate::session::Entry]| entries.iter().cloned().collect();
        let found = self.registry.select(key(name).host, name, all);
        let entries: crate::session::registry::Entries = found.map(|f| f.1).unwrap_or_default();
        let mut shown: Vec<_> = entries
            .iter()
            .map(|entry| {
                let node = match entry {
                    crate::session::Entry::Local(_) => self.node.id,
                    crate::session::Entry::Remote(session) => session.node.id,
                };
                let flag = |is, name| if is { name } else { "" };
                format!(
                    "{}:{}:{}{}{}@{node}",
                    entry.resource(),
                    entry.priority(),
                    flag(entry.is_available(), "a"),
                    flag(entry.is_interested(), "i"),
                    flag(!entry.is_connected(), "d"),
                )
            })
            .collect();
        shown.sort();
        shown
    }
}

/// How many stanzas of the session are safe.
pub fn safe(session: &Session) -> u32 {
    session.shared.watermark().unwrap().report()
}
