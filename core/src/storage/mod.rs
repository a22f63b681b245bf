//! The one door to the database: embedded SQLite or an external PostgreSQL behind [`Db`].
//!
//! A feature's `store.rs` holds all its queries, as functions
//! `async fn x(tx: &mut Tx<'_>, host: HostId, …, now: Timestamp) -> Result<…, StorageError>`.
//! Its caller decides the transaction:
//!
//! ```ignore
//! db.write(|tx| Box::pin(async move { store::add(tx, host, &name, now).await })).await?;
//! ```

mod dialect;
mod error;
mod postgres;
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

pub use dialect::Dialect;
pub use error::StorageError;
pub use postgres::{PostgresUrl, Verify};
pub use sqlite::Synchronous;
pub use tx::Tx;
pub use url::DatabaseUrl;
pub use value::{FromValue, Row, Value, params};

/// What the body of a transaction returns: `Box::pin(async move { … })`.
pub type BoxFuture<'t, T> = Pin<Box<dyn Future<Output = T> + Send + 't>>;

/// Handle on the database. Clones share it.
#[derive(Clone)]
pub struct Db(Arc<Backend>);

enum Backend {
    Sqlite(sqlite::Sqlite),
    Postgres(postgres::Postgres),
}

impl Db {
    /// Opens the database, creating a SQLite file that is not there.
    pub async fn open(url: &DatabaseUrl, synchronous: Synchronous) -> Result<Db, StorageError> {
        let backend = match url {
            DatabaseUrl::Sqlite(path) => Backend::Sqlite(sqlite::Sqlite::open(path, synchronous)?),
            DatabaseUrl::Postgres(url) => Backend::Postgres(postgres::Postgres::open(url).await?),
        };
        Ok(Db(Arc::new(backend)))
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
        match &*self.0 {
            Backend::Sqlite(sqlite) => sqlite.write(body).await,
            Backend::Postgres(postgres) => postgres.write(body, false).await,
        }
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
        match &*self.0 {
            Backend::Sqlite(sqlite) => sqlite.read(body).await,
            Backend::Postgres(postgres) => postgres.read(body).await,
        }
    }

    /// Closes the connections to an external database; a SQLite file closes with the last handle.
    pub fn close(&self) {
        if let Backend::Postgres(postgres) = &*self.0 {
            postgres.close();
        }
    }

    /// Whose SQL this database speaks.
    pub fn dialect(&self) -> Dialect {
        match &*self.0 {
            Backend::Sqlite(_) => Dialect::Sqlite,
            Backend::Postgres(_) => Dialect::Postgres,
        }
    }

    /// The file of an embedded database.
    pub fn file(&self) -> Option<&Path> {
        match &*self.0 {
            Backend::Sqlite(sqlite) => Some(sqlite.path()),
            Backend::Postgres(_) => None,
        }
    }
}
