//! A transaction's body, carried to a thread of SQLite and its answer carried back.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::{Context, Poll, Waker};

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::statement;
use crate::storage::{BoxFuture, Figures, StorageError, Tx};

/// Work for a thread: run once inside a transaction, finished when that is committed or lost.
pub(super) trait Job: Send {
    fn run(&mut self, connection: &mut Connection, figures: &Figures);
    fn finish(self: Box<Self>, commit: Result<(), StorageError>);
}

/// A body that speaks [`Tx`].
pub(super) struct Transaction<T, E, F> {
    body: Option<F>,
    writable: bool,
    outcome: Option<Result<T, E>>,
    answer: oneshot::Sender<Result<T, E>>,
}

impl<T, E, F> Transaction<T, E, F>
where
    F: for<'t, 'c> FnOnce(&'t mut Tx<'c>) -> BoxFuture<'t, Result<T, E>>,
    E: From<StorageError>,
{
    pub(super) fn new(body: F, writable: bool) -> (Self, oneshot::Receiver<Result<T, E>>) {
        let (answer, wait) = oneshot::channel();
        (Transaction { body: Some(body), writable, outcome: None, answer }, wait)
    }

    /// A writer's group holds many transactions: each is a savepoint, so that one that fails
    /// takes nothing with it.
    fn in_savepoint(
        &self,
        connection: &mut Connection,
        figures: &Figures,
        body: F,
    ) -> Result<T, E> {
        statement::execute(connection, "SAVEPOINT job", &[])?;
        let outcome = poll_once(Tx::sqlite(connection, true, figures), body);
        // After an error such as a full disk SQLite has already rolled back the whole group.
        if !connection.is_autocommit() {
            if outcome.is_err() {
                statement::execute(connection, "ROLLBACK TO job", &[])?;
            }
            statement::execute(connection, "RELEASE job", &[])?;
        }
        outcome
    }
}

impl<T, E, F> Job for Transaction<T, E, F>
where
    F: for<'t, 'c> FnOnce(&'t mut Tx<'c>) -> BoxFuture<'t, Result<T, E>> + Send,
    T: Send,
    E: From<StorageError> + Send,
{
    fn run(&mut self, connection: &mut Connection, figures: &Figures) {
        let Some(body) = self.body.take() else { return };
        self.outcome = Some(match self.writable {
            true => self.in_savepoint(connection, figures, body),
            false => poll_once(Tx::sqlite(connection, false, figures), body),
        });
    }

    fn finish(self: Box<Self>, commit: Result<(), StorageError>) {
        let outcome = match (commit, self.outcome) {
            (Ok(()), Some(outcome)) | (Err(_), Some(outcome @ Err(_))) => outcome,
            (Ok(()), None) => Err(StorageError::Closed.into()),
            (Err(lost), _) => Err(lost.into()),
        };
        // Whoever asked may have gone.
        let _ = self.answer.send(outcome);
    }
}

/// On SQLite no statement ever waits, so the body's future is done at its first poll.
fn poll_once<T, E, F>(mut tx: Tx<'_>, body: F) -> Result<T, E>
where
    F: for<'t, 'c> FnOnce(&'t mut Tx<'c>) -> BoxFuture<'t, Result<T, E>>,
    E: From<StorageError>,
{
    let polled = catch_unwind(AssertUnwindSafe(|| {
        body(&mut tx).as_mut().poll(&mut Context::from_waker(Waker::noop()))
    }));
    match polled {
        Ok(Poll::Ready(outcome)) => outcome,
        Ok(Poll::Pending) => Err(StorageError::Waited.into()),
        Err(_panic) => Err(StorageError::Panicked.into()),
    }
}
