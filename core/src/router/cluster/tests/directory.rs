//! Who is where.

use std::sync::atomic::Ordering;

use super::town::safe;
use super::*;
use crate::im::testing::key;
use crate::session::Order;

#[tokio::test]
async fn every_change_of_a_session_is_seen_on_the_other_nodes() {
    let (town, [one, two]) = Town::new().await;
    let mut juliet = one.bind("juliet/balcony");
    town.carry().await;
    assert_eq!(two.sessions("juliet"), ["balcony:0:@1"]);
    one.send(&mut juliet, "<iq id='r' type='get'><query xmlns='jabber:iq:roster'/></iq>").await;
    one.send(&mut juliet, "<presence><priority>7</priority></presence>").await;
    town.carry().await;
    assert_eq!(two.sessions("juliet"), ["balcony:7:ai@1"]);
    juliet.shared.leave();
    one.registry.changed(&juliet.shared);
    town.carry().await;
    assert_eq!(two.sessions("juliet"), ["balcony:7:aid@1"]);
    one.end(juliet, Vec::new()).await;
    town.carry().await;
    assert!(two.sessions("juliet").is_empty());
    assert_eq!(safe(&two.bind("romeo/x")), 0);
}

#[tokio::test]
async fn the_number_of_an_account_elsewhere_is_known_until_its_sessions_change() {
    let (town, [one, two]) = Town::new().await;
    let (mut romeo, mut juliet) = (one.bind("romeo/orchard"), two.online("juliet/x").await);
    town.carry().await;
    let key = key("romeo");
    let number = || two.registry.select(key.host, "romeo", |_| Default::default()).unwrap().0;
    assert_eq!(number(), None);
    two.send(&mut juliet, &chat("romeo@hearth.example/orchard", "hi")).await;
    assert_eq!(number(), Some(key.account));
    one.send(&mut romeo, "<presence/>").await;
    town.carry().await;
    assert_eq!(number(), None, "it may have been created anew");
}

#[tokio::test]
async fn who_was_there_before_the_cluster_is_told_of() {
    let (town, [one]) = Town::new().await;
    let late = town.site(2);
    let _juliet = late.bind("juliet/balcony");
    assert!(one.sessions("juliet").is_empty());
    town.enter(&late).await;
    town.carry().await;
    assert_eq!(one.sessions("juliet"), ["balcony:0:@2"]);
}

#[tokio::test]
async fn many_sessions_are_told_of_in_pieces() {
    let (town, [one]) = Town::new().await;
    let late = town.site(2);
    let _all: Vec<_> = (0..2000).map(|n| late.bind(&format!("juliet/{n:0>900}"))).collect();
    let before = town.roads.tellings.load(Ordering::Relaxed);
    town.enter(&late).await;
    town.carry().await;
    assert_eq!(one.sessions("juliet").len(), 2000);
    let tellings = town.roads.tellings.load(Ordering::Relaxed) - before;
    assert!((28..60).contains(&tellings), "1.8 MB of names in {tellings} pieces");
    assert_eq!(one.nodes.known(late.node).0, 2001, "without a gap");
}

#[tokio::test]
async fn a_gap_is_mended_by_the_whole_directory() {
    let (town, [one]) = Town::new().await;
    let _juliet = one.bind("juliet/balcony");
    let romeo = one.bind("romeo/orchard");
    town.carry().await;
    let late = town.site(2);
    town.enter(&late).await;
    one.end(romeo, Vec::new()).await;
    town.carry().await;
    assert_eq!(late.sessions("juliet"), ["balcony:0:@1"]);
    assert!(late.sessions("romeo").is_empty());
}

#[tokio::test]
async fn a_directory_that_comes_late_changes_nothing() {
    let (town, [one, two]) = Town::new().await;
    let first = one.bind("juliet/first");
    town.carry().await;
    let (seq, sessions) = one.nodes.directory();
    one.end(first, Vec::new()).await;
    let _second = one.bind("juliet/second");
    town.carry().await;
    let next = two.nodes.replace(one.node, seq, &sessions);
    assert_eq!((next, two.sessions("juliet")), (seq + 3, vec!["second:0:@1".to_owned()]));
}

#[tokio::test]
async fn changes_that_come_twice_do_no_harm() {
    let (town, [one, two]) = Town::new().await;
    let juliet = one.bind("juliet/balcony");
    town.carry().await;
    let (seq, sessions) = one.nodes.directory();
    assert_eq!(two.nodes.known(one.node), (seq + 1, sessions.clone()));
    one.end(juliet, Vec::new()).await;
    town.carry().await;
    assert_eq!(two.nodes.apply(one.node, seq, &sessions), seq + 2);
    assert!(two.sessions("juliet").is_empty(), "an old change brings nobody back");
}

#[tokio::test]
async fn of_two_bindings_of_one_resource_the_later_stays() {
    let (town, [one, two, three]) = Town::new().await;
    let first = one.bind("juliet/balcony");
    let second = two.bind("juliet/balcony");
    town.carry().await;
    let both = |site: &Site| site.sessions("juliet");
    let winner = both(&three);
    assert_eq!((both(&one), both(&two)), (winner.clone(), winner.clone()));
    assert_eq!(winner.len(), 1);
    let orders = |session: &Session| {
        let taken = session.shared.mailbox.take(&mut Default::default());
        taken.orders.iter().any(|order| matches!(order, Order::Replace(_)))
    };
    // The clocks stand still, so that the node decides.
    assert_eq!(winner, ["balcony:0:@2"]);
    assert!(orders(&first) && !orders(&second));
    assert_eq!((one.registry.local_count(), two.registry.local_count()), (0, 1));
}

/// Its node may be the first to know of the next view, or have a clock that is ahead, or the greater number.
#[tokio::test]
async fn whoever_has_heard_of_a_binding_binds_later() {
    let (town, [one, two]) = Town::new().await;
    two.registry.set_epoch(9);
    let _first = two.bind("juliet/balcony");
    town.carry().await;
    let _later = one.bind("juliet/balcony");
    town.carry().await;
    for site in [&one, &two] {
        assert_eq!(site.sessions("juliet"), ["balcony:0:@1"]);
    }
}

#[tokio::test]
async fn who_binds_later_asks_the_other_node_to_end_the_first() {
    let (town, [one, two]) = Town::new().await;
    let first = one.bind("juliet/balcony");
    town.carry().await;
    let there = two.registry.resource(first.shared.host, "juliet", "balcony").unwrap();
    let crate::session::Entry::Remote(old) = there else { panic!("it is on the other node") };
    let nodes = two.nodes.clone();
    let waits = tokio::spawn(async move { nodes.replaced(&old).await });
    let mut taken = Vec::new();
    eventually("the order", async || {
        taken.extend(first.shared.mailbox.take(&mut Default::default()).orders);
        !taken.is_empty()
    })
    .await;
    assert!(matches!(taken[0], Order::Replace(_)) && !waits.is_finished());
    drop(taken);
    waits.await.unwrap();
}

#[tokio::test]
async fn a_node_that_is_gone_stays_gone() {
    let (town, [one, two]) = Town::new().await;
    let _juliet = one.bind("juliet/balcony");
    town.carry().await;
    town.lose(&one);
    two.nodes.drop_node(one.node, false).await;
    assert!(two.sessions("juliet").is_empty());
    let (seq, sessions) = one.nodes.directory();
    two.nodes.apply(one.node, seq, &sessions);
    two.nodes.replace(one.node, seq, &sessions);
    assert!(two.sessions("juliet").is_empty());
}

#[tokio::test]
async fn a_node_that_leaves_is_alone() {
    let (town, [one, two]) = Town::new().await;
    let _juliet = one.bind("juliet/balcony");
    town.carry().await;
    two.nodes.left();
    assert!(two.sessions("juliet").is_empty() && !two.nodes.is_clustered());
    assert_eq!(two.nodes.current(), View::default());
}

#[tokio::test]
async fn an_account_is_ended_on_all_nodes() {
    let (town, [one, two]) = Town::new().await;
    let (here, there) = (one.bind("juliet/a"), two.bind("juliet/b"));
    let other = two.bind("romeo/b");
    town.carry().await;
    one.nodes.end_sessions(here.shared.host, "juliet");
    town.carry().await;
    let ended = |session: &Session| session.shared.mailbox.is_ending();
    assert!(ended(&here) && ended(&there) && !ended(&other));
}

#[tokio::test]
async fn a_session_of_another_node_is_ended_by_request() {
    let (town, [one, two]) = Town::new().await;
    let (juliet, other) = (two.bind("juliet/b"), two.bind("juliet/c"));
    town.carry().await;
    let entry = one.registry.resource(juliet.shared.host, "juliet", "b").unwrap();
    one.router.end_session(&entry).await.unwrap();
    assert!(juliet.shared.mailbox.is_ending() && !other.shared.mailbox.is_ending());
}
