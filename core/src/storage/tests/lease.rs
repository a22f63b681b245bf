use std::time::Duration;

use super::super::lease::{
    self, Claim, Lease, LeaseError, MIGRATIONS, Mode, Reason, Seat, Serving, TERM,
};
use super::super::testing::{TestDb, backend_tests, postgres};
use super::super::{Db, migrate, params};
use crate::clock::{Clock, Timestamp};

backend_tests! { a_single_node_serves, the_state_can_be_watched_while_it_runs }

/// One process: its own handle, clock and seat.
struct Node {
    lease: Lease,
    seat: Seat,
    clock: Clock,
    db: Db,
}

impl Node {
    async fn new(test: &TestDb, number: u32) -> Node {
        let (db, clock) = (test.another().await, Clock::fake_of(number, Timestamp(0)));
        let seat = Seat::new(&clock);
        Node { lease: Lease::new(db.clone(), seat.clone()), seat, clock, db }
    }

    async fn renew(&self) -> Serving {
        self.lease.renew().await;
        self.serving()
    }

    fn serving(&self) -> Serving {
        self.seat.state().borrow().serving.clone()
    }

    /// What the server does: its doors are as the state says.
    fn follow(&self) {
        self.seat.followed(&self.seat.state().borrow().clone());
    }

    /// Enters a view, and may serve for two seconds.
    async fn enter(&self, epoch: i64) {
        self.seat.enter(&self.db, epoch).await.unwrap();
        self.hold(epoch);
        assert_eq!(self.serving(), Serving::Serving);
    }

    fn hold(&self, epoch: i64) {
        self.seat.hold(epoch, self.clock.boot() + Duration::from_secs(2)).unwrap();
    }

    async fn row(&self) -> lease::LeaseRow {
        self.db.read(|tx| Box::pin(lease::read(tx))).await.unwrap().unwrap()
    }
}

fn standby(reason: Reason) -> Serving {
    Serving::Standby { reason }
}

async fn server(test: &'static str) -> Option<TestDb> {
    let test = postgres(test).await?;
    migrate(&test.db, MIGRATIONS, Timestamp(0)).await.unwrap();
    Some(test)
}

/// Lets the lease run out on the database's clock.
async fn age(test: &TestDb) {
    let past = "UPDATE lease SET expires = expires - $1";
    let term = TERM.as_millis() as i64;
    let aged =
        test.db.write(move |tx| Box::pin(async move { tx.execute(past, params![term]).await }));
    aged.await.unwrap();
}

async fn a_single_node_serves(test: TestDb) {
    migrate(&test.db, MIGRATIONS, Timestamp(0)).await.unwrap();
    let node = Node::new(&test, 1).await;
    assert!(!node.seat.is_held());
    assert_eq!(node.renew().await, Serving::Serving);
    assert!(node.seat.is_held());
}

async fn the_state_can_be_watched_while_it_runs(test: TestDb) {
    migrate(&test.db, MIGRATIONS, Timestamp(0)).await.unwrap();
    let node = Node::new(&test, 1).await;
    let (mut state, seat) = (node.seat.state(), node.seat.clone());
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let running = tokio::spawn(node.lease.run(async move { stopped.await.unwrap_or_default() }));
    state.wait_for(|state| state.serving == Serving::Serving).await.unwrap();
    stop.send(()).unwrap();
    running.await.unwrap();
    assert_eq!(state.borrow().serving, standby(Reason::Stopping));
    assert!(!seat.is_held());
}

#[tokio::test]
async fn the_second_stands_by_until_the_first_is_stale() {
    let Some(test) = server("the_second_stands_by_until_the_first_is_stale").await else { return };
    let (first, second) = (Node::new(&test, 1).await, Node::new(&test, 2).await);
    assert_eq!(first.renew().await, Serving::Serving);
    assert_eq!(second.renew().await, standby(Reason::HeldBy(1)));
    assert_eq!(first.renew().await, Serving::Serving);
    age(&test).await;
    assert_eq!(second.renew().await, Serving::Serving);
    assert_eq!(first.renew().await, standby(Reason::HeldBy(2)));
    assert!(!first.seat.is_held() && second.seat.is_held());
}

#[tokio::test]
async fn a_holder_gives_up_before_others_may_take_over() {
    let Some(test) = server("a_holder_gives_up_before_others_may_take_over").await else { return };
    let node = Node::new(&test, 1).await;
    node.renew().await;
    // The process is stopped, or the database away: nothing is renewed while time goes on.
    node.clock.advance(TERM - Duration::from_millis(1100));
    assert!(node.seat.is_held());
    node.clock.advance(Duration::from_millis(100));
    assert!(!node.seat.is_held(), "a second before the row is stale");
    node.seat.expire();
    assert!(matches!(node.serving(), Serving::Standby { .. }));
}

#[tokio::test]
async fn a_restarted_node_is_somebody_else() {
    let Some(test) = server("a_restarted_node_is_somebody_else").await else { return };
    let before = Node::new(&test, 1).await;
    before.renew().await;
    let after = Node::new(&test, 1).await;
    assert_eq!(after.renew().await, standby(Reason::HeldBy(1)));
    age(&test).await;
    assert_eq!(after.renew().await, Serving::Serving);
}

#[tokio::test]
async fn a_lease_given_back_is_free_at_once() {
    let Some(test) = server("a_lease_given_back_is_free_at_once").await else { return };
    let (first, second) = (Node::new(&test, 1).await, Node::new(&test, 2).await);
    first.renew().await;
    first.lease.run(std::future::ready(())).await;
    assert_eq!(second.renew().await, Serving::Serving);
}

#[tokio::test]
async fn of_many_who_ask_at_once_one_serves() {
    let Some(test) = server("of_many_who_ask_at_once_one_serves").await else { return };
    let mut nodes = Vec::new();
    for number in 1..=6 {
        nodes.push(Node::new(&test, number).await);
    }
    let states = futures_util::future::join_all(nodes.iter().map(Node::renew)).await;
    assert_eq!(states.iter().filter(|state| **state == Serving::Serving).count(), 1);
}

#[tokio::test]
async fn a_writer_checks_the_lease_inside_its_transaction() {
    let Some(test) = server("a_writer_checks_the_lease_inside_its").await else { return };
    let (first, second) = (Node::new(&test, 1).await, Node::new(&test, 2).await);
    first.renew().await;
    let may = async |node: &Node| {
        let holder = node.seat.holder();
        let check = node.db.write(move |tx| {
            Box::pin(async move { lease::fenced(tx, holder, &Claim::Alone).await })
        });
        check.await.unwrap()
    };
    assert!(may(&first).await && !may(&second).await);
    age(&test).await;
    second.renew().await;
    assert!(!may(&first).await && may(&second).await);
}

#[tokio::test]
async fn the_clock_follows_the_database() {
    let Some(test) = server("the_clock_follows_the_database").await else { return };
    let node = Node::new(&test, 1).await;
    node.renew().await;
    let expires = node.row().await.expires;
    assert_eq!(node.clock.now() + TERM, expires);
}

#[tokio::test]
async fn who_serves_alone_goes_on_in_the_cluster_and_others_join_it() {
    let Some(test) = server("who_serves_alone_goes_on_in_the_cluster").await else { return };
    let (first, second) = (Node::new(&test, 1).await, Node::new(&test, 2).await);
    first.renew().await;
    second.renew().await;
    let refused = second.seat.enter(&second.db, 1).await;
    assert_eq!(refused, Err(LeaseError::Refused(Reason::HeldBy(1))));
    let before = first.seat.state().borrow().number;
    first.enter(1).await;
    assert_eq!(first.seat.state().borrow().number, before, "no client noticed");
    assert_eq!(second.renew().await, standby(Reason::Clustered));
    assert_eq!(second.seat.told().borrow().mode, "cluster");
    second.seat.enter(&second.db, 2).await.unwrap();
    assert_eq!(second.renew().await, standby(Reason::Joining), "without a term");
    second.hold(2);
    assert_eq!(second.serving(), Serving::Serving);
    assert_eq!(first.renew().await, Serving::Serving, "it has not heard of the second view yet");
    assert_eq!(first.row().await.epoch, 2);
    assert_eq!(first.seat.hold(2, Duration::MAX), Err(LeaseError::NotEntered(2)));
    first.seat.view(3).unwrap();
    assert_eq!(first.renew().await, Serving::Serving);
    assert_eq!(second.renew().await, Serving::Serving);
    assert_eq!(first.row().await.epoch, 3, "the newest that anybody was told");
}

#[tokio::test]
async fn nobody_serves_alone_while_the_database_says_cluster() {
    let Some(test) = server("nobody_serves_alone_while_the_database_says").await else { return };
    let (first, second) = (Node::new(&test, 1).await, Node::new(&test, 2).await);
    first.renew().await;
    first.enter(7).await;
    age(&test).await;
    assert_eq!(second.renew().await, standby(Reason::Clustered), "stale or not");
    // Its plugin has gone: it stands by as well.
    first.seat.unled();
    assert!(!first.seat.is_held());
    assert_eq!(first.renew().await, first.serving(), "its doors are still open");
    first.follow();
    assert_eq!(first.renew().await, standby(Reason::Clustered));
}

#[tokio::test]
async fn a_term_that_is_over_ends_the_run() {
    let Some(test) = server("a_term_that_is_over_ends_the_run").await else { return };
    let node = Node::new(&test, 1).await;
    node.renew().await;
    node.enter(1).await;
    let run = node.seat.holder();
    node.clock.advance(Duration::from_millis(1999));
    assert!(node.seat.is_held());
    // As if its process had been stopped: nobody has looked yet, and it may not act all the same.
    node.clock.advance(Duration::from_millis(1));
    assert!(!node.seat.is_held());
    assert_eq!(node.renew().await, Serving::Serving);
    node.seat.expire();
    assert_eq!(node.serving(), standby(Reason::TermOver));
    assert_eq!(node.seat.hold(1, Duration::MAX), Err(LeaseError::NotEntered(1)));
    assert_eq!(node.seat.holder(), run, "until its doors are closed");
    node.follow();
    assert_ne!(node.seat.holder(), run);
    node.enter(2).await;
}

#[tokio::test]
async fn a_member_outlasts_the_database_within_its_term() {
    let Some(test) = server("a_member_outlasts_the_database_within").await else { return };
    let node = Node::new(&test, 1).await;
    node.renew().await;
    node.enter(1).await;
    for _ in 0..6 {
        node.clock.advance(Duration::from_secs(1));
        node.seat.database_away("it was stopped");
        node.hold(1);
        node.seat.expire();
        assert_eq!(node.serving(), Serving::Serving, "its peers and it agree");
    }
}

#[tokio::test]
async fn a_fence_lasts_until_the_doors_are_closed() {
    let Some(test) = server("a_fence_lasts_until_the_doors_are_closed").await else { return };
    let node = Node::new(&test, 1).await;
    node.renew().await;
    node.follow();
    node.enter(1).await;
    let run = node.seat.holder();
    let reason = Reason::Fenced("the link is cut".to_owned());
    let seat = node.seat.clone();
    let fence = tokio::spawn(async move { seat.fence(reason).await });
    let mut state = node.seat.state();
    state.wait_for(|state| state.serving != Serving::Serving).await.unwrap();
    assert!(!node.seat.is_held() && !fence.is_finished());
    assert_eq!(node.seat.told().borrow().reason, "the link is cut");
    node.follow();
    fence.await.unwrap();
    assert_ne!(node.seat.holder(), run);
    // A second one, with nothing to close, is another run again.
    let second = node.seat.holder();
    let reason = Reason::Fenced("the link is cut".to_owned());
    let (seat, mut state) = (node.seat.clone(), node.seat.state());
    state.mark_unchanged();
    let fence = tokio::spawn(async move { seat.fence(reason).await });
    state.changed().await.unwrap();
    node.follow();
    fence.await.unwrap();
    assert_ne!(node.seat.holder(), second);
}

#[tokio::test]
async fn after_the_cluster_one_serves_alone() {
    let Some(test) = server("after_the_cluster_one_serves_alone").await else { return };
    let (first, second) = (Node::new(&test, 1).await, Node::new(&test, 2).await);
    first.renew().await;
    first.enter(1).await;
    second.seat.enter(&second.db, 2).await.unwrap();
    second.hold(2);
    first.seat.view(2).unwrap();
    first.renew().await;
    for node in [&first, &second] {
        let fence = node.seat.fence(Reason::Fenced("clustering was disabled".to_owned()));
        tokio::join!(fence, async { node.follow() });
        node.seat.leave(&node.db).await.unwrap();
        assert_eq!(node.seat.claim(), Claim::After { epoch: 2 });
        assert_eq!(node.renew().await, standby(Reason::Clustered), "somebody may still act");
    }
    age(&test).await;
    assert_eq!(first.renew().await, Serving::Serving);
    assert_eq!(second.renew().await, standby(Reason::HeldBy(1)));
    assert_eq!(first.row().await.mode, Mode::Alone);
    // Asked again it changes nothing.
    first.seat.leave(&first.db).await.unwrap();
    assert_eq!(first.renew().await, Serving::Serving);
}

#[tokio::test]
async fn who_leaves_takes_nothing_from_a_cluster_that_was_founded_meanwhile() {
    let Some(test) = server("who_leaves_takes_nothing_from_a_cluster").await else { return };
    let (first, second) = (Node::new(&test, 1).await, Node::new(&test, 2).await);
    second.seat.enter(&second.db, 4).await.unwrap();
    first.seat.leave(&first.db).await.unwrap();
    second.seat.view(5).unwrap();
    second.renew().await;
    age(&test).await;
    assert_eq!(first.renew().await, standby(Reason::Clustered));
}

#[tokio::test]
async fn an_embedded_database_has_no_cluster() {
    let test = super::super::testing::sqlite().await;
    migrate(&test.db, MIGRATIONS, Timestamp(0)).await.unwrap();
    let node = Node::new(&test, 1).await;
    node.renew().await;
    assert_eq!(node.seat.enter(&node.db, 1).await, Err(LeaseError::Embedded));
    assert_eq!(node.serving(), Serving::Serving);
    assert_eq!(node.seat.told().borrow().holder, 1);
}
