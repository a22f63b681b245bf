//! A plugin as the console, the API and the command line show it.

use serde::Serialize;

use super::manifest::{Manifest, hex};
use super::store::{self, PluginRow, Standing};
use super::{PluginError, PluginHost};

/// What a plugin does at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    Running,
    /// Enabled, but no server runs.
    Stopped,
    Disabled,
    Faulty,
    Quarantined,
}

impl State {
    pub fn name(self) -> &'static str {
        match self {
            State::Running => "running",
            State::Stopped => "stopped",
            State::Disabled => "disabled",
            State::Faulty => "faulty",
            State::Quarantined => "quarantined",
        }
    }
}

/// One plugin.
#[derive(Clone, Debug, Serialize)]
pub struct Shown {
    #[serde(flatten)]
    pub manifest: Manifest,
    pub file: String,
    pub sha256: String,
    /// `signed by NAME`, `signed by an unknown key`, `unsigned`.
    pub signature: String,
    pub state: State,
    pub faults: u64,
    /// Why it does not run, or its last fault.
    pub report: Option<String>,
    /// Of the state.
    pub since: String,
    pub installed_by: String,
}

impl PluginHost {
    /// The plugins of this node, by id.
    pub async fn list(&self) -> Result<Vec<Shown>, PluginError> {
        let rows = self.rows().await?;
        let keys = self.keys().await?;
        let signature = |row: &PluginRow| match row.signer {
            None => "unsigned".to_owned(),
            Some(signer) => match keys.iter().find(|key| key.key == signer) {
                Some(key) => format!("signed by {}", key.name),
                None => "signed by an unknown key".to_owned(),
            },
        };
        Ok(rows.into_iter().map(|row| self.shown(signature(&row), row)).collect())
    }

    pub async fn get(&self, id: &str) -> Result<Shown, PluginError> {
        let all = self.list().await?;
        let found = all.into_iter().find(|shown| shown.manifest.id == id);
        found.ok_or_else(|| PluginError::Unknown(id.to_owned()))
    }

    fn shown(&self, signature: String, row: PluginRow) -> Shown {
        let instance = self.running.read().get(&row.manifest.id).cloned();
        let (faults, last) = instance.as_ref().map(|i| i.guard.faults()).unwrap_or_default();
        let state = match row.standing {
            Standing::Enabled if instance.is_some() => State::Running,
            Standing::Enabled => State::Stopped,
            Standing::Disabled => State::Disabled,
            Standing::Faulty => State::Faulty,
            Standing::Quarantined => State::Quarantined,
        };
        Shown {
            manifest: row.manifest,
            file: row.file,
            sha256: hex(&row.sha256),
            signature,
            state,
            faults: row.faults.max(faults),
            report: row.report.or(last),
            since: row.since.to_string(),
            installed_by: row.installed_by,
        }
    }

    pub(super) async fn rows(&self) -> Result<Vec<PluginRow>, PluginError> {
        let node = self.clock.node();
        let look = self.db.read(move |tx| Box::pin(async move { store::plugins(tx, node).await }));
        Ok(look.await?)
    }

    pub(super) async fn row(&self, id: &str) -> Result<PluginRow, PluginError> {
        let rows = self.rows().await?;
        let found = rows.into_iter().find(|row| row.manifest.id == id);
        found.ok_or_else(|| PluginError::Unknown(id.to_owned()))
    }
}
