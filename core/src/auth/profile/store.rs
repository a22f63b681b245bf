//! The tables `account_word`, `account_property` and `account_total`, and lists of accounts.

use super::{Hit, Listed, Profile, Range, end_of};
use crate::auth::store::account;
use crate::clock::Timestamp;
use crate::host::{AccountId, HostId};
use crate::storage::{Row, StorageError, Tx, Value, params};

/// Names that one statement looks up.
const AT_ONCE: usize = 32;

// Each walks an index and stops at its limit: a test looks at the plans.
pub(super) const BY_NAME: &str =
    "SELECT id, username, created, disabled, locked_until, locked_from, lock_reason,
       name, email FROM account
WHERE host = $1 AND username > $2 AND username >= $3 AND username < $4
AND deleted IS NULL ORDER BY username LIMIT $5";
pub(super) const LOCKED: &str =
    "SELECT id, username, created, disabled, locked_until, locked_from, lock_reason,
       name, email FROM account
WHERE host = $1 AND username > $2 AND username >= $3 AND username < $4
AND deleted IS NULL AND (disabled OR locked_until > 0)
AND (disabled OR locked_until > $6) ORDER BY username LIMIT $5";
pub(super) const BEGUN: &str = "SELECT username FROM account
WHERE host = $1 AND deleted IS NULL AND (disabled OR locked_until > 0)
AND locked_from > $2 AND locked_from <= $3 AND (disabled OR locked_until > $3)";
pub(super) const NAMED: &str =
    "SELECT id, username, created, disabled, locked_until, locked_from, lock_reason,
       name, email FROM account
WHERE host = $1 AND deleted IS NULL AND username IN (
    $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17,
    $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32, $33)
ORDER BY username";
pub(super) const SEARCH: &str =
    "SELECT a.id, a.username, a.created, a.disabled, a.locked_until, a.locked_from,
       a.lock_reason, a.name, a.email, w.word
FROM account_word w JOIN account a ON a.id = w.account
WHERE w.host = $1 AND w.word < $3 AND (w.word, w.account) > ($4, $5)
AND NOT EXISTS (SELECT 1 FROM account_word o
    WHERE o.account = w.account AND o.word >= $2 AND o.word < w.word)
ORDER BY w.word, w.account LIMIT $6";

fn listed(row: &Row) -> Result<Listed, StorageError> {
    let profile = Profile { name: row.get(7)?, email: row.get(8)? };
    Ok(Listed { account: account(row)?, profile })
}

/// The bounds of a page: host, the name before it, and where the prefix begins and ends.
fn bounds(host: HostId, range: &Range) -> [Value; 5] {
    let Range { prefix, after, limit } = range;
    let end = end_of(prefix);
    [host.into(), after.into(), prefix.into(), end.into(), (*limit as i64).into()]
}

/// Users by name.
pub async fn by_name(
    tx: &mut Tx<'_>,
    host: HostId,
    range: &Range,
) -> Result<Vec<Listed>, StorageError> {
    tx.query(BY_NAME, &bounds(host, range)).await?.iter().map(listed).collect()
}

/// Users who are locked out at `now`, or will be, by name.
pub async fn locked(
    tx: &mut Tx<'_>,
    host: HostId,
    range: &Range,
    now: Timestamp,
) -> Result<Vec<Listed>, StorageError> {
    let [host, after, start, end, limit] = bounds(host, range);
    let rows = tx.query(LOCKED, &[host, after, start, end, limit, now.into()]).await?;
    rows.iter().map(listed).collect()
}

/// The names of those whose lock-out holds at `now` and began after `since`.
pub async fn locked_since(
    tx: &mut Tx<'_>,
    host: HostId,
    since: Timestamp,
    now: Timestamp,
) -> Result<Vec<String>, StorageError> {
    let rows = tx.query(BEGUN, params![host, since, now]).await?;
    rows.iter().map(|row| row.get(0)).collect()
}

/// The users of these names, in their order. Names without account are left out.
pub async fn named(
    tx: &mut Tx<'_>,
    host: HostId,
    names: &[String],
) -> Result<Vec<Listed>, StorageError> {
    let mut found = Vec::with_capacity(names.len());
    for some in names.chunks(AT_ONCE) {
        let mut values = vec![Value::from(host)];
        // What is asked for twice is found once.
        values
            .extend(some.iter().chain(std::iter::repeat(&some[0])).take(AT_ONCE).map(Value::from));
        for row in tx.query(NAMED, &values).await? {
            found.push(listed(&row)?);
        }
    }
    Ok(found)
}

/// Users with a word that begins with `prefix`, by the first such word; each once. The hit is where
/// the next page goes on.
pub async fn search(
    tx: &mut Tx<'_>,
    host: HostId,
    prefix: &str,
    after: Option<&Hit>,
    limit: usize,
) -> Result<Vec<(Hit, Listed)>, StorageError> {
    let (word, account) =
        after.map_or((prefix, AccountId(0)), |hit| (hit.word.as_str(), hit.account));
    let values = params![host, prefix, end_of(prefix), word, account, limit as i64];
    let hit = |row: &Row| Ok((Hit { word: row.get(9)?, account: row.get(0)? }, listed(row)?));
    tx.query(SEARCH, values).await?.iter().map(hit).collect()
}

/// How many accounts the host has.
pub async fn total(tx: &mut Tx<'_>, host: HostId) -> Result<i64, StorageError> {
    let sql = "SELECT total FROM account_total WHERE host = $1";
    tx.query_opt(sql, params![host]).await?.map_or(Ok(0), |row| row.get(0))
}

/// Counts an account that came (1) or went (-1).
pub async fn count(tx: &mut Tx<'_>, host: HostId, by: i64) -> Result<(), StorageError> {
    let sql = "INSERT INTO account_total (host, total) VALUES ($1, $2) \
               ON CONFLICT (host) DO UPDATE SET total = account_total.total + excluded.total";
    tx.execute(sql, params![host, by]).await?;
    Ok(())
}

/// What the account is called.
pub async fn profile(tx: &mut Tx<'_>, id: AccountId) -> Result<Profile, StorageError> {
    let sql = "SELECT name, email FROM account WHERE id = $1";
    let row = tx.query_one(sql, params![id]).await?;
    Ok(Profile { name: row.get(0)?, email: row.get(1)? })
}

/// Gives the account `username` another profile, and finds it by that.
pub async fn set_profile(
    tx: &mut Tx<'_>,
    (host, id): (HostId, AccountId),
    username: &str,
    profile: &Profile,
) -> Result<(), StorageError> {
    let Profile { name, email } = profile;
    let sql = "UPDATE account SET name = $2, email = $3 WHERE id = $1";
    tx.execute(sql, params![id, name.as_deref(), email.as_deref()]).await?;
    tx.execute("DELETE FROM account_word WHERE account = $1", params![id]).await?;
    let sql = "INSERT INTO account_word (host, word, account) VALUES ($1, $2, $3)";
    for word in profile.words(username) {
        tx.execute(sql, params![host, word, id]).await?;
    }
    Ok(())
}

/// Properties by name, after `after`, at most `limit`.
pub async fn properties(
    tx: &mut Tx<'_>,
    id: AccountId,
    after: &str,
    limit: usize,
) -> Result<Vec<(String, String)>, StorageError> {
    let sql = "SELECT name, value FROM account_property \
               WHERE account = $1 AND name > $2 ORDER BY name LIMIT $3";
    let rows = tx.query(sql, params![id, after, limit as i64]).await?;
    rows.iter().map(|row| Ok((row.get(0)?, row.get(1)?))).collect()
}

pub async fn set_property(
    tx: &mut Tx<'_>,
    id: AccountId,
    name: &str,
    value: &str,
) -> Result<(), StorageError> {
    let sql = "INSERT INTO account_property (account, name, value) VALUES ($1, $2, $3) \
               ON CONFLICT (account, name) DO UPDATE SET value = excluded.value";
    tx.execute(sql, params![id, name, value]).await?;
    Ok(())
}

/// False when there is none.
pub async fn delete_property(
    tx: &mut Tx<'_>,
    id: AccountId,
    name: &str,
) -> Result<bool, StorageError> {
    let sql = "DELETE FROM account_property WHERE account = $1 AND name = $2";
    Ok(tx.execute(sql, params![id, name]).await? > 0)
}

/// Removes what an account that is deleted was found by, and its properties.
pub async fn remove_account(
    tx: &mut Tx<'_>,
    host: HostId,
    id: AccountId,
) -> Result<(), StorageError> {
    tx.execute("DELETE FROM account_word WHERE account = $1", params![id]).await?;
    tx.execute("DELETE FROM account_property WHERE account = $1", params![id]).await?;
    let sql = "UPDATE account SET name = NULL, email = NULL, lock_reason = NULL WHERE id = $1";
    tx.execute(sql, params![id]).await?;
    count(tx, host, -1).await
}
