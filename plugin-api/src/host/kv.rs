//! The key-value store.

use super::Host;
use crate::calls::Query;
use crate::error::Result;
use crate::wire::{Found, HostCall};

/// The plugin's key-value store: kept in the database, the same on every node. Keys have at most 255
/// octets, values 1 MiB: beyond it is `Invalid`.
#[derive(Debug, Clone, Copy)]
pub struct Kv<'h>(pub(super) &'h Host);

impl Kv<'_> {
    /// The value of a key.
    pub async fn get(&self, key: &str) -> Result<Option<Vec<u8>>> {
        let call = HostCall::KvGet { key: key.into() };
        let (Found { found }, value) = self.0.exchange(&call, Vec::new()).await?;
        Ok(found.then_some(value))
    }

    /// Sets a key.
    pub async fn set(&self, key: &str, value: impl Into<Vec<u8>>) -> Result<()> {
        let call = HostCall::KvSet { key: key.into() };
        let ((), _) = self.0.exchange(&call, value.into()).await?;
        Ok(())
    }

    /// Sets a key if its value is `expected` (`None`: if it is not there). Tells whether it was.
    pub async fn swap(&self, key: &str, expected: Option<&[u8]>, value: &[u8]) -> Result<bool> {
        let length = expected.map(|expected| expected.len() as u64);
        let body = [expected.unwrap_or_default(), value].concat();
        let call = HostCall::KvSwap { key: key.into(), expected: length };
        let (Found { found }, _) = self.0.exchange(&call, body).await?;
        Ok(found)
    }

    /// Removes a key. Tells whether it was there.
    pub async fn delete(&self, key: &str) -> Result<bool> {
        let Found { found } = self.0.call(&HostCall::KvDelete { key: key.into() }).await?;
        Ok(found)
    }

    /// At most `limit` (1 to 1000) keys that begin with `prefix` and come after `after`, in order of octets.
    pub async fn keys(&self, prefix: &str, after: &str, limit: u32) -> Result<Vec<String>> {
        let query = Query { search: prefix.into(), after: after.into(), limit };
        self.0.call(&HostCall::KvKeys(query)).await
    }
}
