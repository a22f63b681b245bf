//! Numbered migrations, declared beside the features and recorded in the database.
//!
//! Expand, then contract: a migration that only adds leaves older servers working; one that takes
//! something away says which schema a server must know to go on.

use super::{Db, Dialect, StorageError, Tx, has_table, params};
use crate::clock::Timestamp;

/// The schema that this server reads and writes. A release that adds migrations counts it up.
pub const SCHEMA: i64 = 1;

/// Any number that nobody else locks by, the same on every node.
const LOCK: &str = "SELECT pg_advisory_xact_lock(4848484848)";

/// One step of a feature's schema.
#[derive(Debug, Clone, Copy)]
pub struct Migration {
    pub feature: &'static str,
    /// Counted from 1 within the feature.
    pub number: u32,
    pub name: &'static str,
    pub sql: Script,
    /// The oldest [`SCHEMA`] whose servers understand the database afterwards.
    pub min_reader: i64,
}

/// The statements of a migration, without parameters.
#[derive(Debug, Clone, Copy)]
pub enum Script {
    /// One text for both databases, see [`Dialect::schema`].
    Both(&'static str),
    Each {
        sqlite: &'static str,
        postgres: &'static str,
    },
}

impl Migration {
    /// A migration that only adds.
    pub const fn expand(
        feature: &'static str,
        number: u32,
        name: &'static str,
        sql: &'static str,
    ) -> Migration {
        Migration { feature, number, name, sql: Script::Both(sql), min_reader: 0 }
    }

    /// The same with a text for each database.
    pub const fn each(mut self, sqlite: &'static str, postgres: &'static str) -> Migration {
        self.sql = Script::Each { sqlite, postgres };
        self
    }

    /// Marks it as taking away what servers below schema `min_reader` need.
    pub const fn contract(mut self, min_reader: i64) -> Migration {
        self.min_reader = min_reader;
        self
    }

    fn script(&self, dialect: Dialect) -> String {
        match (self.sql, dialect) {
            (Script::Both(sql), dialect) => dialect.schema(sql).into_owned(),
            (Script::Each { sqlite, .. }, Dialect::Sqlite) => sqlite.to_owned(),
            (Script::Each { postgres, .. }, Dialect::Postgres) => postgres.to_owned(),
        }
    }

    fn failed(&self, why: impl ToString) -> StorageError {
        let Migration { feature, number, name, .. } = *self;
        StorageError::Migration { feature, number, name, why: why.to_string() }
    }
}

/// Brings the database to this server's schema: runs what is not recorded yet, in the order of
/// `migrations`, each in a transaction of its own. Any number of nodes may call it at once.
pub async fn migrate(
    db: &Db,
    migrations: &[Migration],
    now: Timestamp,
) -> Result<(), StorageError> {
    check_numbers(migrations)?;
    db.write(|tx| Box::pin(begin(tx))).await?;
    for migration in migrations {
        let migration = *migration;
        db.write(move |tx| Box::pin(async move { apply(tx, &migration, now).await })).await?;
    }
    Ok(())
}

/// Refuses a database that only newer servers understand. A database without schema passes.
pub async fn check_reader(db: &Db) -> Result<(), StorageError> {
    db.read(|tx| {
        Box::pin(async move {
            match has_table(tx, "schema_version").await? {
                true => refuse_newer(tx).await,
                false => Ok(()),
            }
        })
    })
    .await
}

/// Each feature counts from 1 without a gap; anything else is a slip of ours.
fn check_numbers(migrations: &[Migration]) -> Result<(), StorageError> {
    for (at, migration) in migrations.iter().enumerate() {
        let before = migrations[..at].iter().filter(|m| m.feature == migration.feature).count();
        if migration.number as usize != before + 1 {
            let why = format!("declared out of order: number {} was expected", before + 1);
            return Err(migration.failed(why));
        }
    }
    Ok(())
}

async fn begin(tx: &mut Tx<'_>) -> Result<(), StorageError> {
    lock(tx).await?;
    tx.script(
        "CREATE TABLE IF NOT EXISTS schema_version (
             id BIGINT PRIMARY KEY, schema BIGINT NOT NULL, min_reader BIGINT NOT NULL);
         CREATE TABLE IF NOT EXISTS migration (
             feature TEXT NOT NULL, number BIGINT NOT NULL, name TEXT NOT NULL,
             applied BIGINT NOT NULL, PRIMARY KEY (feature, number))",
    )
    .await?;
    refuse_newer(tx).await?;
    tx.execute(
        "INSERT INTO schema_version (id, schema, min_reader) VALUES (1, $1, 0)
         ON CONFLICT (id) DO UPDATE SET schema = excluded.schema
         WHERE schema_version.schema < excluded.schema",
        params![SCHEMA],
    )
    .await?;
    Ok(())
}

async fn refuse_newer(tx: &mut Tx<'_>) -> Result<(), StorageError> {
    let row = tx.query_opt("SELECT min_reader FROM schema_version WHERE id = 1", &[]).await?;
    let min_reader = row.map(|row| row.get(0)).transpose()?.unwrap_or(0);
    match min_reader > SCHEMA {
        true => Err(StorageError::TooNew { min_reader, ours: SCHEMA }),
        false => Ok(()),
    }
}

async fn apply(tx: &mut Tx<'_>, migration: &Migration, now: Timestamp) -> Result<(), StorageError> {
    lock(tx).await?;
    let recorded = tx
        .execute(
            "INSERT INTO migration (feature, number, name, applied) VALUES ($1, $2, $3, $4)
             ON CONFLICT DO NOTHING",
            params![migration.feature, migration.number, migration.name, now],
        )
        .await?;
    if recorded == 0 {
        return Ok(());
    }
    let script = migration.script(tx.dialect());
    tx.script(&script).await.map_err(|error| match error.is_transient() {
        true => error,
        false => migration.failed(error),
    })?;
    let raise = "UPDATE schema_version SET min_reader = $1 WHERE id = 1 AND min_reader < $1";
    tx.execute(raise, params![migration.min_reader]).await?;
    Ok(())
}

/// Until the end of the transaction no other node migrates. SQLite's writer is alone anyway.
async fn lock(tx: &mut Tx<'_>) -> Result<(), StorageError> {
    if tx.dialect() == Dialect::Postgres {
        tx.script(LOCK).await?;
    }
    Ok(())
}
