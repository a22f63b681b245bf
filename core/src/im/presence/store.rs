//! The table of last presences.

use bytes::Bytes;

use crate::clock::Timestamp;
use crate::im::roster::Key;
use crate::storage::{StorageError, Tx, params};

/// Notes with which stanza, canonical, the account's last resource went. Runs as an append:
/// whichever is the later wins.
pub const NOTE: &str = "INSERT INTO last_presences (host, account, ended, stanza) \
    VALUES ($1, $2, $3, $4) ON CONFLICT (host, account) DO UPDATE SET \
    ended = excluded.ended, stanza = excluded.stanza WHERE last_presences.ended <= excluded.ended";

/// When and with which stanza the account's last resource went.
pub async fn last(tx: &mut Tx<'_>, key: Key) -> Result<Option<(Timestamp, Bytes)>, StorageError> {
    let sql = "SELECT ended, stanza FROM last_presences WHERE host = $1 AND account = $2";
    let row = tx.query_opt(sql, params![key.host, key.account]).await?;
    row.map(|row| Ok((row.get(0)?, row.get(1)?))).transpose()
}

/// Removes everything of an account that is deleted.
pub async fn remove_account(tx: &mut Tx<'_>, key: Key) -> Result<(), StorageError> {
    let sql = "DELETE FROM last_presences WHERE host = $1 AND account = $2";
    tx.execute(sql, params![key.host, key.account]).await?;
    Ok(())
}
