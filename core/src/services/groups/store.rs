//! The tables `groups` and `group_members`.

use super::{Group, GroupId, Member};
use crate::auth::profile::end_of;
use crate::clock::Timestamp;
use crate::host::{AccountId, HostId};
use crate::storage::{Row, StorageError, Tx, params};

fn group(row: &Row) -> Result<Group, StorageError> {
    Ok(Group {
        id: GroupId(row.get(0)?),
        name: row.get(1)?,
        description: row.get(2)?,
        created: row.get(3)?,
        members: row.get(4)?,
    })
}

fn member(row: &Row) -> Result<Member, StorageError> {
    Ok(Member { username: row.get(0)?, account: row.get(1)?, administrator: row.get(2)? })
}

/// Makes a group without members; `None` when the name is taken.
pub async fn create(
    tx: &mut Tx<'_>,
    host: HostId,
    name: &str,
    description: &str,
    now: Timestamp,
) -> Result<Option<GroupId>, StorageError> {
    let sql = "INSERT INTO groups (host, name, description, created, members) \
               VALUES ($1, $2, $3, $4, 0) ON CONFLICT DO NOTHING RETURNING id";
    let row = tx.query_opt(sql, params![host, name, description, now]).await?;
    row.map(|row| row.get(0).map(GroupId)).transpose()
}

/// The group of that name.
pub async fn find(
    tx: &mut Tx<'_>,
    host: HostId,
    name: &str,
) -> Result<Option<Group>, StorageError> {
    let sql = "SELECT id, name, description, created, members FROM groups \
               WHERE host = $1 AND name = $2";
    tx.query_opt(sql, params![host, name]).await?.as_ref().map(group).transpose()
}

/// Groups by name, after `after`, whose names begin with `prefix`, at most `limit`.
pub async fn page(
    tx: &mut Tx<'_>,
    host: HostId,
    (prefix, after): (&str, &str),
    limit: usize,
) -> Result<Vec<Group>, StorageError> {
    let sql = "SELECT id, name, description, created, members FROM groups \
               WHERE host = $1 AND name > $2 AND name >= $3 AND name < $4 ORDER BY name LIMIT $5";
    let values = params![host, after, prefix, end_of(prefix), limit as i64];
    tx.query(sql, values).await?.iter().map(group).collect()
}

/// Gives the group another name and description. A constraint error means that the name is taken.
pub async fn edit(
    tx: &mut Tx<'_>,
    id: GroupId,
    name: &str,
    description: &str,
) -> Result<(), StorageError> {
    let sql = "UPDATE groups SET name = $2, description = $3 WHERE id = $1";
    tx.execute(sql, params![id.0, name, description]).await?;
    Ok(())
}

pub async fn delete(tx: &mut Tx<'_>, host: HostId, id: GroupId) -> Result<(), StorageError> {
    let sql = "DELETE FROM group_members WHERE host = $1 AND group_id = $2";
    tx.execute(sql, params![host, id.0]).await?;
    tx.execute("DELETE FROM groups WHERE id = $1", params![id.0]).await?;
    Ok(())
}

/// Members by user name, after `after`, at most `limit`.
pub async fn members(
    tx: &mut Tx<'_>,
    host: HostId,
    id: GroupId,
    after: &str,
    limit: usize,
) -> Result<Vec<Member>, StorageError> {
    let sql = "SELECT username, account, administrator FROM group_members \
               WHERE host = $1 AND group_id = $2 AND username > $3 ORDER BY username LIMIT $4";
    let rows = tx.query(sql, params![host, id.0, after, limit as i64]).await?;
    rows.iter().map(member).collect()
}

/// Takes an account in, or makes a member an administrator of the group or no longer.
pub async fn put_member(
    tx: &mut Tx<'_>,
    host: HostId,
    id: GroupId,
    member: &Member,
) -> Result<(), StorageError> {
    let Member { username, account, administrator } = member;
    let sql = "INSERT INTO group_members (host, group_id, username, account, administrator) \
               VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING";
    let values = params![host, id.0, username, *account, *administrator];
    if tx.execute(sql, values).await? > 0 {
        return count(tx, id, 1).await;
    }
    let sql = "UPDATE group_members SET administrator = $4 \
               WHERE host = $1 AND group_id = $2 AND account = $3";
    tx.execute(sql, params![host, id.0, *account, *administrator]).await?;
    Ok(())
}

/// False when the account is no member.
pub async fn delete_member(
    tx: &mut Tx<'_>,
    host: HostId,
    id: GroupId,
    account: AccountId,
) -> Result<bool, StorageError> {
    let sql = "DELETE FROM group_members WHERE host = $1 AND group_id = $2 AND account = $3";
    let was_member = tx.execute(sql, params![host, id.0, account]).await? > 0;
    if was_member {
        count(tx, id, -1).await?;
    }
    Ok(was_member)
}

async fn count(tx: &mut Tx<'_>, id: GroupId, by: i64) -> Result<(), StorageError> {
    let sql = "UPDATE groups SET members = members + $2 WHERE id = $1";
    tx.execute(sql, params![id.0, by]).await?;
    Ok(())
}

/// The account's groups by name, after `after`, at most `limit`; and whether it administers them.
pub async fn of_account(
    tx: &mut Tx<'_>,
    host: HostId,
    account: AccountId,
    after: &str,
    limit: usize,
) -> Result<Vec<(Group, bool)>, StorageError> {
    let sql = "SELECT g.id, g.name, g.description, g.created, g.members, m.administrator \
               FROM group_members m JOIN groups g ON g.id = m.group_id \
               WHERE m.host = $1 AND m.account = $2 AND g.name > $3 ORDER BY g.name LIMIT $4";
    let rows = tx.query(sql, params![host, account, after, limit as i64]).await?;
    rows.iter().map(|row| Ok((group(row)?, row.get(5)?))).collect()
}

/// Takes an account that is deleted out of its groups.
pub async fn remove_account(
    tx: &mut Tx<'_>,
    host: HostId,
    account: AccountId,
) -> Result<(), StorageError> {
    let sql = "UPDATE groups SET members = members - 1 WHERE id IN \
               (SELECT group_id FROM group_members WHERE host = $1 AND account = $2)";
    tx.execute(sql, params![host, account]).await?;
    let sql = "DELETE FROM group_members WHERE host = $1 AND account = $2";
    tx.execute(sql, params![host, account]).await?;
    Ok(())
}
