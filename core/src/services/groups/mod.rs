//! Groups of users, as an administrator makes them.

pub mod store;
#[cfg(test)]
mod tests;

use crate::clock::Timestamp;
use crate::host::{AccountId, HostId};
use crate::storage::{Db, Migration, StorageError};

/// The tables of this module.
pub const MIGRATIONS: &[Migration] =
    &[Migration::expand("groups", 1, "groups", include_str!("migrations/0001_groups.sql"))];

/// A number that is never given twice: a group that is made anew inherits no members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupId(pub i64);

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    pub id: GroupId,
    pub name: String,
    pub description: String,
    pub created: Timestamp,
    /// How many.
    pub members: i64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    pub username: String,
    pub account: AccountId,
    /// Of the group, not of the server.
    pub administrator: bool,
}

/// Handle on all groups.
#[derive(Clone)]
pub struct Groups(pub Db);

impl Groups {
    /// Takes an account that was deleted out of its groups.
    pub async fn account_removed(
        &self,
        host: HostId,
        account: AccountId,
    ) -> Result<(), StorageError> {
        let remove = self.0.write(move |tx| Box::pin(store::remove_account(tx, host, account)));
        remove.await
    }
}
