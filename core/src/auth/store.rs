//! The tables `account`, `credential` and `auth_secret`.

use std::num::NonZeroU32;

use super::credentials::{Credentials, ScramKeys};
use super::mechanism::Hash;
use super::profile::{self, Lockout, Profile};
use crate::clock::Timestamp;
use crate::host::{AccountId, HostId};
use crate::storage::{Migration, Row, StorageError, Tx, params};

pub const MIGRATIONS: &[Migration] = &[
    Migration::expand("auth", 1, "accounts", include_str!("migrations/0001_accounts.sql")),
    // Prefixes are ranges only where texts sort by their octets, as SQLite's always do.
    Migration::expand("auth", 2, "user names sort by octets", "")
        .each("", "ALTER TABLE account ALTER COLUMN username TYPE TEXT COLLATE \"C\""),
    Migration::expand("auth", 3, "profiles", include_str!("migrations/0003_profile.sql")),
    Migration::expand("auth", 4, "lock-outs by their beginning", LOCKED_FROM),
];

const LOCKED_FROM: &str = "CREATE INDEX account_locked_from ON account (host, locked_from) \
                           WHERE deleted IS NULL AND (disabled OR locked_until > 0)";

/// A row of `account` that is not deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountRow {
    pub id: AccountId,
    /// The prepared localpart.
    pub username: String,
    pub created: Timestamp,
    /// Rare, and this row is remembered for many accounts.
    pub lockout: Option<Box<Lockout>>,
}

impl AccountRow {
    /// Whether nobody may sign in now.
    pub fn is_locked(&self, now: Timestamp) -> bool {
        self.lockout.as_ref().is_some_and(|lockout| lockout.holds(now))
    }
}

/// From `id, username, created, disabled, locked_until, locked_from, lock_reason`.
pub(super) fn account(row: &Row) -> Result<AccountRow, StorageError> {
    let until: Timestamp = row.get(4)?;
    let until = match row.get(3)? {
        true => Some(None),
        false => (until > Timestamp::default()).then_some(Some(until)),
    };
    let lockout = match until {
        Some(until) => Some(Lockout { from: row.get(5)?, until, reason: row.get(6)? }),
        None => None,
    };
    let lockout = lockout.map(Box::new);
    Ok(AccountRow { id: row.get(0)?, username: row.get(1)?, created: row.get(2)?, lockout })
}

/// Creates an account without credentials; `None` when the name is taken.
pub async fn create(
    tx: &mut Tx<'_>,
    host: HostId,
    username: &str,
    profile: &Profile,
    now: Timestamp,
) -> Result<Option<AccountId>, StorageError> {
    let row = tx
        .query_opt(
            "INSERT INTO account (host, username, created, disabled, locked_until)
             VALUES ($1, $2, $3, FALSE, 0) ON CONFLICT DO NOTHING RETURNING id",
            params![host, username, now],
        )
        .await?;
    let Some(row) = row else { return Ok(None) };
    let id = row.get(0)?;
    profile::store::set_profile(tx, (host, id), username, profile).await?;
    // Last, because others wait for this row.
    profile::store::count(tx, host, 1).await?;
    Ok(Some(id))
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
    profile::store::remove_account(tx, host, id).await?;
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
            "SELECT id, username, created, disabled, locked_until, locked_from, lock_reason
             FROM account WHERE host = $1 AND username = $2 AND deleted IS NULL",
            params![host, username],
        )
        .await?;
    row.as_ref().map(account).transpose()
}

/// Locks the account out, or with `None` lets it in again; false when there is none.
pub async fn set_lockout(
    tx: &mut Tx<'_>,
    host: HostId,
    username: &str,
    lockout: Option<&Lockout>,
) -> Result<bool, StorageError> {
    let none = Lockout { from: Timestamp(0), until: Some(Timestamp(0)), reason: None };
    let Lockout { from, until, reason } = lockout.unwrap_or(&none);
    let changed = tx
        .execute(
            "UPDATE account SET disabled = $3, locked_until = $4, locked_from = $5, lock_reason = $6
             WHERE host = $1 AND username = $2 AND deleted IS NULL",
            params![
                host,
                username,
                until.is_none(),
                until.unwrap_or_default(),
                *from,
                reason.as_deref(),
            ],
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
            "SELECT a.id, a.username, a.created, a.disabled, a.locked_until, a.locked_from,
                    a.lock_reason, c.hash, c.iterations, c.salt, c.stored_key, c.server_key
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
    let hash = row.get::<Option<String>>(7)?.and_then(|name| Hash::from_name(&name));
    let Some(hash) = hash else { return Ok(None) };
    let Some(iterations) = NonZeroU32::new(row.get(8)?) else { return Ok(None) };
    Ok(Some(ScramKeys {
        hash,
        iterations,
        salt: row.get::<Vec<u8>>(9)?.into(),
        stored_key: row.get::<Vec<u8>>(10)?.into(),
        server_key: row.get::<Vec<u8>>(11)?.into(),
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
