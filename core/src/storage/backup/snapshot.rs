//! A copy of the SQLite file, taken while the server writes, and put back. Blocking.

use std::path::{Path, PathBuf};

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};

use super::Progress;
use crate::storage::StorageError;
use crate::storage::sqlite::{error, make_private};

/// Pages copied between two calls of the progress.
const STEP: i32 = 512;

/// Copies the database at `from` to the file `to`, as it is now. `to` appears when it is whole.
pub fn snapshot(from: &Path, to: &Path, mut progress: Progress) -> Result<(), StorageError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let source = Connection::open_with_flags(from, flags).map_err(|e| error(e, from))?;
    // Held open, this reading transaction keeps one state in sight: without it each write of the
    // server would start the copy again.
    source
        .execute_batch("PRAGMA busy_timeout = 5000; BEGIN; SELECT count(*) FROM sqlite_schema")
        .map_err(|e| error(e, from))?;
    let part = beside(to, "part");
    let copied = copy(&source, &part, &mut progress).and_then(|()| check(&part));
    let placed = copied.and_then(|()| std::fs::rename(&part, to).map_err(|e| told(to, &e)));
    if placed.is_err() {
        // The first error is the one to tell.
        let _ = std::fs::remove_file(&part);
    }
    placed
}

/// Replaces the database at `to` by the snapshot `from`, after looking it through. The server must
/// not run: the caller holds the lock of the home folder.
pub fn restore_snapshot(
    from: &Path,
    to: &Path,
    mut progress: Progress,
) -> Result<(), StorageError> {
    check(from)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let source = Connection::open_with_flags(from, flags).map_err(|e| error(e, from))?;
    let part = beside(to, "part");
    copy(&source, &part, &mut progress)?;
    // The log of the old file must not be applied to the new one.
    for log in ["-wal", "-shm"] {
        let mut name = to.as_os_str().to_owned();
        name.push(log);
        match std::fs::remove_file(PathBuf::from(name)) {
            Err(failed) if failed.kind() != std::io::ErrorKind::NotFound => {
                return Err(told(to, &failed));
            }
            _ => {}
        }
    }
    std::fs::rename(&part, to).map_err(|e| told(to, &e))
}

fn copy(source: &Connection, to: &Path, progress: &mut Progress) -> Result<(), StorageError> {
    if to.exists() {
        std::fs::remove_file(to).map_err(|e| told(to, &e))?;
    }
    make_private(to).map_err(|e| told(to, &e))?;
    let mut target = Connection::open(to).map_err(|e| error(e, to))?;
    let backup = Backup::new(source, &mut target).map_err(|e| error(e, to))?;
    loop {
        let step = backup.step(STEP).map_err(|e| error(e, to))?;
        let state = backup.progress();
        let (total, left) = (state.pagecount as u64, state.remaining as u64);
        progress(total - left, Some(total));
        match step {
            StepResult::Done => return Ok(()),
            StepResult::More => {}
            other => return Err(StorageError::Busy(format!("{other:?} while copying"))),
        }
    }
}

/// Looks through the whole file, not only its first page.
fn check(path: &Path) -> Result<(), StorageError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let file = Connection::open_with_flags(path, flags).map_err(|e| error(e, path))?;
    let found: String = file
        .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
        .map_err(|e| error(e, path))?;
    match found.as_str() {
        "ok" => Ok(()),
        _ => Err(StorageError::Corrupt { place: path.display().to_string(), why: found }),
    }
}

fn beside(path: &Path, extension: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(extension);
    PathBuf::from(name)
}

fn told(path: &Path, error: &std::io::Error) -> StorageError {
    let place = path.display();
    StorageError::Backup(format!("{place}: {error}; name a folder that is writable and has room"))
}
