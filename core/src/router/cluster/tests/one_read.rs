//! Stanzas of one client that one read has brought: they travel in one envelope, and each has its own fate.

use super::town::safe;
use super::*;
use crate::im::testing::envelopes;

fn chats(to: &str, count: usize) -> Vec<String> {
    (0..count).map(|number| chat(to, &format!("{number:03}"))).collect()
}

/// Juliet on one node, somebody on the other; nothing is under way. His account is in the cache: she waits for
/// nothing.
async fn pair(name: &str) -> (Town, [Site; 2], Session, Session) {
    let (town, [one, two]) = Town::new().await;
    let (juliet, other) = (one.online("juliet/x").await, two.online(name).await);
    town.carry().await;
    envelopes(&juliet);
    envelopes(&other);
    (town, [one, two], juliet, other)
}

#[tokio::test]
async fn they_are_one_parcel_and_each_is_acknowledged() {
    let (town, [one, _two], mut juliet, romeo) = pair("romeo/y").await;
    let before = (*town.roads.parcels.lock(), safe(&juliet));
    one.send_at_once(&mut juliet, &chats("romeo@hearth.example", 30)).await;
    town.carry().await;
    assert_eq!((*town.roads.parcels.lock(), one.nodes.waiting().0), (before.0 + 1, 30));
    let taken: Vec<_> = envelopes(&romeo).into();
    assert_eq!(taken.len(), 30);
    // His client acknowledges them one by one, the last first.
    for (count, envelope) in taken.iter().rev().enumerate() {
        envelope.duty.as_ref().unwrap().done();
        town.carry().await;
        assert_eq!(one.nodes.waiting().0, 29 - count);
    }
    assert_eq!(safe(&juliet), before.1 + 30);
}

#[tokio::test]
async fn as_many_as_have_tickets_share_a_parcel() {
    let (town, [one, two], mut juliet, romeo) = pair("romeo/y").await;
    let before = *town.roads.parcels.lock();
    let sent = chats("romeo@hearth.example", 2 * copies::LETTERS + 1);
    one.send_at_once(&mut juliet, &sent).await;
    town.carry().await;
    assert!(*town.roads.parcels.lock() >= before + 3);
    let taken = two.acknowledge(&romeo);
    assert_eq!(taken.len(), sent.len());
    let is_in_order = taken
        .iter()
        .zip(&sent)
        .all(|(envelope, text)| envelope.stanza.payload.bytes == stanza(text).payload.bytes);
    assert!(is_in_order);
    town.carry().await;
    assert_eq!(one.nodes.waiting(), (0, 0));
}

#[tokio::test]
async fn what_is_durable_and_what_is_not_keep_their_order() {
    let (town, [one, _two], mut juliet, romeo) = pair("romeo/y").await;
    let to = "romeo@hearth.example/y";
    let hint = format!("<message to='{to}' type='chat'><x xmlns='x'/></message>");
    let ask = format!("<iq to='{to}' type='get' id='i'><q xmlns='q'/></iq>");
    let sent = [chat(to, "1"), hint.clone(), ask, chat(to, "2"), chat(to, "3"), hint];
    one.send_at_once(&mut juliet, &sent).await;
    town.carry().await;
    let kinds = inbox(&romeo).into_iter().map(|text| match text {
        text if text.starts_with("<iq") => 'q',
        text if text.contains("<body>") => 'b',
        _ => 'x',
    });
    assert_eq!(kinds.collect::<String>(), "bxqbbx");
}

#[tokio::test]
async fn only_those_that_are_refused_go_elsewhere() {
    let (town, [one, two], mut juliet, there) = pair("romeo/there").await;
    let gone = two.online("mercutio/gone").await;
    town.carry().await;
    envelopes(&there);
    town.roads.mute.lock().insert(two.node);
    two.end(gone, Vec::new()).await;
    let before = (*town.roads.parcels.lock(), safe(&juliet));
    let to = ["romeo@hearth.example/there", "mercutio@hearth.example/gone"];
    let sent: Vec<_> = (0..10).map(|number| chat(to[number % 2], &number.to_string())).collect();
    one.send_at_once(&mut juliet, &sent).await;
    town.until("what is refused is stored", async || town.stored().await.len() == 5).await;
    assert_eq!(*town.roads.parcels.lock(), before.0 + 1);
    assert_eq!((one.nodes.waiting(), safe(&juliet)), ((5, 0), before.1));
    let taken = two.acknowledge(&there);
    let numbers = taken.iter().map(|envelope| &envelope.stanza.payload.bytes);
    let expected = ["0", "2", "4", "6", "8"].map(|number| format!("<body>{number}</body>"));
    assert!(numbers.eq(expected.iter().map(String::as_bytes)));
    town.carry().await;
    assert_eq!((one.nodes.waiting(), safe(&juliet)), ((0, 0), before.1 + 10));
    let mercutio = two.online("mercutio/again").await;
    assert_eq!(bodies(&mercutio), ["1", "3", "5", "7", "9"]);
}

#[tokio::test]
async fn they_go_elsewhere_together_when_the_node_is_lost() {
    let (town, [one, two], mut juliet, romeo) = pair("romeo/y").await;
    let before = safe(&juliet);
    one.send_at_once(&mut juliet, &chats("romeo@hearth.example", 10)).await;
    town.carry().await;
    let taken: Vec<_> = envelopes(&romeo).into();
    taken[3].duty.as_ref().unwrap().done();
    town.carry().await;
    town.lose(&two);
    one.nodes.drop_node(two.node, true).await;
    town.until("they are stored", async || safe(&juliet) == before + 10).await;
    assert_eq!((town.stored().await.len(), one.nodes.waiting()), (9, (0, 0)));
    let again = one.online("romeo/z").await;
    let expected: Vec<_> =
        (0..10).filter(|number| *number != 3).map(|number| format!("{number:03}")).collect();
    assert_eq!(bodies(&again), expected);
}

#[tokio::test]
async fn those_behind_one_that_cannot_be_read_are_refused() {
    let (town, [one, two], mut juliet, romeo) = pair("romeo/y").await;
    let before = safe(&juliet);
    one.send_at_once(&mut juliet, &chats("romeo@hearth.example", 10)).await;
    town.roads.garble("<body>007");
    town.until("they are stored", async || town.stored().await.len() == 3).await;
    town.carry().await;
    let taken = two.acknowledge(&romeo);
    let ids: std::collections::HashSet<_> =
        taken.iter().map(|envelope| envelope.duty.as_ref().unwrap().id).collect();
    assert_eq!((taken.len(), ids.len()), (10, 10), "they come from the table, and nothing twice");
    town.until("they are his", async || town.stored().await.is_empty()).await;
    assert_eq!((safe(&juliet), one.nodes.waiting()), (before + 10, (0, 0)));
}
