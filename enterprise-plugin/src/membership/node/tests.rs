use std::collections::{BTreeMap, BTreeSet};

use time::macros::date;

use super::*;
use crate::licence::Standing;
use crate::licence::standing::Grant;
use crate::membership::{About, NodeRow};

const TICK: Duration = Duration::from_millis(50);

/// Small and repeatable.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) % bound
    }
}

fn standings(members: u32) -> Vec<Standing> {
    vec![Standing::Holds(Grant { holder: None, expires: date!(2030 - 01 - 01), members })]
}

/// One process, and core's side of it: who it thinks it may serve.
struct Process {
    me: Member,
    node: Node,
    /// What core holds: the view and the end of the term.
    core: Option<(View, Duration)>,
    dropped: BTreeSet<Member>,
    announced: BTreeSet<Member>,
    /// Ticks in which it does nothing: it is stopped.
    stopped: u64,
    next_beat: Duration,
    /// An answer of the database on its way.
    on_its_way: Option<(Duration, Beat)>,
    words: BTreeMap<Member, (Duration, Word)>,
    down_since: BTreeMap<Member, Duration>,
    has_left: bool,
}

impl Process {
    fn acts(&self, now: Duration) -> bool {
        self.core.as_ref().is_some_and(|(_, until)| now < *until)
    }
}

struct World {
    now: Duration,
    chance: Chance,
    members: u32,
    rows: BTreeMap<u32, (NodeRow, Duration)>,
    view: View,
    departed: Vec<Departed>,
    enabled: bool,
    processes: BTreeMap<u32, Process>,
    /// Who does not reach the database.
    cut_off: BTreeSet<u32>,
    cut: BTreeSet<(u32, u32)>,
    incarnations: i64,
    views: BTreeMap<i64, View>,
    log: Vec<(Member, Happened)>,
}

impl World {
    fn new(seed: u64, nodes: u32) -> World {
        let mut world = World {
            now: Duration::from_secs(100),
            chance: Chance(seed),
            members: nodes,
            rows: BTreeMap::new(),
            view: View::default(),
            departed: Vec::new(),
            enabled: true,
            processes: BTreeMap::new(),
            cut_off: BTreeSet::new(),
            cut: BTreeSet::new(),
            incarnations: 0,
            views: BTreeMap::new(),
            log: Vec::new(),
        };
        (1..=nodes).for_each(|node| world.start(node));
        world
    }

    fn incarnation(&mut self, node: u32) -> Member {
        self.incarnations += 1;
        Member { node, incarnation: self.incarnations }
    }

    fn start(&mut self, node: u32) {
        let me = self.incarnation(node);
        let process = Process {
            me,
            node: Node::default(),
            core: None,
            dropped: BTreeSet::new(),
            announced: BTreeSet::new(),
            stopped: 0,
            next_beat: self.now,
            on_its_way: None,
            words: BTreeMap::new(),
            down_since: BTreeMap::new(),
            has_left: false,
        };
        self.processes.insert(node, process);
    }

    fn is_linked(&self, a: u32, b: u32) -> bool {
        let lives = |node| self.processes.get(&node).is_some_and(|it: &Process| it.stopped == 0);
        let is_cut = self.cut.contains(&(a, b)) || self.cut.contains(&(b, a));
        lives(a) && lives(b) && !is_cut
    }

    fn snapshot(&self) -> Snapshot {
        let rows = self.rows.values().map(|(row, at)| NodeRow {
            silent_ms: (self.now - *at).as_millis() as i64,
            ..row.clone()
        });
        Snapshot {
            view: self.view.clone(),
            enabled: self.enabled,
            departed: self.departed.clone(),
            nodes: rows.collect(),
        }
    }

    fn peers(&mut self, node: u32) -> Vec<Peer> {
        let others: Vec<_> =
            self.view.members.iter().filter(|it| it.node != node).copied().collect();
        let mut peers = Vec::new();
        for member in others {
            let runs = self.processes.get(&member.node).is_some_and(|it| it.me == member);
            let is_up = runs && self.is_linked(node, member.node);
            let word = runs.then(|| self.processes[&member.node].node.word(self.now));
            let now = self.now;
            let Some(process) = self.processes.get_mut(&node) else { continue };
            let link = match (is_up, runs) {
                (true, _) => Link::Up,
                (false, false) => Link::Refused,
                (false, true) => Link::Down(now - *process.down_since.entry(member).or_insert(now)),
            };
            if let (true, Some(word)) = (is_up, word) {
                process.down_since.remove(&member);
                process.words.insert(member, (now, word));
            }
            peers.push(Peer { member, link, word: process.words.get(&member).copied() });
        }
        peers
    }

    /// Sends a beat when one is due; its answer takes its time.
    fn beat(&mut self, node: u32, peers: &[Peer]) {
        let process = &self.processes[&node];
        let is_due = self.now >= process.next_beat && process.on_its_way.is_none();
        if !is_due || self.cut_off.contains(&node) {
            return;
        }
        let links = peers.iter().filter(|peer| peer.link == Link::Up).map(|peer| peer.member);
        let (state, name) = (process.node.state(), "n".to_owned());
        let about = About { state, name, protocol: 1, ..About::default() };
        let known = self.rows.get(&node).is_some_and(|(row, _)| row.known);
        let (member, links) = (process.me, links.collect());
        let row = NodeRow { member, silent_ms: 0, links, about, drain: 0, known };
        self.rows.insert(node, (row, self.now));
        let beat = Beat { sent: self.now, snapshot: self.snapshot() };
        let arrival = self.now + Duration::from_millis(self.chance.below(120));
        if let Some(process) = self.processes.get_mut(&node) {
            process.on_its_way = Some((arrival, beat));
            process.next_beat = self.now + process.node.pace();
        }
    }

    fn step(&mut self, node: u32) {
        let peers = self.peers(node);
        self.beat(node, &peers);
        let (now, about) = (self.now, About { protocol: 1, ..About::default() });
        let terms = Terms::new(standings(self.members), about, true);
        let Some(process) = self.processes.get_mut(&node) else { return };
        let arrived = process.on_its_way.take_if(|(at, _)| now >= *at);
        let beat = arrived.map(|(_, beat)| beat);
        let before = process.node.state();
        let me = process.me;
        let actions = process.node.step(Input { now, me, beat, peers: &peers, terms: &terms });
        if process.node.state() != before {
            process.next_beat = now;
        }
        for action in actions {
            self.perform(node, action);
        }
    }

    fn perform(&mut self, node: u32, action: Action) {
        let fresh = self.incarnation(node);
        let reaches = !self.cut_off.contains(&node);
        let Some(process) = self.processes.get_mut(&node) else { return };
        match action {
            Action::Enter(view) => {
                process.core = Some((view, Duration::ZERO));
                process.dropped.clear();
            }
            Action::View(view) => process.core.iter_mut().for_each(|it| it.0 = view.clone()),
            Action::Hold { until, .. } => process.core.iter_mut().for_each(|it| it.1 = until),
            Action::DropNode { member, announce } => {
                process.dropped.insert(member);
                process.announced.extend(announce.then_some(member));
            }
            Action::Fence(_) => (process.core, process.me) = (None, fresh),
            Action::Leave => process.has_left = true,
            Action::Propose(change) => {
                process.next_beat = self.now;
                if reaches && change.view.epoch == self.view.epoch + 1 {
                    self.swap(change);
                }
            }
            Action::Drain(_) => {}
        }
    }

    fn swap(&mut self, change: Change) {
        for member in &change.view.members {
            self.rows.entry(member.node).and_modify(|(row, _)| row.known = true);
        }
        self.log.extend(change.happened);
        (self.view, self.departed) = (change.view, change.departed);
    }

    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.now += TICK;
            let nodes: Vec<u32> = self.processes.keys().copied().collect();
            for node in nodes {
                let stopped = self.processes.get_mut(&node).map_or(0, |process| {
                    process.stopped = process.stopped.saturating_sub(1);
                    process.stopped
                });
                if stopped == 0 {
                    self.step(node);
                }
            }
            self.check();
        }
    }

    /// What must never happen.
    fn check(&mut self) {
        let acting: Vec<&Process> =
            self.processes.values().filter(|process| process.acts(self.now)).collect();
        for process in &acting {
            let (view, _) = process.core.as_ref().expect("it acts");
            let same = self.views.entry(view.epoch).or_insert_with(|| view.clone());
            assert_eq!(same, view, "one epoch, two views");
            let other = acting.iter().find(|other| process.dropped.contains(&other.me));
            let both = other.map(|other| (&process.node, &other.node));
            assert!(both.is_none(), "taken over from who acts, at {:?}: {both:?}", self.now);
        }
        let seniors = acting.iter().filter(|process| process.node.is_senior());
        assert!(seniors.count() <= 1, "two seniors at {:?}: {:?}", self.now, self.view);
    }

    fn acting(&self) -> Vec<u32> {
        let acting = self.processes.iter().filter(|(_, process)| process.acts(self.now));
        acting.map(|(node, _)| *node).collect()
    }

    fn is_whole(&self) -> bool {
        let all = self.acting().len() == self.processes.len();
        let same = |process: &Process| process.core.as_ref().is_some_and(|it| it.0 == self.view);
        all && self.processes.values().all(same) && self.view.members.len() == self.processes.len()
    }

    /// How long it takes until all that live act in one view.
    fn until_whole(&mut self, at_most: Duration) -> Duration {
        let start = self.now;
        while !self.is_whole() {
            let (acting, view) = (self.acting(), &self.view);
            assert!(self.now - start < at_most, "{acting:?} in {view:?}: {:?}", self.log);
            self.run(TICK);
        }
        self.now - start
    }
}

const S: Duration = Duration::from_secs(1);

fn whole(seed: u64, nodes: u32) -> World {
    let mut world = World::new(seed, nodes);
    world.until_whole(3 * S);
    // Everybody has beaten long enough to judge.
    world.run(5 * S);
    world
}

#[test]
fn a_cluster_forms_itself() {
    for seed in 0..50 {
        let mut world = World::new(seed, 1);
        world.until_whole(S);
        world.members = 5;
        world.start(2);
        world.until_whole(S);
        (3..=5).for_each(|node| world.start(node));
        world.until_whole(2 * S);
    }
}

#[test]
fn a_killed_node_leaves_the_view_and_comes_back() {
    for seed in 0..50 {
        let mut world = whole(seed, 3);
        world.processes.remove(&1);
        world.until_whole(3 * S);
        let others = |world: &World| world.processes.values().all(|it| !it.dropped.is_empty());
        assert!(others(&world), "taken over at once");
        world.start(1);
        world.until_whole(2 * S);
    }
}

/// The senior is to announce who is gone, and may be gone himself.
#[test]
fn whoever_is_gone_is_announced_by_a_living_member() {
    let pairs = [(1, 2), (2, 1), (1, 3), (4, 1), (3, 4)];
    for (seed, (one, other)) in (0..50).zip(pairs.into_iter().cycle()) {
        let mut world = whole(seed, 4);
        let gone = [one, other].map(|node| world.processes[&node].me);
        world.processes.remove(&one);
        let later = world.chance.below(3000);
        world.run(Duration::from_millis(later));
        world.processes.remove(&other);
        world.until_whole(6 * S);
        let announced = |member: &Member| {
            world.processes.values().any(|process| process.announced.contains(member))
        };
        // Whoever was announced by the one who went afterwards may be announced again, or not.
        assert!(gone.iter().all(announced), "{seed}: {gone:?} after {later} ms");
    }
}

#[test]
fn a_node_that_is_restarted_at_once_is_another_member() {
    let mut world = whole(1, 3);
    world.start(2);
    world.until_whole(3 * S);
    assert!(
        world.log.iter().any(|(member, what)| member.node == 2 && *what == Happened::Restarted)
    );
}

#[test]
fn a_stopped_node_has_fenced_itself_when_it_goes_on() {
    for seed in 0..50 {
        let mut world = whole(seed, 3);
        world.processes.get_mut(&1).expect("it runs").stopped = 200;
        world.run(4 * S);
        assert_eq!(world.acting(), [2, 3]);
        world.run(6 * S);
        world.until_whole(3 * S);
    }
}

#[test]
fn without_the_database_all_go_on_together() {
    for seed in 0..20 {
        let mut world = whole(seed, 5);
        let view = world.view.clone();
        world.cut_off = (1..=5).collect();
        world.run(20 * S);
        assert_eq!(world.acting(), [1, 2, 3, 4, 5]);
        world.cut_off.clear();
        world.run(10 * S);
        assert_eq!((world.is_whole(), &world.view), (true, &view), "nobody was put out for it");
    }
}

#[test]
fn without_the_database_for_too_long_nobody_acts() {
    let mut world = whole(1, 3);
    world.cut_off = (1..=3).collect();
    world.run(FREEZE + SILENT);
    assert_eq!(world.acting(), [0; 0]);
    world.cut_off.clear();
    world.until_whole(COLD);
}

#[test]
fn who_alone_misses_the_database_stands_by() {
    let mut world = whole(1, 3);
    world.cut_off.insert(2);
    world.run(8 * S);
    assert_eq!(world.acting(), [1, 3]);
    // Cut off from everybody as well.
    world.cut.extend([(1, 3), (2, 3)]);
    world.cut_off.insert(3);
    world.run(8 * S);
    assert_eq!(world.acting(), [1]);
}

#[test]
fn a_cut_link_costs_one_node_its_place() {
    let mut world = whole(1, 3);
    world.cut.insert((1, 3));
    world.run(8 * S);
    assert_eq!(world.acting(), [1, 2]);
    world.cut.clear();
    world.until_whole(5 * S);
}

#[test]
fn all_killed_and_started_find_each_other_at_once() {
    let mut world = whole(1, 3);
    world.processes.clear();
    world.run(S);
    (1..=3).for_each(|node| world.start(node));
    world.until_whole(4 * S);
}

#[test]
fn one_of_all_killed_goes_on_when_nobody_can_act_any_more() {
    let mut world = whole(1, 3);
    world.processes.clear();
    world.start(2);
    world.run(COLD - S);
    assert_eq!(world.acting(), [0; 0]);
    world.until_whole(5 * S);
}

#[test]
fn disabling_ends_all_and_lets_core_serve_alone() {
    let mut world = whole(1, 3);
    world.enabled = false;
    world.run(4 * S);
    assert_eq!(world.acting(), [0; 0]);
    assert!(world.processes.values().all(|process| process.has_left));
    world.enabled = true;
    world.until_whole(3 * S);
}

#[test]
fn the_licence_bounds_the_members_and_tells_why() {
    let mut world = World::new(1, 3);
    world.members = 2;
    world.run(5 * S);
    assert_eq!(world.acting().len(), 2);
    let refused = world.processes.values().find(|it| it.node.state() == State::Refused);
    let why = refused.expect("one is refused").node.refused().to_owned();
    assert!(why.contains("allows 2 members"), "{why}");
}

/// When the database is back all members have been silent, and still have their places.
#[test]
fn an_outage_lets_nobody_in_who_was_refused() {
    let mut world = whole(1, 3);
    world.start(4);
    world.run(2 * S);
    assert_eq!(world.processes[&4].node.state(), State::Refused);
    world.cut_off = (1..=4).collect();
    world.run(5 * S);
    for node in [4, 1, 2, 3] {
        world.cut_off.remove(&node);
        world.run(Duration::from_millis(1200));
        assert_eq!(world.view.members.len(), 3, "after node {node}: {:?}", world.view);
    }
}

#[test]
fn who_serves_another_domain_or_speaks_another_protocol_is_refused() {
    let member = |node| Member { node, incarnation: 1 };
    let about =
        |domain: &str, protocol| About { domain: domain.to_owned(), protocol, ..About::default() };
    let row = NodeRow {
        member: member(1),
        silent_ms: 0,
        links: Vec::new(),
        about: about("a.example", 3),
        drain: 0,
        known: true,
    };
    let view = View::default().with(member(1));
    let snapshot = Snapshot { view, nodes: vec![row], ..Snapshot::default() };
    let terms = Terms::new(standings(5), About::default(), true);
    let admit = |about: About| {
        let row = NodeRow { member: member(2), about, ..snapshot.nodes[0].clone() };
        terms.admits(&row, &snapshot.view, &snapshot)
    };
    assert_eq!(admit(about("a.example", 2)), Ok(()));
    assert!(admit(about("b.example", 3)).expect_err("refused").to_string().contains("b.example"));
    let older = admit(about("a.example", 1)).expect_err("refused").to_string();
    assert!(older.contains("version 1") && older.contains("upgrade"), "{older}");
}

/// Kills, stops, cuts and outages by chance: the checks hold at each tick, and all is well after.
#[test]
fn never_do_two_views_act_and_all_converge() {
    for seed in 0..60 {
        let mut world = whole(seed, 5);
        for _ in 0..12 {
            let (node, other) =
                (1 + world.chance.below(5) as u32, 1 + world.chance.below(5) as u32);
            match world.chance.below(9) {
                0 => drop(world.processes.remove(&node)),
                1 => world.start(node),
                2 => {
                    let ticks = world.chance.below(200);
                    world.processes.entry(node).and_modify(|process| process.stopped = ticks);
                }
                3 => drop(world.cut.insert((node, other))),
                4 => world.cut.clear(),
                5 => world.cut_off = (1..=5).collect(),
                6 => drop(world.cut_off.insert(node)),
                7 => world.cut_off.clear(),
                _ => world.cut = (3..=5).flat_map(|b| [(1, b), (2, b)]).collect(),
            }
            let time = Duration::from_millis(100 * world.chance.below(60));
            world.run(time);
        }
        world.cut.clear();
        world.cut_off.clear();
        world.run(12 * S);
        (1..=5)
            .filter(|node| !world.processes.contains_key(node))
            .collect::<Vec<_>>()
            .into_iter()
            .for_each(|node| world.start(node));
        world.until_whole(COLD + 10 * S);
    }
}

/// The view is the same, but who is about to leave is to get no keys.
#[test]
fn core_is_told_who_is_about_to_leave() {
    let member = |node| Member { node, incarnation: 1 };
    let row = |node, state| NodeRow {
        member: member(node),
        silent_ms: 0,
        links: Vec::new(),
        about: About { state, ..About::default() },
        drain: 0,
        known: true,
    };
    let terms = Terms::new(standings(5), About::default(), true);
    let (mut node, mut now) = (Node::default(), S);
    let mut is_told = |state| {
        now += BEAT;
        let view = View::default().with(member(1)).with(member(2));
        let nodes = vec![row(1, State::Member), row(2, state)];
        let snapshot = Snapshot { view, nodes, enabled: true, ..Snapshot::default() };
        let beat = Some(Beat { sent: now, snapshot });
        let actions = node.step(Input { now, me: member(1), beat, peers: &[], terms: &terms });
        actions.iter().any(|action| matches!(action, Action::Enter(_) | Action::View(_)))
    };
    let states = [State::Member, State::Member, State::Draining, State::Draining, State::Member];
    assert_eq!(states.map(&mut is_told), [true, false, true, false, true]);
}
