//! The writer thread and the reader threads.

use std::sync::Arc;
use std::thread;

use parking_lot::Mutex;
use rusqlite::Connection;
use tokio::sync::mpsc;

use super::job::Job;
use super::statement::execute;
use crate::storage::StorageError;

/// Jobs that may wait for a thread; who comes later waits for a place.
const QUEUE: usize = 1024;

/// Transactions in one commit: beyond it the wait of the first would grow without gain.
const GROUP: usize = 256;

type Queue = mpsc::Sender<Box<dyn Job>>;

/// The one thread that writes.
pub(super) struct Writer(Queue);

impl Writer {
    pub(super) fn start(mut connection: Connection) -> Writer {
        let (queue, mut jobs) = mpsc::channel::<Box<dyn Job>>(QUEUE);
        spawn("sqlite-writer", move || {
            while let Some(first) = jobs.blocking_recv() {
                commit_group(&mut connection, first, &mut jobs);
            }
        });
        Writer(queue)
    }

    pub(super) async fn submit(&self, job: Box<dyn Job>) -> Result<(), StorageError> {
        self.0.send(job).await.map_err(|_| StorageError::Closed)
    }
}

/// One transaction for `first` and all that queued behind it, in their order.
fn commit_group(
    connection: &mut Connection,
    first: Box<dyn Job>,
    jobs: &mut mpsc::Receiver<Box<dyn Job>>,
) {
    if let Err(away) = execute(connection, "BEGIN IMMEDIATE", &[]) {
        return first.finish(Err(away));
    }
    let mut group = Vec::new();
    let mut next = Some(first);
    while let Some(mut job) = next {
        job.run(connection);
        group.push(job);
        // SQLite rolls back by itself when it cannot go on (disk full, failed reads and writes).
        let goes_on = !connection.is_autocommit() && group.len() < GROUP;
        next = if goes_on { jobs.try_recv().ok() } else { None };
    }
    let committed = commit(connection);
    for job in group {
        job.finish(committed.clone());
    }
}

fn commit(connection: &mut Connection) -> Result<(), StorageError> {
    if connection.is_autocommit() {
        let why = "a write failed and took its group with it".to_owned();
        return Err(StorageError::Busy(why));
    }
    execute(connection, "COMMIT", &[]).map(|_| ()).inspect_err(|_| {
        // A failed COMMIT may leave the transaction open; the next group needs it gone.
        let _ = execute(connection, "ROLLBACK", &[]);
    })
}

/// The threads that read, sharing one queue.
pub(super) struct Readers(Queue);

impl Readers {
    pub(super) fn start(connections: Vec<Connection>) -> Readers {
        let (queue, jobs) = mpsc::channel::<Box<dyn Job>>(QUEUE);
        let jobs = Arc::new(Mutex::new(jobs));
        for mut connection in connections {
            let jobs = Arc::clone(&jobs);
            spawn("sqlite-reader", move || {
                loop {
                    // The lock is held while waiting: the next reader takes over when work comes.
                    let Some(job) = jobs.lock().blocking_recv() else { break };
                    read(&mut connection, job);
                }
            });
        }
        Readers(queue)
    }

    pub(super) async fn submit(&self, job: Box<dyn Job>) -> Result<(), StorageError> {
        self.0.send(job).await.map_err(|_| StorageError::Closed)
    }
}

/// All statements of one job see the same snapshot.
fn read(connection: &mut Connection, mut job: Box<dyn Job>) {
    if let Err(away) = execute(connection, "BEGIN DEFERRED", &[]) {
        return job.finish(Err(away));
    }
    job.run(connection);
    let _ = execute(connection, "ROLLBACK", &[]);
    job.finish(Ok(()));
}

fn spawn(name: &str, body: impl FnOnce() + Send + 'static) {
    let spawned = thread::Builder::new().name(name.to_owned()).spawn(body);
    spawned.expect("a machine that cannot start a thread at start-up cannot run a server");
}
