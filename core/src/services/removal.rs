//! The end of an account, wherever it is asked for: console, command line or client.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use crate::auth::accounts::{AccountError, Accounts};
use crate::host::{AccountId, HostId};
use crate::im::Im;
use crate::im::roster::Key;
use crate::jid::Jid;
use crate::router::cluster::Nodes;
use crate::router::{Hosts, Out};
use crate::services::archive::Archive;
use crate::services::groups::Groups;
use crate::session::Registry;
use crate::storage::StorageError;

/// What an account may do on the server itself; the administration keeps it.
pub trait Offices: Send + Sync {
    /// Whether the account administers the server.
    fn administers(&self, account: AccountId) -> BoxFuture<'_, Result<bool, StorageError>>;

    /// Takes it all from the account, and refuses when nobody else could administer the server.
    fn release(&self, account: AccountId) -> BoxFuture<'_, Result<(), AccountError>>;
}

/// Removes accounts with everything that belongs to them.
#[derive(Clone)]
pub struct Removal {
    pub accounts: Arc<Accounts>,
    pub im: Arc<Im>,
    pub archive: Arc<Archive>,
    pub groups: Groups,
    pub registry: Arc<Registry>,
    pub nodes: Arc<Nodes>,
    pub hosts: Arc<Hosts>,
    pub offices: Arc<dyn Offices>,
}

impl Removal {
    /// Whether the account of this prepared name may go; it holds no office any more.
    pub async fn release(&self, host: HostId, username: &str) -> Result<(), AccountError> {
        let login = self.accounts.find(host, username).await?;
        let account = login.ok_or(AccountError::NoSuchAccount)?.row.id;
        self.offices.release(account).await
    }

    /// Deletes the account, ends its sessions and removes what it leaves behind. A name that is
    /// made again gets another number, so that nothing is inherited even when this is cut short.
    /// What its contacts must learn is for the caller to perform.
    pub async fn remove(&self, host: HostId, username: &str) -> Result<Out, AccountError> {
        self.release(host, username).await?;
        let account = self.accounts.delete(host, username).await?;
        self.nodes.end_sessions(host, username);
        self.archive.account_removed(host, account).await?;
        self.groups.account_removed(host, account).await?;
        let owner = Jid::from_parts(Some(username), self.hosts.domain(host).as_str(), None)?;
        Ok(self.im.account_removed(Key { host, account }, &owner).await?)
    }
}
