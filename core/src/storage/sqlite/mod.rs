//! The embedded database: one writer thread that commits in groups, a few reader threads.

mod job;
mod statement;
mod threads;

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::{BoxFuture, Figures, Load, StorageError, Tx};
use job::Transaction;
pub(super) use statement::{error, execute, query, script};
use threads::{Readers, Writer};

/// How much a commit survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Synchronous {
    /// The death of the process (`synchronous=NORMAL`).
    #[default]
    Normal,
    /// Power loss too (`synchronous=FULL`).
    Full,
}

impl Synchronous {
    fn pragma(self) -> &'static str {
        match self {
            Synchronous::Normal => "NORMAL",
            Synchronous::Full => "FULL",
        }
    }
}

/// How many threads read beside the writer.
const READERS: usize = 3;

/// How long a statement waits for another process (a backup, the command line) to let go.
const BUSY: Duration = Duration::from_secs(5);

pub(super) struct Sqlite {
    path: PathBuf,
    writer: Writer,
    readers: Readers,
}

impl Sqlite {
    /// Opens or creates the file at `path` and starts the threads.
    pub(super) fn open(
        path: &Path,
        synchronous: Synchronous,
        figures: &Arc<Figures>,
    ) -> Result<Sqlite, StorageError> {
        let writer = connect(path, synchronous)?;
        check(&writer, path)?;
        let readers: Result<Vec<_>, _> = (0..READERS)
            .map(|_| {
                let reader = connect(path, synchronous)?;
                pragma(&reader, path, "query_only", "ON")?;
                Ok(reader)
            })
            .collect();
        Ok(Sqlite {
            path: path.to_owned(),
            writer: Writer::start(writer, figures.clone()),
            readers: Readers::start(readers?, figures),
        })
    }

    pub(super) fn load(&self) -> Load {
        let (writer, readers) = (self.writer.load(), self.readers.load());
        Load {
            size: 1 + READERS,
            busy: writer.0 + readers.0,
            waiting: writer.1 + readers.1,
            ..Load::default()
        }
    }

    /// Moves what the log holds into the file: it alone is the whole database then. The threads
    /// keep their connections, so the log stays behind empty.
    pub(super) fn checkpoint(&self) {
        let pragma = "PRAGMA wal_checkpoint(TRUNCATE)";
        let outcome = connect(&self.path, Synchronous::Normal).and_then(|connection| {
            let is_busy = connection.query_row(pragma, [], |row| row.get(0));
            is_busy.map_err(|e| error(e, &self.path))
        });
        match outcome {
            Ok(false) => {}
            Ok(true) => tracing::debug!("another process reads the database: its log stays"),
            Err(error) => tracing::warn!(%error, "the database's log could not be emptied"),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Runs `body` in the writer's next group and answers after its commit.
    pub(super) async fn write<T, E, F>(&self, body: F) -> Result<T, E>
    where
        F: for<'t, 'c> FnOnce(&'t mut Tx<'c>) -> BoxFuture<'t, Result<T, E>> + Send + 'static,
        T: Send + 'static,
        E: From<StorageError> + Send + 'static,
    {
        let (transaction, answer) = Transaction::new(body, true);
        self.writer.submit(Box::new(transaction)).await?;
        answer.await.map_err(|_| StorageError::Closed)?
    }

    /// Runs `body` on a reader thread, in one snapshot.
    pub(super) async fn read<T, E, F>(&self, body: F) -> Result<T, E>
    where
        F: for<'t, 'c> FnOnce(&'t mut Tx<'c>) -> BoxFuture<'t, Result<T, E>> + Send + 'static,
        T: Send + 'static,
        E: From<StorageError> + Send + 'static,
    {
        let (transaction, answer) = Transaction::new(body, false);
        self.readers.submit(Box::new(transaction)).await?;
        answer.await.map_err(|_| StorageError::Closed)?
    }
}

/// Makes the file for this user only; its log gets the same mode. A file that is there must not even
/// be opened: closing it would drop the locks that this process holds on it (POSIX).
pub(super) fn make_private(path: &Path) -> io::Result<()> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map(drop)
}

/// A connection set up as all of ours are.
pub(super) fn connect(path: &Path, synchronous: Synchronous) -> Result<Connection, StorageError> {
    // It may be there; what stands against it, SQLite tells.
    let _ = make_private(path);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(|e| error(e, path))?;
    connection.busy_timeout(BUSY).map_err(|e| error(e, path))?;
    connection.set_prepared_statement_cache_capacity(256);
    pragma(&connection, path, "journal_mode", "WAL")?;
    pragma(&connection, path, "synchronous", synchronous.pragma())?;
    pragma(&connection, path, "foreign_keys", "ON")?;
    pragma(&connection, path, "temp_store", "MEMORY")?;
    // Otherwise a statement over a partial index is planned anew for each set of parameters.
    let stable = DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG;
    connection.set_db_config(stable, true).map_err(|e| error(e, path))?;
    Ok(connection)
}

fn pragma(connection: &Connection, path: &Path, name: &str, to: &str) -> Result<(), StorageError> {
    connection.pragma_update(None, name, to).map_err(|e| error(e, path))
}

/// Looks at the file's structure as far as a start can afford: the schema and the free list.
fn check(connection: &Connection, path: &Path) -> Result<(), StorageError> {
    let corrupt = |why| StorageError::Corrupt { place: path.display().to_string(), why };
    let tables: i64 = connection
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .map_err(|e| error(e, path))?;
    let pages: i64 = connection
        .pragma_query_value(None, "page_count", |row| row.get(0))
        .map_err(|e| error(e, path))?;
    // Each table has a page of its own beside the first.
    if tables > 0 && pages < 2 { Err(corrupt("the file is cut short".to_owned())) } else { Ok(()) }
}
