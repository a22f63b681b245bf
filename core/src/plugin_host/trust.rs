//! Whom the administrators trust: keys that sign plugins, and files that were accepted once.

use super::install::{Consent, Examined};
use super::manifest::hex;
use super::signature::PublicKey;
use super::store::{self, KeyRow};
use super::{PluginError, PluginHost};
use crate::admin::audit;

const LONGEST_NAME: usize = 64;

impl PluginHost {
    /// Whether a file may be loaded at all.
    pub(super) async fn check_trust(
        &self,
        examined: &Examined,
        consent: &Consent,
    ) -> Result<(), PluginError> {
        if let Some(signer) = examined.signer
            && self.keys().await?.iter().any(|trusted| trusted.key == signer)
        {
            return Ok(());
        }
        if self.settings.require_signature.get() {
            return Err(PluginError::SignatureRequired);
        }
        let sha256 = examined.sha256;
        let look =
            self.db.read(move |tx| Box::pin(async move { store::is_accepted(tx, &sha256).await }));
        if consent.accept_unsigned || look.await? {
            return Ok(());
        }
        Err(PluginError::Unsigned { sha256: hex(&sha256) })
    }

    /// The trusted keys.
    pub async fn keys(&self) -> Result<Vec<KeyRow>, PluginError> {
        Ok(self.db.read(|tx| Box::pin(store::keys(tx))).await?)
    }

    /// Trusts what `key` signs from now on.
    pub async fn trust(&self, name: &str, key: PublicKey, actor: &str) -> Result<(), PluginError> {
        if name.is_empty() || name.chars().count() > LONGEST_NAME || name.contains(char::is_control)
        {
            return Err(PluginError::KeyName);
        }
        let clock = self.clock.clone();
        let row =
            KeyRow { key, name: name.to_owned(), added: clock.now(), added_by: actor.to_owned() };
        let name = row.name.clone();
        let add = self.db.write(move |tx| {
            Box::pin(async move {
                store::insert_key(tx, &row).await?;
                audit::note(tx, &clock, &row.added_by, "plugin.trust", &row.name).await
            })
        });
        add.await.map_err(|error| match error.is_constraint() {
            true => PluginError::KeyTaken(name),
            false => error.into(),
        })
    }

    /// No longer trusts a key. What it signed and is installed stays.
    pub async fn distrust(&self, name: &str, actor: &str) -> Result<(), PluginError> {
        let (clock, name, actor) = (self.clock.clone(), name.to_owned(), actor.to_owned());
        self.db
            .try_write(move |tx| {
                Box::pin(async move {
                    if !store::delete_key(tx, &name).await? {
                        return Err(PluginError::UnknownKey(name));
                    }
                    Ok(audit::note(tx, &clock, &actor, "plugin.distrust", &name).await?)
                })
            })
            .await
    }
}
