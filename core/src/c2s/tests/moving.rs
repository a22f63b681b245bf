//! Two nodes with one database, and a cluster of make-believe between them.

use std::collections::HashMap;
use std::sync::Weak;
use std::sync::atomic::AtomicBool;

use parking_lot::Mutex;

use super::*;
use crate::router::cluster::{
    Ack, Alone, Answer as Later, Cluster, ClusterError, Member, Ownership, Parcel, Queued, View,
};
use crate::session::{Delta, Node};

type Peers = Arc<Mutex<HashMap<Node, Weak<C2s>>>>;

/// Carries at once, within the process.
struct Wire {
    me: Node,
    peers: Peers,
    /// Words to owners that get lost.
    loses_words: AtomicBool,
}

impl Wire {
    fn peer(&self, node: Node) -> Option<Arc<C2s>> {
        self.peers.lock().get(&node).and_then(Weak::upgrade)
    }
}

impl Cluster for Wire {
    fn deliver(&self, to: Node, parcel: Parcel<'_>) -> Queued {
        let Some(peer) = self.peer(to) else { return Queued::Gone };
        peer.router.nodes.receive(self.me, &[parcel]);
        Queued::Queued
    }

    fn acknowledge(&self, origin: Node, acks: &[Ack]) {
        if let Some(peer) = self.peer(origin) {
            peer.router.nodes.acknowledged(self.me, acks);
        }
    }

    fn sessions_changed(&self, seq: u64, deltas: &[Delta]) {
        let peers: Vec<_> = self.peers.lock().keys().copied().collect();
        for peer in peers.into_iter().filter(|node| *node != self.me) {
            if let Some(peer) = self.peer(peer) {
                peer.router.nodes.apply(self.me, seq, deltas);
            }
        }
    }

    fn invalidate(&self, _: &str, _: &str) {}

    fn owner(&self, topic: &str, key: &str) -> Ownership {
        Alone(self.me).owner(topic, key)
    }

    fn acquire<'a>(&'a self, _: &'a str, _: &'a str) -> Later<'a, Ownership> {
        Box::pin(async { Err(ClusterError::Unavailable) })
    }

    fn give_up<'a>(&'a self, _: &'a str, _: &'a str) -> Later<'a, ()> {
        Box::pin(async { Err(ClusterError::Unavailable) })
    }

    fn request<'a>(&'a self, _: Node, _: &'a str, _: Vec<u8>) -> Later<'a, Vec<u8>> {
        Box::pin(async { Err(ClusterError::Unavailable) })
    }

    fn claim<'a>(&'a self, owner: Node, session: &'a str) -> Later<'a, Vec<u8>> {
        Box::pin(async move {
            let owner = self.peer(owner).ok_or(ClusterError::Unavailable)?;
            owner.freeze(session, self.me).await
        })
    }

    fn claimed<'a>(&'a self, owner: Node, session: &'a str, imported: bool) -> Later<'a, ()> {
        Box::pin(async move {
            if self.loses_words.load(Ordering::SeqCst) {
                return Err(ClusterError::Timeout);
            }
            let owner = self.peer(owner).ok_or(ClusterError::Unavailable)?;
            match imported {
                true => owner.release(session, self.me).await,
                false => owner.thaw(session),
            }
        })
    }
}

/// Two nodes; juliet had a connection to the first.
struct Pair {
    first: Server,
    second: Server,
    peers: Peers,
    wires: [Arc<Wire>; 2],
    token: String,
    shared: Arc<Shared>,
    romeo: Client,
}

impl Pair {
    /// Romeo's message was sent to juliet, who has lost her connection before she acknowledged it.
    async fn start() -> Pair {
        let first = Server::start(|_| {}).await;
        let second = first.beside().await;
        let peers = Peers::default();
        let nodes = [1, 2].map(|id| Node { id, incarnation: u64::from(id) * 100 });
        let member =
            |node| Member { node, name: String::new(), version: String::new(), draining: false };
        let view = View { epoch: 1, members: nodes.map(member).into() };
        let wires = [(&first, nodes[0]), (&second, nodes[1])].map(|(server, me)| {
            peers.lock().insert(me, Arc::downgrade(&server.c2s));
            let loses_words = AtomicBool::new(false);
            let wire = Arc::new(Wire { me, peers: peers.clone(), loses_words });
            server.c2s.router.nodes.entered(me, view.clone(), wire.clone());
            wire
        });
        let mut juliet = first.client("juliet/balcony").await;
        juliet.send("<enable xmlns='urn:xmpp:sm:3' resume='true'/>").await;
        let enabled = juliet.expect("/>").await;
        let token = enabled.split(" id='").nth(1).unwrap().split('\'').next().unwrap().to_owned();
        juliet.send("<presence><priority>7</priority></presence>").await;
        juliet.expect("</presence>").await;
        let mut romeo = first.client("romeo/orchard").await;
        romeo.send("<enable xmlns='urn:xmpp:sm:3'/>").await;
        romeo.send(CHAT).await;
        juliet.expect("</message>").await;
        let shared = juliet.shared.clone();
        drop(juliet);
        eventually("she is away", async || !shared.is_connected()).await;
        Pair { first, second, peers, wires, token, shared, romeo }
    }

    async fn resume(&self, on: &Server, h: u32) -> Result<Resumed, Answer> {
        let account = on.account("juliet").await;
        let jid = self.shared.jid.to_bare();
        let wanted = Wanted { account, jid: &jid, previd: &self.token, h: Counter(h) };
        on.c2s.resume(wanted).await
    }

    fn place(&self, on: &Server) -> Option<Entry> {
        on.c2s.router.registry.resource(HostId::FIRST, "juliet", "balcony")
    }
}

fn is_late(envelope: &Envelope) -> bool {
    let mut text = Vec::new();
    let nobody = Jid::parse("hearth.example").unwrap();
    super::super::bound::render(envelope, &nobody, &mut text);
    String::from_utf8(text).unwrap().contains("<body>late</body>")
}

fn owed(session: &Session) -> Vec<String> {
    let owed = session.resumable.as_ref().unwrap().unacknowledged.unacked();
    let text = |envelope: &Envelope| {
        let mut text = Vec::new();
        super::super::bound::render(envelope, session.jid(), &mut text);
        String::from_utf8(text).unwrap()
    };
    owed.map(text).collect()
}

/// The presence that she sent herself is acknowledged, romeo's message is not.
#[tokio::test]
async fn a_session_goes_on_on_another_node() {
    let mut pair = Pair::start().await;
    let Resumed { held, h } = pair.resume(&pair.second, 1).await.ok().expect("resumed");
    assert_eq!(h, Counter(1), "her own presence");
    let owed = owed(&held);
    assert!(owed.len() == 1 && owed[0].contains("<body>hi</body>"), "{owed:?}");
    assert!(held.shared.is_available() && held.shared.priority() == 7);
    pair.romeo.send("<r xmlns='urn:xmpp:sm:3'/>").await;
    pair.romeo.expect("h='1'").await;
    assert_eq!(pair.first.stored("juliet").await, 1, "until she has it");
    eventually("the owner lets go", async || {
        pair.first.c2s.router.registry.resumable(&pair.token).is_none()
            && matches!(pair.place(&pair.first), Some(Entry::Remote(remote)) if remote.is_available())
    })
    .await;
    let envelope = held.resumable.as_ref().unwrap().unacknowledged.unacked().next().unwrap();
    pair.second.c2s.delivered(&held.shared, envelope);
    pair.second.until_stored("juliet", 0).await;
}

/// It keeps its id, which names the node that began it.
#[tokio::test]
async fn a_session_that_has_moved_moves_back() {
    let pair = Pair::start().await;
    let there = pair.resume(&pair.second, 2).await.ok().expect("resumed");
    pair.second.c2s.tracker.spawn("detached", pair.second.c2s.clone().lost(Box::new(there.held)));
    let is_there = async || matches!(pair.place(&pair.first), Some(Entry::Remote(_)));
    eventually("the directory knows it", is_there).await;
    let back = pair.resume(&pair.first, 2).await.ok().expect("resumed");
    assert!(owed(&back.held).is_empty(), "she said that she has the message");
    pair.first.until_stored("juliet", 0).await;
}

#[tokio::test]
async fn a_claim_with_a_wrong_count_leaves_the_session_where_it_is() {
    let pair = Pair::start().await;
    let refused = pair.resume(&pair.second, 9).await.err();
    let Some(Answer::ResumeRefused { refusal, h: None }) = refused else { panic!("resumed") };
    assert_eq!(refusal, Refusal::ItemNotFound);
    let is_thawed = async || pair.first.c2s.frozen.0.lock().is_empty();
    eventually("it is thawed", is_thawed).await;
    let resumed = pair.resume(&pair.first, 1).await.ok().expect("resumed");
    assert_eq!(owed(&resumed.held).len(), 1);
}

#[tokio::test]
async fn only_its_account_is_given_a_session() {
    let pair = Pair::start().await;
    let romeo = pair.first.account("romeo").await;
    let name = crate::c2s::moving::name(romeo, &pair.token);
    let refused = pair.first.c2s.freeze(&name, pair.wires[1].me).await;
    assert!(matches!(refused, Err(ClusterError::NotFound(_))), "{refused:?}");
    assert!(!pair.shared.mailbox.is_closed());
}

#[tokio::test]
async fn two_do_not_take_one_session() {
    let pair = Pair::start().await;
    let account = pair.first.account("juliet").await;
    let name = crate::c2s::moving::name(account, &pair.token);
    let (one, two) = (pair.wires[1].me, Node { id: 6, incarnation: 1 });
    pair.first.c2s.freeze(&name, one).await.unwrap();
    let conflict = |result: Result<(), ClusterError>| {
        assert!(matches!(result, Err(ClusterError::Conflict(_))), "{result:?}");
    };
    conflict(pair.first.c2s.freeze(&name, two).await.map(drop));
    conflict(pair.first.c2s.release(&name, two).await);
    pair.first.c2s.thaw(&name).unwrap();
    assert!(matches!(pair.first.c2s.thaw(&name), Err(ClusterError::NotFound(_))));
}

/// What is sent to her while her session is on its way is not lost, and comes once.
#[tokio::test]
async fn what_comes_on_the_way_follows() {
    let mut pair = Pair::start().await;
    let account = pair.first.account("juliet").await;
    let name = crate::c2s::moving::name(account, &pair.token);
    let octets = pair.first.c2s.freeze(&name, pair.wires[1].me).await.unwrap();
    pair.romeo.send(&CHAT.replace("hi", "late")).await;
    pair.romeo.send("<presence to='romeo@hearth.example/orchard'/>").await;
    pair.romeo.expect("<presence").await;
    let jid = pair.shared.jid.to_bare();
    let wanted = Wanted { account, jid: &jid, previd: &pair.token, h: Counter(1) };
    let held = pair.second.c2s.import(wanted, pair.wires[0].me, &octets).await.expect("it").held;
    pair.first.c2s.release(&name, pair.wires[1].me).await.unwrap();
    assert_eq!(owed(&held).len(), 1);
    let mut inbox = VecDeque::new();
    eventually("it has followed", async || {
        held.shared.mailbox.take(&mut inbox);
        inbox.iter().any(is_late)
    })
    .await;
    assert_eq!(inbox.iter().filter(|envelope| is_late(envelope)).count(), 1);
}

#[tokio::test]
async fn a_word_that_is_lost_costs_nothing() {
    let pair = Pair::start().await;
    pair.wires[1].loses_words.store(true, Ordering::SeqCst);
    let resumed = pair.resume(&pair.second, 1).await.ok().expect("resumed");
    // The directory tells the owner.
    eventually("the owner lets go", async || {
        pair.first.c2s.router.registry.resumable(&pair.token).is_none()
    })
    .await;
    assert_eq!(owed(&resumed.held).len(), 1);
    assert_eq!(pair.first.stored("juliet").await, 1, "the claimant's copy is not freed");
}

#[tokio::test]
async fn a_claimant_that_dies_leaves_the_session_to_its_owner() {
    let pair = Pair::start().await;
    let account = pair.first.account("juliet").await;
    let name = crate::c2s::moving::name(account, &pair.token);
    pair.first.c2s.freeze(&name, pair.wires[1].me).await.unwrap();
    let nodes = &pair.first.c2s.router.nodes;
    let mut view = nodes.current();
    view.members.retain(|member| member.node != pair.wires[1].me);
    nodes.view(View { epoch: 2, ..view });
    let is_thawed = async || pair.first.c2s.frozen.0.lock().is_empty();
    eventually("it is thawed", is_thawed).await;
    assert!(pair.resume(&pair.first, 1).await.is_ok());
}

#[tokio::test]
async fn without_an_owner_there_is_nothing_to_resume() {
    let pair = Pair::start().await;
    pair.peers.lock().remove(&pair.wires[0].me);
    assert!(pair.resume(&pair.second, 1).await.is_err());
}
