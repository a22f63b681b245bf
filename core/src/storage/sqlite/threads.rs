//! The writer thread and the reader threads.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use parking_lot::{Condvar, Mutex};
use rusqlite::Connection;
use tokio::sync::{Semaphore, mpsc};

use super::job::Job;
use super::statement::execute;
use crate::storage::{Figures, StorageError};

/// Jobs that may wait for a thread; who comes later waits for a place.
const QUEUE: usize = 1024;

/// Transactions in one commit: beyond it the wait of the first would grow without gain.
const GROUP: usize = 256;

/// The one thread that writes.
pub(super) struct Writer {
    queue: mpsc::Sender<Box<dyn Job>>,
    busy: Arc<AtomicUsize>,
}

impl Writer {
    pub(super) fn start(mut connection: Connection, figures: Arc<Figures>) -> Writer {
        let (queue, mut jobs) = mpsc::channel::<Box<dyn Job>>(QUEUE);
        let busy = Arc::<AtomicUsize>::default();
        let working = Arc::clone(&busy);
        spawn("sqlite-writer", move || {
            while let Some(first) = jobs.blocking_recv() {
                working.store(1, Ordering::Relaxed);
                commit_group(&mut connection, first, &mut jobs, &figures);
                working.store(0, Ordering::Relaxed);
            }
        });
        Writer { queue, busy }
    }

    pub(super) async fn submit(&self, job: Box<dyn Job>) -> Result<(), StorageError> {
        self.queue.send(job).await.map_err(|_| StorageError::Closed)
    }

    /// Threads that work, and jobs that wait.
    pub(super) fn load(&self) -> (usize, usize) {
        let waiting = self.queue.max_capacity() - self.queue.capacity();
        (self.busy.load(Ordering::Relaxed), waiting)
    }
}

/// One transaction for `first` and all that queued behind it, in their order.
fn commit_group(
    connection: &mut Connection,
    first: Box<dyn Job>,
    jobs: &mut mpsc::Receiver<Box<dyn Job>>,
    figures: &Figures,
) {
    if let Err(away) = execute(connection, "BEGIN IMMEDIATE", &[]) {
        return first.finish(Err(away));
    }
    let mut group = Vec::new();
    let mut next = Some(first);
    while let Some(mut job) = next {
        job.run(connection, figures);
        group.push(job);
        // SQLite rolls back by itself when it cannot go on (disk full, failed reads and writes).
        let goes_on = !connection.is_autocommit() && group.len() < GROUP;
        next = if goes_on { jobs.try_recv().ok() } else { None };
    }
    let committed = commit(connection);
    figures.commits.inc();
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
pub(super) struct Readers(Arc<Shared>);

/// Each job wakes one thread that waits, and no other.
struct Shared {
    queue: Mutex<Waiting>,
    more: Condvar,
    room: Semaphore,
    busy: AtomicUsize,
}

#[derive(Default)]
struct Waiting {
    jobs: VecDeque<Box<dyn Job>>,
    closed: bool,
}

impl Readers {
    pub(super) fn start(connections: Vec<Connection>, figures: &Arc<Figures>) -> Readers {
        let shared = Arc::new(Shared {
            queue: Mutex::default(),
            more: Condvar::new(),
            room: Semaphore::new(QUEUE),
            busy: AtomicUsize::new(0),
        });
        for mut connection in connections {
            let (shared, figures) = (shared.clone(), figures.clone());
            spawn("sqlite-reader", move || {
                while let Some(job) = shared.next() {
                    shared.busy.fetch_add(1, Ordering::Relaxed);
                    read(&mut connection, job, &figures);
                    shared.busy.fetch_sub(1, Ordering::Relaxed);
                }
            });
        }
        Readers(shared)
    }

    pub(super) async fn submit(&self, job: Box<dyn Job>) -> Result<(), StorageError> {
        self.0.room.acquire().await.map_err(|_| StorageError::Closed)?.forget();
        self.0.queue.lock().jobs.push_back(job);
        self.0.more.notify_one();
        Ok(())
    }

    /// Threads that work, and jobs that wait.
    pub(super) fn load(&self) -> (usize, usize) {
        (self.0.busy.load(Ordering::Relaxed), self.0.queue.lock().jobs.len())
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        self.0.queue.lock().closed = true;
        self.0.more.notify_all();
    }
}

impl Shared {
    /// Waits for a job; `None` when none will come any more.
    fn next(&self) -> Option<Box<dyn Job>> {
        let mut waiting = self.queue.lock();
        while waiting.jobs.is_empty() && !waiting.closed {
            self.more.wait(&mut waiting);
        }
        let job = waiting.jobs.pop_front()?;
        self.room.add_permits(1);
        Some(job)
    }
}

/// All statements of one job see the same snapshot.
fn read(connection: &mut Connection, mut job: Box<dyn Job>, figures: &Figures) {
    if let Err(away) = execute(connection, "BEGIN DEFERRED", &[]) {
        return job.finish(Err(away));
    }
    job.run(connection, figures);
    let _ = execute(connection, "ROLLBACK", &[]);
    job.finish(Ok(()));
}

fn spawn(name: &str, body: impl FnOnce() + Send + 'static) {
    let spawned = thread::Builder::new().name(name.to_owned()).spawn(body);
    spawned.expect("a machine that cannot start a thread at start-up cannot run a server");
}
