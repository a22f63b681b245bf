//! Databases that are not there, not ours, damaged, full or away.

use std::sync::Arc;

use tokio::sync::{Notify, mpsc};

use super::super::testing;
use super::super::{
    Append, DatabaseUrl, Db, Done, PostgresUrl, StorageError, Synchronous, Verify, params,
};
use super::{add, names, table};

async fn open(url: &DatabaseUrl) -> Result<Db, StorageError> {
    Db::open(url, Synchronous::Normal).await
}

fn parse(text: &str) -> Result<DatabaseUrl, StorageError> {
    DatabaseUrl::parse(text, "somewhere/of".as_ref())
}

/// Appends `name`; the receiver hears when it is durable.
fn append(db: &Db, name: &str) -> mpsc::UnboundedReceiver<bool> {
    let (tell, told) = mpsc::unbounded_channel();
    let statement = "INSERT INTO t (name, body) VALUES ($1, $2) ON CONFLICT DO NOTHING";
    let done = Done::Call(Box::new(move |outcome| tell.send(outcome.is_ok()).unwrap()));
    let params = params![name, vec![7u8; 100_000]].to_vec();
    db.append(Append { statement, params, id: None, done });
    told
}

#[tokio::test]
async fn a_damaged_file_is_named_with_the_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hearth.db");
    std::fs::write(&path, vec![7u8; 20_000]).unwrap();
    let error = open(&DatabaseUrl::Sqlite(path.clone())).await.err().unwrap();
    assert!(matches!(error, StorageError::Corrupt { .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains(path.to_str().unwrap()) && text.contains("hearth restore"), "{text}");
}

#[tokio::test]
async fn a_folder_that_is_not_there_is_named() {
    let error = open(&DatabaseUrl::Sqlite("/nonexistent/hearth.db".into())).await.err().unwrap();
    assert!(matches!(error, StorageError::Unreachable { .. }), "{error}");
    assert!(error.to_string().contains("/nonexistent/hearth.db"));
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_named() {
    // Port 1 of this machine: nothing listens there.
    let url = parse("postgres://hearth@127.0.0.1:1/hearth").unwrap();
    let error = open(&url).await.err().unwrap();
    assert!(matches!(error, StorageError::Unreachable { .. }), "{error}");
    assert!(error.to_string().contains("127.0.0.1:1/hearth"), "{error}");
}

#[tokio::test]
async fn a_database_that_does_not_exist_is_named() {
    let name = "storage::tests::failure::a_database_that_does_not_exist_is_named";
    if testing::postgres(name).await.is_none() {
        return;
    }
    let server = crate::config::test_postgres().unwrap();
    let (server, _) = server.rsplit_once('/').unwrap();
    let error = open(&parse(&format!("{server}/no_such_database")).unwrap()).await.err().unwrap();
    assert!(matches!(error, StorageError::NoSuchDatabase { .. }), "{error}");
}

/// As of a process that is stopped in the middle of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_transaction_that_stands_still_has_locked_is_freed() {
    let name = "storage::tests::failure::what_a_transaction_that_stands_still_has_locked_is_freed";
    let Some(test) = testing::postgres(name).await else { return };
    let db = &test.db;
    table(db).await;
    let rename = "UPDATE t SET name = $1";
    db.write(|tx| Box::pin(add(tx, "first"))).await.unwrap();
    let (locked, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (has_locked, may_go_on) = (locked.clone(), go_on.clone());
    let stands_still = db.write(move |tx| {
        Box::pin(async move {
            tx.execute(rename, params!["stopped"]).await?;
            has_locked.notify_one();
            may_go_on.notified().await;
            tx.execute(rename, params!["stopped, and gone on"]).await
        })
    });
    let takes_over = async {
        locked.notified().await;
        let write = db.write(|tx| Box::pin(async { tx.execute(rename, params!["other"]).await }));
        let written = write.await;
        go_on.notify_one();
        written
    };
    let (stopped, written) = tokio::join!(stands_still, takes_over);
    assert_eq!(written.unwrap(), 1);
    let error = stopped.unwrap_err();
    assert!(error.is_transient(), "{error:?}");
    assert_eq!(names(db).await, ["other"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn appends_wait_while_the_disk_is_full() {
    let test = testing::sqlite().await;
    let db = &test.db;
    table(db).await;
    let limit = |pages: &'static str| {
        db.write(move |tx| Box::pin(async move { tx.query(pages, &[]).await }))
    };
    limit("PRAGMA max_page_count = 20").await.unwrap();
    let refused = db.write(|tx| {
        Box::pin(async move {
            tx.execute("INSERT INTO t (body) VALUES ($1)", params![vec![7u8; 100_000]]).await
        })
    });
    let refused = refused.await.unwrap_err();
    assert!(matches!(refused, StorageError::Full(_)), "{refused}");
    let mut told = append(db, "kept");
    assert!(names(db).await.is_empty());
    assert!(told.try_recv().is_err(), "nothing is acknowledged that is not stored");
    limit("PRAGMA max_page_count = 100000").await.unwrap();
    assert_eq!(told.recv().await, Some(true));
    assert_eq!(names(db).await, ["kept"]);
}

/// Makes the server close a connection of `victim`'s pool.
async fn kill_a_connection(victim: &Db, killer: &Db) {
    let pid = "SELECT CAST(pg_backend_pid() AS BIGINT)";
    let found = victim.read(move |tx| Box::pin(async move { tx.query_one(pid, &[]).await })).await;
    // The connection that was killed before may be the one that is asked.
    let Ok(row) = found else { return };
    let kill = "SELECT CAST(pg_terminate_backend(CAST($1 AS INTEGER)) AS TEXT)";
    let pid: i64 = row.get(0).unwrap();
    let killed = killer.read(move |tx| Box::pin(async move { tx.query(kill, params![pid]).await }));
    killed.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn appends_survive_broken_connections() {
    let name = "storage::tests::failure::appends_survive_broken_connections";
    let Some(test) = testing::postgres(name).await else { return };
    table(&test.db).await;
    let other = test.another().await;
    let mut told = Vec::new();
    for n in 0..200 {
        told.push(append(&test.db, &format!("{n:03}")));
        if n % 50 == 25 {
            kill_a_connection(&test.db, &other).await;
        }
    }
    for told in &mut told {
        assert_eq!(told.recv().await, Some(true));
    }
    assert_eq!(names(&test.db).await.len(), 200);
}

#[test]
fn urls_are_read_and_shown_without_their_password() {
    assert!(matches!(parse("sqlite"), Ok(DatabaseUrl::Sqlite(p)) if p.ends_with("hearth.db")));
    assert!(matches!(parse("sqlite:x.db"), Ok(DatabaseUrl::Sqlite(p)) if p.ends_with("of/x.db")));
    let url = parse("postgres://u:secret@db.example:6432/chat?sslmode=require").unwrap();
    assert_eq!(url.to_string(), "postgres://db.example:6432/chat");
    assert!(!format!("{url:?}").contains("secret"));
}

#[test]
fn the_certificate_check_is_read_from_the_url() {
    let verify = |query: &str| {
        let url: Result<PostgresUrl, _> = format!("postgres://u@h/d?{query}").parse();
        url.map(|url| url.verify().clone())
    };
    assert_eq!(verify("sslmode=prefer"), Ok(Verify::Nothing));
    assert_eq!(verify("sslmode=verify-full"), Ok(Verify::PublicRoots));
    let file = Ok(Verify::RootFile("ca.pem".into()));
    assert_eq!(verify("sslrootcert=ca.pem&sslmode=verify-full"), file);
    let pin = format!("sslfingerprint={}", "AB:".repeat(31) + "ab");
    assert_eq!(verify(&pin), Ok(Verify::Fingerprint([0xab; 32])));
    for wrong in ["sslmode=maybe", "sslfingerprint=12", "colour=red"] {
        assert!(matches!(verify(wrong), Err(StorageError::Url(_))), "{wrong}");
    }
    assert!(matches!(parse("postgres://u@h"), Err(StorageError::Url(_))));
    assert!(matches!(parse("mysql://u@h/d"), Err(StorageError::Url(_))));
}
