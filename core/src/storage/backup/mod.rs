//! Backups: a snapshot of the SQLite file while the server runs, and an export as text that either
//! database reads back.
//!
//! The export is JSON Lines. The first line is the [`format::Header`]; then each table is a
//! [`format::Table`] line followed by one array per row, in the order of its columns, parents of
//! foreign keys first; the last line is the [`format::End`] with the number of rows. Octets are
//! `{"base64":"…"}`, times milliseconds since 1970.

mod catalog;
mod export;
mod file;
pub mod format;
mod import;
mod snapshot;

pub use export::export;
pub use file::export_file;
pub use import::{Imported, import};
pub use snapshot::{restore_snapshot, snapshot};

use super::{Dialect, StorageError, Tx};

/// Told how far the work is: pages or rows done, and of how many where that is known.
pub type Progress = Box<dyn FnMut(u64, Option<u64>) + Send>;

/// Tables that describe the database itself: they are not carried to another one.
const OWN: [&str; 3] = ["lease", "migration", "schema_version"];

/// Between two statements of this transaction a file is read or written, which may be slow.
async fn take_time(tx: &mut Tx<'_>) -> Result<(), StorageError> {
    match tx.dialect() {
        Dialect::Sqlite => Ok(()),
        Dialect::Postgres => tx.script("SET LOCAL idle_in_transaction_session_timeout = 0").await,
    }
}
