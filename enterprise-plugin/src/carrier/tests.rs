use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use hearth_plugin_api::cluster::Known;
use hearth_plugin_api::testing::{FakeHost, block_on};
use hearth_plugin_api::{Error, ErrorKind, cluster};

use super::*;
use crate::engine::Piece;
use crate::membership::{self, Change};
use crate::store;
use crate::{Enterprise, protocol};

/// Core of one node: what it was told.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<Core>>);

#[derive(Default)]
struct Core {
    received: Vec<(Node, u64, Vec<u8>)>,
    acks: Vec<(Node, Ack)>,
    ready: usize,
    /// By node: the next change, and all sessions.
    known: BTreeMap<Node, (u64, BTreeMap<String, Delta>)>,
    /// This node's own.
    seq: u64,
    own: BTreeMap<String, Delta>,
    invalidated: Vec<String>,
    frozen: Vec<String>,
    released: Vec<String>,
    thawed: Vec<String>,
    owned: Vec<String>,
    disowned: Vec<(String, u32)>,
    refuses: Option<Error>,
    /// Happens right after the directory was taken, once.
    meanwhile: Option<Box<dyn FnOnce() + Send>>,
}

impl Told {
    fn core(&self) -> MutexGuard<'_, Core> {
        self.0.lock().expect("no panic")
    }

    /// A session comes.
    fn change(&self, resource: &str) -> (u64, Delta) {
        let mut core = self.core();
        core.seq += 1;
        let delta = Delta {
            gone: false,
            host: 0,
            account: "user".to_owned(),
            resource: resource.to_owned(),
            session: core.seq,
            epoch: 1,
            bound_ms: 5,
            priority: 0,
            flags: 0,
        };
        core.own.insert(resource.to_owned(), delta.clone());
        (core.seq, delta)
    }
}

/// A session comes, and the others are told.
fn bind(told: &Told, carrier: &Carrier<Told>, resource: &str) {
    let (seq, delta) = told.change(resource);
    carrier.sessions_changed(seq, &[delta]);
}

impl Seam for Told {
    fn receive(&self, from: Node, envelopes: &[Envelope<'_>]) -> Result<()> {
        let mut core = self.core();
        if let Some(error) = &core.refuses {
            return Err(error.clone());
        }
        let all = envelopes.iter().map(|it| (from, it.ticket, it.bytes.to_vec()));
        core.received.extend(all);
        Ok(())
    }

    fn acknowledged(&self, from: Node, acks: &[Ack]) -> Result<()> {
        self.core().acks.extend(acks.iter().map(|ack| (from, *ack)));
        Ok(())
    }

    fn ready(&self, _: Node) {
        self.core().ready += 1;
    }

    fn apply(&self, node: Node, seq: u64, deltas: &[Delta]) -> Result<u64> {
        let mut core = self.core();
        let (next, all) = core.known.entry(node).or_default();
        if seq > *next {
            return Ok(*next);
        }
        for delta in deltas.iter().skip((*next - seq) as usize) {
            match delta.gone {
                true => all.remove(&delta.resource),
                false => all.insert(delta.resource.clone(), delta.clone()),
            };
            *next += 1;
        }
        Ok(*next)
    }

    fn replace(&self, node: Node, seq: u64, sessions: &[Delta]) -> Result<u64> {
        let all = sessions.iter().map(|it| (it.resource.clone(), it.clone())).collect();
        self.core().known.insert(node, (seq + 1, all));
        Ok(seq + 1)
    }

    fn directory(&self) -> (u64, Vec<Delta>) {
        let (directory, meanwhile) = {
            let mut core = self.core();
            ((core.seq, core.own.values().cloned().collect()), core.meanwhile.take())
        };
        meanwhile.into_iter().for_each(|happens| happens());
        directory
    }

    fn invalidated(&self, topic: &str, key: &str) {
        self.core().invalidated.push(format!("{topic}/{key}"));
    }

    async fn known(&self, node: Node) -> Result<Known> {
        let known = self.core().known.get(&node).cloned().unwrap_or_default();
        Ok(Known { next: known.0, sessions: known.1.into_values().collect() })
    }

    async fn freeze(&self, session: &str, _: Node) -> Result<Vec<u8>> {
        self.core().frozen.push(session.to_owned());
        Ok(vec![7; 200_000])
    }

    async fn release(&self, session: &str, _: Node) -> Result<()> {
        self.core().released.push(session.to_owned());
        Ok(())
    }

    async fn thaw(&self, session: &str) -> Result<()> {
        self.core().thawed.push(session.to_owned());
        Ok(())
    }

    async fn serve(&self, _: Node, method: &str, mut body: Vec<u8>) -> Result<Vec<u8>> {
        if method != "reverse" {
            return Err(Error::unsupported(method.to_owned()));
        }
        body.reverse();
        Ok(body)
    }

    async fn own(&self, (topic, key): (&str, &str), _: Node, _: i64) -> Result<()> {
        self.core().owned.push(format!("{topic}/{key}"));
        Ok(())
    }

    async fn disown(&self, (topic, key): (&str, &str), owner: Node) -> Result<()> {
        self.core().disowned.push((format!("{topic}/{key}"), owner.id));
        Ok(())
    }
}

/// Whoever asks for samples asks often.
fn ways() -> Ways {
    Ways { wake: Arc::new(|| ()), flush: Arc::new(|| ()) }
}

/// Nodes 1, 2, … of one cluster, and a network that loses and reorders.
struct Net {
    nodes: Vec<(Member, Carrier<Told>, Told)>,
    server: FakeHost,
    now: Duration,
    chance: u64,
    is_bad: bool,
    dead: Vec<u32>,
}

impl Net {
    fn of(count: u32) -> Net {
        let server = FakeHost::start::<Enterprise>().expect("it starts");
        let tasks = Tasks::default();
        tasks.start().expect("a thread");
        let node = |node| {
            let carrier = Carrier::new(server.host(), tasks.clone(), ways());
            let told = Told::default();
            carrier.join(told.clone());
            (Member { node, incarnation: 7 }, carrier, told)
        };
        let nodes = (1..=count).map(node).collect();
        let now = Duration::from_secs(1);
        let mut net = Net { nodes, server, now, chance: 1, is_bad: false, dead: Vec::new() };
        for count in 1..=count {
            net.agree(i64::from(count), &(1..=count).collect::<Vec<_>>());
        }
        net.run(5);
        net
    }

    /// All members have a view, which is in the database.
    fn agree(&mut self, epoch: i64, members: &[u32]) {
        let node = |id: &u32| Node { id: *id, incarnation: 7 };
        let member = |id: &u32| cluster::Member {
            node: node(id),
            name: String::new(),
            version: String::new(),
            draining: false,
        };
        let all = members.iter().map(|id| node(id).into()).collect();
        let view = membership::View { epoch, members: all };
        let change = Change { view, departed: Vec::new(), happened: Vec::new() };
        let swapped = block_on(store::swap_view(&self.server.host(), &change));
        assert_eq!(swapped, Ok(true));
        let view = View { epoch, members: members.iter().map(member).collect() };
        for (me, carrier, _) in self.nodes.iter().filter(|(me, ..)| members.contains(&me.node)) {
            carrier.view(*me, view.clone(), |_| protocol::own());
        }
    }

    /// Another node enters the cluster, as its last.
    fn join(&mut self, node: u32) {
        let told = Told::default();
        let carrier = Carrier::new(self.server.host(), Tasks::default(), ways());
        carrier.join(told.clone());
        self.nodes.push((Member { node, incarnation: 7 }, carrier, told));
        self.agree(node.into(), &(1..=node).collect::<Vec<_>>());
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.chance =
            self.chance.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.chance >> 33) % bound
    }

    /// So many ticks of 100 ms.
    fn run(&mut self, ticks: usize) {
        for _ in 0..ticks {
            self.now += Duration::from_millis(100);
            let mut all = Vec::new();
            for (me, carrier, _) in self.nodes.iter().filter(|it| !self.dead.contains(&it.0.node)) {
                for (to, samples) in carrier.samples(self.now, true) {
                    all.extend(samples.iter().map(|sample| (*me, to, sample.to_bytes())));
                }
            }
            while !all.is_empty() {
                let at = if self.is_bad { self.below(all.len() as u64) as usize } else { 0 };
                let (from, to, bytes) = all.remove(at);
                let is_lost = self.is_bad && self.below(3) == 0;
                let to = self.nodes.iter().find(|(me, ..)| *me == to && !is_lost);
                if let Some((_, carrier, _)) = to.filter(|it| !self.dead.contains(&it.0.node)) {
                    carrier.hear(from, bytes, self.now);
                }
            }
        }
    }

    /// Runs until something asked has its answer.
    fn answer<T: Send + 'static>(&mut self, asked: impl Future<Output = T> + Send + 'static) -> T {
        let done = Arc::new(AtomicBool::new(false));
        let told = done.clone();
        let asking = std::thread::spawn(move || {
            let answer = block_on(asked);
            told.store(true, Ordering::Release);
            answer
        });
        let end = Instant::now() + Duration::from_secs(20);
        while !done.load(Ordering::Acquire) && Instant::now() < end {
            self.run(1);
            std::thread::yield_now();
        }
        asking.join().expect("no panic")
    }

    /// Waits until something is so.
    fn until(&mut self, what: &str, is_so: impl Fn(&Net) -> bool) {
        let end = Instant::now() + Duration::from_secs(20);
        while !is_so(self) {
            assert!(Instant::now() < end, "never: {what}");
            self.run(1);
            std::thread::yield_now();
        }
    }

    fn carrier(&self, node: u32) -> Carrier<Told> {
        self.nodes[node as usize - 1].1.clone()
    }

    fn core(&self, node: u32) -> MutexGuard<'_, Core> {
        self.nodes[node as usize - 1].2.core()
    }

    fn node(node: u32) -> Node {
        Node { id: node, incarnation: 7 }
    }

    fn send(&self, from: u32, to: u32, ticket: u64, bytes: &[u8]) -> Queued {
        self.carrier(from).deliver(Net::node(to), Envelope { lane: 3, ticket, bytes })
    }

    /// A session comes on a node, which tells of it.
    fn bind(&self, node: u32, resource: &str) {
        let (_, carrier, told) = &self.nodes[node as usize - 1];
        bind(told, carrier, resource);
    }

    /// The same, but nobody is told.
    fn change(&self, node: u32, resource: &str) -> u64 {
        self.nodes[node as usize - 1].2.change(resource).0
    }

    fn known(&self, here: u32, of: u32) -> Vec<String> {
        let core = self.core(here);
        let known = core.known.get(&Net::node(of));
        known.map(|(_, all)| all.keys().cloned().collect()).unwrap_or_default()
    }
}

#[test]
fn stanzas_arrive_once_and_in_order_whatever_the_network_does() {
    let mut net = Net::of(3);
    net.is_bad = true;
    for n in 0..400u64 {
        for (from, to) in [(1, 2), (2, 1), (3, 2)] {
            let bytes = vec![n as u8; 1 + (n as usize * 37) % 3000];
            assert_eq!(net.send(from, to, n + 1, &bytes), Queued::Queued);
        }
        net.run(usize::from(n % 5 == 0));
    }
    net.until("all arrived", |net| net.core(2).received.len() == 800);
    net.until("all arrived", |net| net.core(1).received.len() == 400);
    let core = net.core(2);
    for from in [1, 3] {
        let tickets = core.received.iter().filter(|it| it.0 == Net::node(from)).map(|it| it.1);
        assert!(tickets.eq(1..=400), "from {from}");
    }
    assert!(core.received.iter().all(|(_, ticket, bytes)| bytes[0] == (ticket - 1) as u8));
}

#[test]
fn large_envelopes_cross_and_acknowledgements_come_back() {
    let mut net = Net::of(2);
    let large = vec![9; 500_000];
    assert_eq!(net.send(1, 2, 44, &large), Queued::Queued);
    net.until("it arrived", |net| !net.core(2).received.is_empty());
    assert_eq!(net.core(2).received, [(Net::node(1), 44, large)]);
    let ack = Ack { ticket: 44, outcome: Outcome::Committed };
    net.carrier(2).acknowledge(Net::node(1), &[ack]);
    net.until("it came back", |net| net.core(1).acks == [(Net::node(2), ack)]);
}

#[test]
fn what_core_refuses_comes_back_as_refused() {
    // What comes to a node that does not serve is no error worth a line for each stanza.
    let cases = [(Error::invalid("not today"), 1), (Error::unavailable("does not serve"), 0)];
    for (error, lines) in cases {
        let mut net = Net::of(2);
        net.core(2).refuses = Some(error);
        net.send(1, 2, 5, b"x");
        let refused = Ack { ticket: 5, outcome: Outcome::Refused };
        net.until("it came back", |net| net.core(1).acks == [(Net::node(2), refused)]);
        let logs = net.server.logs();
        assert_eq!(logs.iter().filter(|(_, line)| line.contains("are refused")).count(), lines);
    }
}

#[test]
fn a_full_outbox_says_so_and_when_there_is_room() {
    let mut net = Net::of(2);
    let bytes = vec![0; 60_000];
    let mut sent = 0;
    while net.send(1, 2, 0, &bytes) == Queued::Queued {
        sent += 1;
        assert!(sent < 1000, "there is no bound");
    }
    assert!(sent > 100, "{sent} are too few");
    assert_eq!(net.send(1, 2, 0, b"x"), Queued::Full);
    assert_eq!(net.core(1).ready, 0);
    net.until("there is room", |net| net.core(1).ready == 1);
    assert_eq!(net.send(1, 2, 0, b"x"), Queued::Queued);
    net.until("all arrived", |net| net.core(2).received.len() == sent + 1);
}

#[test]
fn directories_are_equal_whatever_the_network_does() {
    let mut net = Net::of(3);
    net.is_bad = true;
    for n in 0..50 {
        net.bind(1, &format!("one{n}"));
        net.bind(2, &format!("two{n}"));
        net.run(1);
    }
    for (here, of) in [(2, 1), (3, 1), (1, 2), (3, 2)] {
        net.until("it is complete", |net| net.known(here, of).len() == 50);
    }
    net.is_bad = false;
    let carrier = net.carrier(3);
    let compared = net.answer(async move { carrier.compare().await });
    let counts: Vec<_> = compared.iter().map(|it| (it.node, it.equal, it.here, it.there)).collect();
    assert_eq!(counts, [(1, true, 50, 50), (2, true, 50, 50)]);
}

#[test]
fn a_gap_is_mended_by_the_whole_directory_and_a_difference_is_named() {
    let mut net = Net::of(2);
    net.bind(1, "a");
    net.until("it is there", |net| net.known(2, 1) == ["a"]);
    net.change(1, "unheard");
    net.bind(1, "b");
    net.until("it is mended", |net| net.known(2, 1) == ["a", "b", "unheard"]);
    net.core(1).own.remove("a");
    net.change(1, "c");
    let carrier = net.carrier(2);
    let done = Arc::new(AtomicBool::new(false));
    let told = done.clone();
    let asking = std::thread::spawn(move || {
        let compared = block_on(carrier.compare());
        told.store(true, Ordering::Release);
        compared
    });
    while !done.load(Ordering::Acquire) {
        net.run(1);
        // Slowly: who asks has only so much patience, and threads of his own.
        net.server.advance(Duration::from_millis(5)).expect("time passes");
        std::thread::sleep(Duration::from_millis(1));
    }
    let compared = asking.join().expect("no panic");
    assert!(!compared[0].equal);
    let found: Vec<_> =
        compared[0].differences.iter().map(|(at, what)| (at.as_str(), *what)).collect();
    assert_eq!(found, [("user/a", "gone"), ("user/c", "missing")]);
}

#[test]
fn what_changes_while_the_directory_is_taken_is_told_too() {
    let mut net = Net::of(2);
    let (_, carrier, told) = net.nodes[0].clone();
    carrier.state().peers.values_mut().for_each(|peer| peer.is_behind = true);
    net.bind(1, "unheard");
    let happens = {
        let told = told.clone();
        move || bind(&told, &carrier, "late")
    };
    told.core().meanwhile = Some(Box::new(happens));
    net.until("both are there", |net| net.known(2, 1) == ["late", "unheard"]);
}

#[test]
fn many_sessions_cross_in_several_messages() {
    let mut net = Net::of(1);
    for n in 0..25_000 {
        net.change(1, &format!("{n:0>60}"));
    }
    net.join(2);
    net.until("it knows all", |net| net.known(2, 1).len() == 25_000);
    assert_eq!(net.core(2).known[&Net::node(1)].0, 25_001);
    assert_eq!(wire::directory(1, net.core(1).own.values().cloned().collect()).len(), 3);
}

#[test]
fn what_is_too_large_for_a_message_is_told_to_who_asks() {
    let net = Net::of(2);
    let carrier = net.carrier(1);
    let body = vec![0; wire::LARGEST + 1];
    let error = block_on(carrier.request(Net::node(2), "reverse", body)).expect_err("too large");
    assert_eq!(error.kind, ErrorKind::Invalid);
}

#[test]
fn who_comes_later_is_told_all_and_everybody_hears_of_changes() {
    let mut net = Net::of(1);
    net.bind(1, "early");
    net.join(2);
    net.until("it is told", |net| net.known(2, 1) == ["early"]);
    net.carrier(1).invalidate("roster", "user");
    let heard = |net: &Net| net.core(2).invalidated.contains(&"roster/user".to_owned());
    net.until("it has heard", heard);
}

#[test]
fn what_waits_for_a_node_that_is_gone_is_let_go() {
    let mut net = Net::of(2);
    net.dead.push(2);
    assert_eq!(net.send(1, 2, 1, b"lost"), Queued::Queued);
    let carrier = net.carrier(1);
    let asked = carrier.clone();
    let asking = std::thread::spawn(move || {
        block_on(asked.request(Net::node(2), "reverse", b"abc".to_vec()))
    });
    net.until("it is asked", |net| net.carrier(1).state().questions.is_waiting());
    net.agree(3, &[1]);
    assert_eq!(net.send(1, 2, 2, b"lost"), Queued::Queued, "core has not taken over yet");
    carrier.forget(Member { node: 2, incarnation: 7 });
    assert_eq!(net.send(1, 2, 3, b"x"), Queued::Gone);
    let error = asking.join().expect("no panic").expect_err("it is gone");
    assert_eq!(error.kind, ErrorKind::Unavailable);
}

#[test]
fn requests_are_answered_by_the_other_core() {
    let mut net = Net::of(2);
    let ask = |method: &'static str| {
        let carrier = net.carrier(1);
        async move { carrier.request(Net::node(2), method, b"abc".to_vec()).await }
    };
    let (good, bad) = (ask("reverse"), ask("dance"));
    assert_eq!(net.answer(good), Ok(b"cba".to_vec()));
    assert_eq!(net.answer(bad).expect_err("unknown").kind, ErrorKind::Unsupported);
}

#[test]
fn a_session_moves_once() {
    let mut net = Net::of(3);
    let claim = |from: u32| {
        let carrier = net.carrier(from);
        async move { carrier.claim(Node { id: 2, incarnation: 0 }, "s1").await }
    };
    let claimed = |from: u32, imported| {
        let carrier = net.carrier(from);
        async move { carrier.claimed(Net::node(2), "s1", imported).await }
    };
    let (first, stranger, done, late) =
        (claim(1), claimed(3, true), claimed(1, true), claimed(1, true));
    let (again, not_imported) = (claim(3), claimed(3, false));
    assert_eq!(net.answer(first).expect("exported").len(), 200_000);
    assert_eq!(net.answer(stranger).expect_err("not its").kind, ErrorKind::Conflict);
    assert_eq!(net.answer(done), Ok(()));
    assert_eq!(net.core(2).released, ["s1"]);
    assert_eq!(net.answer(late).expect_err("twice").kind, ErrorKind::Conflict);
    net.answer(again).expect("exported");
    assert_eq!(net.answer(not_imported), Ok(()));
    assert_eq!(net.core(2).thawed, ["s1"]);
    let nobody = net.carrier(1);
    let gone = net.answer(async move { nobody.claim(Node { id: 9, incarnation: 0 }, "s").await });
    assert_eq!(gone.expect_err("no such node").kind, ErrorKind::NotFound);
}

#[test]
fn a_session_goes_on_when_its_claimant_is_gone() {
    let mut net = Net::of(2);
    let carrier = net.carrier(1);
    net.answer(async move { carrier.claim(Net::node(2), "s1").await }).expect("exported");
    net.carrier(2).forget(Member { node: 1, incarnation: 7 });
    net.until("it goes on", |net| net.core(2).thawed == ["s1"]);
}

#[test]
fn a_key_has_one_owner_and_its_deputy_goes_on() {
    let mut net = Net::of(3);
    let carrier = net.carrier(1);
    let taken = net.answer(async move { carrier.acquire("room", "tea").await }).expect("taken");
    assert_eq!(taken.owner, Net::node(1));
    assert_ne!(taken.deputy, Net::node(1));
    net.until("all know", |net| {
        [2, 3].iter().all(|node| net.carrier(*node).owner("room", "tea") == taken)
    });
    let other = net.carrier(2);
    let same = net.answer(async move { other.acquire("room", "tea").await }).expect("told");
    assert_eq!(same, taken);
    net.dead.push(1);
    net.agree(4, &[2, 3]);
    for node in [2, 3] {
        net.carrier(node).forget(Member { node: 1, incarnation: 7 });
    }
    let deputy = taken.deputy.id;
    net.until("it goes on", |net| net.core(deputy).owned == ["room/tea"]);
    let owners = |net: &Net| [2, 3].map(|node| net.carrier(node).owner("room", "tea").owner.id);
    net.until("all know", |net| owners(net) == [deputy; 2]);
    let carrier = net.carrier(deputy);
    net.answer(async move { carrier.give_up("room", "tea").await }).expect("given up");
}

#[test]
fn who_is_about_to_leave_lets_go_of_its_keys() {
    let mut net = Net::of(2);
    let carrier = net.carrier(1);
    net.answer(async move { carrier.acquire("room", "tea").await }).expect("taken");
    let carrier = net.carrier(1);
    net.answer(async move { carrier.let_go_of_keys().await }).expect("let go");
    assert_eq!(net.core(1).disowned, [("room/tea".to_owned(), 2)]);
    let other = net.carrier(2);
    let taken = net.answer(async move { other.acquire("room", "tea").await }).expect("taken");
    assert_eq!(taken.owner, Net::node(2));
}
