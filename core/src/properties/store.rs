//! The tables of the properties.

use std::collections::HashMap;

use super::live::SECRET;
use crate::clock::Timestamp;
use crate::storage::{Dialect, Migration, Row, StorageError, Tx, params};

pub const MIGRATIONS: &[Migration] =
    &[Migration::expand("properties", 1, "create", include_str!("migrations/0001_create.sql"))];

/// The channel on which PostgreSQL tells other nodes.
pub(super) const CHANNEL: &str = "hearth_properties";

/// Values by name and target.
pub(super) type Stored = HashMap<(String, i64), String>;

/// One change, as the history keeps it. `None` is the default.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Greater than those of all changes before; 0 until it is stored.
    pub id: i64,
    pub name: String,
    pub target: i64,
    pub changed: Timestamp,
    pub actor: String,
    pub old: Option<String>,
    pub new: Option<String>,
}

/// Stores `change.new`, writes the history and counts the version up. The history knows of a secret
/// that it was changed, and nothing more.
pub(super) async fn set(
    tx: &mut Tx<'_>,
    change: &Change,
    is_secret: bool,
) -> Result<(), StorageError> {
    // The version row comes first: its lock puts changes by several nodes in one order.
    tx.execute("UPDATE property_version SET version = version + 1 WHERE id = 1", &[]).await?;
    let key = params![&change.name, change.target];
    let old = tx
        .query_opt("SELECT value FROM property WHERE name = $1 AND target = $2", key)
        .await?
        .map(|row| row.get::<String>(0))
        .transpose()?;
    match &change.new {
        Some(value) => {
            let sql = "INSERT INTO property (name, target, value) VALUES ($1, $2, $3)
                       ON CONFLICT (name, target) DO UPDATE SET value = excluded.value";
            tx.execute(sql, params![&change.name, change.target, value]).await?
        }
        None => tx.execute("DELETE FROM property WHERE name = $1 AND target = $2", key).await?,
    };
    let sql = "INSERT INTO property_history (name, target, changed, actor, old, new)
               VALUES ($1, $2, $3, $4, $5, $6)";
    let Change { name, target, changed, actor, new, .. } = change;
    let (old, new) = match is_secret {
        true => (old.map(|_| SECRET.to_owned()), new.as_ref().map(|_| SECRET)),
        false => (old, new.as_deref()),
    };
    tx.execute(sql, params![name, *target, *changed, actor, old, new]).await?;
    if tx.dialect() == Dialect::Postgres {
        tx.query("SELECT CAST(pg_notify($1, '') AS TEXT)", params![CHANNEL]).await?;
    }
    Ok(())
}

/// The version and all values, unless the version is `known`.
pub(super) async fn read_if_newer(
    tx: &mut Tx<'_>,
    known: i64,
) -> Result<Option<(i64, Stored)>, StorageError> {
    // Read before the values: a change between the two is read again, never missed.
    let version = tx.query_one("SELECT version FROM property_version WHERE id = 1", &[]).await?;
    let version: i64 = version.get(0)?;
    if version == known {
        return Ok(None);
    }
    let rows = tx.query("SELECT name, target, value FROM property", &[]).await?;
    let pair = |row: &Row| Ok(((row.get(0)?, row.get(1)?), row.get(2)?));
    let values: Result<Stored, StorageError> = rows.iter().map(pair).collect();
    Ok(Some((version, values?)))
}

/// Changes of `name` before the change `before`, the newest first.
pub(super) async fn history(
    tx: &mut Tx<'_>,
    name: &'static str,
    before: i64,
    limit: u32,
) -> Result<Vec<Change>, StorageError> {
    let sql = "SELECT id, name, target, changed, actor, old, new FROM property_history
               WHERE name = $1 AND id < $2 ORDER BY id DESC LIMIT $3";
    let rows = tx.query(sql, params![name, before, limit]).await?;
    let change = |row: &Row| {
        Ok(Change {
            id: row.get(0)?,
            name: row.get(1)?,
            target: row.get(2)?,
            changed: row.get(3)?,
            actor: row.get(4)?,
            old: row.get(5)?,
            new: row.get(6)?,
        })
    };
    rows.iter().map(change).collect()
}
