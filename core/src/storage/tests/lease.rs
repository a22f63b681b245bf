use std::time::Duration;

use tokio::sync::watch;

use super::super::lease::{
    self, Claim, Fence, Holder, Lease, MIGRATIONS, Mode, Reason, Serving, TERM,
};
use super::super::testing::{TestDb, backend_tests, postgres};
use super::super::{Db, migrate, params};
use crate::clock::{Clock, Timestamp};

backend_tests! { a_single_node_serves, the_state_can_be_watched_while_it_runs }

/// One process: its own handle, clocks and claim.
struct Node {
    lease: Lease,
    fence: Fence,
    clock: Clock,
    claim: watch::Sender<Claim>,
    holder: Holder,
    db: Db,
}

impl Node {
    async fn new(test: &TestDb, number: u32) -> Node {
        let (db, clock) = (test.another().await, Clock::fake(Timestamp(0)));
        let holder = Holder { node: number, incarnation: number.into() };
        let (claim, claimed) = watch::channel(Claim::Alone);
        let lease = Lease::new(db.clone(), clock.clone(), holder, claimed);
        Node { fence: lease.fence(), lease, clock, claim, holder, db }
    }

    async fn renew(&self) -> Serving {
        self.lease.renew().await;
        self.lease.state().borrow().clone()
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
    assert!(!node.fence.is_held());
    assert_eq!(node.renew().await, Serving::Serving);
    assert!(node.fence.is_held());
}

async fn the_state_can_be_watched_while_it_runs(test: TestDb) {
    migrate(&test.db, MIGRATIONS, Timestamp(0)).await.unwrap();
    let node = Node::new(&test, 1).await;
    let mut state = node.lease.state();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let running = tokio::spawn(node.lease.run(async move { stopped.await.unwrap_or_default() }));
    state.wait_for(|state| *state == Serving::Serving).await.unwrap();
    stop.send(()).unwrap();
    running.await.unwrap();
    assert_eq!(*state.borrow(), standby(Reason::Stopping));
    assert!(!node.fence.is_held());
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
    assert!(!first.fence.is_held() && second.fence.is_held());
}

#[tokio::test]
async fn a_holder_gives_up_before_others_may_take_over() {
    let Some(test) = server("a_holder_gives_up_before_others_may_take_over").await else { return };
    let node = Node::new(&test, 1).await;
    node.renew().await;
    // The process is stopped, or the database away: nothing is renewed while time goes on.
    node.clock.advance(TERM - Duration::from_millis(1100));
    assert!(node.fence.is_held());
    node.clock.advance(Duration::from_millis(100));
    assert!(!node.fence.is_held(), "a second before the row is stale");
    node.lease.expire();
    assert!(matches!(*node.lease.state().borrow(), Serving::Standby { .. }));
}

#[tokio::test]
async fn a_restarted_node_is_somebody_else() {
    let Some(test) = server("a_restarted_node_is_somebody_else").await else { return };
    let before = Node::new(&test, 1).await;
    before.renew().await;
    let mut after = Node::new(&test, 1).await;
    after.holder.incarnation = 99;
    let claimed = after.claim.subscribe();
    after.lease = Lease::new(after.db.clone(), after.clock.clone(), after.holder, claimed);
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
async fn nobody_serves_alone_while_the_database_says_cluster() {
    let Some(test) = server("nobody_serves_alone_while_the_database_says").await else { return };
    let (first, second) = (Node::new(&test, 1).await, Node::new(&test, 2).await);
    first.renew().await;
    let seen = first.row().await;
    assert_eq!(lease::switch(&second.db, second.holder, seen, Mode::Cluster).await, Ok(None));
    let epoch = lease::switch(&first.db, first.holder, seen, Mode::Cluster).await.unwrap().unwrap();
    assert_eq!(first.renew().await, standby(Reason::Clustered));
    first.claim.send_replace(Claim::Cluster { epoch });
    assert_eq!(first.renew().await, Serving::Serving);
    age(&test).await;
    assert_eq!(second.renew().await, standby(Reason::Clustered), "stale or not");
    second.claim.send_replace(Claim::Cluster { epoch: epoch - 1 });
    assert_eq!(second.renew().await, standby(Reason::OtherEpoch(epoch)));
    let stale = lease::switch(&first.db, first.holder, seen, Mode::Cluster).await;
    assert_eq!(stale, Ok(None), "the row has changed since it was seen");
}

#[tokio::test]
async fn a_writer_checks_the_lease_inside_its_transaction() {
    let Some(test) = server("a_writer_checks_the_lease_inside_its").await else { return };
    let (first, second) = (Node::new(&test, 1).await, Node::new(&test, 2).await);
    first.renew().await;
    let may = async |node: &Node| {
        let holder = node.holder;
        let check = node.db.write(move |tx| Box::pin(lease::fenced(tx, holder, Claim::Alone)));
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
