//! A transaction: what every `store.rs` function gets. Only [`super::Db::write`] commits.

use tokio::time::Instant;

use super::commit::Statement;
use super::{Dialect, Figures, Row, StorageError, Value, postgres, sqlite};

/// One transaction (or, for reading, one snapshot or connection) on either database.
pub struct Tx<'c> {
    backend: Backend<'c>,
    writable: bool,
    figures: &'c Figures,
}

enum Backend<'c> {
    Sqlite(&'c mut rusqlite::Connection),
    Postgres(postgres::Session<'c>),
}

impl<'c> Tx<'c> {
    pub(super) fn sqlite(
        connection: &'c mut rusqlite::Connection,
        writable: bool,
        figures: &'c Figures,
    ) -> Tx<'c> {
        Tx { backend: Backend::Sqlite(connection), writable, figures }
    }

    pub(super) fn postgres(
        session: postgres::Session<'c>,
        writable: bool,
        figures: &'c Figures,
    ) -> Tx<'c> {
        Tx { backend: Backend::Postgres(session), writable, figures }
    }

    /// Gives the PostgreSQL side back, for commit or rollback.
    pub(super) fn into_postgres(self) -> Option<postgres::Session<'c>> {
        match self.backend {
            Backend::Postgres(session) => Some(session),
            Backend::Sqlite(_) => None,
        }
    }

    /// Runs a statement (`$1`, `$2`… are the parameters); the number of rows that it changed.
    pub async fn execute(
        &mut self,
        sql: &'static str,
        params: &[Value],
    ) -> Result<u64, StorageError> {
        if !self.writable {
            return Err(StorageError::Statement(format!("`{sql}` writes in a read transaction")));
        }
        let since = Instant::now();
        let outcome = match &mut self.backend {
            Backend::Sqlite(connection) => sqlite::execute(connection, sql, params),
            Backend::Postgres(session) => session.execute(sql, params).await,
        };
        self.figures.statement(sql, since);
        outcome
    }

    /// Runs a statement and returns all its rows.
    pub async fn query(
        &mut self,
        sql: &'static str,
        params: &[Value],
    ) -> Result<Vec<Row>, StorageError> {
        let since = Instant::now();
        let outcome = match &mut self.backend {
            Backend::Sqlite(connection) => sqlite::query(connection, sql, params),
            Backend::Postgres(session) => session.query(sql, params).await,
        };
        self.figures.statement(sql, since);
        outcome
    }

    /// The only row, or `None`. Two rows are a bug of the query.
    pub async fn query_opt(
        &mut self,
        sql: &'static str,
        params: &[Value],
    ) -> Result<Option<Row>, StorageError> {
        let mut rows = self.query(sql, params).await?;
        match rows.len() {
            0 | 1 => Ok(rows.pop()),
            more => Err(StorageError::Rows(more)),
        }
    }

    /// The only row. None or two are a bug of the query.
    pub async fn query_one(
        &mut self,
        sql: &'static str,
        params: &[Value],
    ) -> Result<Row, StorageError> {
        self.query_opt(sql, params).await?.ok_or(StorageError::Rows(0))
    }

    /// Runs all statements, on PostgreSQL without waiting for one before the next is sent.
    pub(super) async fn pipeline(&mut self, statements: &[Statement]) -> Result<(), StorageError> {
        match &mut self.backend {
            Backend::Sqlite(connection) => statements.iter().try_for_each(|statement| {
                sqlite::execute(connection, statement.sql, &statement.params).map(|_| ())
            }),
            Backend::Postgres(session) => session.pipeline(statements).await,
        }
    }

    /// Runs a script of several statements without parameters, written at run time: migrations
    /// and restore only.
    pub async fn script(&mut self, script: &str) -> Result<(), StorageError> {
        match &mut self.backend {
            Backend::Sqlite(connection) => sqlite::script(connection, script),
            Backend::Postgres(session) => session.script(script).await,
        }
    }

    /// As [`Tx::query`] for a text that is made at run time and used once (backup, restore).
    pub async fn query_once(
        &mut self,
        sql: &str,
        params: &[Value],
    ) -> Result<Vec<Row>, StorageError> {
        match &mut self.backend {
            Backend::Sqlite(connection) => sqlite::query(connection, sql, params),
            Backend::Postgres(session) => session.query_once(sql, params).await,
        }
    }

    /// As [`Tx::execute`] for a text that is made at run time and used often (restore).
    pub(crate) async fn execute_made(
        &mut self,
        sql: &str,
        params: &[Value],
    ) -> Result<u64, StorageError> {
        match &mut self.backend {
            Backend::Sqlite(connection) => sqlite::execute(connection, sql, params),
            Backend::Postgres(session) => session.execute(sql, params).await,
        }
    }

    /// Whose SQL is spoken here, where one text does not serve both.
    pub fn dialect(&self) -> Dialect {
        match self.backend {
            Backend::Sqlite(_) => Dialect::Sqlite,
            Backend::Postgres(_) => Dialect::Postgres,
        }
    }
}
