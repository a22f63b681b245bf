//! The table of offline messages.

use bytes::Bytes;

use crate::clock::{StanzaId, Timestamp};
use crate::im::roster::Key;
use crate::storage::{Dialect, StorageError, Tx, params};

/// The session to which a row is on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holder {
    pub node: u32,
    /// Tells the runs of one node apart: what an earlier one held is free.
    pub incarnation: i64,
    pub session: u64,
}

/// A claimed message.
#[derive(Debug, PartialEq, Eq)]
pub struct Message {
    pub id: StanzaId,
    pub received: Timestamp,
    pub stanza: Bytes,
}

/// Octets and rows that one claim takes at most; one message may overshoot.
const CLAIM_OCTETS: i64 = 64 * 1024;

/// A run of a node may hold messages from now on. Runs as an append, before all others of that run.
pub const BEGIN: &str = "INSERT INTO message_holders (node, incarnation) VALUES ($1, $2) \
    ON CONFLICT (node, incarnation) DO NOTHING";

/// Adds a message that nobody holds. Runs as an append. A row that is there already is freed when
/// the session $9 holds it: it was spooled for that one, which is gone. Anybody else has been given
/// the message by an earlier run of this very append, whose commit nobody heard of.
pub const ADD: &str = "INSERT INTO offline_messages (host, account, id, received, size, stanza) \
    VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (host, account, id) DO UPDATE SET \
    holder_node = NULL, holder_incarnation = NULL, holder_session = NULL \
    WHERE offline_messages.holder_node = $7 AND offline_messages.holder_incarnation = $8 \
    AND offline_messages.holder_session = $9";

/// Adds a copy of a message that a session has been given. Runs as an append. The database refuses it,
/// as it refuses all below that name a holder, when the holder's run is gone: others have taken over.
pub const SPOOL: &str = "INSERT INTO offline_messages (host, account, id, received, size, stanza, \
    holder_node, holder_incarnation, holder_session) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) \
    ON CONFLICT (host, account, id) DO NOTHING";

/// The message has arrived. Runs as an append.
pub const REMOVE: &str =
    "DELETE FROM offline_messages WHERE host = $1 AND account = $2 AND id = $3";

/// The session that held the message is gone. Runs as an append, perhaps so late that another node
/// has given the message to one of its own by then.
pub const FREE: &str = "UPDATE offline_messages SET holder_node = NULL, \
    holder_incarnation = NULL, holder_session = NULL WHERE host = $1 AND account = $2 AND id = $3 \
    AND holder_node = $4 AND holder_incarnation = $5";

/// The session that held messages lives on at another node, whose run holds them until it has taken them
/// over: it may end before that. Runs as an append.
pub const HAND_OVER: &str = "UPDATE offline_messages SET holder_node = $6, \
    holder_incarnation = $7, holder_session = 0 WHERE host = $1 AND account = $2 \
    AND holder_node = $3 AND holder_incarnation = $4 AND holder_session = $5";

/// The same, when that run is over already.
pub const FREE_ALL: &str = "UPDATE offline_messages SET holder_node = NULL, \
    holder_incarnation = NULL, holder_session = NULL WHERE host = $1 AND account = $2 \
    AND holder_node = $3 AND holder_incarnation = $4 AND holder_session = $5";

/// The session that held the message lives on elsewhere, as this one. Runs as an append.
pub const TAKE_OVER: &str = "UPDATE offline_messages SET holder_node = $4, \
    holder_incarnation = $5, holder_session = $6 WHERE host = $1 AND account = $2 AND id = $3";

/// Whether the account has any row. Rows that are held count, too: it spares a write in the case
/// that matters, which is none.
pub async fn any(tx: &mut Tx<'_>, key: Key) -> Result<bool, StorageError> {
    let sql = "SELECT 1 FROM offline_messages WHERE host = $1 AND account = $2 LIMIT 1";
    Ok(tx.query_opt(sql, params![key.host, key.account]).await?.is_some())
}

/// Gives the oldest free messages to `holder`. A message never has two holders.
pub async fn claim(
    tx: &mut Tx<'_>,
    key: Key,
    holder: Holder,
) -> Result<Vec<Message>, StorageError> {
    let sql = "UPDATE offline_messages \
        SET holder_node = $3, holder_incarnation = $4, holder_session = $5 \
        WHERE host = $1 AND account = $2 \
        AND (holder_node IS NULL OR (holder_node = $3 AND holder_incarnation <> $4)) \
        AND id IN (SELECT id FROM \
            (SELECT id, SUM(size) OVER (ORDER BY id) - size AS before FROM \
                (SELECT id, size FROM offline_messages WHERE host = $1 AND account = $2 \
                AND (holder_node IS NULL OR (holder_node = $3 AND holder_incarnation <> $4)) \
                ORDER BY id LIMIT 64) AS oldest) AS sized \
            WHERE before < CAST($6 AS BIGINT)) \
        RETURNING id, received, stanza";
    let values = params![
        key.host,
        key.account,
        holder.node,
        holder.incarnation,
        holder.session as i64,
        CLAIM_OCTETS,
    ];
    let rows = tx.query(sql, values).await?;
    let rows = rows
        .iter()
        .map(|row| Ok(Message { id: row.get(0)?, received: row.get(1)?, stanza: row.get(2)? }));
    let mut messages = rows.collect::<Result<Vec<_>, StorageError>>()?;
    messages.sort_unstable_by_key(|message| message.id);
    Ok(messages)
}

/// Octets of all messages of the account.
pub async fn usage(tx: &mut Tx<'_>, key: Key) -> Result<u64, StorageError> {
    let sql = "SELECT CAST(COALESCE(SUM(size), 0) AS BIGINT) FROM offline_messages \
               WHERE host = $1 AND account = $2";
    tx.query_one(sql, params![key.host, key.account]).await?.get(0)
}

/// Frees what others than this run of this node hold; for a node that serves alone.
pub async fn reclaim(tx: &mut Tx<'_>, node: u32, incarnation: i64) -> Result<u64, StorageError> {
    let sql = "UPDATE offline_messages SET holder_node = NULL, holder_incarnation = NULL, \
               holder_session = NULL WHERE holder_node IS NOT NULL \
               AND (holder_node <> $1 OR holder_incarnation <> $2)";
    let freed = tx.execute(sql, params![node, incarnation]).await?;
    let others = "DELETE FROM message_holders WHERE node <> $1 OR incarnation <> $2";
    tx.execute(others, params![node, incarnation]).await?;
    Ok(freed)
}

/// Frees what a run of a node held that is gone, and names the accounts. From then on it holds nothing.
pub async fn free_held(
    tx: &mut Tx<'_>,
    node: u32,
    incarnation: i64,
) -> Result<Vec<Key>, StorageError> {
    let sql = "UPDATE offline_messages SET holder_node = NULL, holder_incarnation = NULL, \
               holder_session = NULL WHERE holder_node = $1 AND holder_incarnation = $2 \
               RETURNING host, account";
    if tx.dialect() == Dialect::Postgres {
        // Whoever has just named it as holder has a lock on its row: what he adds is freed, too.
        let lock =
            "SELECT node FROM message_holders WHERE node = $1 AND incarnation = $2 FOR UPDATE";
        tx.query_opt(lock, params![node, incarnation]).await?;
    }
    let rows = tx.query(sql, params![node, incarnation]).await?;
    let over = "DELETE FROM message_holders WHERE node = $1 AND incarnation = $2";
    tx.execute(over, params![node, incarnation]).await?;
    let keys = rows.iter().map(|row| Ok(Key { host: row.get(0)?, account: row.get(1)? }));
    keys.collect()
}

/// Removes everything of an account that is deleted.
pub async fn remove_account(tx: &mut Tx<'_>, key: Key) -> Result<(), StorageError> {
    let sql = "DELETE FROM offline_messages WHERE host = $1 AND account = $2";
    tx.execute(sql, params![key.host, key.account]).await?;
    Ok(())
}
