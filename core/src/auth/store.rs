//! The tables `account`, `credential` and `auth_secret`.

use std::num::NonZeroU32;

use super::credentials::{Credentials, ScramKeys};
use super::mechanism::Hash;
use crate::clock::Timestamp;
use crate::host::{AccountId, HostId};
use crate::storage::{Migration, Row, StorageError, Tx, params};

pub const MIGRATIONS: &[Migration] =
    &[Migration::expand("auth", 1, "accounts", include_str!("migrations/0001_accounts.sql"))];

/// A row of `account` that is not deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountRow {
    pub id: AccountId,
    /// The prepared localpart.
    pub username: String,
    pub created: Timestamp,
    pub disabled: bool,
    /// No login before this time; the epoch when there is no lock.
    pub locked_until: Timestamp,
}

fn account(row: &Row) -> Result<AccountRow, StorageError> {
    Ok(AccountRow {
        id: row.get(0)?,
        username: row.get(1)?,
        created: row.get(2)?,
        disabled: row.get(3)?,
        locked_until: row.get(4)?,
    })
}

/// Creates an account without credentials; `None` when the name is taken.
pub async fn create(
    tx: &mut Tx<'_>,
    host: HostId,
    username: &str,
    now: Timestamp,
) -> Result<Option<AccountId>, StorageError> {
    let row = tx
        .query_opt(
            "INSERT INTO account (host, username, created, disabled, locked_until)
             VALUES ($1, $2, $3, FALSE, 0) ON CONFLICT DO NOTHING RETURNING id",
            params![host, username, now],
        )
        .await?;
    row.map(|row| row.get(0)).transpose()
}

/// Marks the account as deleted and removes its keys; `None` when there is none. The row stays, so
/// that its id is never used again.
pub async fn delete(
    tx: &mut Tx<'_>,
    host: HostId,
    username: &str,
    now: Timestamp,
) -> Result<Option<AccountId>, StorageError> {
    let row = tx
        .query_opt(
            "UPDATE account SET deleted = $3
             WHERE host = $1 AND username = $2 AND deleted IS NULL RETURNING id",
            params![host, username, now],
        )
        .await?;
    let Some(row) = row else { return Ok(None) };
    let id: AccountId = row.get(0)?;
    tx.execute("DELETE FROM credential WHERE account = $1", params![id]).await?;
    Ok(Some(id))
}

/// The account of that name.
pub async fn find(
    tx: &mut Tx<'_>,
    host: HostId,
    username: &str,
) -> Result<Option<AccountRow>, StorageError> {
    let row = tx
        .query_opt(
            "SELECT id, username, created, disabled, locked_until FROM account
             WHERE host = $1 AND username = $2 AND deleted IS NULL",
            params![host, username],
        )
        .await?;
    row.as_ref().map(account).transpose()
}

/// At most `limit` accounts whose names follow `after` (empty: from the first), in the order of
/// the database's collation.
pub async fn page(
    tx: &mut Tx<'_>,
    host: HostId,
    after: &str,
    limit: u32,
) -> Result<Vec<AccountRow>, StorageError> {
    let rows = tx
        .query(
            "SELECT id, username, created, disabled, locked_until FROM account
             WHERE host = $1 AND username > $2 AND deleted IS NULL ORDER BY username LIMIT $3",
            params![host, after, limit],
        )
        .await?;
    rows.iter().map(account).collect()
}

/// Enables or disables the account; false when there is none.
pub async fn set_disabled(
    tx: &mut Tx<'_>,
    host: HostId,
    username: &str,
    disabled: bool,
) -> Result<bool, StorageError> {
    let changed = tx
        .execute(
            "UPDATE account SET disabled = $3
             WHERE host = $1 AND username = $2 AND deleted IS NULL",
            params![host, username, disabled],
        )
        .await?;
    Ok(changed > 0)
}

/// Refuses logins until `until`; false when there is no such account.
pub async fn lock(
    tx: &mut Tx<'_>,
    host: HostId,
    username: &str,
    until: Timestamp,
) -> Result<bool, StorageError> {
    let changed = tx
        .execute(
            "UPDATE account SET locked_until = $3
             WHERE host = $1 AND username = $2 AND deleted IS NULL",
            params![host, username, until],
        )
        .await?;
    Ok(changed > 0)
}

/// Replaces the keys of an account.
pub async fn set_credentials(
    tx: &mut Tx<'_>,
    id: AccountId,
    credentials: &Credentials,
) -> Result<(), StorageError> {
    tx.execute("DELETE FROM credential WHERE account = $1", params![id]).await?;
    for keys in &credentials.0 {
        tx.execute(
            "INSERT INTO credential (account, hash, iterations, salt, stored_key, server_key)
             VALUES ($1, $2, $3, $4, $5, $6)",
            params![
                id,
                keys.hash.name(),
                keys.iterations.get(),
                &*keys.salt,
                &*keys.stored_key,
                &*keys.server_key,
            ],
        )
        .await?;
    }
    Ok(())
}

/// The account of that name with its keys, in one statement: what each login needs. Keys of hashes
/// that this server does not know are left out.
pub async fn login(
    tx: &mut Tx<'_>,
    host: HostId,
    username: &str,
) -> Result<Option<(AccountRow, Credentials)>, StorageError> {
    let rows = tx
        .query(
            "SELECT a.id, a.username, a.created, a.disabled, a.locked_until,
                    c.hash, c.iterations, c.salt, c.stored_key, c.server_key
             FROM account a LEFT JOIN credential c ON c.account = a.id
             WHERE a.host = $1 AND a.username = $2 AND a.deleted IS NULL",
            params![host, username],
        )
        .await?;
    let Some(first) = rows.first() else { return Ok(None) };
    let mut credentials = Credentials::default();
    for row in &rows {
        credentials.0.extend(keys(row)?);
    }
    Ok(Some((account(first)?, credentials)))
}

fn keys(row: &Row) -> Result<Option<ScramKeys>, StorageError> {
    let hash = row.get::<Option<String>>(5)?.and_then(|name| Hash::from_name(&name));
    let Some(hash) = hash else { return Ok(None) };
    let Some(iterations) = NonZeroU32::new(row.get(6)?) else { return Ok(None) };
    Ok(Some(ScramKeys {
        hash,
        iterations,
        salt: row.get::<Vec<u8>>(7)?.into(),
        stored_key: row.get::<Vec<u8>>(8)?.into(),
        server_key: row.get::<Vec<u8>>(9)?.into(),
    }))
}

/// The secret of this installation from which fake keys are made; `fresh` becomes it when there
/// is none.
pub async fn secret(tx: &mut Tx<'_>, fresh: [u8; 32]) -> Result<[u8; 32], StorageError> {
    tx.execute(
        "INSERT INTO auth_secret (id, secret) VALUES (1, $1) ON CONFLICT DO NOTHING",
        params![fresh],
    )
    .await?;
    tx.query_one("SELECT secret FROM auth_secret WHERE id = 1", &[]).await?.get(0)
}
