use std::io::{Cursor, Write};
use std::sync::Arc;

use parking_lot::Mutex;

use super::super::backup::{Imported, export, import, restore_snapshot, snapshot};
use super::super::testing::{self, TestDb, backend_tests};
use super::super::{DatabaseUrl, Db, Migration, StorageError, Synchronous, migrate, params};
use crate::clock::Timestamp;

backend_tests! {
    an_export_comes_back_the_same,
    a_cut_export_changes_nothing,
    numbers_once_given_are_not_given_again,
    rows_of_unknown_tables_are_skipped,
    what_is_no_export_is_refused,
}

const PETS: Migration = Migration::expand(
    "pets",
    1,
    "create",
    "CREATE TABLE b_owner (id BIGSERIAL PRIMARY KEY, name TEXT);
     CREATE TABLE a_pet (owner BIGINT NOT NULL REFERENCES b_owner (id), photo BYTEA,
         tame BOOLEAN NOT NULL, PRIMARY KEY (owner))",
);

/// Where an export is written, and read from again.
#[derive(Clone, Default)]
struct File(Arc<Mutex<Vec<u8>>>);

impl Write for File {
    fn write(&mut self, octets: &[u8]) -> std::io::Result<usize> {
        self.0.lock().extend_from_slice(octets);
        Ok(octets.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

async fn exported(db: &Db) -> String {
    let file = File::default();
    export(db, Box::new(file.clone()), Box::new(|_, _| {})).await.unwrap();
    let octets = file.0.lock().clone();
    String::from_utf8(octets).unwrap()
}

async fn imported(db: &Db, text: &str) -> Result<Imported, StorageError> {
    import(db, Box::new(Cursor::new(text.to_owned().into_bytes())), Box::new(|_, _| {})).await
}

async fn fill(db: &Db) {
    migrate(db, &[PETS], Timestamp(1)).await.unwrap();
    db.write(|tx| {
        Box::pin(async move {
            for n in 0..1500i64 {
                let owner = tx
                    .query_one(
                        "INSERT INTO b_owner (name) VALUES ($1) RETURNING id",
                        params![format!("owner \"{n}\"\n")],
                    )
                    .await?;
                let photo = (n % 3 != 0).then(|| n.to_be_bytes().to_vec());
                let pet = params![owner.get::<i64>(0)?, photo, n % 2 == 0];
                tx.execute("INSERT INTO a_pet VALUES ($1, $2, $3)", pet).await?;
            }
            Ok(())
        })
    })
    .await
    .unwrap();
}

async fn pets(db: &Db) -> Vec<(String, Option<Vec<u8>>, bool)> {
    let sql = "SELECT name, photo, tame FROM b_owner JOIN a_pet ON owner = id ORDER BY id";
    let rows = db.read(move |tx| Box::pin(async move { tx.query(sql, &[]).await })).await.unwrap();
    let columns =
        |row: &super::super::Row| (row.get(0).unwrap(), row.get(1).unwrap(), row.get(2).unwrap());
    rows.iter().map(columns).collect()
}

async fn an_export_comes_back_the_same(test: TestDb) {
    fill(&test.db).await;
    let text = exported(&test.db).await;
    // Into SQLite, and from there back into the kind of database that it came from.
    let other = testing::sqlite().await;
    migrate(&other.db, &[PETS], Timestamp(1)).await.unwrap();
    let done = imported(&other.db, &text).await.unwrap();
    assert_eq!(done, Imported { rows: 3000, skipped: Vec::new() });
    assert_eq!(pets(&other.db).await, pets(&test.db).await);
    let again = exported(&other.db).await;
    imported(&test.db, &again).await.unwrap();
    assert_eq!(pets(&other.db).await, pets(&test.db).await);
}

async fn a_cut_export_changes_nothing(test: TestDb) {
    fill(&test.db).await;
    let before = pets(&test.db).await;
    let text = exported(&test.db).await;
    let cut: String = text.lines().take(700).map(|line| format!("{line}\n")).collect();
    let refused = imported(&test.db, &cut).await.unwrap_err();
    assert_eq!(
        refused.to_string(),
        "backup: line 701: the file is cut short; nothing was imported"
    );
    assert_eq!(pets(&test.db).await, before);
}

async fn numbers_once_given_are_not_given_again(test: TestDb) {
    migrate(&test.db, &[PETS], Timestamp(1)).await.unwrap();
    let add = async |db: &Db| {
        let sql = "INSERT INTO b_owner (name) VALUES ('x') RETURNING id";
        let row = db.write(move |tx| Box::pin(async move { tx.query_one(sql, &[]).await })).await;
        row.unwrap().get::<i64>(0).unwrap()
    };
    add(&test.db).await;
    let gone = add(&test.db).await;
    let delete = "DELETE FROM b_owner WHERE id = $1";
    let deleted =
        test.db.write(move |tx| Box::pin(async move { tx.execute(delete, params![gone]).await }));
    deleted.await.unwrap();
    let text = exported(&test.db).await;
    let other = testing::sqlite().await;
    migrate(&other.db, &[PETS], Timestamp(1)).await.unwrap();
    imported(&other.db, &text).await.unwrap();
    assert!(add(&other.db).await > gone);
    imported(&test.db, &text).await.unwrap();
    assert!(add(&test.db).await > gone);
}

async fn rows_of_unknown_tables_are_skipped(test: TestDb) {
    fill(&test.db).await;
    let text = exported(&test.db).await;
    let empty = testing::sqlite().await;
    migrate(&empty.db, &[], Timestamp(1)).await.unwrap();
    let skipped = vec!["b_owner".to_owned(), "a_pet".to_owned()];
    assert_eq!(imported(&empty.db, &text).await, Ok(Imported { rows: 0, skipped }));
}

async fn what_is_no_export_is_refused(test: TestDb) {
    migrate(&test.db, &[PETS], Timestamp(1)).await.unwrap();
    let newer = "{\"format\":\"hearth-export-1\",\"schema\":99,\"min_reader\":99}\n";
    assert!(matches!(
        imported(&test.db, newer).await,
        Err(StorageError::TooNew { min_reader: 99, .. })
    ));
    let foreign = imported(&test.db, "{}\n").await.unwrap_err().to_string();
    assert!(foreign.contains("line 1: this is no export of Hearth"), "{foreign}");
    let inject = "{\"format\":\"hearth-export-1\",\"schema\":1,\"min_reader\":0}\n\
                  {\"table\":\"b_owner\",\"columns\":[\"name\\\") --\"],\"last_id\":null}\n";
    let refused = imported(&test.db, inject).await.unwrap_err().to_string();
    assert!(refused.contains("has no column"), "{refused}");
}

#[tokio::test]
async fn a_snapshot_is_taken_while_the_server_writes_and_put_back() {
    let test = testing::sqlite().await;
    fill(&test.db).await;
    let before = pets(&test.db).await;
    let file = test.db.file().unwrap().to_owned();
    let copy = file.with_extension("backup");
    let steps = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&steps);
    snapshot(&file, &copy, Box::new(move |done, total| told.lock().push((done, total)))).unwrap();
    let last = *steps.lock().last().unwrap();
    assert_eq!(Some(last.0), last.1);
    let clear = "DELETE FROM a_pet";
    test.db.write(move |tx| Box::pin(async move { tx.script(clear).await })).await.unwrap();
    let restored = file.with_extension("restored");
    restore_snapshot(&copy, &restored, Box::new(|_, _| {})).unwrap();
    let db = Db::open(&DatabaseUrl::Sqlite(restored), Synchronous::Normal).await.unwrap();
    assert_eq!(pets(&db).await, before);
}

#[tokio::test]
async fn a_damaged_snapshot_is_not_put_back() {
    let folder = tempfile::tempdir().unwrap();
    let (bad, target) = (folder.path().join("bad"), folder.path().join("hearth.db"));
    std::fs::write(&bad, vec![7u8; 9000]).unwrap();
    std::fs::write(&target, b"as it was").unwrap();
    let refused = restore_snapshot(&bad, &target, Box::new(|_, _| {})).unwrap_err();
    assert!(matches!(refused, StorageError::Corrupt { .. }), "{refused}");
    assert_eq!(std::fs::read(&target).unwrap(), b"as it was");
}

#[tokio::test]
async fn a_snapshot_that_cannot_be_written_tells_why() {
    let test = testing::sqlite().await;
    let file = test.db.file().unwrap().to_owned();
    let nowhere = file.with_extension("nowhere").join("copy.db");
    let refused = snapshot(&file, &nowhere, Box::new(|_, _| {})).unwrap_err().to_string();
    assert!(refused.contains("No such file or directory"), "{refused}");
    assert!(refused.contains("name a folder"), "{refused}");
}

#[tokio::test]
async fn database_and_snapshot_are_for_this_user_only() {
    use std::os::unix::fs::PermissionsExt;
    let test = testing::sqlite().await;
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("copy.db");
    let file = test.db.file().unwrap().to_owned();
    snapshot(&file, &copy, Box::new(|_, _| {})).unwrap();
    for path in [file, copy] {
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
