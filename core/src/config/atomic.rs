//! Files that are either the old or the new one, whenever the process or the machine dies.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Replaces `path` by `contents`: a temporary file beside it is written, synced and renamed.
/// `mode` are the permission bits of the new file.
pub fn write_atomically(path: &Path, contents: &[u8], mode: u32) -> io::Result<()> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let temporary = folder.join(format!(".{}.{}.tmp", name.to_string_lossy(), std::process::id()));
    let written = write(&temporary, contents, mode).and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        // Nothing half written stays; the first error is the one to tell.
        let _ = fs::remove_file(&temporary);
    }
    written?;
    // The new name is durable only when the folder is.
    File::open(folder)?.sync_all()
}

fn write(path: &Path, contents: &[u8], mode: u32) -> io::Result<()> {
    // A process of the same number may have died here before.
    if path.exists() {
        fs::remove_file(path)?;
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    file.write_all(contents)?;
    file.sync_all()
}
