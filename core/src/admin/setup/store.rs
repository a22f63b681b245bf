//! The table `host`: the domains of this installation.

use crate::clock::Timestamp;
use crate::host::HostId;
use crate::storage::migrate::Migration;
use crate::storage::{StorageError, Tx, has_table, params};

/// Tables of this module.
pub const MIGRATIONS: &[Migration] = &[Migration::expand(
    "host",
    1,
    "domains",
    "CREATE TABLE host (id BIGINT PRIMARY KEY, domain TEXT NOT NULL UNIQUE, created BIGINT NOT NULL)",
)];

/// `None` also when the database has no tables yet.
pub async fn domain(tx: &mut Tx<'_>, host: HostId) -> Result<Option<String>, StorageError> {
    if !has_table(tx, "host").await? {
        return Ok(None);
    }
    let row = tx.query_opt("SELECT domain FROM host WHERE id = $1", params![host]).await?;
    row.map(|row| row.get(0)).transpose()
}

/// Does nothing when another node was faster.
pub async fn insert(
    tx: &mut Tx<'_>,
    host: HostId,
    domain: &str,
    now: Timestamp,
) -> Result<(), StorageError> {
    let sql = "INSERT INTO host (id, domain, created) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
    tx.execute(sql, params![host, domain, now]).await?;
    Ok(())
}
