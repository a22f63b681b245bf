use super::super::migrate::{Migration, SCHEMA, check_reader, migrate};
use super::super::testing::{TestDb, backend_tests};
use super::super::{StorageError, params};
use crate::clock::Timestamp;

backend_tests! {
    migrations_run_once,
    two_nodes_may_migrate_at_once,
    a_failed_migration_names_itself_and_leaves_nothing,
    a_gap_in_the_numbers_is_refused,
    only_a_contracting_newer_schema_is_refused,
}

const NOW: Timestamp = Timestamp(1);
const CREATE: Migration = Migration::expand(
    "pets",
    1,
    "create",
    "CREATE TABLE pet (id BIGSERIAL PRIMARY KEY, photo BYTEA); INSERT INTO pet (photo) VALUES (NULL)",
);
const EARS: Migration = Migration::expand("pets", 2, "ears", "ALTER TABLE pet ADD ears BIGINT");

async fn count(test: &TestDb, sql: &'static str) -> i64 {
    let row = test.db.read(move |tx| Box::pin(async move { tx.query_one(sql, &[]).await })).await;
    row.unwrap().get(0).unwrap()
}

async fn migrations_run_once(test: TestDb) {
    migrate(&test.db, &[CREATE], NOW).await.unwrap();
    migrate(&test.db, &[CREATE, EARS], NOW).await.unwrap();
    migrate(&test.db, &[CREATE, EARS], NOW).await.unwrap();
    assert_eq!(count(&test, "SELECT count(*) FROM pet WHERE ears IS NULL").await, 1);
    assert_eq!(count(&test, "SELECT count(*) FROM migration").await, 2);
}

async fn two_nodes_may_migrate_at_once(test: TestDb) {
    let other = test.another().await;
    let both = [CREATE, EARS];
    let (a, b) = tokio::join!(migrate(&test.db, &both, NOW), migrate(&other, &both, NOW));
    assert_eq!((a, b), (Ok(()), Ok(())));
    assert_eq!(count(&test, "SELECT count(*) FROM pet").await, 1);
}

async fn a_failed_migration_names_itself_and_leaves_nothing(test: TestDb) {
    let broken = Migration::expand(
        "pets",
        2,
        "tails",
        "CREATE TABLE tail (id BIGINT); INSERT INTO nowhere VALUES (1)",
    );
    let failed = migrate(&test.db, &[CREATE, broken], NOW).await.unwrap_err();
    assert!(failed.to_string().starts_with("migration pets 2 (tails) failed"), "{failed}");
    assert_eq!(count(&test, "SELECT count(*) FROM migration").await, 1);
    let mended = Migration::expand("pets", 2, "tails", "CREATE TABLE tail (id BIGINT)");
    migrate(&test.db, &[CREATE, mended], NOW).await.unwrap();
}

async fn a_gap_in_the_numbers_is_refused(test: TestDb) {
    let failed = migrate(&test.db, &[EARS], NOW).await.unwrap_err();
    assert!(matches!(failed, StorageError::Migration { number: 2, .. }), "{failed}");
}

async fn only_a_contracting_newer_schema_is_refused(test: TestDb) {
    assert_eq!(check_reader(&test.db).await, Ok(()));
    migrate(&test.db, &[CREATE], NOW).await.unwrap();
    let set = |schema: i64, min_reader: i64| {
        test.db.write(move |tx| {
            Box::pin(async move {
                let sql = "UPDATE schema_version SET schema = $1, min_reader = $2";
                tx.execute(sql, params![schema, min_reader]).await
            })
        })
    };
    set(SCHEMA + 1, SCHEMA).await.unwrap();
    assert_eq!(migrate(&test.db, &[CREATE], NOW).await, Ok(()));
    set(SCHEMA + 1, SCHEMA + 1).await.unwrap();
    let refused = StorageError::TooNew { min_reader: SCHEMA + 1, ours: SCHEMA };
    assert_eq!(migrate(&test.db, &[CREATE], NOW).await, Err(refused.clone()));
    assert_eq!(check_reader(&test.db).await, Err(refused));
}
