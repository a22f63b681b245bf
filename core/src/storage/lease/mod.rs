//! The serving lease: of all nodes that share a database one serves, or one cluster does.
//!
//! The lease lives on the database's clock. A holder reckons by its own boot-time clock from
//! before each renewal, and stops serving before the database lets anybody else take over.

mod store;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::watch;

use super::{Db, Dialect, StorageError};
use crate::clock::{Clock, Timestamp};
pub use store::{MIGRATIONS, Mode, Row as LeaseRow, fenced, read, switch};

/// How long a lease holds after its last renewal, on the database's clock.
pub const TERM: Duration = Duration::from_secs(4);

/// By how much a holder gives up before the end: clocks may run apart a little, and closing takes
/// time.
const MARGIN: Duration = Duration::from_secs(1);

/// How often a lease is renewed or asked for.
const RENEW: Duration = Duration::from_secs(1);

/// One run of one node. A restarted node is another incarnation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holder {
    pub node: u32,
    pub incarnation: i64,
}

impl Holder {
    /// This process.
    pub fn new(clock: &Clock) -> Holder {
        let incarnation = i64::from_be_bytes(clock.random().bytes()) & i64::MAX;
        Holder { node: clock.node(), incarnation }
    }
}

/// What this node asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Claim {
    /// To serve by itself.
    #[default]
    Alone,
    /// To serve as a member of the cluster's view `epoch`.
    Cluster { epoch: i64 },
}

/// Whether this node may serve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Serving {
    Serving,
    Standby { reason: Reason },
}

/// Why a node stands by, for the first page of the console and the log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    #[error("the server is starting")]
    Starting,
    #[error("node {0:08x} serves this database; clustering lets several serve together")]
    HeldBy(u32),
    #[error("this database belongs to a cluster, which this node has not joined")]
    Clustered,
    #[error("the cluster's view is another one by now (epoch {0})")]
    OtherEpoch(i64),
    #[error("the database does not answer: {0}")]
    DatabaseAway(String),
    #[error("the server is stopping")]
    Stopping,
}

/// Asks, renews and gives up. One task runs it.
pub struct Lease {
    db: Db,
    clock: Clock,
    holder: Holder,
    claim: watch::Receiver<Claim>,
    state: watch::Sender<Serving>,
    fence: Fence,
}

/// The node's own check, before it acts in the name of the whole service. Cheap; clones share it.
#[derive(Clone, Debug)]
pub struct Fence {
    clock: Clock,
    /// Milliseconds of the boot-time clock until which the lease is surely ours; 0 for not ours.
    until: Arc<AtomicU64>,
}

impl Fence {
    /// Whether this node still holds the lease, true also after its process was stopped a while.
    pub fn is_held(&self) -> bool {
        (self.clock.boot().as_millis() as u64) < self.until.load(Ordering::Acquire)
    }

    fn hold(&self, until: Duration) {
        self.until.store(until.as_millis() as u64, Ordering::Release);
    }

    fn release(&self) {
        self.until.store(0, Ordering::Release);
    }

    /// Time left until the node must stop serving.
    fn left(&self) -> Duration {
        let until = Duration::from_millis(self.until.load(Ordering::Acquire));
        until.saturating_sub(self.clock.boot())
    }
}

impl Lease {
    /// A lease that is not held yet. `claim` says what for; it may change at any time.
    pub fn new(db: Db, clock: Clock, holder: Holder, claim: watch::Receiver<Claim>) -> Lease {
        let fence = Fence { clock: clock.clone(), until: Arc::default() };
        let (state, _) = watch::channel(Serving::Standby { reason: Reason::Starting });
        Lease { db, clock, holder, claim, state, fence }
    }

    /// Follows whether this node serves.
    pub fn state(&self) -> watch::Receiver<Serving> {
        self.state.subscribe()
    }

    /// The check for those who act.
    pub fn fence(&self) -> Fence {
        self.fence.clone()
    }

    /// Asks and renews until `stop` resolves, then gives the lease back.
    pub async fn run(mut self, stop: impl Future<Output = ()>) {
        let mut stop = std::pin::pin!(stop);
        loop {
            // An answer that comes after the lease has run out is too late.
            let left = self.fence.left();
            let patience = if left.is_zero() { TERM } else { left.min(RENEW) };
            if tokio::time::timeout(patience, self.renew()).await.is_err() {
                self.database_away("no answer in time".to_owned());
            }
            let pause = self.fence.left().min(RENEW).max(Duration::from_millis(50));
            tokio::select! {
                () = &mut stop => break,
                () = tokio::time::sleep(pause) => {}
                changed = self.claim.changed() => if changed.is_err() { break },
            }
            self.expire();
        }
        self.give_back().await;
    }

    /// Asks for or renews the lease, once.
    pub async fn renew(&self) {
        if self.db.dialect() == Dialect::Sqlite {
            // The lock on the home folder has made sure that nobody else serves this database.
            self.fence.until.store(u64::MAX, Ordering::Release);
            return self.become_state(Serving::Serving);
        }
        let (claim, holder) = (*self.claim.borrow(), self.holder);
        // Taken before the database reads its clock: our reckoning ends before the lease does.
        let before = self.clock.boot();
        let answer = self.db.reserved(move |tx| Box::pin(store::claim(tx, holder, claim))).await;
        match answer {
            Ok((now, outcome)) => {
                self.correct_clock(now, before);
                self.take(outcome, before + TERM - MARGIN);
            }
            Err(error) => self.database_away(why(error)),
        }
    }

    /// The database's clock, half a round trip later.
    fn correct_clock(&self, read: Timestamp, before: Duration) {
        let round_trip = self.clock.boot().saturating_sub(before);
        self.clock.correct(read + round_trip / 2);
    }

    fn take(&self, outcome: Result<(), Reason>, until: Duration) {
        match outcome {
            Ok(()) => {
                self.fence.hold(until);
                self.become_state(Serving::Serving);
            }
            Err(reason) => {
                self.fence.release();
                self.become_state(Serving::Standby { reason });
            }
        }
    }

    /// Without an answer the lease goes on until its end and no longer.
    fn database_away(&self, why: String) {
        if !self.fence.is_held() {
            self.fence.release();
            let reason = Reason::DatabaseAway(why);
            self.become_state(Serving::Standby { reason });
        }
    }

    /// Stops serving when the lease has run out without an answer.
    pub fn expire(&self) {
        if *self.state.borrow() == Serving::Serving {
            self.database_away("the lease could not be renewed".to_owned());
        }
    }

    async fn give_back(&self) {
        let held = self.fence.is_held();
        self.fence.release();
        self.become_state(Serving::Standby { reason: Reason::Stopping });
        if held && self.db.dialect() == Dialect::Postgres && *self.claim.borrow() == Claim::Alone {
            let holder = self.holder;
            let given = self.db.reserved(move |tx| Box::pin(store::release(tx, holder)));
            // If the database is away the lease just runs out.
            let _ = tokio::time::timeout(RENEW, given).await;
        }
    }

    fn become_state(&self, state: Serving) {
        self.state.send_if_modified(|current| {
            let changed = *current != state;
            if changed {
                match &state {
                    Serving::Serving => tracing::info!("this node serves"),
                    Serving::Standby { reason: Reason::Stopping } => {}
                    Serving::Standby { reason } => tracing::warn!(%reason, "this node stands by"),
                }
                *current = state;
            }
            changed
        });
    }
}

fn why(error: StorageError) -> String {
    match error {
        StorageError::Unreachable { why, .. } => why,
        other => other.to_string(),
    }
}
