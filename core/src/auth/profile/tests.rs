use super::*;
use crate::auth::store::{self as accounts, MIGRATIONS};
use crate::host::HostId;
use crate::storage::testing::{TestDb, backend_tests};
use crate::storage::{Dialect, Value, migrate};

const HOST: HostId = HostId::FIRST;
const NOW: Timestamp = Timestamp(1_000_000);

backend_tests! {
    lists_walk_an_index,
    users_are_listed_by_name_and_prefix,
    users_are_found_by_every_word_once,
    a_search_is_paged,
    names_are_looked_up_in_any_number,
    locked_out_users_are_listed_until_it_is_over,
    the_total_follows,
    properties_are_kept_and_go_with_the_account,
}

async fn new(test: &TestDb, username: &'static str, profile: Profile) -> AccountId {
    let made = test.db.write(move |tx| {
        Box::pin(async move { accounts::create(tx, HOST, username, &profile, NOW).await })
    });
    made.await.unwrap().unwrap()
}

fn called(name: &str, email: &str) -> Profile {
    Profile { name: Some(name.to_owned()), email: Some(email.to_owned()) }
}

async fn filled(test: &TestDb) {
    migrate(&test.db, MIGRATIONS, NOW).await.unwrap();
    new(test, "juliet", called("Juliet Capulet", "juliet@example.org")).await;
    new(test, "romeo", called("Romeo  MONTAGUE", "r.montague@example.org")).await;
    new(test, "nurse", Profile::default()).await;
    new(test, "\u{e9}tienne", called("\u{c9}tienne", "e@example.org")).await;
}

fn names(users: &[Listed]) -> Vec<&str> {
    users.iter().map(|user| user.account.username.as_str()).collect()
}

fn range(prefix: &str, after: &str, limit: usize) -> Range {
    Range { prefix: prefix.to_owned(), after: after.to_owned(), limit }
}

async fn search(
    test: &TestDb,
    prefix: &str,
    after: Option<Hit>,
    limit: usize,
) -> Vec<(Hit, Listed)> {
    let prefix = fold(prefix);
    let found = test.db.read(move |tx| {
        Box::pin(async move { store::search(tx, HOST, &prefix, after.as_ref(), limit).await })
    });
    found.await.unwrap()
}

/// PostgreSQL plans by the number of rows: `tests/load/people` measures there.
async fn lists_walk_an_index(test: TestDb) {
    filled(&test).await;
    if test.db.dialect() == Dialect::Postgres {
        return;
    }
    for sql in [store::BY_NAME, store::LOCKED, store::BEGUN, store::NAMED, store::SEARCH] {
        let sql = format!("EXPLAIN QUERY PLAN {sql}");
        let values: Vec<Value> = (0..sql.matches('$').count()).map(|_| Value::Int(1)).collect();
        let plan = test
            .db
            .read(move |tx| Box::pin(async move { tx.query_once(&sql, &values).await }))
            .await
            .unwrap();
        for step in plan.iter().map(|row| row.get::<String>(3).unwrap()) {
            assert!(!step.starts_with("SCAN") && !step.contains("TEMP B-TREE"), "{step}");
        }
    }
}

async fn users_are_listed_by_name_and_prefix(test: TestDb) {
    filled(&test).await;
    let list = async |range: Range| {
        let read =
            test.db.read(move |tx| Box::pin(async move { store::by_name(tx, HOST, &range).await }));
        read.await.unwrap()
    };
    let all = list(range("", "", 9)).await;
    assert_eq!(names(&all), ["juliet", "nurse", "romeo", "\u{e9}tienne"]);
    assert_eq!(all[0].profile, called("Juliet Capulet", "juliet@example.org"));
    assert_eq!(names(&list(range("", "juliet", 2)).await), ["nurse", "romeo"]);
    assert_eq!(names(&list(range("ro", "", 9)).await), ["romeo"]);
    assert_eq!(names(&list(range("ro", "romeo", 9)).await), [""; 0]);
}

async fn users_are_found_by_every_word_once(test: TestDb) {
    filled(&test).await;
    let rows = [
        ("jul", vec!["juliet"]),
        ("CAP", vec!["juliet"]),
        ("juliet  cap", vec!["juliet"]),
        ("montague", vec!["romeo"]),
        ("r.mont", vec!["romeo"]),
        ("\u{c9}ti", vec!["\u{e9}tienne"]),
        ("r", vec!["romeo"]),
        ("uliet", vec![]),
    ];
    for (typed, expected) in rows {
        let found: Vec<_> = search(&test, typed, None, 9).await.into_iter().map(|f| f.1).collect();
        assert_eq!(names(&found), expected, "{typed}");
    }
}

async fn a_search_is_paged(test: TestDb) {
    migrate(&test.db, MIGRATIONS, NOW).await.unwrap();
    for username in ["a", "b", "c", "d"] {
        new(&test, username, called("Same Same", "same@example.org")).await;
    }
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = search(&test, "same", after, 3).await;
        seen.extend(page.iter().map(|(_, user)| user.account.username.clone()));
        let Some((last, _)) = page.last() else { break };
        after = Some(last.clone());
    }
    assert_eq!(seen, ["a", "b", "c", "d"]);
}

async fn names_are_looked_up_in_any_number(test: TestDb) {
    filled(&test).await;
    let asked: Vec<String> = (0..40).map(|n| format!("a{n}")).chain(["nurse".into()]).collect();
    let found =
        test.db.read(move |tx| Box::pin(async move { store::named(tx, HOST, &asked).await }));
    assert_eq!(names(&found.await.unwrap()), ["nurse"]);
}

async fn locked_out_users_are_listed_until_it_is_over(test: TestDb) {
    filled(&test).await;
    let locks =
        [("juliet", None, NOW), ("romeo", Some(Timestamp(2_000_000)), Timestamp(1_500_000))];
    for (name, until, from) in locks {
        let lockout = Lockout { from, until, reason: Some("spam".to_owned()) };
        let lock = test.db.write(move |tx| {
            Box::pin(async move { accounts::set_lockout(tx, HOST, name, Some(&lockout)).await })
        });
        assert!(lock.await.unwrap());
    }
    let locked = async |now| {
        let range = range("", "", 9);
        let read = test.db.read(move |tx| {
            Box::pin(async move { store::locked(tx, HOST, &range, Timestamp(now)).await })
        });
        read.await.unwrap()
    };
    let both = locked(1_000_000).await;
    assert_eq!(names(&both), ["juliet", "romeo"]);
    let romeo = both[1].account.lockout.as_ref().unwrap();
    assert_eq!(romeo.reason.as_deref(), Some("spam"));
    let holds = [1_000_000, 1_500_000, 2_000_000].map(|now| romeo.holds(Timestamp(now)));
    assert_eq!(holds, [false, true, false]);
    assert_eq!(names(&locked(2_000_000).await), ["juliet"]);
}

async fn the_total_follows(test: TestDb) {
    filled(&test).await;
    let total = || test.db.read(|tx| Box::pin(store::total(tx, HOST)));
    assert_eq!(total().await.unwrap(), 4);
    let gone = test.db.write(|tx| Box::pin(accounts::delete(tx, HOST, "nurse", NOW)));
    assert!(gone.await.unwrap().is_some());
    assert_eq!(total().await.unwrap(), 3);
}

async fn properties_are_kept_and_go_with_the_account(test: TestDb) {
    filled(&test).await;
    let id = new(&test, "tybalt", Profile::default()).await;
    let write = test.db.write(move |tx| {
        Box::pin(async move {
            for (name, value) in [("b", "1"), ("a", "1"), ("b", "2")] {
                store::set_property(tx, id, name, value).await?;
            }
            store::delete_property(tx, id, "c").await
        })
    });
    assert!(!write.await.unwrap(), "there was no `c`");
    let read = || test.db.read(move |tx| Box::pin(store::properties(tx, id, "", 9)));
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(read().await.unwrap(), [pair("a", "1"), pair("b", "2")]);
    let gone = test.db.write(|tx| Box::pin(accounts::delete(tx, HOST, "tybalt", NOW)));
    assert_eq!(gone.await.unwrap(), Some(id));
    assert_eq!(read().await.unwrap(), []);
}
