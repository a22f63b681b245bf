use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use hearth_plugin_api::testing::{FakeHost, block_on};

use hearth_plugin_api::{Error, ErrorKind};
use smallvec::smallvec;

use super::*;
use crate::Enterprise;
use crate::engine::Hub;

/// Core that does as it is told, and remembers.
struct Told {
    node: u32,
    incarnation: AtomicI64,
    done: Mutex<Vec<Action>>,
    /// How often it does not manage to leave in time.
    late: AtomicI64,
    /// What is to be sent, and what was heard.
    post: Mutex<Vec<(Member, Bytes)>>,
    heard: Mutex<Vec<(Member, Bytes)>>,
}

impl Core for Arc<Told> {
    fn me(&self) -> Member {
        Member { node: self.node, incarnation: self.incarnation.load(Ordering::Relaxed) }
    }

    async fn may_found(&self) -> Result<bool> {
        Ok(true)
    }

    async fn perform(&self, action: &Action, _: &Snapshot) -> Result<()> {
        let is_late = || self.late.fetch_sub(1, Ordering::Relaxed) > 0;
        if matches!(action, Action::Leave) && is_late() {
            return Err(Error::new(ErrorKind::Timeout, "the database did not answer in time"));
        }
        if let Action::Fence(_) = action {
            self.incarnation.fetch_add(1, Ordering::Relaxed);
        }
        self.done.lock().expect("no panic").push(action.clone());
        Ok(())
    }
}

impl Carry for Arc<Told> {
    type Sample = Bytes;

    fn hear(&self, from: Member, bytes: Bytes, _: Duration) {
        self.heard.lock().expect("no panic").push((from, bytes));
    }

    fn samples(&self, _: Duration, _: bool) -> ForAll<Bytes> {
        let post = std::mem::take(&mut *self.post.lock().expect("no panic"));
        post.into_iter().map(|(member, sample)| (member, smallvec![sample])).collect()
    }
}

type Process = (Arc<Told>, Driver<Arc<Told>, Hub, Arc<Told>>);

/// Nodes of one process with one database.
struct Room {
    server: FakeHost,
    hub: Hub,
    nodes: Vec<Process>,
}

impl Room {
    fn of(nodes: u32) -> Room {
        let room = Room::unlicensed(nodes);
        block_on(office::start_evaluation(&room.server.host(), "admin")).expect("started");
        room
    }

    fn unlicensed(nodes: u32) -> Room {
        let room = Room::off(nodes);
        room.enable();
        room
    }

    /// Clustering is disabled.
    fn off(nodes: u32) -> Room {
        let server = FakeHost::start::<Enterprise>().expect("it starts");
        let host = server.host();
        let hub = Hub::default();
        let start = |node| {
            let incarnation = AtomicI64::new(i64::from(node) * 100);
            let (done, post, heard) = (Mutex::default(), Mutex::default(), Mutex::default());
            let late = AtomicI64::new(0);
            let core = Arc::new(Told { node, incarnation, done, late, post, heard });
            let parts = (hub.clone(), core.clone());
            (core.clone(), Driver::new(host.clone(), core, parts, Arc::new(|| ())))
        };
        let nodes = (1..=nodes).map(start).collect();
        Room { server, hub, nodes }
    }

    fn enable(&self) {
        block_on(store::set_enabled(&self.server.host(), true, 1)).expect("enabled");
    }

    fn run(&self, time: Duration) {
        for _ in 0..time.as_millis() / 100 {
            self.server.advance(Duration::from_millis(100)).expect("time passes");
            for (_, driver) in &self.nodes {
                let about = About { protocol: 1, ..About::default() };
                driver.tick(&about);
                self.obey(driver);
                block_on(driver.beat(&about));
                self.obey(driver);
            }
        }
    }

    fn obey(&self, driver: &Driver<Arc<Told>, Hub, Arc<Told>>) {
        let obeyed = block_on(driver.obey());
        assert!(
            !obeyed.as_ref().is_err_and(|error| error.kind != ErrorKind::Timeout),
            "{obeyed:?}"
        );
    }

    fn members(&self) -> Vec<u32> {
        let view = block_on(store::snapshot(&self.server.host())).expect("rows").view;
        view.members.iter().map(|member| member.node).collect()
    }
}

#[test]
fn what_is_to_be_sent_leaves_when_it_is_asked_to() {
    let room = Room::of(2);
    room.run(Duration::from_secs(3));
    let [(first, sending), (second, hearing)] = &room.nodes[..] else { unreachable!() };
    let stanza = Bytes::from_static(b"\x01a stanza");
    first.post.lock().expect("no panic").push((second.me(), stanza.clone()));
    sending.flush();
    hearing.talk(false);
    assert_eq!(*second.heard.lock().expect("no panic"), [(first.me(), stanza)]);
}

#[test]
fn nodes_of_one_database_form_a_cluster() {
    let room = Room::of(3);
    room.run(Duration::from_secs(3));
    let mut members = room.members();
    members.sort_unstable();
    assert_eq!(members, [1, 2, 3]);
    for (core, driver) in &room.nodes {
        assert_eq!(driver.state(), State::Member);
        let done = core.done.lock().expect("no panic");
        let entered = done.iter().position(|action| matches!(action, Action::Enter(_)));
        let held = done.iter().position(|action| matches!(action, Action::Hold { .. }));
        assert!(entered.expect("entered") < held.expect("held"));
    }
}

#[test]
fn a_licence_that_comes_last_counts_at_once() {
    let room = Room::unlicensed(1);
    room.run(Duration::from_secs(2));
    assert!(room.members().is_empty(), "there is no licence");
    block_on(office::start_evaluation(&room.server.host(), "admin")).expect("started");
    room.run(Duration::from_secs(1));
    assert_eq!(room.members(), [1]);
}

#[test]
fn a_licence_that_came_right_before_clustering_was_enabled_counts() {
    let room = Room::off(1);
    room.run(Duration::from_secs(2));
    block_on(office::start_evaluation(&room.server.host(), "admin")).expect("started");
    room.enable();
    room.run(Duration::from_secs(1));
    assert_eq!(room.members(), [1]);
    let is_refusal = |(_, line): &(u32, String)| line.contains("may not join");
    assert!(!room.server.logs().iter().any(is_refusal), "{:?}", room.server.logs());
}

#[test]
fn who_could_not_leave_tries_again() {
    let room = Room::of(1);
    room.run(Duration::from_secs(2));
    let core = &room.nodes[0].0;
    core.late.store(2, Ordering::Relaxed);
    block_on(store::set_enabled(&room.server.host(), false, 1)).expect("disabled");
    room.run(Duration::from_secs(4));
    let done = core.done.lock().expect("no panic");
    assert!(done.contains(&Action::Leave), "{done:?}");
}

#[test]
fn who_stops_leaves_and_the_others_take_over_at_once() {
    let room = Room::of(3);
    room.run(Duration::from_secs(3));
    let gone = room.nodes[1].0.me();
    block_on(room.nodes[1].1.stop()).expect("stopped");
    let fenced = room.nodes[1].0.done.lock().expect("no panic").clone();
    assert!(matches!(fenced.last(), Some(Action::Fence(_))), "{fenced:?}");
    let room = Room { nodes: room.nodes.into_iter().filter(|it| it.0.node != 2).collect(), ..room };
    room.run(Duration::from_secs(1));
    assert!(!room.members().contains(&2));
    let dropped = |core: &Told| {
        let done = core.done.lock().expect("no panic");
        done.iter().any(|it| matches!(it, Action::DropNode { member, .. } if *member == gone))
    };
    assert!(room.nodes.iter().all(|(core, _)| dropped(core)));
}

#[test]
fn a_cut_link_costs_one_its_place_and_mended_it_comes_back() {
    let room = Room::of(3);
    room.run(Duration::from_secs(6));
    let before = room.nodes.iter().map(|(core, _)| core.me()).collect::<Vec<_>>();
    room.hub.cut(1, 2);
    room.run(Duration::from_secs(6));
    assert_eq!(room.members().len(), 2);
    room.hub.mend(1, 2);
    room.run(Duration::from_secs(3));
    assert_eq!(room.members().len(), 3);
    let after = room.nodes.iter().map(|(core, _)| core.me()).collect::<Vec<_>>();
    assert_ne!(before, after, "it came back as another run");
}

#[test]
fn who_misses_a_member_looks_more_often() {
    let room = Room::of(2);
    room.run(Duration::from_secs(3));
    let beats = || {
        let next = || room.nodes[0].1.inner().next_beat;
        let has_beaten = |_: &i32| {
            let before = next();
            room.run(Duration::from_millis(100));
            next() != before
        };
        (0..10).filter(has_beaten).count()
    };
    assert!(beats() <= 3, "a quiet cluster");
    room.hub.cut(1, 2);
    assert!(beats() >= 8, "soon one of them is put out");
}

#[test]
fn without_an_answer_of_the_database_a_beat_has_failed() {
    let server = FakeHost::start::<Enterprise>().expect("it starts");
    let host = server.host();
    let waiting = std::thread::spawn(move || {
        let never = std::future::pending::<Result<()>>();
        block_on(within(&host, PATIENCE, DATABASE, never)).expect_err("too late").kind
    });
    while !waiting.is_finished() {
        server.advance(PATIENCE).expect("time passes");
        std::thread::yield_now();
    }
    assert_eq!(waiting.join().expect("no panic"), ErrorKind::Timeout);
}
