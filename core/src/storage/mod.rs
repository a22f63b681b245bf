//! The one door to the database: embedded SQLite or an external PostgreSQL behind [`Db`].
//!
//! A feature's `store.rs` holds all its queries, as functions
//! `async fn x(tx: &mut Tx<'_>, host: HostId, …, now: Timestamp) -> Result<…, StorageError>`.
//! Its caller decides the transaction:
//!
//! ```ignore
//! db.write(|tx| Box::pin(async move { store::add(tx, host, &name, now).await })).await?;
//! ```

pub mod backup;
mod commit;
mod dialect;
mod error;
pub mod figures;
mod inspect;
pub mod lease;
pub mod migrate;
mod postgres;
mod probe;
mod sqlite;
#[cfg(test)]
pub mod testing;
#[cfg(test)]
mod tests;
mod tx;
mod url;
mod value;

use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;

use tokio::time::Instant;

use crate::clock::StanzaId;

pub use commit::{Append, Commit, Done};
pub use dialect::Dialect;
pub use error::StorageError;
pub use figures::{Figures, Load};
pub use inspect::{Applied, Inspection};
pub use migrate::{Migration, migrate};
use postgres::Lane;
pub use postgres::{PostgresUrl, Verify};
pub use probe::has_table;
pub use sqlite::Synchronous;
pub use tx::Tx;
pub use url::DatabaseUrl;
pub use value::{FromValue, Row, Value, params};

/// What the body of a transaction returns: `Box::pin(async move { … })`.
pub type BoxFuture<'t, T> = Pin<Box<dyn Future<Output = T> + Send + 't>>;

/// Handle on the database. Clones share it.
#[derive(Clone)]
pub struct Db(Arc<Inner>);

struct Inner {
    backend: Arc<Backend>,
    figures: Arc<Figures>,
    appends: Arc<commit::Queue>,
}

enum Backend {
    Sqlite(sqlite::Sqlite),
    Postgres(postgres::Postgres),
}

impl Drop for Inner {
    fn drop(&mut self) {
        // The committing task outlives the last handle until the queue is empty.
        self.appends.close();
    }
}

impl Db {
    /// Opens the database, creating a SQLite file that is not there. For its schema see
    /// [`migrate()`]; for appends to be committed a task must run [`Db::run_appends`].
    pub async fn open(url: &DatabaseUrl, synchronous: Synchronous) -> Result<Db, StorageError> {
        let figures = Arc::<Figures>::default();
        let backend = match url {
            DatabaseUrl::Sqlite(path) => {
                Backend::Sqlite(sqlite::Sqlite::open(path, synchronous, &figures)?)
            }
            DatabaseUrl::Postgres(url) => {
                Backend::Postgres(postgres::Postgres::open(url, figures.clone()).await?)
            }
        };
        Ok(Db(Arc::new(Inner { backend: Arc::new(backend), figures, appends: Arc::default() })))
    }

    /// Runs `body` in a transaction and commits it when it returns `Ok`; on `Err` or a panic
    /// nothing of it stays. On SQLite the body runs on the writer thread, shares its commit with
    /// others and must await nothing but `tx`. A caller that goes away while waiting does not
    /// learn whether it was committed.
    pub async fn write<T, F>(&self, body: F) -> Result<T, StorageError>
    where
        F: for<'t, 'c> FnOnce(&'t mut Tx<'c>) -> BoxFuture<'t, Result<T, StorageError>>
            + Send
            + 'static,
        T: Send + 'static,
    {
        self.try_write(body).await
    }

    /// As [`Db::write`] with the feature's own error, which rolls back too.
    pub async fn try_write<T, E, F>(&self, body: F) -> Result<T, E>
    where
        F: for<'t, 'c> FnOnce(&'t mut Tx<'c>) -> BoxFuture<'t, Result<T, E>> + Send + 'static,
        T: Send + 'static,
        E: From<StorageError> + Send + 'static,
    {
        let since = Instant::now();
        let outcome = self.0.backend.write(body).await;
        self.0.figures.written(since);
        outcome
    }

    /// Runs `body`, which only reads. On SQLite it sees one snapshot, on PostgreSQL each of its
    /// statements sees what was committed when it began.
    pub async fn read<T, F>(&self, body: F) -> Result<T, StorageError>
    where
        F: for<'t, 'c> FnOnce(&'t mut Tx<'c>) -> BoxFuture<'t, Result<T, StorageError>>
            + Send
            + 'static,
        T: Send + 'static,
    {
        let since = Instant::now();
        let outcome = match &*self.0.backend {
            Backend::Sqlite(sqlite) => sqlite.read(body).await,
            Backend::Postgres(postgres) => postgres.read(body).await,
        };
        self.0.figures.read(since);
        outcome
    }

    /// As [`Db::try_write`], on the connection of whoever leads this node in a cluster. Load cannot
    /// occupy it, and what takes longer than two seconds has failed. On SQLite the same as without.
    pub async fn try_reserved<T, E, F>(&self, body: F) -> Result<T, E>
    where
        F: for<'t, 'c> FnOnce(&'t mut Tx<'c>) -> BoxFuture<'t, Result<T, E>> + Send + 'static,
        T: Send + 'static,
        E: From<StorageError> + Send + 'static,
    {
        match &*self.0.backend {
            Backend::Sqlite(sqlite) => sqlite.write(body).await,
            Backend::Postgres(postgres) => postgres.write(body, Lane::Cluster).await,
        }
    }

    /// As [`Db::write`] on the connection that load cannot occupy.
    async fn reserved<T, F>(&self, body: F) -> Result<T, StorageError>
    where
        F: for<'t, 'c> FnOnce(&'t mut Tx<'c>) -> BoxFuture<'t, Result<T, StorageError>>
            + Send
            + 'static,
        T: Send + 'static,
    {
        match &*self.0.backend {
            Backend::Sqlite(sqlite) => sqlite.write(body).await,
            Backend::Postgres(postgres) => postgres.write(body, Lane::Lease).await,
        }
    }

    /// Calls `heard` whenever a node notifies `channel`, until the connection breaks. An embedded
    /// database has no other nodes: there it never resolves.
    pub async fn listen(
        &self,
        channel: &'static str,
        heard: impl FnMut() + Send,
    ) -> Result<(), StorageError> {
        match &*self.0.backend {
            Backend::Sqlite(_) => std::future::pending().await,
            Backend::Postgres(postgres) => postgres.listen(channel, heard).await,
        }
    }

    /// Queues a statement for the next commit of the hot path. Never waits and never refuses:
    /// the caller asks [`Db::append_would_block`] before it reads more from its sender.
    pub fn append(&self, append: Append) {
        self.0.appends.push(append);
    }

    /// Whether so much waits for a commit that senders must be read no further.
    pub fn append_would_block(&self) -> bool {
        self.0.appends.is_full()
    }

    /// Waits until there is room for appends again.
    pub async fn append_ready(&self) {
        self.0.appends.ready().await;
    }

    /// Waits until everything that was appended is committed.
    pub async fn appends_done(&self) {
        self.0.appends.drained().await;
    }

    /// The oldest id whose append is not committed yet: archive pages end below it, so that a
    /// client that pages `after` an id never skips one.
    pub fn oldest_pending(&self) -> Option<StanzaId> {
        self.0.appends.oldest()
    }

    /// The task that commits appends, to be spawned once. It ends after [`Db::close`].
    pub fn run_appends(&self) -> impl Future<Output = ()> + Send + 'static + use<> {
        let (backend, figures) = (Arc::clone(&self.0.backend), Arc::clone(&self.0.figures));
        Arc::clone(&self.0.appends).run(backend, figures)
    }

    /// Commits what was appended, then closes the connections to an external database. A SQLite
    /// file is closed with the last handle, and whole before that.
    pub async fn close(&self) {
        self.0.appends.close();
        self.0.appends.drained().await;
        match &*self.0.backend {
            Backend::Sqlite(sqlite) => sqlite.checkpoint(),
            Backend::Postgres(postgres) => postgres.close(),
        }
    }

    /// What it has done since the start.
    pub fn figures(&self) -> &Figures {
        &self.0.figures
    }

    /// How busy it is.
    pub fn load(&self) -> Load {
        let load = match &*self.0.backend {
            Backend::Sqlite(sqlite) => sqlite.load(),
            Backend::Postgres(postgres) => postgres.load(),
        };
        Load { appending: self.0.appends.bytes(), ..load }
    }

    /// Whose SQL this database speaks.
    pub fn dialect(&self) -> Dialect {
        match &*self.0.backend {
            Backend::Sqlite(_) => Dialect::Sqlite,
            Backend::Postgres(_) => Dialect::Postgres,
        }
    }

    /// The file of an embedded database.
    pub fn file(&self) -> Option<&Path> {
        match &*self.0.backend {
            Backend::Sqlite(sqlite) => Some(sqlite.path()),
            Backend::Postgres(_) => None,
        }
    }
}

impl Backend {
    async fn write<T, E, F>(&self, body: F) -> Result<T, E>
    where
        F: for<'t, 'c> FnOnce(&'t mut Tx<'c>) -> BoxFuture<'t, Result<T, E>> + Send + 'static,
        T: Send + 'static,
        E: From<StorageError> + Send + 'static,
    {
        match self {
            Backend::Sqlite(sqlite) => sqlite.write(body).await,
            Backend::Postgres(postgres) => postgres.write(body, Lane::Common).await,
        }
    }
}
