//! What can go wrong with the database, each with what a person can do about it.

/// Why a storage operation failed. `Statement`, `Column`, `Panicked` and `Waited` are bugs of ours;
/// `Constraint` is for the caller to understand; all others are the machine's or the operator's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StorageError {
    #[error(
        "the database at {place} cannot be reached: {why}; check that it runs and that \
         the address is right"
    )]
    Unreachable { place: String, why: String },
    #[error(
        "the database at {place} refused the sign-in: {why}; check the user and password of \
         the database URL"
    )]
    Denied { place: String, why: String },
    #[error("the database at {place} does not exist: {why}; create it, or correct the URL")]
    NoSuchDatabase { place: String, why: String },
    #[error("the disk of the database is full: {0}; free some space")]
    Full(String),
    #[error(
        "the database file {place} is damaged: {why}; restore the last backup with `hearth restore`"
    )]
    Corrupt { place: String, why: String },
    #[error(
        "the database cannot be written: {0}; check the permissions of its files or of its user"
    )]
    ReadOnly(String),
    #[error("the database is busy: {0}")]
    Busy(String),
    #[error("the database URL is wrong: {0}")]
    Url(String),
    #[error(
        "TLS to the database: {0}; name its CA by sslrootcert=FILE in the URL, or trust just its \
         certificate by sslfingerprint=SHA256"
    )]
    Tls(String),
    #[error(
        "the database was changed by a newer Hearth (it needs one that reads schema {min_reader}, \
         this one reads {ours}); upgrade this server"
    )]
    TooNew { min_reader: i64, ours: i64 },
    #[error("the database cannot be used: {0}")]
    Unfit(String),
    #[error("migration {feature} {number} ({name}) failed: {why}; nothing of it was kept")]
    Migration { feature: &'static str, number: u32, name: &'static str, why: String },
    #[error("a constraint refused the row: {0}")]
    Constraint(String),
    #[error("the statement is wrong: {0}")]
    Statement(String),
    #[error("column {index} does not hold {expected}")]
    Column { index: usize, expected: &'static str },
    #[error("one row was expected, {0} came")]
    Rows(usize),
    #[error("code inside a transaction panicked")]
    Panicked,
    #[error("code inside a transaction waited for something else than the database")]
    Waited,
    #[error("the server is stopping; the database is closed")]
    Closed,
    #[error("backup: {0}")]
    Backup(String),
}

impl StorageError {
    /// Whether the same operation may succeed later without anybody changing it.
    pub fn is_transient(&self) -> bool {
        use StorageError::*;
        matches!(
            self,
            Unreachable { .. }
                | Denied { .. }
                | NoSuchDatabase { .. }
                | Full(_)
                | ReadOnly(_)
                | Busy(_)
                | Tls(_)
        )
    }

    /// Whether a unique, foreign key or check constraint refused the row.
    pub fn is_constraint(&self) -> bool {
        matches!(self, StorageError::Constraint(_))
    }
}
