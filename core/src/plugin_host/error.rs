//! What can go wrong with a plugin, in words for whoever uploaded it.

use hearth_plugin_api::loader::LoadError;

use super::manifest::ManifestError;
use super::probe::ProbeError;
use super::signature::SignatureError;
use crate::storage::StorageError;

/// Why nothing was changed, unless the variant says otherwise.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PluginError {
    // the file's fault
    #[error("the file is empty")]
    Empty,
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error(transparent)]
    Signature(#[from] SignatureError),
    #[error(transparent)]
    Probe(#[from] ProbeError),
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    #[error("the file is larger than {} MiB: raise the property plugins.max_size", .limit >> 20)]
    TooLarge { limit: u64 },
    #[error("the plugin `{id}` was not started: {why}{}", kept(*.old_runs))]
    Start { id: String, why: String, old_runs: bool },

    // the administrator's to decide
    #[error(
        "nobody whom this server trusts has signed the file (SHA-256 {sha256}): accept it as \
         unsigned if you know where it comes from"
    )]
    Unsigned { sha256: String },
    #[error(
        "only signed plugins are accepted here (plugins.require_signature): let a trusted key \
         sign it, or add its key to the trusted ones"
    )]
    SignatureRequired,
    #[error("there is no plugin `{0}` on this node")]
    Unknown(String),
    #[error("the plugin `{id}` does not run ({state}): enable it first")]
    NotRunning { id: String, state: &'static str },
    #[error("the plugin `{id}` has no command `{command}`; it has: {known}")]
    NoCommand { id: String, command: String, known: String },
    #[error("{0}")]
    Arguments(String),
    #[error("the plugin `{id}` failed: {why}")]
    Command { id: String, why: String },
    #[error("there is no page `{slug}` of a running plugin `{id}`")]
    NoPage { id: String, slug: String },
    #[error("the plugin `{id}` could not show its page: {why}")]
    Page { id: String, why: String },
    #[error("no server runs on this home: start it with `hearth run`")]
    NoServer,
    #[error("there is a key `{0}` already, or this key under another name")]
    KeyTaken(String),
    #[error("there is no trusted key `{0}`")]
    UnknownKey(String),
    #[error("a key's name has 1 to 64 characters")]
    KeyName,

    // the machine's
    #[error("no space is left on the disk of the home folder: make room and upload it again")]
    DiskFull,
    #[error("the file cannot be written to the home folder: {0}")]
    Disk(String),
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// A task of ours panicked; the log has it.
    #[error("the server could not do it: see its log")]
    Bug,
}

fn kept(old_runs: bool) -> &'static str {
    if old_runs { "; the version before runs again" } else { "" }
}
