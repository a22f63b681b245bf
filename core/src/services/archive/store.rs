//! The table of the archive.

use crate::host::{AccountId, HostId};
use crate::storage::{StorageError, Tx, params};

/// Adds a message. Runs as an append.
pub const KEEP: &str = "INSERT INTO archive_messages (host, account, id, peer, outgoing, stanza) \
    VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (host, account, id) DO NOTHING";

/// Removes everything of an account that is deleted.
pub async fn remove_account(
    tx: &mut Tx<'_>,
    host: HostId,
    account: AccountId,
) -> Result<(), StorageError> {
    let sql = "DELETE FROM archive_messages WHERE host = $1 AND account = $2";
    tx.execute(sql, params![host, account]).await?;
    Ok(())
}
