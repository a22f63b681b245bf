//! The row of the serving lease.

use super::{Claim, Holder, Reason, TERM};
use crate::clock::Timestamp;
use crate::storage::{Dialect, Migration, Row as Columns, StorageError, Tx, params};

pub const MIGRATIONS: &[Migration] =
    &[Migration::expand("lease", 1, "create", include_str!("../migrations/0001_lease.sql"))];

/// Who serves a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Alone,
    Cluster,
}

/// The lease as the database has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    pub mode: Mode,
    /// Who serves alone, or was the last to enter the cluster.
    pub holder: Holder,
    /// The newest view that a member was told of. The view itself is kept by whoever leads the
    /// cluster.
    pub epoch: i64,
    /// On the database's clock.
    pub expires: Timestamp,
}

/// What the database says to a claim.
pub(super) struct Answer {
    pub now: Timestamp,
    pub row: Option<Row>,
    pub outcome: Result<(), Reason>,
}

impl Answer {
    /// Of a database that has one node.
    pub fn embedded(holder: Holder, claim: &Claim) -> Answer {
        let (now, expires) = (Timestamp(0), Timestamp(i64::MAX));
        let outcome = match claim {
            Claim::Nothing(reason) => Err(reason.clone()),
            _ => Ok(()),
        };
        Answer { now, row: Some(Row { mode: Mode::Alone, holder, epoch: 0, expires }), outcome }
    }
}

/// The row, if anybody ever held the lease.
pub async fn read(tx: &mut Tx<'_>) -> Result<Option<Row>, StorageError> {
    let sql = "SELECT mode, node, incarnation, epoch, expires FROM lease WHERE id = 1";
    tx.query_opt(sql, &[]).await?.as_ref().map(row).transpose()
}

fn row(row: &Columns) -> Result<Row, StorageError> {
    let mode = if row.get::<String>(0)? == "cluster" { Mode::Cluster } else { Mode::Alone };
    let holder = Holder { node: row.get(1)?, incarnation: row.get(2)? };
    Ok(Row { mode, holder, epoch: row.get(3)?, expires: row.get(4)? })
}

/// Takes or renews the lease for `holder`: why not if not.
pub(super) async fn claim(
    tx: &mut Tx<'_>,
    holder: Holder,
    claim: &Claim,
) -> Result<Answer, StorageError> {
    let now = clock(tx).await?;
    let taken = match claim {
        Claim::Alone => claim_alone(tx, holder, now).await?,
        Claim::After { epoch } => match claim_after(tx, holder, *epoch, now).await? {
            Some(row) => Some(row),
            None => claim_alone(tx, holder, now).await?,
        },
        Claim::Cluster { epoch } => renew_cluster(tx, *epoch, now).await?,
        Claim::Nothing(_) => None,
    };
    if taken.is_some() {
        return Ok(Answer { now, row: taken, outcome: Ok(()) });
    }
    let row = read(tx).await?;
    let reason = match (claim, &row) {
        (Claim::Nothing(reason), _) => reason.clone(),
        (_, Some(row)) if row.mode == Mode::Alone => Reason::HeldBy(row.holder.node),
        (_, Some(_)) => Reason::Clustered,
        (_, None) => Reason::Unknown,
    };
    Ok(Answer { now, row, outcome: Err(reason) })
}

/// Anybody may replace a stale row of this mode; nobody falls back from a cluster by himself.
async fn claim_alone(
    tx: &mut Tx<'_>,
    holder: Holder,
    now: Timestamp,
) -> Result<Option<Row>, StorageError> {
    let sql = "INSERT INTO lease (id, mode, node, incarnation, epoch, expires)
               VALUES (1, 'alone', $1, $2, 0, $3)
               ON CONFLICT (id) DO UPDATE SET
                   node = excluded.node, incarnation = excluded.incarnation,
                   expires = excluded.expires
               WHERE lease.mode = 'alone' AND (lease.expires <= $4
                   OR (lease.node = excluded.node AND lease.incarnation = excluded.incarnation))
               RETURNING mode, node, incarnation, epoch, expires";
    let Holder { node, incarnation } = holder;
    let taken = tx.query_opt(sql, params![node, incarnation, now + TERM, now]).await?;
    taken.as_ref().map(row).transpose()
}

/// Takes over from a cluster whose view is still the one that was over, and that nobody renews.
async fn claim_after(
    tx: &mut Tx<'_>,
    holder: Holder,
    epoch: i64,
    now: Timestamp,
) -> Result<Option<Row>, StorageError> {
    let sql = "UPDATE lease SET mode = 'alone', node = $1, incarnation = $2, expires = $3
               WHERE id = 1 AND mode = 'cluster' AND epoch = $4 AND expires <= $5
               RETURNING mode, node, incarnation, epoch, expires";
    let Holder { node, incarnation } = holder;
    let taken = tx.query_opt(sql, params![node, incarnation, now + TERM, epoch, now]).await?;
    taken.as_ref().map(row).transpose()
}

/// A member that has not heard of the newest view yet goes on: its term says how long.
async fn renew_cluster(
    tx: &mut Tx<'_>,
    epoch: i64,
    now: Timestamp,
) -> Result<Option<Row>, StorageError> {
    let sql = "UPDATE lease SET expires = $2,
                   epoch = CASE WHEN epoch < $1 THEN $1 ELSE epoch END
               WHERE id = 1 AND mode = 'cluster'
               RETURNING mode, node, incarnation, epoch, expires";
    let renewed = tx.query_opt(sql, params![epoch, now + TERM]).await?;
    renewed.as_ref().map(row).transpose()
}

/// Enters the cluster in its view `epoch`: of a database that serves alone by `holder`, or by nobody
/// any more, it becomes the cluster's. A cluster that nobody renews is forgotten, its epoch too.
pub(super) async fn enter(
    tx: &mut Tx<'_>,
    holder: Holder,
    epoch: i64,
) -> Result<Answer, StorageError> {
    let now = clock(tx).await?;
    let sql = "INSERT INTO lease (id, mode, node, incarnation, epoch, expires)
               VALUES (1, 'cluster', $1, $2, $3, $4)
               ON CONFLICT (id) DO UPDATE SET
                   mode = 'cluster', node = excluded.node, incarnation = excluded.incarnation,
                   epoch = CASE WHEN lease.mode = 'cluster' AND lease.expires > $5
                       AND lease.epoch > excluded.epoch THEN lease.epoch ELSE excluded.epoch END,
                   expires = excluded.expires
               WHERE lease.mode = 'cluster' OR lease.expires <= $5
                   OR (lease.node = excluded.node AND lease.incarnation = excluded.incarnation)
               RETURNING mode, node, incarnation, epoch, expires";
    let Holder { node, incarnation } = holder;
    let entered = tx.query_opt(sql, params![node, incarnation, epoch, now + TERM, now]).await?;
    let Some(entered) = entered else {
        let row = read(tx).await?;
        let outcome = Err(row.map_or(Reason::Unknown, |row| Reason::HeldBy(row.holder.node)));
        return Ok(Answer { now, row, outcome });
    };
    Ok(Answer { now, row: Some(row(&entered)?), outcome: Ok(()) })
}

/// Gives the lease back, so that another node need not wait for its end.
pub(super) async fn release(tx: &mut Tx<'_>, holder: Holder) -> Result<(), StorageError> {
    let sql = "UPDATE lease SET expires = 0
               WHERE id = 1 AND mode = 'alone' AND node = $1 AND incarnation = $2";
    tx.execute(sql, params![holder.node, holder.incarnation]).await.map(|_| ())
}

/// Whether `holder` (alone) or its view (clustered) is still the one that serves, inside the
/// transaction that is about to write in its name.
pub async fn fenced(tx: &mut Tx<'_>, holder: Holder, claim: &Claim) -> Result<bool, StorageError> {
    if tx.dialect() == Dialect::Sqlite {
        return Ok(true);
    }
    // The share lock keeps others from taking over until this transaction has ended.
    let row = tx.query_opt("SELECT id FROM lease WHERE id = 1 FOR SHARE", &[]).await?;
    let Some(row) = (if row.is_some() { read(tx).await? } else { None }) else { return Ok(false) };
    Ok(match claim {
        Claim::Alone => row.mode == Mode::Alone && row.holder == holder,
        Claim::Cluster { epoch } => row.mode == Mode::Cluster && row.epoch == *epoch,
        Claim::After { .. } | Claim::Nothing(_) => false,
    })
}

async fn clock(tx: &mut Tx<'_>) -> Result<Timestamp, StorageError> {
    tx.query_one(tx.dialect().clock(), &[]).await?.get(0)
}
