//! The task that commits the queue, batch by batch.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use super::Statement;
use super::queue::{Batch, Queue};
use crate::clock::Random;
use crate::storage::{Backend, Figures, StorageError, Tx};
use crate::telemetry::Backoff;

/// How long appends gather before they are committed: delivery does not wait for them, only the
/// acknowledgement to the sender does.
const GATHER: Duration = Duration::from_millis(2);

const RETRY_FIRST: Duration = Duration::from_millis(50);
const RETRY_CAP: Duration = Duration::from_secs(5);

type Outcomes = Vec<Result<(), StorageError>>;

/// Announces the flusher's end, be it by abortion.
struct Flusher(Arc<Queue>);

impl Drop for Flusher {
    fn drop(&mut self) {
        self.0.flusher(-1);
    }
}

impl Queue {
    /// Commits until the queue is closed and empty. One task runs it.
    pub(in crate::storage) fn run(
        self: Arc<Queue>,
        backend: Arc<Backend>,
        figures: Arc<Figures>,
    ) -> impl Future<Output = ()> + Send + 'static {
        self.flusher(1);
        let flusher = Flusher(self);
        async move {
            let queue = &flusher.0;
            let mut backoff = Backoff::new(RETRY_FIRST, RETRY_CAP);
            while queue.wait().await {
                tokio::time::sleep(GATHER).await;
                let batch = queue.take();
                let weight = batch.weight();
                let outcomes = queue.commit(&backend, &batch.statements, &mut backoff).await;
                figures.appends.add(outcomes.len() as u64);
                figures.batches.inc();
                resolve(batch, outcomes);
                queue.finished(weight);
            }
        }
    }

    /// One answer per statement. While the database is away it waits and tries again; only a
    /// server that stops gives up, and then nothing is called committed.
    async fn commit(
        &self,
        backend: &Backend,
        statements: &Arc<[Statement]>,
        backoff: &mut Backoff,
    ) -> Outcomes {
        loop {
            let error = match transaction(backend, statements).await {
                Ok(outcomes) => {
                    backoff.reset();
                    return outcomes;
                }
                Err(error) => error,
            };
            if !error.is_transient() || self.is_closed() {
                return vec![Err(error); statements.len()];
            }
            if backoff.attempts() == 0 {
                tracing::warn!(%error, "messages wait in memory for the database");
            }
            let random = u64::from_be_bytes(Random::system().bytes());
            tokio::time::sleep(backoff.next_delay(random)).await;
        }
    }
}

fn resolve(batch: Batch, outcomes: Outcomes) {
    for (done, outcome) in batch.done.into_iter().zip(outcomes) {
        if let Err(error) = &outcome {
            tracing::error!(%error, "a message could not be stored");
        }
        done.resolve(outcome.as_ref().copied());
    }
}

/// All in one transaction; when a statement is at fault, once more with each on its own savepoint.
async fn transaction(
    backend: &Backend,
    statements: &Arc<[Statement]>,
) -> Result<Outcomes, StorageError> {
    let together = Arc::clone(statements);
    let fast = backend.write(move |tx| Box::pin(async move { tx.pipeline(&together).await })).await;
    match fast {
        Ok(()) => Ok(statements.iter().map(|_| Ok(())).collect()),
        Err(error) if error.is_transient() => Err(error),
        Err(_) => {
            let apart = Arc::clone(statements);
            backend.write(move |tx| Box::pin(async move { isolated(tx, &apart).await })).await
        }
    }
}

async fn isolated(tx: &mut Tx<'_>, statements: &[Statement]) -> Result<Outcomes, StorageError> {
    let mut outcomes = Vec::with_capacity(statements.len());
    for statement in statements {
        tx.script("SAVEPOINT append").await?;
        let outcome = tx.execute(statement.sql, &statement.params).await.map(|_| ());
        match &outcome {
            Ok(()) => tx.script("RELEASE SAVEPOINT append").await?,
            Err(error) if error.is_transient() => return Err(error.clone()),
            Err(_) => tx.script("ROLLBACK TO SAVEPOINT append").await?,
        }
        outcomes.push(outcome);
    }
    Ok(outcomes)
}
