//! An export as a file.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::{Progress, export};
use crate::storage::{Db, StorageError};

/// Writes an export to `file`, which appears under its name when it is whole. It holds keys: it is
/// for this user only. Returns the number of rows.
pub async fn export_file(db: &Db, file: &Path, progress: Progress) -> Result<u64, StorageError> {
    let mut name = file.as_os_str().to_owned();
    name.push(".part");
    let part = PathBuf::from(name);
    let failed = |error: io::Error| {
        let place = file.display();
        StorageError::Backup(format!(
            "{place}: {error}; name a folder that is writable and has room"
        ))
    };
    let open = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&part);
    let open = open.map_err(failed)?;
    let out = open.try_clone().map_err(failed)?;
    let written = match export(db, Box::new(BufWriter::new(out)), progress).await {
        Ok(rows) => {
            sync(open).and_then(|()| fs::rename(&part, file)).map(|()| rows).map_err(failed)
        }
        Err(error) => Err(error),
    };
    if written.is_err() {
        // The first error is the one to tell.
        let _ = fs::remove_file(&part);
    }
    written
}

fn sync(mut file: File) -> io::Result<()> {
    file.flush()?;
    file.sync_all()
}
