//! The tables of the roster.

use std::sync::Arc;

use bytes::Bytes;
use compact_str::CompactString;

use super::{Item, Key, Roster};
use crate::clock::Timestamp;
use crate::im::subscription::State;
use crate::jid::Jid;
use crate::storage::{Row, StorageError, Tx, params};

/// Reads the account's roster.
pub async fn load(tx: &mut Tx<'_>, key: Key) -> Result<Roster, StorageError> {
    // The version first: items newer than it only make the next change be read again.
    let sql = "SELECT version FROM roster_versions WHERE host = $1 AND account = $2";
    let version = tx.query_opt(sql, params![key.host, key.account]).await?;
    let version = version.map_or(Ok(0), |row| row.get(0))?;
    let sql = "SELECT contact, name, group_names, subscription, pending_out, pending_in, \
               approved, listed, request FROM roster_items WHERE host = $1 AND account = $2";
    let rows = tx.query(sql, params![key.host, key.account]).await?;
    let items = rows.iter().filter_map(|row| item(key, row).transpose());
    Ok(Roster::new(version, items.collect::<Result<_, _>>()?))
}

/// Nobody else changes the account's roster until the end of the transaction; its version.
pub async fn lock(tx: &mut Tx<'_>, key: Key) -> Result<i64, StorageError> {
    let sql = "INSERT INTO roster_versions (host, account, version) VALUES ($1, $2, 0) \
               ON CONFLICT (host, account) DO UPDATE SET version = roster_versions.version \
               RETURNING version";
    tx.query_one(sql, params![key.host, key.account]).await?.get(0)
}

/// Stores `item` for the contact, or with `None` removes it; the account must be locked. `before`
/// is the version that was locked; returns the next. Versions follow the clock, so that a
/// database restored from a backup does not give an old number to a new roster.
pub async fn save(
    tx: &mut Tx<'_>,
    key: Key,
    (contact, item): (&Jid, Option<&Item>),
    before: i64,
    now: Timestamp,
) -> Result<i64, StorageError> {
    match item {
        Some(item) => put(tx, key, item).await?,
        None => {
            let sql = "DELETE FROM roster_items WHERE host = $1 AND account = $2 AND contact = $3";
            tx.execute(sql, params![key.host, key.account, contact.as_str()]).await?;
        }
    }
    let version = now.0.max(before + 1);
    let sql = "UPDATE roster_versions SET version = $3 WHERE host = $1 AND account = $2";
    tx.execute(sql, params![key.host, key.account, version]).await?;
    Ok(version)
}

async fn put(tx: &mut Tx<'_>, key: Key, item: &Item) -> Result<(), StorageError> {
    let sql = "INSERT INTO roster_items (host, account, contact, name, group_names, subscription, \
               pending_out, pending_in, approved, listed, request) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) \
               ON CONFLICT (host, account, contact) DO UPDATE SET name = excluded.name, \
               group_names = excluded.group_names, subscription = excluded.subscription, \
               pending_out = excluded.pending_out, pending_in = excluded.pending_in, \
               approved = excluded.approved, listed = excluded.listed, request = excluded.request";
    let groups: Vec<&str> = item.groups.iter().map(CompactString::as_str).collect();
    let groups = serde_json::to_string(&groups).expect("texts can always be written as JSON");
    let values = params![
        key.host,
        key.account,
        item.contact.as_str(),
        item.name.clone(),
        groups,
        item.state.subscription(),
        item.state.pending_out(),
        item.state.pending_in(),
        item.approved,
        item.listed,
        item.request.clone(),
    ];
    tx.execute(sql, values).await?;
    Ok(())
}

/// Removes everything of an account that is deleted.
pub async fn remove_account(tx: &mut Tx<'_>, key: Key) -> Result<(), StorageError> {
    let key = params![key.host, key.account];
    tx.execute("DELETE FROM roster_items WHERE host = $1 AND account = $2", key).await?;
    tx.execute("DELETE FROM roster_versions WHERE host = $1 AND account = $2", key).await?;
    Ok(())
}

/// `None`, told in the log, for a row that nothing of ours has written: one bad contact must not
/// take the roster away.
fn item(key: Key, row: &Row) -> Result<Option<Arc<Item>>, StorageError> {
    let contact: String = row.get(0)?;
    let groups: String = row.get(2)?;
    let subscription: String = row.get(3)?;
    let state = State::from_parts(&subscription, row.get(4)?, row.get(5)?);
    let groups: Result<Vec<String>, _> = serde_json::from_str(&groups);
    let (Ok(address), Some(state), Ok(groups)) = (Jid::parse(&contact), state, groups) else {
        tracing::error!(account = key.account.0, contact, "a roster item is damaged: left out");
        return Ok(None);
    };
    Ok(Some(Arc::new(Item {
        contact: address,
        name: row.get(1)?,
        groups: groups.into_iter().map(CompactString::from).collect(),
        state,
        approved: row.get(6)?,
        listed: row.get(7)?,
        request: row.get::<Option<Bytes>>(8)?,
    })))
}
