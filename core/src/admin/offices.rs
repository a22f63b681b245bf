//! Who holds the office of an administrator does not go as the last one.

use futures_util::future::BoxFuture;

use super::store;
use crate::auth::accounts::AccountError;
use crate::host::AccountId;
use crate::services::removal::Offices;
use crate::storage::{Db, StorageError};

/// The table `administrator`, for whoever removes accounts.
pub struct Administrators(pub Db);

impl Offices for Administrators {
    fn administers(&self, account: AccountId) -> BoxFuture<'_, Result<bool, StorageError>> {
        Box::pin(async move {
            let all = self.0.read(|tx| Box::pin(store::administrators(tx))).await?;
            Ok(all.contains(&account))
        })
    }

    fn release(&self, account: AccountId) -> BoxFuture<'_, Result<(), AccountError>> {
        Box::pin(self.0.try_write(move |tx| {
            Box::pin(async move {
                if store::is_last_administrator(tx, account).await? {
                    return Err(AccountError::LastAdministrator);
                }
                Ok(store::dismiss(tx, account).await?)
            })
        }))
    }
}
