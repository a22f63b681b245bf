//! An upload on its way to the disk: written under a random name in `plugins/.incoming`, so that
//! nothing that the client says becomes a path, and removed unless it is installed.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use tokio::fs::{File, OpenOptions};
use tokio::io::AsyncWriteExt;

use super::PluginError;
use crate::clock::Random;
use crate::config::Home;

/// A file that is being received.
pub struct Incoming {
    file: File,
    staged: Staged,
    written: u64,
    limit: u64,
}

/// A received file; removed when it is dropped, if it is still there.
#[derive(Debug)]
pub struct Staged(PathBuf);

fn folder(home: &Home) -> PathBuf {
    home.plugins().join(".incoming")
}

/// Removes what earlier runs left behind.
pub fn clean(home: &Home) {
    let left = std::fs::read_dir(folder(home)).into_iter().flatten().flatten();
    for file in left {
        if let Err(error) = std::fs::remove_file(file.path()) {
            tracing::warn!(%error, file = %file.path().display(), "an old upload stays");
        }
    }
}

impl Incoming {
    /// Begins a file of at most `limit` octets.
    pub async fn create(home: &Home, random: &Random, limit: u64) -> Result<Incoming, PluginError> {
        let folder = folder(home);
        tokio::fs::create_dir_all(&folder).await.map_err(disk)?;
        let path = folder.join(random.hex());
        let mut options = OpenOptions::new();
        let file = options.write(true).create_new(true).mode(0o600).open(&path);
        let file = file.await.map_err(disk)?;
        Ok(Incoming { file, staged: Staged(path), written: 0, limit })
    }

    /// Appends a piece.
    pub async fn write(&mut self, piece: &[u8]) -> Result<(), PluginError> {
        self.written += piece.len() as u64;
        if self.written > self.limit {
            return Err(PluginError::TooLarge { limit: self.limit });
        }
        self.file.write_all(piece).await.map_err(disk)
    }

    /// The file is whole: brings it to the disk.
    pub async fn finish(mut self) -> Result<Staged, PluginError> {
        self.file.flush().await.map_err(disk)?;
        self.file.sync_all().await.map_err(disk)?;
        Ok(self.staged)
    }
}

impl Staged {
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Moves the file to its final name. An existing file is never replaced: it may be mapped, and
    /// whoever runs in it would die.
    pub fn install(self, target: &Path) -> Result<(), PluginError> {
        if target.exists() {
            return Ok(());
        }
        std::fs::rename(&self.0, target).map_err(disk)?;
        let folder = target.parent().unwrap_or(Path::new("."));
        std::fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(disk)
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        match std::fs::remove_file(&self.0) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                tracing::warn!(%error, file = %self.0.display(), "a refused upload stays");
            }
            _ => {}
        }
    }
}

pub(super) fn disk(error: io::Error) -> PluginError {
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => PluginError::DiskFull,
        _ => PluginError::Disk(error.to_string()),
    }
}
