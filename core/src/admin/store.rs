//! The tables `api_token`, `administrator` and `audit`.

use crate::auth::profile::Range;
use crate::clock::{StanzaId, Timestamp};
use crate::host::{AccountId, HostId};
use crate::storage::{Row, StorageError, Tx, params};

/// A bearer token as the database knows it: without the token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRow {
    /// 32 hexadecimal digits, the key of paging.
    pub id: String,
    pub name: String,
    pub created: Timestamp,
    pub created_by: String,
    /// `None`: never.
    pub expires: Option<Timestamp>,
    pub last_used: Option<Timestamp>,
}

/// One administrative act.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditRow {
    pub id: StanzaId,
    pub at: Timestamp,
    /// The node on which it was done.
    pub node: u32,
    pub actor: String,
    /// `<noun>.<verb>`.
    pub action: String,
    pub target: String,
}

fn token(row: Row) -> Result<TokenRow, StorageError> {
    Ok(TokenRow {
        id: row.get(0)?,
        name: row.get(1)?,
        created: row.get(2)?,
        created_by: row.get(3)?,
        expires: row.get(4)?,
        last_used: row.get(5)?,
    })
}

/// A constraint error means that the name is taken.
pub async fn insert_token(
    tx: &mut Tx<'_>,
    row: &TokenRow,
    hash: &[u8; 32],
) -> Result<(), StorageError> {
    let sql = "INSERT INTO api_token (id, name, created, created_by, expires, hash) \
               VALUES ($1, $2, $3, $4, $5, $6)";
    let TokenRow { id, name, created, created_by, expires, .. } = row;
    tx.execute(sql, params![id, name, *created, created_by, *expires, hash]).await?;
    Ok(())
}

/// The token with this hash, unless it has expired.
pub async fn token_by_hash(
    tx: &mut Tx<'_>,
    hash: &[u8; 32],
    now: Timestamp,
) -> Result<Option<TokenRow>, StorageError> {
    let sql = "SELECT id, name, created, created_by, expires, last_used FROM api_token \
               WHERE hash = $1 AND (expires IS NULL OR expires > $2)";
    tx.query_opt(sql, params![hash, now]).await?.map(token).transpose()
}

pub async fn token_used(tx: &mut Tx<'_>, id: &str, now: Timestamp) -> Result<(), StorageError> {
    tx.execute("UPDATE api_token SET last_used = $2 WHERE id = $1", params![id, now]).await?;
    Ok(())
}

/// Tokens by id, after `after`, at most `limit`.
pub async fn tokens(
    tx: &mut Tx<'_>,
    after: &str,
    limit: usize,
) -> Result<Vec<TokenRow>, StorageError> {
    let sql = "SELECT id, name, created, created_by, expires, last_used FROM api_token \
               WHERE id > $1 ORDER BY id LIMIT $2";
    let rows = tx.query(sql, params![after, limit as i64]).await?;
    rows.into_iter().map(token).collect()
}

/// False when there is none.
pub async fn delete_token(tx: &mut Tx<'_>, id: &str) -> Result<bool, StorageError> {
    Ok(tx.execute("DELETE FROM api_token WHERE id = $1", params![id]).await? > 0)
}

/// The accounts that may administer the server.
pub async fn administrators(tx: &mut Tx<'_>) -> Result<Vec<AccountId>, StorageError> {
    let rows = tx.query("SELECT account FROM administrator", &[]).await?;
    rows.iter().map(|row| row.get(0)).collect()
}

/// Names of administrators, in their order. They are few: all are read, so that no plan walks the
/// accounts by name to find them.
pub async fn administrator_names(
    tx: &mut Tx<'_>,
    host: HostId,
    range: &Range,
) -> Result<Vec<String>, StorageError> {
    let sql = "SELECT a.username FROM administrator d CROSS JOIN account a \
               WHERE a.id = d.account AND a.host = $1 AND a.deleted IS NULL";
    let rows = tx.query(sql, params![host]).await?;
    let mut names: Vec<String> = rows.iter().map(|row| row.get(0)).collect::<Result<_, _>>()?;
    names.retain(|name| *name > range.after && name.starts_with(&range.prefix));
    names.sort_unstable();
    names.truncate(range.limit);
    Ok(names)
}

/// Whether this account is an administrator, and without it nobody could administer the server.
/// Until the end of the transaction nobody else appoints or dismisses.
pub async fn is_last_administrator(
    tx: &mut Tx<'_>,
    account: AccountId,
) -> Result<bool, StorageError> {
    tx.execute("UPDATE administrator SET appointed = appointed", &[]).await?;
    let sql = "SELECT d.account FROM administrator d JOIN account a ON a.id = d.account \
               WHERE a.deleted IS NULL AND (NOT a.disabled OR d.account = $1)";
    let able = tx.query(sql, params![account]).await?;
    let able: Vec<AccountId> = able.iter().map(|row| row.get(0)).collect::<Result<_, _>>()?;
    Ok(able == [account])
}

/// Makes an account an administrator; nothing changes when it is one.
pub async fn appoint(
    tx: &mut Tx<'_>,
    account: AccountId,
    actor: &str,
    now: Timestamp,
) -> Result<(), StorageError> {
    let sql = "INSERT INTO administrator (account, appointed, appointed_by) VALUES ($1, $2, $3) \
               ON CONFLICT DO NOTHING";
    tx.execute(sql, params![account, now, actor]).await?;
    Ok(())
}

/// Takes the right away; nothing changes when the account has none.
pub async fn dismiss(tx: &mut Tx<'_>, account: AccountId) -> Result<(), StorageError> {
    tx.execute("DELETE FROM administrator WHERE account = $1", params![account]).await?;
    Ok(())
}

pub async fn insert_audit(tx: &mut Tx<'_>, row: &AuditRow) -> Result<(), StorageError> {
    let sql = "INSERT INTO audit (id, at, node, actor, action, target) \
               VALUES ($1, $2, $3, $4, $5, $6)";
    let AuditRow { id, at, node, actor, action, target } = row;
    tx.execute(sql, params![*id, *at, *node, actor, action, target]).await?;
    Ok(())
}

/// Which acts.
#[derive(Clone, Debug)]
pub struct AuditRange {
    /// The last act of the page before, or where time ends; not itself.
    pub before: StanzaId,
    /// Where time begins; itself, too.
    pub from: StanzaId,
    pub actor: Option<String>,
    pub action: Option<String>,
    pub target: Option<String>,
    pub limit: usize,
}

/// Acts, the newest first.
pub async fn audit(tx: &mut Tx<'_>, range: &AuditRange) -> Result<Vec<AuditRow>, StorageError> {
    let AuditRange { before, from, actor, action, target, limit } = range;
    let mut sql = "SELECT id, at, node, actor, action, target FROM audit \
                   WHERE id < $1 AND id >= $2"
        .to_owned();
    let mut values = params![*before, *from, *limit as i64].to_vec();
    // Only a condition that is there finds its index.
    for (column, wanted) in [("actor", actor), ("action", action), ("target", target)] {
        if let Some(wanted) = wanted {
            values.push(wanted.into());
            sql.push_str(&format!(" AND {column} = ${}", values.len()));
        }
    }
    sql.push_str(" ORDER BY id DESC LIMIT $3");
    let rows = tx.query_once(&sql, &values).await?;
    let act = |row: Row| {
        Ok(AuditRow {
            id: row.get(0)?,
            at: row.get(1)?,
            node: row.get(2)?,
            actor: row.get(3)?,
            action: row.get(4)?,
            target: row.get(5)?,
        })
    };
    rows.into_iter().map(act).collect()
}
