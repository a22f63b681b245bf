//! The home folder: `hearth.toml`, `hearth.db`, `plugins/`, `certs/`, `uploads/`, `logs/`,
//! `backups/`, `run/`.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use super::ConfigError;

/// Where a node keeps its files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Home(PathBuf);

impl Home {
    /// The folder at `path`, which need not exist yet.
    pub fn new(path: impl Into<PathBuf>) -> Home {
        Home(path.into())
    }

    /// Makes the folder and those in it that are missing, readable by this user only.
    pub fn create(&self) -> Result<(), ConfigError> {
        for name in ["", "plugins", "certs", "uploads", "logs", "backups", "run"] {
            let path = self.0.join(name);
            let made = DirBuilder::new().recursive(true).mode(0o700).create(&path);
            made.map_err(|source| ConfigError::File { path, source })?;
        }
        Ok(())
    }

    /// Takes the folder for this process, until the lock is dropped or the process ends however.
    pub fn lock(&self) -> Result<HomeLock, ConfigError> {
        let path = self.run().join("hearth.pid");
        let failed = |source| ConfigError::File { path: path.clone(), source };
        let open =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let mut file = open.map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut pid = String::new();
                // The holder may be about to write its number.
                let _ = file.read_to_string(&mut pid);
                let pid = if pid.is_empty() { "?".to_owned() } else { pid.trim().to_owned() };
                return Err(ConfigError::InUse { home: self.0.clone(), pid });
            }
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        write_pid(&mut file).map_err(failed)?;
        Ok(HomeLock { _file: file })
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn config(&self) -> PathBuf {
        self.0.join("hearth.toml")
    }

    pub fn plugins(&self) -> PathBuf {
        self.0.join("plugins")
    }

    pub fn uploads(&self) -> PathBuf {
        self.0.join("uploads")
    }

    /// Where the console puts backups of the database.
    pub fn backups(&self) -> PathBuf {
        self.0.join("backups")
    }

    pub fn logs(&self) -> PathBuf {
        self.0.join("logs")
    }

    pub fn run(&self) -> PathBuf {
        self.0.join("run")
    }

    /// What has been answered in the set-up wizard; gone when the set-up is done.
    pub fn answers(&self) -> PathBuf {
        self.0.join("setup.json")
    }

    /// The token that opens the set-up wizard, while it runs.
    pub fn setup_token(&self) -> PathBuf {
        self.run().join("setup-token")
    }

    /// Where the ports that are really open are written down.
    pub fn ports(&self) -> PathBuf {
        self.run().join("ports.json")
    }
}

fn write_pid(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())
}

/// Proof that the home folder is ours.
#[derive(Debug)]
pub struct HomeLock {
    _file: File,
}
