//! Full outboxes, lost nodes, and messages that meet nobody.

use super::town::safe;
use super::*;
use crate::host::HostId;
use crate::im::testing::envelopes;
use crate::router::Out;
use crate::session::{Entry, Envelope};

#[tokio::test]
async fn what_a_node_writes_after_others_took_over_is_refused() {
    let (town, [one, two]) = Town::new().await;
    let (mut romeo, slow) = (one.online("romeo/x").await, two.online("juliet/y").await);
    town.carry().await;
    envelopes(&slow);
    one.send(&mut romeo, &chat("juliet@hearth.example", "hi")).await;
    town.carry().await;
    let taken: Vec<_> = envelopes(&slow).into();
    town.lose(&two);
    one.nodes.drop_node(two.node, true).await;
    town.until("it waits for her", async || town.stored().await.len() == 1).await;
    let juliet = one.online("juliet/z").await;
    assert!(one.acknowledge(&juliet).iter().any(|envelope| envelope.duty.is_some()));
    town.until("she has it", async || town.stored().await.is_empty()).await;
    let late = taken.iter().filter_map(|envelope| envelope.start_spool()).collect();
    two.im.spool(&slow.shared, late);
    two.im.stored(&slow.shared).await;
    assert!(town.stored().await.is_empty(), "she would get it once more");
}

#[tokio::test]
async fn what_a_full_outbox_does_not_take_waits_in_its_order() {
    let (town, [one, two]) = Town::new().await;
    let (mut romeo, juliet) = (one.online("romeo/x").await, two.online("juliet/y").await);
    town.carry().await;
    envelopes(&juliet);
    town.roads.full.lock().insert(two.node);
    for body in ["1", "2", "3"] {
        one.send(&mut romeo, &chat("juliet@hearth.example/y", body)).await;
    }
    town.carry().await;
    assert_eq!((bodies(&juliet).len(), one.nodes.waiting()), (0, (3, 3)));
    town.roads.full.lock().clear();
    // Nothing passes what waits.
    one.send(&mut romeo, &chat("juliet@hearth.example/y", "4")).await;
    one.nodes.ready(two.node);
    town.until("it is empty", async || one.nodes.waiting().1 == 0).await;
    assert_eq!(bodies(&juliet), ["1", "2", "3", "4"]);
}

#[tokio::test]
async fn beyond_what_may_wait_a_message_is_stored_and_comes_at_once() {
    let (town, [one, two]) = Town::new().await;
    let (mut romeo, juliet) = (one.online("romeo/x").await, two.online("juliet/y").await);
    town.carry().await;
    envelopes(&juliet);
    town.roads.full.lock().insert(two.node);
    let long = "x".repeat(250_000);
    for _ in 0..34 {
        one.send(&mut romeo, &chat("juliet@hearth.example", &long)).await;
    }
    // The others are told of it by the carrier's other way.
    let bodies = async || {
        let taken = two.acknowledge(&juliet);
        taken.iter().filter(|envelope| envelope.stanza.payload.bytes.len() > long.len()).count()
    };
    let mut arrived = 0;
    town.until("one came past the outbox", async || {
        arrived += bodies().await;
        arrived == 1
    })
    .await;
    town.roads.full.lock().clear();
    one.nodes.ready(two.node);
    town.until("the others", async || {
        arrived += bodies().await;
        arrived == 34
    })
    .await;
    town.until("nothing is left", async || {
        one.nodes.waiting() == (0, 0) && town.stored().await.is_empty()
    })
    .await;
}

#[tokio::test]
async fn what_is_for_a_node_that_is_gone_is_stored_at_once() {
    let (town, [one, two]) = Town::new().await;
    let (mut romeo, _juliet) = (one.online("romeo/x").await, two.online("juliet/y").await);
    town.carry().await;
    town.lose(&two);
    let before = safe(&romeo);
    one.send(&mut romeo, &chat("juliet@hearth.example", "hi")).await;
    town.until("it is stored", async || safe(&romeo) == before + 1).await;
    assert_eq!(town.stored().await.len(), 1);
}

/// Two nodes, a session on the second, and what the first one knows of it.
async fn known() -> (Town, [Site; 2], Session, Entry) {
    let (town, [one, two]) = Town::new().await;
    let juliet = two.online("juliet/y").await;
    town.carry().await;
    let known = one.registry.resource(HostId::FIRST, "juliet", "y").expect("she is known");
    (town, [one, two], juliet, known)
}

/// A message on its way to a session that somebody looked for before.
fn late(known: &Entry) -> Envelope {
    let message = stanza(&chat("juliet@hearth.example/y", "hi"));
    let message = message.with_from(jid("romeo@hearth.example/x")).with_to(known.jid().clone());
    Envelope::new(Arc::new(message))
}

#[tokio::test]
async fn what_is_sent_after_its_node_was_dropped_goes_elsewhere() {
    let (town, [one, two], _juliet, known) = known().await;
    // The carrier takes more until it is told.
    one.nodes.drop_node(two.node, false).await;
    let mut out = Out::default();
    out.send(&known, late(&known));
    one.router.perform(&mut out).await;
    town.until("it is stored", async || town.stored().await.len() == 1).await;
    assert_eq!(one.nodes.waiting(), (0, 0));
}

#[tokio::test]
async fn what_is_sent_after_its_own_node_has_left_goes_elsewhere() {
    let (_town, [one, two], _juliet, known) = known().await;
    let (cuts, carrier) = (one.nodes.outbox.cuts(), one.nodes.cluster());
    one.nodes.left();
    let Entry::Remote(session) = &known else { panic!("she is elsewhere") };
    let far = vec![(Far::Session(session.clone()), late(&known))];
    let mut out = Out::default();
    one.nodes.outbox.send((&*carrier, &[two.node], cuts), far, &one.router.clock, &mut out);
    assert_eq!((out.returned.len(), one.nodes.waiting()), (1, (0, 0)));
}

#[tokio::test]
async fn a_lost_node_costs_no_message_and_doubles_none() {
    let (town, [one, two, three]) = Town::new().await;
    let mut romeo = one.online("romeo/x").await;
    let (lost, other) = (two.online("juliet/lost").await, three.bind("juliet/other"));
    town.carry().await;
    envelopes(&lost);
    for body in ["1", "2", "3"] {
        one.send(&mut romeo, &chat("juliet@hearth.example", body)).await;
    }
    town.carry().await;
    assert_eq!(bodies(&lost).len(), 3, "its client has them, and cannot say so any more");
    let kept = one.nodes.waiting().0;
    town.lose(&two);
    let mut other = other;
    three.send(&mut other, "<presence/>").await;
    town.carry().await;
    envelopes(&other);
    one.nodes.drop_node(two.node, true).await;
    three.nodes.drop_node(two.node, false).await;
    town.carry().await;
    assert_eq!((kept, bodies(&other)), (3, vec!["1".to_owned(), "2".to_owned(), "3".to_owned()]));
    assert!(town.stored().await.is_empty());
}

#[tokio::test]
async fn requests_to_a_lost_node_are_answered_by_an_error() {
    let (town, [one, two]) = Town::new().await;
    let (mut romeo, _juliet) = (one.online("romeo/x").await, two.online("juliet/y").await);
    town.carry().await;
    envelopes(&romeo);
    let ask = "<iq id='v1' type='get' to='juliet@hearth.example/y'><query xmlns='q'/></iq>";
    one.send(&mut romeo, ask).await;
    town.carry().await;
    town.lose(&two);
    one.nodes.drop_node(two.node, false).await;
    let answers = inbox(&romeo);
    assert!(answers.len() == 1 && answers[0].contains("recipient-unavailable"), "{answers:?}");
    assert!(
        answers[0].contains("id='v1'") && answers[0].contains("from='juliet@hearth.example/y'")
    );
}

#[tokio::test]
async fn what_a_lost_node_was_about_to_give_is_free_for_others() {
    let (town, [one, two]) = Town::new().await;
    let mut romeo = one.online("romeo/x").await;
    one.send(&mut romeo, &chat("juliet@hearth.example", "hi")).await;
    town.until("it is stored", async || town.stored().await.len() == 1).await;
    let lost = two.online("juliet/lost").await;
    assert_eq!(bodies(&lost), ["hi"]);
    let other = one.online("juliet/other").await;
    town.carry().await;
    assert!(bodies(&other).is_empty(), "the other one holds it");
    town.lose(&two);
    one.nodes.drop_node(two.node, true).await;
    let mut seen = Vec::new();
    town.until("it comes", async || {
        seen.extend(bodies(&other));
        !seen.is_empty()
    })
    .await;
    assert_eq!(seen, ["hi"]);
}

/// The sender's node does not know yet that she is there; hers did not know yet of the message when
/// she came.
#[tokio::test]
async fn a_message_that_is_stored_while_its_recipient_comes_elsewhere_is_not_left_lying() {
    let (town, [one, two]) = Town::new().await;
    let mut romeo = one.online("romeo/x").await;
    town.carry().await;
    town.roads.mute.lock().insert(two.node);
    let juliet = two.online("juliet/y").await;
    one.send(&mut romeo, &chat("juliet@hearth.example", "hi")).await;
    let mut seen = Vec::new();
    town.until("it comes", async || {
        seen.extend(bodies(&juliet));
        !seen.is_empty()
    })
    .await;
    assert_eq!(seen, ["hi"]);
    assert!(one.sessions("juliet").is_empty(), "nobody has told of her");
}

#[tokio::test]
async fn what_is_under_way_when_a_node_leaves_is_resolved_again() {
    let (town, [one, two]) = Town::new().await;
    let (mut romeo, juliet) = (one.online("romeo/x").await, two.online("juliet/y").await);
    town.carry().await;
    envelopes(&juliet);
    let before = safe(&romeo);
    one.send(&mut romeo, &chat("juliet@hearth.example", "hi")).await;
    one.nodes.left();
    town.until("it is stored", async || safe(&romeo) == before + 1).await;
    assert_eq!((town.stored().await.len(), one.nodes.waiting()), (1, (0, 0)));
}

#[tokio::test]
async fn what_a_node_that_left_hears_of_its_messages_counts() {
    let (town, [one, two]) = Town::new().await;
    let (mut romeo, juliet) = (one.online("romeo/x").await, two.online("juliet/y").await);
    town.carry().await;
    envelopes(&juliet);
    let before = safe(&romeo);
    one.send(&mut romeo, &chat("juliet@hearth.example", "hi")).await;
    one.nodes.left();
    town.until("it arrives", async || !two.acknowledge(&juliet).is_empty()).await;
    town.until("its sender's node is told", async || safe(&romeo) == before + 1).await;
    assert_eq!((town.stored().await.len(), one.nodes.waiting()), (0, (0, 0)));
}

/// Its sessions end just before: what became of the last messages has not been told yet.
#[tokio::test]
async fn what_a_node_has_to_tell_is_told_before_it_leaves() {
    let (town, [one, two]) = Town::new().await;
    let (mut romeo, juliet) = (one.online("romeo/x").await, two.online("juliet/y").await);
    town.carry().await;
    envelopes(&juliet);
    one.send(&mut romeo, &chat("juliet@hearth.example", "hi")).await;
    town.carry().await;
    assert_eq!(one.nodes.waiting(), (1, 0));
    assert_eq!(two.acknowledge(&juliet).len(), 1);
    two.nodes.left();
    town.carry().await;
    assert_eq!(one.nodes.waiting(), (0, 0));
}

#[tokio::test]
async fn what_nobody_can_read_is_given_back() {
    let (town, [one, two]) = Town::new().await;
    let (mut romeo, _juliet) = (one.online("romeo/x").await, two.online("juliet/y").await);
    town.carry().await;
    let before = safe(&romeo);
    one.send(&mut romeo, &chat("juliet@hearth.example", "hi")).await;
    town.roads.garble("");
    town.until("it is stored", async || safe(&romeo) == before + 1).await;
    assert_eq!(town.stored().await.len(), 1);
}
