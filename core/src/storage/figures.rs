//! What the database has done since the start, for the console. Counting costs a few relaxed
//! additions per transaction.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::telemetry::Counter;

/// A statement that takes longer is remembered and logged.
pub const SLOW: Duration = Duration::from_millis(250);
/// Slow statements that are remembered.
const REMEMBERED: usize = 20;

/// Counts of one [`super::Db`].
#[derive(Debug, Default)]
pub struct Figures {
    pub reads: Counter,
    pub writes: Counter,
    /// Transactions of the database: on SQLite many writes share one.
    pub commits: Counter,
    /// Appends of the hot path, and the transactions that held them.
    pub appends: Counter,
    pub batches: Counter,
    /// Microseconds from the call to the answer, waiting included.
    pub reading: Counter,
    pub writing: Counter,
    pub slow: Counter,
    longest: AtomicU64,
    remembered: Mutex<VecDeque<Slow>>,
}

/// A statement that took long. Its parameters are not kept: they may be private.
#[derive(Clone, Debug)]
pub struct Slow {
    pub statement: String,
    pub took: Duration,
    pub at: Instant,
}

impl Figures {
    pub(super) fn read(&self, since: Instant) {
        self.reads.inc();
        self.reading.add(self.took(since));
    }

    pub(super) fn written(&self, since: Instant) {
        self.writes.inc();
        self.writing.add(self.took(since));
    }

    fn took(&self, since: Instant) -> u64 {
        let took = since.elapsed().as_micros() as u64;
        self.longest.fetch_max(took, Ordering::Relaxed);
        took
    }

    /// The longest transaction, waiting included.
    pub fn longest(&self) -> Duration {
        Duration::from_micros(self.longest.load(Ordering::Relaxed))
    }

    /// A statement that began at `since` has ended.
    pub(super) fn statement(&self, sql: &str, since: Instant) {
        let took = since.elapsed();
        if took < SLOW {
            return;
        }
        self.slow.inc();
        let statement = sql.split_whitespace().collect::<Vec<_>>().join(" ");
        tracing::warn!(milliseconds = took.as_millis() as u64, statement, "a slow statement");
        let mut remembered = self.remembered.lock();
        remembered.truncate(REMEMBERED - 1);
        remembered.push_front(Slow { statement, took, at: since });
    }

    /// The last slow statements, the newest first.
    pub fn slow_statements(&self) -> Vec<Slow> {
        self.remembered.lock().iter().cloned().collect()
    }
}

/// How busy the threads or connections are at this moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Reading threads of SQLite with the writer, or connections to PostgreSQL.
    pub size: usize,
    pub busy: usize,
    /// Transactions that wait for one.
    pub waiting: usize,
    /// Octets of appends that wait for their commit.
    pub appending: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slow_statements_are_remembered_without_end() {
        let figures = Figures::default();
        figures.statement("SELECT 1", Instant::now());
        assert!(figures.slow_statements().is_empty());
        for number in 0..REMEMBERED + 5 {
            figures.statement(&format!("SELECT\n   {number}"), Instant::now() - SLOW);
        }
        let slow = figures.slow_statements();
        assert_eq!((slow.len(), figures.slow.get()), (REMEMBERED, REMEMBERED as u64 + 5));
        assert_eq!(slow[0].statement, format!("SELECT {}", REMEMBERED + 4));
    }
}
