use std::time::Duration;

use super::*;
use crate::clock::Timestamp;
use crate::property_words;
use crate::storage::migrate;
use crate::storage::testing::{TestDb, backend_tests};

backend_tests! {
    defaults_hold_until_something_is_set,
    a_change_is_seen_at_once_and_recorded,
    what_is_not_allowed_is_refused_with_the_range,
    an_unknown_name_gets_a_hint,
    another_node_learns_of_a_change,
    a_property_of_a_node_stays_on_it,
    a_restart_property_waits,
    a_stored_value_no_longer_allowed_gives_the_default,
}

property_words! {
    enum StartTls { Required = "required", Optional = "optional", Disabled = "disabled" }
}

static STARTTLS: Property<StartTls> =
    Property::new("c2s.starttls", || StartTls::Required, "Whether clients must use TLS.");
static IDLE: Property<Duration> =
    Property::new("limits.idle", || Duration::from_secs(300), "Quiet time before a ping.")
        .within("at most a day", |t| *t <= Duration::from_secs(86_400));
static NAME: Property<String> =
    Property::new("node.name", || "hearth".to_owned(), "What the console calls this node.")
        .scope(Scope::Node);
static WORKERS: Property<u32> = Property::new("workers", || 2, "Threads.").restart();
const ALL: &[&dyn Declared] = &[&STARTTLS, &IDLE, &NAME, &WORKERS];

#[test]
fn an_integer_that_does_not_fit_is_told_the_bounds() {
    static ANY: Property<u32> = Property::new("any", || 2, "");
    static LEAST: Property<u64> =
        Property::new("least", || 64, "").within("64 or more", |n| *n >= 64);
    static MOST: Property<u16> = Property::new("most", || 2, "").within("at most 10", |n| *n <= 10);
    let told = |refused: Result<(), PropertyError>| match refused {
        Err(PropertyError::Invalid { range, .. }) => range,
        other => panic!("{other:?}"),
    };
    for (property, text, range) in [
        (&ANY as &dyn Declared, "4294967296", "an integer (0 to 4294967295)"),
        (&ANY, "-1", "an integer (0 to 4294967295)"),
        (&ANY, "many", "an integer"),
        (&ANY, "", "an integer"),
        (&LEAST, "99999999999999999999", "an integer (at most 18446744073709551615)"),
        (&LEAST, "3", "an integer (64 or more)"),
        (&LEAST, "-3", "an integer (64 or more)"),
        (&MOST, "70000", "an integer (at most 10)"),
    ] {
        assert_eq!(told(property.check(text)), range, "{text}");
    }
}

const NOW: Timestamp = Timestamp(1_000);

async fn load(test: &TestDb) -> Properties {
    migrate(&test.db, MIGRATIONS, NOW).await.unwrap();
    Properties::load(test.db.clone(), Clock::fake(NOW), ALL).await.unwrap()
}

async fn defaults_hold_until_something_is_set(test: TestDb) {
    let properties = load(&test).await;
    assert_eq!(properties.live(&STARTTLS).get(), StartTls::Required);
    assert_eq!(properties.live(&NAME).get(), "hearth");
    let entry = properties.entry("limits.idle").unwrap();
    assert_eq!((entry.value.as_str(), entry.pending), ("5m", false));
}

async fn a_change_is_seen_at_once_and_recorded(test: TestDb) {
    let properties = load(&test).await;
    let live = properties.live(&STARTTLS);
    let mut changes = live.changes();
    properties.set("c2s.starttls", "optional", "admin@example.org").await.unwrap();
    assert_eq!(live.get(), StartTls::Optional);
    assert!(changes.has_changed().unwrap());
    changes.mark_unchanged();
    properties.reset("c2s.starttls", "cli").await.unwrap();
    assert_eq!(live.get(), StartTls::Required);
    let history = properties.history("c2s.starttls", i64::MAX, 10).await.unwrap();
    let told: Vec<_> = history.iter().map(|c| (c.actor.as_str(), &c.old, &c.new)).collect();
    let optional = Some("optional".to_owned());
    assert_eq!(told, [("cli", &optional, &None), ("admin@example.org", &None, &optional)]);
    assert_eq!(history[0].changed, NOW);
}

async fn what_is_not_allowed_is_refused_with_the_range(test: TestDb) {
    let properties = load(&test).await;
    let refused = properties.set("c2s.starttls", "maybe", "x").await.unwrap_err().to_string();
    assert!(refused.contains("one of required optional disabled"), "{refused}");
    let refused = properties.set("limits.idle", "2d", "x").await.unwrap_err().to_string();
    assert!(refused.contains("at most a day"), "{refused}");
    assert!(properties.history("limits.idle", i64::MAX, 10).await.unwrap().is_empty());
}

async fn an_unknown_name_gets_a_hint(test: TestDb) {
    let refused = load(&test).await.set("c2s.startls", "optional", "x").await.unwrap_err();
    assert_eq!(
        refused.to_string(),
        "there is no property `c2s.startls`; did you mean `c2s.starttls`?"
    );
}

async fn another_node_learns_of_a_change(test: TestDb) {
    let here = load(&test).await;
    let there = Properties::load(test.another().await, Clock::fake(NOW), ALL).await.unwrap();
    let live = there.live(&STARTTLS);
    let mut changes = live.changes();
    let following = tokio::spawn(there.follow());
    here.set("c2s.starttls", "disabled", "x").await.unwrap();
    tokio::time::timeout(Duration::from_secs(20), changes.changed()).await.unwrap().unwrap();
    assert_eq!(live.get(), StartTls::Disabled);
    following.abort();
}

async fn a_property_of_a_node_stays_on_it(test: TestDb) {
    let here = load(&test).await;
    let there = Properties::load(test.another().await, Clock::system(77), ALL).await.unwrap();
    there.set("node.name", "attic", "x").await.unwrap();
    here.refresh(false).await.unwrap();
    assert_eq!(there.live(&NAME).get(), "attic");
    assert_eq!(here.live(&NAME).get(), "hearth");
}

async fn a_restart_property_waits(test: TestDb) {
    let properties = load(&test).await;
    properties.set("workers", "8", "x").await.unwrap();
    assert_eq!(properties.live(&WORKERS).get(), 2);
    assert!(properties.entry("workers").unwrap().pending);
    let restarted = load(&test).await;
    assert_eq!(restarted.live(&WORKERS).get(), 8);
    assert!(!restarted.entry("workers").unwrap().pending);
}

async fn a_stored_value_no_longer_allowed_gives_the_default(test: TestDb) {
    let properties = load(&test).await;
    let change = Change {
        id: 0,
        name: "limits.idle".to_owned(),
        target: 0,
        changed: NOW,
        actor: "an older release".to_owned(),
        old: None,
        new: Some("forever".to_owned()),
    };
    test.db
        .write(move |tx| Box::pin(async move { store::set(tx, &change, false).await }))
        .await
        .unwrap();
    properties.refresh(false).await.unwrap();
    assert_eq!(properties.live(&IDLE).get(), Duration::from_secs(300));
}

#[test]
fn durations_read_as_they_are_written() {
    for text in ["0s", "250ms", "1s", "90s", "2m", "36h", "7d"] {
        assert_eq!(Duration::parse(text).unwrap().show(), text);
    }
    assert_eq!(Duration::parse("30"), Some(Duration::from_secs(30)));
    for text in ["", "s", "-1s", "1y", "99999999999999999999s"] {
        assert_eq!(Duration::parse(text), None, "{text}");
    }
}
