//! From a received file to an installed plugin. Until the last step nothing is changed, and what
//! ran before runs on.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use hearth_plugin_api::loader::precheck;
use ring::digest::{SHA256, digest};

use super::incoming::{Staged, disk};
use super::manifest::{self, Manifest, hex};
use super::probe::probe;
use super::signature::{self, PublicKey};
use super::store::{self, PluginRow, Standing};
use super::{PluginError, PluginHost, Shown};
use crate::admin::audit;

/// Who installs, and what he takes upon himself.
#[derive(Clone, Debug)]
pub struct Consent {
    pub actor: String,
    /// Loads the file although no trusted key has signed it.
    pub accept_unsigned: bool,
}

/// What the octets of a file say.
#[derive(Clone, Debug)]
pub(super) struct Examined {
    pub sha256: [u8; 32],
    pub signer: Option<PublicKey>,
}

/// Reads a file and checks what can be checked without running it.
pub(super) fn examine(file: &Path) -> Result<Examined, PluginError> {
    let octets = std::fs::read(file).map_err(disk)?;
    if octets.is_empty() {
        return Err(PluginError::Empty);
    }
    precheck(&octets)?;
    let sha256 = digest(&SHA256, &octets);
    let sha256 = sha256.as_ref().try_into().expect("SHA-256 has 32 octets");
    Ok(Examined { sha256, signer: signature::signer(&octets)? })
}

impl PluginHost {
    /// Installs a received file and, in a running server, starts it in place of an earlier version.
    /// A refusal is logged.
    pub async fn install(
        self: &Arc<Self>,
        staged: Staged,
        consent: Consent,
    ) -> Result<Shown, PluginError> {
        let installed = self.try_install(staged, &consent).await;
        if let Err(error) = &installed {
            tracing::warn!(%error, actor = consent.actor, "a plugin was not installed");
        }
        installed
    }

    async fn try_install(
        self: &Arc<Self>,
        staged: Staged,
        consent: &Consent,
    ) -> Result<Shown, PluginError> {
        let path = staged.path().to_owned();
        let examined = self.tracker.blocking("plugin examination", move || examine(&path));
        let examined = examined.await.ok_or(PluginError::Bug)??;
        self.check_trust(&examined, consent).await?;
        let manifest = probe(staged.path()).await?;
        manifest::check(&manifest, env!("CARGO_PKG_VERSION"))?;

        let _alone = self.changes.lock().await;
        let row = PluginRow {
            file: manifest::file_name(&manifest, &examined.sha256),
            sha256: examined.sha256,
            signer: examined.signer,
            standing: Standing::Enabled,
            faults: 0,
            report: None,
            since: self.clock.now(),
            installed_by: consent.actor.clone(),
            manifest,
        };
        let id = row.manifest.id.clone();
        let before = self.rows().await?.into_iter().find(|row| row.manifest.id == id);
        let target = self.file(&row);
        let is_new = !target.exists();
        staged.install(&target)?;
        // Before the start: if that ends the server, the next one knows what to keep away from.
        self.settle(row.clone()).await;
        if let Err(error) = self.replace(&row, before.as_ref()).await {
            self.take_back(&id, before).await?;
            if is_new {
                // It may be mapped; the inode stays until it is not.
                let _ = std::fs::remove_file(&target);
            }
            return Err(error);
        }
        self.record(&row, consent).await?;
        if let Some(before) = before.filter(|before| before.file != row.file) {
            let _ = std::fs::remove_file(self.file(&before));
        }
        self.get(&id).await
    }

    /// The installation failed: what was before is what counts.
    async fn take_back(&self, id: &str, before: Option<PluginRow>) -> Result<(), PluginError> {
        if let Some(before) = before {
            // Its own start may have failed, too: that was written down then.
            let report = self.row(id).await?.report;
            self.settle(PluginRow { report, ..before }).await;
            return Ok(());
        }
        let (node, id) = (self.clock.node(), id.to_owned());
        let forget =
            self.db.write(move |tx| Box::pin(async move { store::remove(tx, node, &id).await }));
        Ok(forget.await?)
    }

    /// Where a plugin's file is.
    pub(super) fn file(&self, row: &PluginRow) -> PathBuf {
        self.home.plugins().join(&row.file)
    }

    async fn record(&self, row: &PluginRow, consent: &Consent) -> Result<(), PluginError> {
        let (clock, row, consent) = (self.clock.clone(), row.clone(), consent.clone());
        self.db
            .try_write(move |tx| {
                Box::pin(async move {
                    store::put(tx, clock.node(), &row).await?;
                    if consent.accept_unsigned {
                        store::accept(tx, &row).await?;
                    }
                    let Manifest { id, version, .. } = &row.manifest;
                    let target = format!("{id} {version} sha256:{}", hex(&row.sha256));
                    Ok(audit::note(tx, &clock, &consent.actor, "plugin.install", &target).await?)
                })
            })
            .await
    }
}
