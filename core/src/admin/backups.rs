//! Backups that the console starts: files in the home folder, one being made at a time.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use crate::clock::{Clock, Timestamp};
use crate::shutdown::Tracker;
use crate::storage::backup::{self, Progress};
use crate::storage::{Db, StorageError};

/// The backups of one home.
#[derive(Clone)]
pub struct Backups(Arc<Inner>);

struct Inner {
    folder: PathBuf,
    db: Db,
    clock: Clock,
    tracker: Tracker,
    last: Mutex<Option<Arc<Work>>>,
}

/// How a backup is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A copy of the SQLite file.
    Snapshot,
    /// A text that either database reads back.
    Export,
}

/// One backup, being made or made.
pub struct Work {
    pub name: String,
    pub began: Timestamp,
    /// Pages or rows, and of how many (0: nobody knows).
    done: AtomicU64,
    of: AtomicU64,
    outcome: Mutex<Option<Result<(), StorageError>>>,
}

/// A file that is there.
#[derive(Clone, Debug)]
pub struct File {
    pub name: String,
    pub size: u64,
    pub made: Timestamp,
}

/// Why a backup does not begin, or is not there. The first is for the administrator to wait.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    #[error("a backup is being made: wait until it is done")]
    Busy,
    #[error("only the embedded database can be copied as a file: make an export")]
    NoFile,
    #[error("there is no backup `{0}`")]
    Unknown(String),
    #[error("cannot use {}: {source}; check the folder's owner and the free space", .path.display())]
    Folder { path: PathBuf, source: io::Error },
}

impl Work {
    pub fn progress(&self) -> (u64, Option<u64>) {
        let of = self.of.load(Ordering::Relaxed);
        (self.done.load(Ordering::Relaxed), Some(of).filter(|of| *of > 0))
    }

    /// `None` while it is being made.
    pub fn outcome(&self) -> Option<Result<(), StorageError>> {
        self.outcome.lock().clone()
    }
}

impl Backups {
    pub fn new(folder: PathBuf, db: Db, clock: Clock, tracker: Tracker) -> Backups {
        Backups(Arc::new(Inner { folder, db, clock, tracker, last: Mutex::default() }))
    }

    /// Begins a backup. Who asks for its progress looks at [`Backups::last`].
    pub fn begin(&self, form: Form) -> Result<Arc<Work>, BackupError> {
        if form == Form::Snapshot && self.0.db.file().is_none() {
            return Err(BackupError::NoFile);
        }
        let mut last = self.0.last.lock();
        if last.as_ref().is_some_and(|work| work.outcome().is_none()) {
            return Err(BackupError::Busy);
        }
        let began = self.0.clock.now();
        let ending = if form == Form::Snapshot { "db" } else { "jsonl" };
        // The time without what not every file system takes.
        let time = began.to_string().replace([':', '.'], "-");
        let work = Arc::new(Work {
            name: format!("hearth-{time}.{ending}"),
            began,
            done: AtomicU64::new(0),
            of: AtomicU64::new(0),
            outcome: Mutex::new(None),
        });
        *last = Some(work.clone());
        self.0.tracker.spawn("backup", self.clone().make(form, work.clone()));
        Ok(work)
    }

    async fn make(self, form: Form, work: Arc<Work>) {
        // Also when the task is dropped or panics somebody must be able to begin another.
        let end = End(work.clone());
        let file = self.0.folder.join(&work.name);
        let (db, progress) = (self.0.db.clone(), progress(work.clone()));
        let outcome = match (form, db.file().map(Path::to_owned)) {
            (Form::Snapshot, Some(database)) => {
                let copy = move || backup::snapshot(&database, &file, progress);
                self.0.tracker.blocking("backup", copy).await.unwrap_or(Err(StorageError::Panicked))
            }
            _ => backup::export_file(&db, &file, progress).await.map(drop),
        };
        match &outcome {
            Ok(()) => tracing::info!(name = work.name, "a backup is made"),
            Err(error) => tracing::error!(name = work.name, %error, "a backup failed"),
        }
        *work.outcome.lock() = Some(outcome);
        drop(end);
    }

    /// The one that was begun last since the start of the server.
    pub fn last(&self) -> Option<Arc<Work>> {
        self.0.last.lock().clone()
    }

    /// The files that are there, the newest first.
    pub fn files(&self) -> Result<Vec<File>, BackupError> {
        let failed = |source| BackupError::Folder { path: self.0.folder.clone(), source };
        let entries = match std::fs::read_dir(&self.0.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(failed)?,
        };
        let file = |entry: std::fs::DirEntry| {
            let (name, metadata) = (entry.file_name().into_string().ok()?, entry.metadata().ok()?);
            let made = Timestamp::from(metadata.modified().ok()?);
            is_backup(&name).then_some(File { name, size: metadata.len(), made })
        };
        let mut files: Vec<File> = entries.filter_map(|entry| file(entry.ok()?)).collect();
        files.sort_by(|a, b| b.name.cmp(&a.name));
        Ok(files)
    }

    /// Where a file is.
    pub fn path(&self, name: &str) -> Result<PathBuf, BackupError> {
        let path = self.0.folder.join(name);
        match is_backup(name) && path.is_file() {
            true => Ok(path),
            false => Err(BackupError::Unknown(name.to_owned())),
        }
    }

    pub fn delete(&self, name: &str) -> Result<(), BackupError> {
        let path = self.path(name)?;
        std::fs::remove_file(&path).map_err(|source| BackupError::Folder { path, source })
    }
}

/// A whole backup of ours, and nothing that leads out of the folder.
fn is_backup(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
    let ends = name.ends_with(".db") || name.ends_with(".jsonl");
    name.starts_with("hearth-") && ends && name.chars().all(plain)
}

fn progress(work: Arc<Work>) -> Progress {
    Box::new(move |done, of| {
        work.done.store(done, Ordering::Relaxed);
        work.of.store(of.unwrap_or(0), Ordering::Relaxed);
    })
}

/// Ends a work that has no outcome.
struct End(Arc<Work>);

impl Drop for End {
    fn drop(&mut self) {
        self.0.outcome.lock().get_or_insert(Err(StorageError::Closed));
    }
}
