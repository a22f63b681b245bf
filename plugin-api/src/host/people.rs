//! Users, groups, rosters and sessions.

use super::Host;
use crate::calls::{Contact, Group, Query, Session, User};
use crate::error::Result;
use crate::wire::HostCall;

/// Reads users, groups, rosters and sessions. Needs the capability `people`.
#[derive(Debug, Clone, Copy)]
pub struct People<'h>(pub(super) &'h Host);

impl People<'_> {
    /// A user by the local part of his address.
    pub async fn user(&self, name: &str) -> Result<Option<User>> {
        self.0.call(&HostCall::PeopleUser { name: name.into() }).await
    }

    /// Users by name.
    pub async fn users(&self, query: Query) -> Result<Vec<User>> {
        self.0.call(&HostCall::PeopleUsers(query)).await
    }

    /// Groups by name.
    pub async fn groups(&self, query: Query) -> Result<Vec<Group>> {
        self.0.call(&HostCall::PeopleGroups(query)).await
    }

    /// Names of the users in a group. `NotFound` when there is no such group.
    pub async fn members(&self, group: &str) -> Result<Vec<String>> {
        self.0.call(&HostCall::PeopleMembers { group: group.into() }).await
    }

    /// Names of those members of a group who administer it. `NotFound` when there is no such group.
    pub async fn admins(&self, group: &str) -> Result<Vec<String>> {
        self.0.call(&HostCall::PeopleAdmins { group: group.into() }).await
    }

    /// A user's contacts. `NotFound` when there is no such user.
    pub async fn roster(&self, user: &str) -> Result<Vec<Contact>> {
        self.0.call(&HostCall::PeopleRoster { user: user.into() }).await
    }

    /// The sessions of a user, on every node.
    pub async fn sessions_of(&self, user: &str) -> Result<Vec<Session>> {
        let (user, query) = (user.into(), Query::first(1000));
        self.0.call(&HostCall::PeopleSessions { user, query }).await
    }

    /// Sessions on every node, by address.
    pub async fn sessions(&self, query: Query) -> Result<Vec<Session>> {
        self.0.call(&HostCall::PeopleSessions { user: String::new(), query }).await
    }
}
