//! The serving lease: of all nodes that share a database one serves, or one cluster does.
//!
//! The lease lives on the database's clock. A holder reckons by its own boot-time clock from
//! before each renewal, and stops serving before the database lets anybody else take over.
//!
//! A cluster's claim never falls to somebody who serves alone while a member may act: whoever leads
//! the cluster says when it is over ([`Seat::leave`]). So a member's claim holds until the database
//! says otherwise, and what ends in time is its *term*, which its leader extends ([`Seat::hold`]).

mod seat;
mod store;

use std::time::Duration;

use super::{Db, Dialect, StorageError};
use crate::clock::{Clock, Timestamp};
pub use seat::{LeaseError, Seat, State, Told};
pub use store::{MIGRATIONS, Mode, Row as LeaseRow, fenced, read};

/// How long a lease holds after its last renewal, on the database's clock.
pub const TERM: Duration = Duration::from_secs(4);

/// By how much a holder gives up before the end: clocks may run apart a little, and closing takes
/// time.
const MARGIN: Duration = Duration::from_secs(1);

/// How often a lease is renewed or asked for.
const RENEW: Duration = Duration::from_secs(1);
/// How often somebody asks who would serve alone, so that a dead holder is replaced at once.
const HASTE: Duration = Duration::from_millis(50);

/// One run of one node. A restarted node is another incarnation, and so is one that was fenced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holder {
    pub node: u32,
    pub incarnation: i64,
}

impl Holder {
    /// A new run of this node.
    pub fn new(clock: &Clock) -> Holder {
        // Without the sign, so that it reads well in tables; 0 means none.
        let incarnation = (i64::from_be_bytes(clock.random().bytes()) & i64::MAX).max(1);
        Holder { node: clock.node(), incarnation }
    }
}

/// What this node asks for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Claim {
    /// To serve by itself.
    #[default]
    Alone,
    /// To serve by itself, once nobody renews the cluster's claim of this view any more.
    After { epoch: i64 },
    /// To serve as a member of the cluster's view `epoch`.
    Cluster { epoch: i64 },
    /// Nothing: it was fenced.
    Nothing(Reason),
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
    #[error(
        "this database belongs to a cluster, which this node has not joined: it needs the plugin \
         that makes the cluster, running and with clustering enabled"
    )]
    Clustered,
    #[error("this node has joined the cluster and waits for its turn to serve")]
    Joining,
    #[error("the plugin that makes the cluster did not extend this node's term in time")]
    TermOver,
    #[error("the database does not know the cluster any more: was it restored? Join again")]
    Unknown,
    /// The words of whoever leads the cluster.
    #[error("{0}")]
    Fenced(String),
    #[error("the database does not answer: {0}")]
    DatabaseAway(String),
    #[error("the server is stopping")]
    Stopping,
}

/// Asks, renews and gives up. One task runs it.
pub struct Lease {
    db: Db,
    seat: Seat,
}

impl Lease {
    /// A lease that is not held yet.
    pub fn new(db: Db, seat: Seat) -> Lease {
        Lease { db, seat }
    }

    /// Asks and renews until `stop` resolves, then gives the lease back.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        let mut stop = std::pin::pin!(stop);
        loop {
            if tokio::time::timeout(self.patience(), self.renew()).await.is_err() {
                self.seat.database_away("no answer in time");
            }
            self.seat.expire();
            tokio::select! {
                () = &mut stop => break,
                () = tokio::time::sleep(self.seat.pause()) => {}
                () = self.seat.woken() => {}
            }
            self.seat.expire();
        }
        self.give_back().await;
    }

    /// How long an answer is waited for: one that comes after the lease has run out is too late.
    fn patience(&self) -> Duration {
        match (self.seat.left(), self.seat.claim()) {
            // Its first term may begin meanwhile, and end.
            (Duration::ZERO, Claim::Cluster { .. }) => RENEW,
            (Duration::ZERO, _) => TERM,
            (left, _) => left.min(RENEW),
        }
    }

    /// Asks for or renews the lease, once.
    pub async fn renew(&self) {
        let seat = &self.seat;
        let _turn = seat.turn().await;
        if seat.is_closing() {
            return;
        }
        let (claim, holder) = (seat.claim(), seat.holder());
        // Taken before the database reads its clock: our reckoning ends before the lease does.
        let before = seat.clock().boot();
        if self.db.dialect() == Dialect::Sqlite {
            // The lock on the home folder has made sure that nobody else serves this database.
            return seat.take(&claim, store::Answer::embedded(holder, &claim), Duration::MAX);
        }
        let asked = claim.clone();
        let answer = self
            .db
            .reserved(move |tx| Box::pin(async move { store::claim(tx, holder, &asked).await }));
        match answer.await {
            Ok(answer) => {
                correct_clock(seat.clock(), answer.now, before);
                seat.take(&claim, answer, before + TERM - MARGIN);
            }
            Err(error) => seat.database_away(&why(error)),
        }
    }

    async fn give_back(&self) {
        let (held, holder) = (self.seat.is_held(), self.seat.holder());
        let is_alone = self.seat.claim() == Claim::Alone;
        self.seat.stop();
        if held && is_alone && self.db.dialect() == Dialect::Postgres {
            let given = self.db.reserved(move |tx| Box::pin(store::release(tx, holder)));
            // If the database is away the lease just runs out.
            let _ = tokio::time::timeout(RENEW, given).await;
        }
    }
}

/// The database's clock, half a round trip later.
fn correct_clock(clock: &Clock, read: Timestamp, before: Duration) {
    let round_trip = clock.boot().saturating_sub(before);
    clock.correct(read + round_trip / 2);
}

fn why(error: StorageError) -> String {
    match error {
        StorageError::Unreachable { why, .. } => why,
        other => other.to_string(),
    }
}
