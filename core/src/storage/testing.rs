//! One suite, both databases. Each test gets an empty database of its own: a temporary file, and
//! a schema in the PostgreSQL server that `HEARTH_TEST_POSTGRES` names.

use std::sync::Arc;

use tempfile::TempDir;

use super::{DatabaseUrl, Db, Synchronous};
use crate::clock::Random;
use crate::shutdown::Tracker;

/// A database that goes away with the test.
pub struct TestDb {
    pub db: Db,
    pub url: DatabaseUrl,
    _folder: Option<TempDir>,
}

impl TestDb {
    fn new(db: Db, url: DatabaseUrl, folder: Option<TempDir>) -> TestDb {
        Tracker::new(Arc::default()).spawn("appends", db.run_appends());
        TestDb { db, url, _folder: folder }
    }

    /// The same database as another process has it, commits included.
    pub async fn beside(&self) -> TestDb {
        TestDb::new(self.another().await, self.url.clone(), None)
    }

    /// A second, independent handle on the same database, as another process has one.
    pub async fn another(&self) -> Db {
        Db::open(&self.url, Synchronous::Normal).await.unwrap()
    }
}

/// An empty SQLite database in a temporary folder.
pub async fn sqlite() -> TestDb {
    let folder = tempfile::tempdir().unwrap();
    let url = DatabaseUrl::Sqlite(folder.path().join("hearth.db"));
    let db = Db::open(&url, Synchronous::Normal).await.unwrap();
    TestDb::new(db, url, Some(folder))
}

/// An empty schema on the test server, or `None`, told on stderr, when there is no server.
pub async fn postgres(test: &str) -> Option<TestDb> {
    let Some(server) = crate::config::test_postgres() else {
        eprintln!("SKIPPED on PostgreSQL: {test} (HEARTH_TEST_POSTGRES is not set)");
        return None;
    };
    let schema = format!("test_{}", Random::system().hex());
    let url = DatabaseUrl::parse(&server, "".as_ref()).unwrap();
    let admin = Db::open(&url, Synchronous::Normal).await.unwrap();
    let create = format!("CREATE SCHEMA {schema}");
    admin.write(move |tx| Box::pin(async move { tx.script(&create).await })).await.unwrap();
    let separator = if server.contains('?') { '&' } else { '?' };
    let url = format!("{server}{separator}options=-csearch_path%3D{schema}");
    let url = DatabaseUrl::parse(&url, "".as_ref()).unwrap();
    let db = Db::open(&url, Synchronous::Normal).await.unwrap();
    Some(TestDb::new(db, url, None))
}

/// Makes of each `async fn name(test: TestDb)` two tests, `sqlite::name` and `postgres::name`.
#[macro_export]
macro_rules! backend_tests {
    ($($name:ident),+ $(,)?) => {
        mod sqlite {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    super::$name($crate::storage::testing::sqlite().await).await;
                }
            )+
        }
        mod postgres {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    let test = concat!(module_path!(), "::", stringify!($name));
                    if let Some(db) = $crate::storage::testing::postgres(test).await {
                        super::$name(db).await;
                    }
                }
            )+
        }
    };
}
pub use crate::backend_tests;
