//! The row of the serving lease.

use super::{Claim, Holder, Reason, TERM};
use crate::clock::Timestamp;
use crate::storage::{Db, Dialect, Migration, StorageError, Tx, params};

pub const MIGRATIONS: &[Migration] =
    &[Migration::expand("lease", 1, "create", include_str!("../migrations/0001_lease.sql"))];

/// Who serves a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Alone,
    Cluster,
}

impl Mode {
    fn word(self) -> &'static str {
        match self {
            Mode::Alone => "alone",
            Mode::Cluster => "cluster",
        }
    }
}

/// The lease as the database has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    pub mode: Mode,
    pub holder: Holder,
    pub epoch: i64,
    /// On the database's clock.
    pub expires: Timestamp,
}

/// The row, if anybody ever held the lease.
pub async fn read(tx: &mut Tx<'_>) -> Result<Option<Row>, StorageError> {
    let sql = "SELECT mode, node, incarnation, epoch, expires FROM lease WHERE id = 1";
    let Some(row) = tx.query_opt(sql, &[]).await? else { return Ok(None) };
    let mode = if row.get::<String>(0)? == "cluster" { Mode::Cluster } else { Mode::Alone };
    let holder = Holder { node: row.get(1)?, incarnation: row.get(2)? };
    Ok(Some(Row { mode, holder, epoch: row.get(3)?, expires: row.get(4)? }))
}

/// Takes or renews the lease for `holder`: the database's clock, and why not if not.
pub(super) async fn claim(
    tx: &mut Tx<'_>,
    holder: Holder,
    claim: Claim,
) -> Result<(Timestamp, Result<(), Reason>), StorageError> {
    let now = clock(tx).await?;
    let taken = match claim {
        Claim::Alone => claim_alone(tx, holder, now).await?,
        Claim::Cluster { epoch } => renew_cluster(tx, epoch, now).await?,
    };
    if taken {
        return Ok((now, Ok(())));
    }
    let reason = match (read(tx).await?, claim) {
        (Some(row), Claim::Cluster { .. }) => Reason::OtherEpoch(row.epoch),
        (Some(Row { mode: Mode::Cluster, .. }), Claim::Alone) => Reason::Clustered,
        (Some(row), Claim::Alone) => Reason::HeldBy(row.holder.node),
        (None, _) => Reason::OtherEpoch(0),
    };
    Ok((now, Err(reason)))
}

/// Anybody may replace a stale row of this mode; nobody falls back from a cluster by himself.
async fn claim_alone(
    tx: &mut Tx<'_>,
    holder: Holder,
    now: Timestamp,
) -> Result<bool, StorageError> {
    let sql = "INSERT INTO lease (id, mode, node, incarnation, epoch, expires)
               VALUES (1, 'alone', $1, $2, 0, $3)
               ON CONFLICT (id) DO UPDATE SET
                   node = excluded.node, incarnation = excluded.incarnation,
                   expires = excluded.expires
               WHERE lease.mode = 'alone' AND (lease.expires <= $4
                   OR (lease.node = excluded.node AND lease.incarnation = excluded.incarnation))";
    let Holder { node, incarnation } = holder;
    Ok(tx.execute(sql, params![node, incarnation, now + TERM, now]).await? == 1)
}

async fn renew_cluster(tx: &mut Tx<'_>, epoch: i64, now: Timestamp) -> Result<bool, StorageError> {
    let sql = "UPDATE lease SET expires = $2 WHERE id = 1 AND mode = 'cluster' AND epoch = $1";
    Ok(tx.execute(sql, params![epoch, now + TERM]).await? == 1)
}

/// Gives the lease back, so that another node need not wait for its end.
pub(super) async fn release(tx: &mut Tx<'_>, holder: Holder) -> Result<(), StorageError> {
    let sql = "UPDATE lease SET expires = 0
               WHERE id = 1 AND mode = 'alone' AND node = $1 AND incarnation = $2";
    tx.execute(sql, params![holder.node, holder.incarnation]).await.map(|_| ())
}

/// Changes between serving alone and as a cluster, or to the cluster's next view, by compare and
/// swap: `from` is the row that the caller saw. The new epoch, or `None` when it changed meanwhile
/// or, alone, is held by somebody else.
pub async fn switch(
    db: &Db,
    holder: Holder,
    from: Row,
    to: Mode,
) -> Result<Option<i64>, StorageError> {
    db.write(move |tx| {
        Box::pin(async move {
            let now = clock(tx).await?;
            if from.mode == Mode::Alone && from.holder != holder && from.expires > now {
                return Ok(None);
            }
            let sql = "UPDATE lease SET mode = $1, node = $2, incarnation = $3,
                           epoch = epoch + 1, expires = $4
                       WHERE id = 1 AND mode = $5 AND epoch = $6 AND node = $7
                           AND incarnation = $8";
            let Holder { node, incarnation } = holder;
            let (expires, seen) = (now + TERM, from.mode.word());
            let old = from.holder;
            let changed = tx
                .execute(
                    sql,
                    params![
                        to.word(),
                        node,
                        incarnation,
                        expires,
                        seen,
                        from.epoch,
                        old.node,
                        old.incarnation
                    ],
                )
                .await?;
            Ok((changed == 1).then_some(from.epoch + 1))
        })
    })
    .await
}

/// Whether `holder` (alone) or its view (clustered) is still the one that serves, inside the
/// transaction that is about to write in its name.
pub async fn fenced(tx: &mut Tx<'_>, holder: Holder, claim: Claim) -> Result<bool, StorageError> {
    if tx.dialect() == Dialect::Sqlite {
        return Ok(true);
    }
    // The share lock keeps others from taking over until this transaction has ended.
    let row = tx.query_opt("SELECT id FROM lease WHERE id = 1 FOR SHARE", &[]).await?;
    let Some(row) = (if row.is_some() { read(tx).await? } else { None }) else { return Ok(false) };
    Ok(match claim {
        Claim::Alone => row.mode == Mode::Alone && row.holder == holder,
        Claim::Cluster { epoch } => row.mode == Mode::Cluster && row.epoch == epoch,
    })
}

async fn clock(tx: &mut Tx<'_>) -> Result<Timestamp, StorageError> {
    tx.query_one(tx.dialect().clock(), &[]).await?.get(0)
}
