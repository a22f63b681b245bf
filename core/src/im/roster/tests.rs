use super::*;
use crate::backend_tests;
use crate::im::MIGRATIONS;
use crate::im::subscription::State;
use crate::im::testing::{self, NOW, World, inbox, key};
use crate::storage::migrate;
use crate::storage::testing::TestDb;

backend_tests! {
    an_item_survives_the_round_trip,
    versions_grow_by_clock_and_by_change,
    accounts_do_not_see_each_other,
    a_removed_account_leaves_nothing,
}

async fn save(test: &TestDb, key: Key, item: Option<Item>, contact: &str, now: Timestamp) -> i64 {
    let contact = testing::jid(contact);
    let write = test.db.write(move |tx| {
        Box::pin(async move {
            let before = store::lock(tx, key).await?;
            store::save(tx, key, (&contact, item.as_ref()), before, now).await
        })
    });
    write.await.unwrap()
}

async fn load(test: &TestDb, key: Key) -> Roster {
    test.db.read(move |tx| Box::pin(store::load(tx, key))).await.unwrap()
}

fn nurse() -> Item {
    Item {
        name: Some("Nurse \"N\" <Angelica>".into()),
        groups: vec!["Servants, of the house".into(), "Ämter".into()],
        state: State::FromPendingOut,
        approved: true,
        listed: true,
        request: Some("<status>let me in</status>".into()),
        ..Item::new(testing::jid("nurse@hearth.example"))
    }
}

async fn an_item_survives_the_round_trip(test: TestDb) {
    migrate(&test.db, MIGRATIONS, NOW).await.unwrap();
    save(&test, key("juliet"), Some(nurse()), "nurse@hearth.example", NOW).await;
    let roster = load(&test, key("juliet")).await;
    assert_eq!(**roster.item("nurse@hearth.example").unwrap(), nurse());
    let renamed = Item { name: None, groups: Vec::new(), request: None, ..nurse() };
    save(&test, key("juliet"), Some(renamed.clone()), "nurse@hearth.example", NOW).await;
    let roster = load(&test, key("juliet")).await;
    assert_eq!(**roster.item("nurse@hearth.example").unwrap(), renamed);
    save(&test, key("juliet"), None, "nurse@hearth.example", NOW).await;
    assert!(load(&test, key("juliet")).await.items().is_empty());
}

async fn versions_grow_by_clock_and_by_change(test: TestDb) {
    migrate(&test.db, MIGRATIONS, NOW).await.unwrap();
    assert_eq!(load(&test, key("juliet")).await.version, 0);
    let first = save(&test, key("juliet"), Some(nurse()), "nurse@hearth.example", NOW).await;
    assert_eq!(first, NOW.0);
    let second = save(&test, key("juliet"), None, "nurse@hearth.example", NOW).await;
    assert_eq!(second, NOW.0 + 1, "two changes within a millisecond");
    let past = Timestamp(NOW.0 - 5000);
    let third = save(&test, key("juliet"), None, "nurse@hearth.example", past).await;
    assert_eq!(third, NOW.0 + 2, "the clock was set back");
    assert_eq!(load(&test, key("juliet")).await.version, third);
}

async fn accounts_do_not_see_each_other(test: TestDb) {
    migrate(&test.db, MIGRATIONS, NOW).await.unwrap();
    save(&test, key("juliet"), Some(nurse()), "nurse@hearth.example", NOW).await;
    assert!(load(&test, key("romeo")).await.items().is_empty());
    assert_eq!(load(&test, key("romeo")).await.version, 0);
}

async fn a_removed_account_leaves_nothing(test: TestDb) {
    migrate(&test.db, MIGRATIONS, NOW).await.unwrap();
    save(&test, key("juliet"), Some(nurse()), "nurse@hearth.example", NOW).await;
    save(&test, key("romeo"), Some(nurse()), "nurse@hearth.example", NOW).await;
    let gone = key("juliet");
    test.db.write(move |tx| Box::pin(store::remove_account(tx, gone))).await.unwrap();
    assert!(load(&test, key("juliet")).await.items().is_empty());
    assert_eq!(load(&test, key("juliet")).await.version, 0);
    assert_eq!(load(&test, key("romeo")).await.items().len(), 1);
}

const GET: &str = "<iq id='1' type='get'><query xmlns='jabber:iq:roster'/></iq>";
const ADD: &str = "<iq id='2' type='set'><query xmlns='jabber:iq:roster'>\
    <item jid='nurse@hearth.example' name='Nurse'><group>Servants</group></item></query></iq>";

#[tokio::test]
async fn an_empty_roster_is_an_empty_query() {
    let mut world = World::new().await;
    let mut juliet = world.session("juliet/balcony");
    world.send(&mut juliet, GET).await;
    let expected = "<iq to='juliet@hearth.example/balcony' id='1' type='result'>\
                    <query xmlns='jabber:iq:roster' ver='0'/></iq>";
    assert_eq!(inbox(&juliet), [expected]);
}

#[tokio::test]
async fn a_set_is_pushed_to_interested_resources_and_answered() {
    let mut world = World::new().await;
    let mut juliet = world.session("juliet/balcony");
    let (chamber, garden) = (world.online("juliet/chamber").await, world.session("juliet/garden"));
    world.send(&mut juliet, GET).await;
    inbox(&juliet);
    world.send(&mut juliet, ADD).await;
    let query = format!(
        "<query xmlns='jabber:iq:roster' ver='{}'><item jid='nurse@hearth.example' name='Nurse' \
         subscription='none'><group>Servants</group></item></query>",
        NOW.0
    );
    let push = |resource: &str| {
        let id = format!("push-{}", NOW.0);
        format!("<iq to='juliet@hearth.example/{resource}' id='{id}' type='set'>{query}</iq>")
    };
    let result = "<iq to='juliet@hearth.example/balcony' id='2' type='result'/>";
    assert_eq!(inbox(&juliet), [push("balcony").as_str(), result]);
    assert_eq!(inbox(&chamber), [push("chamber")]);
    assert!(inbox(&garden).is_empty(), "it never asked for the roster");
    world.send(&mut juliet, GET).await;
    assert!(inbox(&juliet)[0].contains(&query));
}

#[tokio::test]
async fn a_current_version_is_answered_without_items() {
    let mut world = World::new().await;
    let mut juliet = world.online("juliet/balcony").await;
    world.send(&mut juliet, ADD).await;
    inbox(&juliet);
    let get = |ver: i64| GET.replace("'/></iq>", &format!("' ver='{ver}'/></iq>"));
    world.send(&mut juliet, &get(NOW.0)).await;
    let empty = "<iq to='juliet@hearth.example/balcony' id='1' type='result'/>";
    assert_eq!(inbox(&juliet), [empty]);
    world.send(&mut juliet, &get(NOW.0 - 1)).await;
    assert!(inbox(&juliet)[0].contains("<item "));
}

#[tokio::test]
async fn a_set_that_changes_nothing_visible_is_answered_without_a_push() {
    let mut world = World::new().await;
    let mut juliet = world.online("juliet/balcony").await;
    world.send(&mut juliet, ADD).await;
    inbox(&juliet);
    world.send(&mut juliet, ADD).await;
    assert_eq!(inbox(&juliet), ["<iq to='juliet@hearth.example/balcony' id='2' type='result'/>"]);
}

#[tokio::test]
async fn a_set_does_not_touch_the_subscription() {
    let mut world = World::new().await;
    world.befriend("juliet", "nurse").await;
    let mut juliet = world.online("juliet/balcony").await;
    world
        .send(&mut juliet, &ADD.replace(" name=", " subscription='none' ask='subscribe' name="))
        .await;
    assert_eq!(world.subscription("juliet", "nurse@hearth.example").await, "both");
    let item = "<item jid='nurse@hearth.example' name='Nurse' subscription='both'>";
    assert!(inbox(&juliet)[0].contains(item));
}

#[tokio::test]
async fn a_refused_set_changes_nothing() {
    let mut world = World::new().await;
    let mut juliet = world.online("juliet/balcony").await;
    let own = ADD.replace("nurse@", "juliet@");
    world.send(&mut juliet, &own).await;
    let answers = inbox(&juliet);
    assert_eq!(answers.len(), 1);
    assert!(answers[0].contains("type='error'") && answers[0].contains("<not-allowed "));
    assert!(world.stored("juliet").await.items().is_empty());
}

#[tokio::test]
async fn a_full_roster_takes_no_more() {
    let mut world = World::new().await;
    let mut juliet = world.online("juliet/balcony").await;
    for n in 0..6 {
        inbox(&juliet);
        world.send(&mut juliet, &ADD.replace("nurse@", &format!("nurse{n}@"))).await;
    }
    assert!(inbox(&juliet)[0].contains("<resource-constraint "));
    world.send(&mut juliet, &ADD.replace("nurse@", "nurse1@").replace("'Nurse'", "'N'")).await;
    assert_eq!(inbox(&juliet).len(), 2, "who is there may still be renamed");
}

#[tokio::test]
async fn a_full_roster_takes_nobody_who_asks() {
    let mut world = World::new().await;
    let mut juliet = world.online("juliet/balcony").await;
    for n in 0..5 {
        world.send(&mut juliet, &ADD.replace("nurse@", &format!("nurse{n}@"))).await;
    }
    world
        .receive("<presence type='subscribe' from='a@other.example' to='juliet@hearth.example'/>")
        .await;
    inbox(&juliet);
    world.send(&mut juliet, "<presence type='subscribed' to='a@other.example'/>").await;
    assert!(inbox(&juliet)[0].contains("<resource-constraint "));
}

const REMOVE: &str = "<iq id='3' type='set'><query xmlns='jabber:iq:roster'>\
    <item jid='nurse@hearth.example' subscription='remove'/></query></iq>";

#[tokio::test]
async fn removing_nobody_is_item_not_found() {
    let mut world = World::new().await;
    let mut juliet = world.online("juliet/balcony").await;
    world.send(&mut juliet, REMOVE).await;
    assert!(inbox(&juliet)[0].contains("<item-not-found "));
}

#[tokio::test]
async fn removing_a_contact_ends_the_subscriptions_of_both() {
    let mut world = World::new().await;
    world.befriend("juliet", "nurse").await;
    let nurse = world.online("nurse/kitchen").await;
    let mut juliet = world.online("juliet/balcony").await;
    inbox(&nurse);
    world.send(&mut juliet, REMOVE).await;
    let answers = inbox(&juliet);
    assert!(answers[0].contains("<item jid='nurse@hearth.example' subscription='remove'/>"));
    assert!(answers.last().unwrap().contains("type='unavailable'"), "the nurse is out of sight");
    assert_eq!(world.subscription("juliet", "nurse@hearth.example").await, "absent");
    assert_eq!(world.subscription("nurse", "juliet@hearth.example").await, "none");
    let told = inbox(&nurse).join("\n");
    for expected in ["type='unsubscribe'", "type='unsubscribed'", "type='unavailable'"] {
        assert!(told.contains(expected), "{expected} in {told}");
    }
}

#[tokio::test]
async fn changes_at_the_same_time_all_stay_and_the_cache_has_them() {
    let world = World::new().await;
    let changes = (0..5).map(|n| {
        let im = world.im.clone();
        let contact = testing::jid(&format!("c{n}@hearth.example"));
        let item = Item { listed: true, ..Item::new(contact.clone()) };
        async move { im.amend(key("juliet"), contact, move |_| Ok(Change::Put(item))).await }
    });
    for outcome in futures_util::future::join_all(changes).await {
        outcome.unwrap();
    }
    let cached = world.im.roster(key("juliet")).await.unwrap();
    assert_eq!(cached.items().len(), 5);
    assert_eq!(cached.version, world.stored("juliet").await.version);
}
