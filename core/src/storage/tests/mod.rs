mod append;
mod backup;
mod failure;
mod lease;
mod migrate;

use bytes::Bytes;

use super::testing::{TestDb, backend_tests};
use super::*;

backend_tests! {
    values_survive_the_round_trip,
    parameters_go_by_their_number,
    an_error_rolls_back,
    a_panic_rolls_back,
    a_failed_job_takes_no_other_with_it,
    writes_queued_together_keep_their_order,
    reading_does_not_write,
    absent_is_none_and_too_many_is_an_error,
    returning_counts_and_answers,
}

async fn table(db: &Db) {
    let script = db.dialect().schema(
        "CREATE TABLE t (id BIGSERIAL PRIMARY KEY, name TEXT UNIQUE, body BYTEA, yes BOOLEAN)",
    );
    let script = script.into_owned();
    db.write(move |tx| Box::pin(async move { tx.script(&script).await })).await.unwrap();
}

async fn add(tx: &mut Tx<'_>, name: &str) -> Result<u64, StorageError> {
    tx.execute("INSERT INTO t (name) VALUES ($1)", params![name]).await
}

async fn names(db: &Db) -> Vec<String> {
    let rows = db
        .read(|tx| Box::pin(async move { tx.query("SELECT name FROM t ORDER BY id", &[]).await }))
        .await
        .unwrap();
    rows.iter().map(|row| row.get(0).unwrap()).collect()
}

async fn values_survive_the_round_trip(test: TestDb) {
    table(&test.db).await;
    let row = test.db.write(|tx| {
        Box::pin(async move {
            let sql = "INSERT INTO t (name, body, yes) VALUES ($1, $2, $3)";
            tx.execute(sql, params!["Ω", [0u8, 255, 1], true]).await?;
            tx.execute(sql, params![None::<&str>, None::<Bytes>, false]).await?;
            tx.query("SELECT name, body, yes, id FROM t ORDER BY id", &[]).await
        })
    });
    let rows = row.await.unwrap();
    assert_eq!(rows[0].get::<String>(0).unwrap(), "Ω");
    assert_eq!(rows[0].get::<[u8; 3]>(1).unwrap(), [0, 255, 1]);
    assert!(rows[0].get::<bool>(2).unwrap());
    assert_eq!(rows[1].get::<Option<String>>(0).unwrap(), None);
    assert_eq!(rows[1].get::<i64>(3).unwrap(), 2);
    assert!(matches!(rows[0].get::<i64>(0), Err(StorageError::Column { index: 0, .. })));
}

async fn parameters_go_by_their_number(test: TestDb) {
    let row = test.db.read(|tx| {
        Box::pin(async move {
            let sql = "SELECT CAST($2 AS TEXT), CAST($1 AS BIGINT), CAST($2 AS TEXT)";
            tx.query_one(sql, params![7, "two"]).await
        })
    });
    let row = row.await.unwrap();
    assert_eq!(row.get::<String>(0).unwrap(), "two");
    assert_eq!(row.get::<i64>(1).unwrap(), 7);
    assert_eq!(row.get::<String>(2).unwrap(), "two");
}

async fn an_error_rolls_back(test: TestDb) {
    table(&test.db).await;
    let lost = test.db.write(|tx| {
        Box::pin(async move {
            add(tx, "lost").await?;
            add(tx, "lost").await
        })
    });
    assert!(lost.await.unwrap_err().is_constraint());
    assert!(names(&test.db).await.is_empty());
}

async fn a_panic_rolls_back(test: TestDb) {
    table(&test.db).await;
    let lost = test.db.write(|tx| {
        Box::pin(async move {
            add(tx, "lost").await?;
            panic!("on purpose");
            #[allow(unreachable_code)]
            Ok(())
        })
    });
    assert_eq!(lost.await, Err(StorageError::Panicked));
    test.db.write(|tx| Box::pin(async move { add(tx, "kept").await })).await.unwrap();
    assert_eq!(names(&test.db).await, ["kept"]);
}

async fn a_failed_job_takes_no_other_with_it(test: TestDb) {
    table(&test.db).await;
    let jobs = (0..40).map(|n| {
        let name = if n % 4 == 3 { "same".to_owned() } else { format!("n{n}") };
        test.db.write(move |tx| Box::pin(async move { add(tx, &name).await }))
    });
    let outcomes = futures_util::future::join_all(jobs).await;
    let failed = outcomes.iter().filter(|o| o.is_err()).count();
    assert_eq!((failed, names(&test.db).await.len()), (9, 31));
}

async fn writes_queued_together_keep_their_order(test: TestDb) {
    table(&test.db).await;
    if test.db.dialect() == Dialect::Postgres {
        return; // Transactions on separate connections have no order among each other.
    }
    let jobs = (0..100).map(|n| {
        test.db.write(move |tx| Box::pin(async move { add(tx, &format!("{n:03}")).await }))
    });
    futures_util::future::join_all(jobs).await;
    let names = names(&test.db).await;
    assert!(names.len() == 100 && names.is_sorted());
}

async fn reading_does_not_write(test: TestDb) {
    table(&test.db).await;
    let refused = test.db.read(|tx| Box::pin(async move { add(tx, "no").await })).await;
    assert!(matches!(refused, Err(StorageError::Statement(_))));
}

async fn absent_is_none_and_too_many_is_an_error(test: TestDb) {
    table(&test.db).await;
    let read = test.db.write(|tx| {
        Box::pin(async move {
            let sql = "SELECT id FROM t";
            let absent = tx.query_opt(sql, &[]).await?;
            let none = tx.query_one(sql, &[]).await;
            add(tx, "a").await?;
            add(tx, "b").await?;
            Ok((absent, none, tx.query_opt(sql, &[]).await))
        })
    });
    let (absent, none, two) = read.await.unwrap();
    assert_eq!((absent, none), (None, Err(StorageError::Rows(0))));
    assert_eq!(two, Err(StorageError::Rows(2)));
}

async fn returning_counts_and_answers(test: TestDb) {
    table(&test.db).await;
    let written = test.db.write(|tx| {
        Box::pin(async move {
            let sql = "INSERT INTO t (name) VALUES ($1), ($2) RETURNING id";
            let count = tx.execute(sql, params!["a", "b"]).await?;
            Ok((count, tx.query(sql, params!["c", "d"]).await?.len()))
        })
    });
    assert_eq!(written.await.unwrap(), (2, 2));
}
