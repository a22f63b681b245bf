//! The tables of the plugins: what is installed on which node, and whom the administrators trust.

use super::manifest::Manifest;
use super::signature::PublicKey;
use crate::clock::Timestamp;
use crate::storage::{Dialect, Migration, Row, StorageError, Tx, params};

pub const MIGRATIONS: &[Migration] =
    &[Migration::expand("plugins", 1, "plugins", include_str!("migrations/0001_plugin.sql"))];

/// What an administrator or the server decided about a plugin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    Enabled,
    Disabled,
    /// It made too many faults, or did not start.
    Faulty,
    /// The server died while it started it.
    Quarantined,
}

impl Standing {
    pub fn name(self) -> &'static str {
        match self {
            Standing::Enabled => "enabled",
            Standing::Disabled => "disabled",
            Standing::Faulty => "faulty",
            Standing::Quarantined => "quarantined",
        }
    }

    fn parse(name: &str) -> Standing {
        let all = [Standing::Enabled, Standing::Faulty, Standing::Quarantined];
        all.into_iter().find(|standing| standing.name() == name).unwrap_or(Standing::Disabled)
    }
}

/// One plugin of one node.
#[derive(Clone, Debug, PartialEq)]
pub struct PluginRow {
    pub manifest: Manifest,
    /// Its name within `plugins/`.
    pub file: String,
    pub sha256: [u8; 32],
    pub signer: Option<PublicKey>,
    pub standing: Standing,
    pub faults: u64,
    /// Why it does not run.
    pub report: Option<String>,
    /// Of its standing.
    pub since: Timestamp,
    pub installed_by: String,
}

/// Somebody whose signature is trusted.
#[derive(Clone, Debug, PartialEq)]
pub struct KeyRow {
    pub key: PublicKey,
    pub name: String,
    pub added: Timestamp,
    pub added_by: String,
}

const PLUGIN: &str = "SELECT manifest, file, sha256, signer, state, faults, report, since, \
                      installed_by FROM plugin WHERE node = $1 ORDER BY id";

/// The plugins of a node, by id.
pub(super) async fn plugins(tx: &mut Tx<'_>, node: u32) -> Result<Vec<PluginRow>, StorageError> {
    tx.query(PLUGIN, params![node]).await?.iter().map(plugin).collect()
}

fn plugin(row: &Row) -> Result<PluginRow, StorageError> {
    let manifest: String = row.get(0)?;
    let manifest = serde_json::from_str(&manifest)
        .map_err(|error| StorageError::Statement(format!("a stored manifest: {error}")))?;
    let signer: Option<[u8; 32]> = row.get(3)?;
    let standing: String = row.get(4)?;
    Ok(PluginRow {
        manifest,
        file: row.get(1)?,
        sha256: row.get(2)?,
        signer: signer.map(PublicKey),
        standing: Standing::parse(&standing),
        faults: row.get(5)?,
        report: row.get(6)?,
        since: row.get(7)?,
        installed_by: row.get(8)?,
    })
}

/// Writes a plugin in place of an earlier one of the same id.
pub(super) async fn put(tx: &mut Tx<'_>, node: u32, row: &PluginRow) -> Result<(), StorageError> {
    let manifest = serde_json::to_string(&row.manifest)
        .map_err(|error| StorageError::Statement(format!("a manifest: {error}")))?;
    let sql = "INSERT INTO plugin (node, id, manifest, file, sha256, signer, state, faults, \
               report, since, installed_by) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) \
               ON CONFLICT (node, id) DO UPDATE SET manifest = excluded.manifest, \
               file = excluded.file, sha256 = excluded.sha256, signer = excluded.signer, \
               state = excluded.state, faults = excluded.faults, report = excluded.report, \
               since = excluded.since, installed_by = excluded.installed_by";
    let signer = row.signer.map(|key| key.0);
    let values = params![
        node,
        &row.manifest.id,
        manifest,
        &row.file,
        row.sha256,
        signer,
        row.standing.name(),
        row.faults as i64,
        row.report.clone(),
        row.since,
        &row.installed_by,
    ];
    tx.execute(sql, values).await?;
    Ok(())
}

pub(super) async fn remove(tx: &mut Tx<'_>, node: u32, id: &str) -> Result<(), StorageError> {
    tx.execute("DELETE FROM plugin WHERE node = $1 AND id = $2", params![node, id]).await?;
    Ok(())
}

/// Whether another node still has this plugin: its data is theirs, too.
pub(super) async fn is_elsewhere(
    tx: &mut Tx<'_>,
    node: u32,
    id: &str,
) -> Result<bool, StorageError> {
    let sql = "SELECT 1 FROM plugin WHERE id = $2 AND node <> $1 LIMIT 1";
    Ok(!tx.query(sql, params![node, id]).await?.is_empty())
}

pub(super) async fn is_accepted(tx: &mut Tx<'_>, sha256: &[u8; 32]) -> Result<bool, StorageError> {
    let sql = "SELECT 1 FROM plugin_hash WHERE sha256 = $1";
    Ok(!tx.query(sql, params![sha256]).await?.is_empty())
}

/// Remembers that an administrator accepted a file.
pub(super) async fn accept(tx: &mut Tx<'_>, row: &PluginRow) -> Result<(), StorageError> {
    let sql = "INSERT INTO plugin_hash (sha256, name, added, added_by) VALUES ($1, $2, $3, $4) \
               ON CONFLICT DO NOTHING";
    let Manifest { id, version, .. } = &row.manifest;
    let values = params![row.sha256, format!("{id} {version}"), row.since, &row.installed_by];
    tx.execute(sql, values).await?;
    Ok(())
}

/// The trusted keys, by name.
pub(super) async fn keys(tx: &mut Tx<'_>) -> Result<Vec<KeyRow>, StorageError> {
    let sql = "SELECT public_key, name, added, added_by FROM plugin_key ORDER BY name";
    let rows = tx.query(sql, &[]).await?;
    let key = |row: &Row| {
        Ok(KeyRow {
            key: PublicKey(row.get(0)?),
            name: row.get(1)?,
            added: row.get(2)?,
            added_by: row.get(3)?,
        })
    };
    rows.iter().map(key).collect()
}

pub(super) async fn insert_key(tx: &mut Tx<'_>, row: &KeyRow) -> Result<(), StorageError> {
    let sql = "INSERT INTO plugin_key (public_key, name, added, added_by) VALUES ($1, $2, $3, $4)";
    tx.execute(sql, params![row.key.0, &row.name, row.added, &row.added_by]).await?;
    Ok(())
}

/// Whether there was such a key.
pub(super) async fn delete_key(tx: &mut Tx<'_>, name: &str) -> Result<bool, StorageError> {
    let deleted = tx.execute("DELETE FROM plugin_key WHERE name = $1", params![name]).await?;
    Ok(deleted > 0)
}

/// Whether this step of a plugin's schema is still to be done; it counts as done from now on.
pub(super) async fn begin_migration(
    tx: &mut Tx<'_>,
    (plugin, number): (&str, u32),
    name: &str,
    now: Timestamp,
) -> Result<bool, StorageError> {
    let sql = "INSERT INTO plugin_migration (plugin, number, name, applied) \
               VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING";
    Ok(tx.execute(sql, params![plugin, number, name, now]).await? > 0)
}

pub(super) async fn value(
    tx: &mut Tx<'_>,
    plugin: &str,
    name: &str,
) -> Result<Option<Vec<u8>>, StorageError> {
    let sql = "SELECT value FROM plugin_value WHERE plugin = $1 AND name = $2";
    tx.query_opt(sql, params![plugin, name]).await?.map(|row| row.get(0)).transpose()
}

pub(super) async fn put_value(
    tx: &mut Tx<'_>,
    plugin: &str,
    name: &str,
    value: Vec<u8>,
) -> Result<(), StorageError> {
    let sql = "INSERT INTO plugin_value (plugin, name, value) VALUES ($1, $2, $3) \
               ON CONFLICT (plugin, name) DO UPDATE SET value = excluded.value";
    tx.execute(sql, params![plugin, name, value]).await?;
    Ok(())
}

/// Sets a value if the one before is `expected` (`None`: if there was none); whether it was set.
pub(super) async fn swap_value(
    tx: &mut Tx<'_>,
    (plugin, name): (&str, &str),
    expected: Option<Vec<u8>>,
    value: Vec<u8>,
) -> Result<bool, StorageError> {
    let changed = match expected {
        Some(expected) => {
            let sql = "UPDATE plugin_value SET value = $4 \
                       WHERE plugin = $1 AND name = $2 AND value = $3";
            tx.execute(sql, params![plugin, name, expected, value]).await?
        }
        None => {
            let sql = "INSERT INTO plugin_value (plugin, name, value) VALUES ($1, $2, $3) \
                       ON CONFLICT DO NOTHING";
            tx.execute(sql, params![plugin, name, value]).await?
        }
    };
    Ok(changed > 0)
}

/// Whether it was there.
pub(super) async fn delete_value(
    tx: &mut Tx<'_>,
    plugin: &str,
    name: &str,
) -> Result<bool, StorageError> {
    let sql = "DELETE FROM plugin_value WHERE plugin = $1 AND name = $2";
    Ok(tx.execute(sql, params![plugin, name]).await? > 0)
}

/// Names that begin with `prefix` and come after `after`, in order.
pub(super) async fn names(
    tx: &mut Tx<'_>,
    plugin: &str,
    (prefix, after): (&str, &str),
    limit: u32,
) -> Result<Vec<String>, StorageError> {
    let sql = "SELECT name FROM plugin_value WHERE plugin = $1 AND name > $2 \
               AND substr(name, 1, $3) = $4 ORDER BY name LIMIT $5";
    let length = prefix.chars().count() as i64;
    let rows = tx.query(sql, params![plugin, after, length, prefix, limit]).await?;
    rows.iter().map(|row| row.get(0)).collect()
}

/// Drops everything that a plugin keeps: its tables, values and properties.
pub(super) async fn drop_data(
    tx: &mut Tx<'_>,
    plugin: &str,
    prefix: &str,
) -> Result<(), StorageError> {
    let tables = tx.query(tx.dialect().tables(), &[]).await?;
    for row in tables {
        let table: String = row.get(0)?;
        if table.starts_with(prefix) {
            let cascade = if tx.dialect() == Dialect::Postgres { " CASCADE" } else { "" };
            tx.script(&format!("DROP TABLE \"{table}\"{cascade}")).await?;
        }
    }
    tx.execute("DELETE FROM plugin_value WHERE plugin = $1", params![plugin]).await?;
    tx.execute("DELETE FROM plugin_migration WHERE plugin = $1", params![plugin]).await?;
    Ok(())
}
