use std::collections::BTreeSet;
use std::sync::atomic::Ordering::Relaxed;

use super::*;
use crate::backend_tests;
use crate::im::MIGRATIONS;
use crate::im::testing::{self, NOW, World, envelopes, eventually, inbox, key, show, stanza};
use crate::properties::Live;
use crate::session::Pending;
use crate::storage::migrate;
use crate::storage::testing::{TestDb, postgres};

backend_tests! {
    a_claimed_message_has_one_holder,
    a_message_that_is_added_twice_stays_with_its_holder,
    a_claim_is_in_order_and_bounded,
    what_an_earlier_run_held_is_free,
    what_others_held_is_reclaimed,
    a_run_that_is_gone_holds_nothing,
    what_a_session_held_goes_with_it_to_another_node,
    usage_counts_octets,
}

async fn add(test: &TestDb, n: u128, size: usize) {
    add_again(test, n, size, 0).await;
}

/// `spooler` is the session of node 1's first run for which the message was spooled before.
async fn add_again(test: &TestDb, n: u128, size: usize, spooler: i64) {
    let values = params![
        key("juliet").host,
        key("juliet").account,
        StanzaId(n),
        NOW,
        size as i64,
        vec![b'x'; size],
        1u32,
        1i64,
        spooler,
    ]
    .to_vec();
    test.db
        .write(move |tx| Box::pin(async move { tx.execute(store::ADD, &values).await }))
        .await
        .unwrap();
}

async fn claim(test: &TestDb, node: u32, incarnation: i64, session: u64) -> Vec<u128> {
    execute(test, store::BEGIN, params![node, incarnation]).await.unwrap();
    claim_late(test, node, incarnation, session).await.unwrap()
}

/// The run has begun before, and may be gone.
async fn claim_late(
    test: &TestDb,
    node: u32,
    incarnation: i64,
    session: u64,
) -> Result<Vec<u128>, StorageError> {
    let holder = store::Holder { node, incarnation, session };
    let claim = test.db.write(move |tx| Box::pin(store::claim(tx, key("juliet"), holder)));
    Ok(claim.await?.iter().map(|message| message.id.0).collect())
}

async fn execute(test: &TestDb, sql: &'static str, values: &[Value]) -> Result<u64, StorageError> {
    let values = values.to_vec();
    test.db.write(move |tx| Box::pin(async move { tx.execute(sql, &values).await })).await
}

/// A copy of message `n`, held by session 1 of a run.
fn copy(n: u128, node: u32, incarnation: i64) -> Vec<Value> {
    let (juliet, octets) = (key("juliet"), b"x".to_vec());
    let (id, session) = (StanzaId(n), 1i64);
    params![juliet.host, juliet.account, id, NOW, 1i64, octets, node, incarnation, session].to_vec()
}

async fn a_claimed_message_has_one_holder(test: TestDb) {
    migrate(&test.db, MIGRATIONS, NOW).await.unwrap();
    add(&test, 1, 10).await;
    add(&test, 2, 10).await;
    let (one, two) = tokio::join!(claim(&test, 1, 1, 1), claim(&test, 1, 1, 2));
    let all: BTreeSet<u128> = one.iter().chain(&two).copied().collect();
    assert_eq!((one.len() + two.len(), all.len()), (2, 2));
    assert!(claim(&test, 2, 1, 3).await.is_empty(), "another node has no right to them");
    free(&test, 1).await;
    assert_eq!(claim(&test, 2, 1, 3).await, [2]);
    free(&test, 1).await;
    assert!(claim(&test, 2, 1, 4).await.is_empty(), "too late to free what another node holds");
}

/// The first run of `node` frees message 2.
async fn free(test: &TestDb, node: u32) {
    let key = key("juliet");
    let values = params![key.host, key.account, StanzaId(2), node, 1i64].to_vec();
    test.db
        .write(move |tx| Box::pin(async move { tx.execute(store::FREE, &values).await }))
        .await
        .unwrap();
}

/// The commit of an append was not heard of, so it runs again.
async fn a_message_that_is_added_twice_stays_with_its_holder(test: TestDb) {
    migrate(&test.db, MIGRATIONS, NOW).await.unwrap();
    add(&test, 1, 10).await;
    assert_eq!(claim(&test, 1, 1, 4).await, [1]);
    add(&test, 1, 10).await;
    add_again(&test, 1, 10, 3).await;
    assert!(claim(&test, 1, 1, 5).await.is_empty(), "another session has been given it");
    add_again(&test, 1, 10, 4).await;
    assert_eq!(claim(&test, 1, 1, 5).await, [1], "the session for which it was spooled is gone");
}

async fn a_claim_is_in_order_and_bounded(test: TestDb) {
    migrate(&test.db, MIGRATIONS, NOW).await.unwrap();
    for n in (1..=70).rev() {
        add(&test, n, 1).await;
    }
    assert_eq!(claim(&test, 1, 1, 1).await, (1..=64).collect::<Vec<u128>>());
    assert_eq!(claim(&test, 1, 1, 1).await, (65..=70).collect::<Vec<u128>>());
    for n in 101..=104 {
        add(&test, n, 40_000).await;
    }
    assert_eq!(claim(&test, 1, 1, 1).await, [101, 102]);
}

async fn what_an_earlier_run_held_is_free(test: TestDb) {
    migrate(&test.db, MIGRATIONS, NOW).await.unwrap();
    add(&test, 1, 10).await;
    assert_eq!(claim(&test, 1, 1, 1).await, [1]);
    assert_eq!(claim(&test, 1, 2, 1).await, [1], "the node has started again");
    assert!(claim(&test, 1, 2, 2).await.is_empty());
}

async fn what_others_held_is_reclaimed(test: TestDb) {
    migrate(&test.db, MIGRATIONS, NOW).await.unwrap();
    add(&test, 1, 10).await;
    add(&test, 2, 10).await;
    claim(&test, 1, 1, 1).await;
    add(&test, 3, 10).await;
    claim(&test, 2, 7, 1).await;
    let freed = test.db.write(|tx| Box::pin(store::reclaim(tx, 2, 7))).await.unwrap();
    assert_eq!(freed, 2);
    assert_eq!(claim(&test, 2, 7, 1).await, [1, 2]);
}

/// Its statements may be on their way while others take over from it.
async fn a_run_that_is_gone_holds_nothing(test: TestDb) {
    migrate(&test.db, MIGRATIONS, NOW).await.unwrap();
    add(&test, 1, 10).await;
    add(&test, 2, 10).await;
    assert_eq!(claim(&test, 1, 1, 1).await, [1, 2]);
    let freed = test.db.write(|tx| Box::pin(store::free_held(tx, 1, 1))).await.unwrap();
    assert_eq!(freed, [key("juliet"); 2]);
    let juliet = key("juliet");
    let take_over = params![juliet.host, juliet.account, StanzaId(1), 1u32, 1i64, 1i64];
    let late = [
        execute(&test, store::SPOOL, &copy(3, 1, 1)).await.map(drop),
        execute(&test, store::TAKE_OVER, take_over).await.map(drop),
        claim_late(&test, 1, 1, 1).await.map(drop),
    ];
    let is_refused =
        |late: &Result<(), StorageError>| late.as_ref().is_err_and(|e| e.is_constraint());
    assert!(late.iter().all(is_refused), "{late:?}");
    assert_eq!(claim(&test, 1, 2, 1).await, [1, 2], "its next run is another one");
}

/// Whichever of the two nodes writes first, and whether the second one writes at all.
async fn what_a_session_held_goes_with_it_to_another_node(test: TestDb) {
    migrate(&test.db, MIGRATIONS, NOW).await.unwrap();
    for n in 1..=3 {
        add(&test, n, 10).await;
    }
    assert_eq!(claim(&test, 1, 1, 7).await, [1, 2, 3]);
    execute(&test, store::BEGIN, params![2u32, 5i64]).await.unwrap();
    let juliet = key("juliet");
    let take_over =
        |n| params![juliet.host, juliet.account, StanzaId(n), 2u32, 5i64, 9i64].to_vec();
    execute(&test, store::TAKE_OVER, &take_over(1)).await.unwrap();
    let hand_over = params![juliet.host, juliet.account, 1u32, 1i64, 7i64, 2u32, 5i64];
    assert_eq!(execute(&test, store::HAND_OVER, hand_over).await.unwrap(), 2);
    execute(&test, store::TAKE_OVER, &take_over(2)).await.unwrap();
    let of_session = "UPDATE offline_messages SET size = size WHERE holder_session = $1";
    assert_eq!(execute(&test, of_session, params![9i64]).await.unwrap(), 2);
    let freed = test.db.write(|tx| Box::pin(store::free_held(tx, 2, 5))).await.unwrap();
    assert_eq!(freed.len(), 3, "that of which the other node had not heard, too");
}

/// A write of the run that others take over from is under way: it is done first, and then undone.
#[tokio::test]
async fn what_a_run_is_just_about_to_hold_is_freed_too() {
    let Some(test) = postgres("what_a_run_is_just_about_to_hold").await else { return };
    migrate(&test.db, MIGRATIONS, NOW).await.unwrap();
    execute(&test, store::BEGIN, params![1u32, 1i64]).await.unwrap();
    let under_way = test.db.write(|tx| {
        Box::pin(async move {
            tx.execute(store::SPOOL, &copy(3, 1, 1)).await?;
            tx.script("SELECT pg_sleep(1)").await
        })
    });
    let take_over = async {
        eventually("the row of its run is locked", async || {
            let locks = "SELECT COUNT(*) FROM pg_locks WHERE mode = 'RowShareLock' \
                         AND relation = CAST('message_holders' AS regclass)";
            let count = test.db.read(move |tx| {
                Box::pin(async move { tx.query_one(locks, &[]).await?.get::<i64>(0) })
            });
            count.await.unwrap() > 0
        })
        .await;
        test.db.write(|tx| Box::pin(store::free_held(tx, 1, 1))).await
    };
    let (written, freed) = tokio::join!(under_way, take_over);
    written.unwrap();
    assert_eq!(freed.unwrap(), [key("juliet")]);
    assert_eq!(claim(&test, 2, 1, 1).await, [3]);
}

async fn usage_counts_octets(test: TestDb) {
    migrate(&test.db, MIGRATIONS, NOW).await.unwrap();
    let usage = |name: &'static str| {
        test.db.read(move |tx| Box::pin(async move { store::usage(tx, key(name)).await }))
    };
    assert_eq!(usage("juliet").await.unwrap(), 0);
    add(&test, 1, 10).await;
    add(&test, 2, 32).await;
    assert_eq!((usage("juliet").await.unwrap(), usage("romeo").await.unwrap()), (42, 0));
}

const HI: &str =
    "<message to='juliet@hearth.example' id='m1' type='chat'><body>hi</body></message>";

impl World {
    /// A message of Romeo's waits for Juliet.
    async fn with_a_message() -> World {
        let mut world = World::new().await;
        let mut romeo = world.online("romeo/orchard").await;
        world.send(&mut romeo, HI).await;
        world.until_rows("juliet", 1).await;
        world
    }

    async fn rows(&self, name: &'static str) -> i64 {
        let sql = "SELECT COUNT(*) FROM offline_messages WHERE host = $1 AND account = $2";
        let key = key(name);
        let count = self.test.db.read(move |tx| {
            Box::pin(async move {
                tx.query_one(sql, params![key.host, key.account]).await?.get::<i64>(0)
            })
        });
        count.await.unwrap()
    }

    async fn until_rows(&self, name: &'static str, count: i64) {
        let what = format!("{name} has {count} messages");
        eventually(&what, async || self.rows(name).await == count).await;
    }
}

#[tokio::test]
async fn a_message_waits_until_its_recipient_has_it() {
    let mut world = World::new().await;
    let mut romeo = world.online("romeo/orchard").await;
    world.send(&mut romeo, HI).await;
    world.until_rows("juliet", 1).await;
    assert!(inbox(&romeo).is_empty());
    world.clock.advance(std::time::Duration::from_secs(3600));
    let mut juliet = world.session("juliet/balcony");
    world.send(&mut juliet, "<presence><priority>-1</priority></presence>").await;
    assert_eq!(inbox(&juliet).len(), 1, "a negative priority takes no messages");
    world.send(&mut juliet, "<presence/>").await;
    let got = envelopes(&juliet);
    let expected = "<message to='juliet@hearth.example' from='romeo@hearth.example/orchard' \
        id='m1' type='chat'><body>hi</body><delay xmlns='urn:xmpp:delay' from='hearth.example' \
        stamp='2023-11-14T22:13:20.000Z'/></message>";
    let message = got.iter().find(|envelope| envelope.duty.is_some()).unwrap();
    assert_eq!(show(&juliet, message), expected);
    let duty = message.duty.clone().unwrap();
    assert_eq!(world.rows("juliet").await, 1, "it stays until it is acknowledged");
    assert!(duty.done(), "there is a row to remove");
    world.im.spooled_done(&juliet.shared, duty.id);
    world.until_rows("juliet", 0).await;
}

#[tokio::test]
async fn a_message_is_given_to_one_resource_only() {
    let world = World::with_a_message().await;
    let one = world.session("juliet/one");
    let two = world.session("juliet/two");
    for session in [&one, &two] {
        world.im.hand_over(&session.shared).await;
    }
    assert_eq!((inbox(&one).len(), inbox(&two).len()), (1, 0));
}

#[tokio::test]
async fn a_message_of_a_session_that_died_goes_to_the_next() {
    let mut world = World::with_a_message().await;
    let mut one = world.session("juliet/one");
    world.send(&mut one, "<presence/>").await;
    let two = world.online("juliet/two").await;
    let duty = envelopes(&one).iter().find_map(|envelope| envelope.duty.clone()).unwrap();
    let shared = one.shared.clone();
    world.end(one).await;
    inbox(&two);
    world.im.spooled_free(&shared, duty.id);
    let mut got = Vec::new();
    eventually("the other session has it", async || {
        got.append(&mut inbox(&two));
        !got.is_empty()
    })
    .await;
    assert!(got[0].contains("<body>hi</body>"));
}

/// A session was let go to a node that is gone by then.
#[tokio::test]
async fn a_message_whose_session_arrived_nowhere_goes_to_the_next() {
    let world = World::with_a_message().await;
    let one = world.session("juliet/one");
    let two = world.session("juliet/two");
    world.im.hand_over(&one.shared).await;
    assert_eq!(inbox(&one).len(), 1);
    world.im.let_go(&one.shared, Node { id: 9, incarnation: 5 });
    eventually("it is given to her next session", async || {
        world.im.hand_over(&two.shared).await;
        inbox(&two).len() == 1
    })
    .await;
}

#[tokio::test]
async fn a_message_survives_the_death_of_the_server() {
    let mut world = World::with_a_message().await;
    let juliet = world.online("juliet/balcony").await;
    drop(juliet);
    let mut world = world.restart().await;
    let mut juliet = world.session("juliet/balcony");
    world.send(&mut juliet, "<presence/>").await;
    assert!(inbox(&juliet).iter().any(|text| text.contains("<body>hi</body>")));
}

#[tokio::test]
async fn a_recipient_who_comes_while_a_message_is_written_gets_it() {
    let mut world = World::new().await;
    let juliet = world.online("juliet/balcony").await;
    // The router had looked before she came.
    let stanza = stanza(HI).with_from(testing::jid("romeo@hearth.example/orchard"));
    let mut out = Out::default();
    world.im.no_recipient(HostId::FIRST, Arc::new(stanza), None, &mut out);
    world.perform(out).await;
    let mut got = Vec::new();
    eventually("she has it", async || {
        got.append(&mut inbox(&juliet));
        !got.is_empty()
    })
    .await;
    assert!(got[0].contains("<body>hi</body>"));
}

#[tokio::test]
async fn a_long_absence_is_made_up_for_in_order_and_in_portions() {
    let mut settings = testing::settings();
    settings.offline_policy = Live::fixed(OfflinePolicy::Store);
    let mut world = World::with(crate::storage::testing::sqlite().await, settings).await;
    let mut romeo = world.online("romeo/orchard").await;
    for n in 0..150 {
        world.send(&mut romeo, &HI.replace("hi", &format!("{n}."))).await;
    }
    world.until_rows("juliet", 150).await;
    let mut juliet = world.session("juliet/balcony");
    world.send(&mut juliet, "<presence/>").await;
    let mut bodies = Vec::new();
    eventually("all have come", async || {
        let got = envelopes(&juliet);
        assert!(got.len() <= 66, "a portion at a time");
        for envelope in got.iter().filter(|envelope| envelope.duty.is_some()) {
            bodies.push(
                envelope
                    .stanza
                    .child("body", crate::ns::CLIENT)
                    .unwrap()
                    .element()
                    .text()
                    .into_owned(),
            );
            world.im.spooled_done(&juliet.shared, envelope.duty.as_ref().unwrap().id);
        }
        bodies.len() == 150
    })
    .await;
    assert_eq!(bodies, (0..150).map(|n| format!("{n}.")).collect::<Vec<_>>());
    world.until_rows("juliet", 0).await;
}

#[tokio::test]
async fn who_asks_while_messages_are_given_away_gets_no_second_portion() {
    let world = World::new().await;
    for n in 1..=100 {
        let bytes = stored::bytes(&stanza(&HI.replace("hi", &format!("{n}."))));
        let Key { host, account } = key("juliet");
        let values = params![host, account, StanzaId(n), NOW, 1, bytes, 1u32, 1i64, 0i64].to_vec();
        let add = world
            .test
            .db
            .write(move |tx| Box::pin(async move { tx.execute(store::ADD, &values).await }));
        add.await.unwrap();
    }
    let juliet = world.session("juliet/balcony");
    let (one, two) = (world.im.hand_over(&juliet.shared), world.im.hand_over(&juliet.shared));
    tokio::join!(one, two);
    world.im.hand_over(&juliet.shared).await;
    assert_eq!(inbox(&juliet).len(), 64);
}

/// A message that an SM client sent and whose acknowledgement waits.
fn awaited(world: &World, sender: &crate::session::Session) -> Arc<Duty> {
    sender.shared.start_management(false);
    let seq = sender.shared.watermark().unwrap().wait();
    let pending = Pending { sender: sender.shared.clone(), seq };
    Arc::new(Duty::new(world.clock.stanza_id(), Some(pending)))
}

#[tokio::test]
async fn the_sender_is_released_by_the_commit() {
    let mut world = World::new().await;
    let romeo = world.online("romeo/orchard").await;
    let duty = awaited(&world, &romeo);
    let mut out = Out::default();
    let stanza = stanza(HI).with_from(romeo.jid().clone());
    world.im.no_recipient(HostId::FIRST, Arc::new(stanza), Some(duty.clone()), &mut out);
    assert!(duty.is_awaited());
    world.perform(out).await;
    eventually("it is released", async || !duty.is_awaited()).await;
    assert_eq!(world.rows("juliet").await, 1);
    assert_eq!(romeo.shared.watermark().unwrap().report(), 1);
}

#[tokio::test]
async fn a_message_whose_account_cannot_be_looked_up_waits_for_the_database() {
    let mut settings = testing::settings();
    settings.offline_policy = Live::fixed(OfflinePolicy::Store);
    let mut world = World::with(crate::storage::testing::sqlite().await, settings).await;
    let juliet = world.online("juliet/balcony").await;
    let duty = awaited(&world, &juliet);
    let mut out = Out::default();
    let stanza = stanza(&HI.replace("juliet", "romeo")).with_from(juliet.jid().clone());
    world.is_away.store(true, Relaxed);
    world.im.no_recipient(HostId::FIRST, Arc::new(stanza), Some(duty.clone()), &mut out);
    world.perform(out).await;
    assert!(duty.is_awaited() && inbox(&juliet).is_empty(), "it is neither safe nor refused");
    world.is_away.store(false, Relaxed);
    world.until_rows("romeo", 1).await;
    eventually("it is released", async || !duty.is_awaited()).await;
}

#[tokio::test]
async fn each_policy_does_what_it_says() {
    use OfflinePolicy::*;
    let big = HI.replace("hi", &"x".repeat(2000));
    let rows = [
        (Bounce, HI, false, true),
        (Drop, HI, false, false),
        (Store, HI, true, false),
        (Store, &*big, true, false),
        (StoreAndBounce, HI, true, false),
        (StoreAndBounce, &*big, false, true),
        (StoreAndDrop, HI, true, false),
        (StoreAndDrop, &*big, false, false),
    ];
    for (policy, text, stored, bounced) in rows {
        let mut settings = testing::settings();
        settings.offline_policy = Live::fixed(policy);
        let mut world = World::with(crate::storage::testing::sqlite().await, settings).await;
        let romeo = world.online("romeo/orchard").await;
        let duty = awaited(&world, &romeo);
        let mut out = Out::default();
        let stanza = stanza(text).with_from(romeo.jid().clone());
        world.im.no_recipient(HostId::FIRST, Arc::new(stanza), Some(duty.clone()), &mut out);
        world.perform(out).await;
        eventually("its sender is released", async || !duty.is_awaited()).await;
        assert_eq!(world.rows("juliet").await, i64::from(stored), "{policy:?}: rows");
        let errors = inbox(&romeo);
        assert_eq!(errors.len(), usize::from(bounced), "{policy:?}: errors");
        assert!(errors.iter().all(|error| error.contains("<service-unavailable ")));
    }
}

#[tokio::test]
async fn the_quota_counts_what_is_stored_already() {
    let mut world = World::new().await;
    let mut romeo = world.online("romeo/orchard").await;
    let text = HI.replace("hi", &"x".repeat(300));
    for _ in 0..5 {
        world.send(&mut romeo, &text).await;
    }
    world.until_rows("juliet", 2).await;
    assert_eq!(inbox(&romeo).len(), 3);
}

#[tokio::test]
async fn a_message_for_nobody_is_bounced_as_one_that_may_not_be_stored() {
    let mut world = World::new().await;
    let mut romeo = world.online("romeo/orchard").await;
    world.send(&mut romeo, &HI.replace("juliet@", "nobody@")).await;
    let nobody = inbox(&romeo);
    let no_store = "<no-store xmlns='urn:xmpp:hints'/></message>";
    world.send(&mut romeo, &HI.replace("</message>", no_store)).await;
    let somebody = inbox(&romeo);
    assert_eq!(nobody[0].replace("nobody@", "juliet@"), somebody[0]);
    assert!(somebody[0].contains("<service-unavailable "));
}

#[tokio::test]
async fn a_spooled_copy_goes_when_the_message_is_acknowledged() {
    let world = World::new().await;
    let (romeo, juliet) = (world.session("romeo/orchard"), world.session("juliet/balcony"));
    let duty = awaited(&world, &romeo);
    duty.hold(1);
    world.im.spool(&juliet.shared, vec![(Arc::new(stanza(HI)), duty.clone())]);
    eventually("the copy is committed", async || duty.is_spooled()).await;
    assert!(!duty.is_awaited(), "the sender may forget it");
    assert_eq!(world.rows("juliet").await, 1);
    let other = world.session("juliet/other");
    world.im.hand_over(&other.shared).await;
    assert!(inbox(&other).is_empty(), "the holder has it");
    assert!(duty.done());
    world.im.spooled_done(&juliet.shared, duty.id);
    world.until_rows("juliet", 0).await;
}

#[tokio::test]
async fn a_copy_of_what_is_acknowledged_meanwhile_is_not_left_behind() {
    let world = World::new().await;
    let (romeo, juliet) = (world.session("romeo/orchard"), world.session("juliet/balcony"));
    let duty = awaited(&world, &romeo);
    world.im.spool(&juliet.shared, vec![(Arc::new(stanza(HI)), duty.clone())]);
    assert!(!duty.done(), "no row is known yet");
    eventually("the copy is committed", async || duty.is_spooled()).await;
    world.until_rows("juliet", 0).await;
}

#[tokio::test]
async fn a_spooled_message_whose_session_died_is_offered_again() {
    let world = World::new().await;
    let (romeo, juliet) = (world.session("romeo/orchard"), world.session("juliet/balcony"));
    let duty = awaited(&world, &romeo);
    world.im.spool(&juliet.shared, vec![(Arc::new(stanza(HI)), duty.clone())]);
    eventually("the copy is committed", async || duty.is_spooled()).await;
    world.im.spooled_free(&juliet.shared, duty.id);
    let next = world.session("juliet/next");
    eventually("the next session has it", async || {
        world.im.hand_over(&next.shared).await;
        !inbox(&next).is_empty()
    })
    .await;
}

#[tokio::test]
async fn a_damaged_row_does_not_hold_up_the_others() {
    let mut world = World::new().await;
    add(&world.test, 1, 10).await;
    let mut romeo = world.online("romeo/orchard").await;
    world.send(&mut romeo, HI).await;
    world.until_rows("juliet", 2).await;
    let juliet = world.session("juliet/balcony");
    world.im.hand_over(&juliet.shared).await;
    assert_eq!(inbox(&juliet).len(), 1);
    world.until_rows("juliet", 1).await;
}

#[tokio::test]
async fn a_deleted_account_leaves_nothing() {
    let mut world = World::new().await;
    world.befriend("juliet", "romeo").await;
    let mut romeo = world.online("romeo/orchard").await;
    world.send(&mut romeo, HI).await;
    world.until_rows("juliet", 1).await;
    let juliet = testing::jid("juliet@hearth.example");
    let out = world.im.account_removed(key("juliet"), &juliet).await.unwrap();
    world.perform(out).await;
    assert_eq!(world.subscription("romeo", "juliet@hearth.example").await, "none");
    assert_eq!(world.rows("juliet").await, 0);
    assert!(world.im.roster(key("juliet")).await.unwrap().items().is_empty());
    assert!(world.im.last_presence(key("juliet")).await.is_none());
}
