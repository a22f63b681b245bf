//! Statements on one connection, inside a transaction or not.

use deadpool_postgres::{ClientWrapper, Object, Transaction};
use futures_util::future::try_join_all;
use tokio_postgres::Statement;
use tokio_postgres::types::ToSql;

use super::{encode, error};
use crate::storage::commit::Statement as Pending;
use crate::storage::{Row, StorageError, Value};

/// A connection in use; the text is the database's place, for errors.
pub(in crate::storage) enum Session<'c> {
    Transaction(Transaction<'c>, &'c str),
    /// Each statement for itself: reading needs no transaction, and saves its two round trips.
    Plain(&'c Object, &'c str),
}

/// What both kinds of session can do. The two are different types of one shape.
macro_rules! on {
    ($session:expr, $client:ident => $call:expr) => {
        match $session {
            Session::Transaction($client, _) => $call.await,
            Session::Plain($client, _) => {
                let $client: &ClientWrapper = $client;
                $call.await
            }
        }
    };
}

impl Session<'_> {
    fn place(&self) -> &str {
        match self {
            Session::Transaction(_, place) | Session::Plain(_, place) => place,
        }
    }

    fn error(&self, failure: tokio_postgres::Error, sql: &str) -> StorageError {
        error::statement(&failure, self.place(), sql)
    }

    async fn prepare(&self, sql: &str) -> Result<Statement, StorageError> {
        on!(self, client => client.prepare_cached(sql)).map_err(|e| self.error(e, sql))
    }

    pub(in crate::storage) async fn execute(
        &self,
        sql: &str,
        params: &[Value],
    ) -> Result<u64, StorageError> {
        let statement = self.prepare(sql).await?;
        on!(self, client => client.execute(&statement, &borrow(params)))
            .map_err(|e| self.error(e, sql))
    }

    pub(in crate::storage) async fn query(
        &self,
        sql: &str,
        params: &[Value],
    ) -> Result<Vec<Row>, StorageError> {
        let statement = self.prepare(sql).await?;
        self.run(&statement, sql, params).await
    }

    /// Sends all statements at once; the first error is the answer.
    pub(in crate::storage) async fn pipeline(
        &self,
        pending: &[Pending],
    ) -> Result<(), StorageError> {
        let mut prepared: Vec<(&'static str, Statement)> = Vec::new();
        for Pending { sql, .. } in pending {
            if !prepared.iter().any(|(known, _)| known == sql) {
                prepared.push((sql, self.prepare(sql).await?));
            }
        }
        let sent = pending.iter().filter_map(|Pending { sql, params }| {
            let (_, statement) = prepared.iter().find(|(known, _)| known == sql)?;
            Some(async move {
                let params = borrow(params);
                on!(self, client => client.execute(statement, &params))
                    .map_err(|e| self.error(e, sql))
            })
        });
        // Polled in their order, and each is sent by its first poll.
        try_join_all(sent).await.map(|_| ())
    }

    /// As [`Session::query`], without keeping the prepared statement.
    pub(in crate::storage) async fn query_once(
        &self,
        sql: &str,
        params: &[Value],
    ) -> Result<Vec<Row>, StorageError> {
        let statement = on!(self, client => client.prepare(sql)).map_err(|e| self.error(e, sql))?;
        self.run(&statement, sql, params).await
    }

    async fn run(
        &self,
        statement: &Statement,
        sql: &str,
        params: &[Value],
    ) -> Result<Vec<Row>, StorageError> {
        let rows = on!(self, client => client.query(statement, &borrow(params)))
            .map_err(|e| self.error(e, sql))?;
        rows.iter().map(|row| encode::row(row).map_err(|e| self.error(e, sql))).collect()
    }

    pub(in crate::storage) async fn script(&self, script: &str) -> Result<(), StorageError> {
        on!(self, client => client.batch_execute(script)).map_err(|e| self.error(e, script))
    }

    /// Commits a transaction; nothing to do for a plain session.
    pub(super) async fn commit(self) -> Result<(), StorageError> {
        match self {
            Session::Transaction(transaction, place) => {
                transaction.commit().await.map_err(|e| error::statement(&e, place, "COMMIT"))
            }
            Session::Plain(..) => Ok(()),
        }
    }
}

fn borrow(params: &[Value]) -> Vec<&(dyn ToSql + Sync)> {
    params.iter().map(|value| value as &(dyn ToSql + Sync)).collect()
}
