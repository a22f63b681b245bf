//! Which database: `sqlite`, `sqlite:FILE` or `postgres://…`.

use std::fmt;
use std::path::{Path, PathBuf};

use super::{PostgresUrl, StorageError};

/// Where the database is. `Display` shows no password.
#[derive(Debug, Clone)]
pub enum DatabaseUrl {
    Sqlite(PathBuf),
    Postgres(Box<PostgresUrl>),
}

impl DatabaseUrl {
    /// Parses what `hearth.toml` or `HEARTH_DATABASE_URL` says. `sqlite` alone is `hearth.db` in
    /// the home folder; a relative file name is looked for there too.
    pub fn parse(text: &str, home: &Path) -> Result<DatabaseUrl, StorageError> {
        if text == "sqlite" {
            return Ok(DatabaseUrl::Sqlite(home.join("hearth.db")));
        }
        if let Some(file) = text.strip_prefix("sqlite:").filter(|file| !file.is_empty()) {
            let file = file.strip_prefix("//").unwrap_or(file);
            return Ok(DatabaseUrl::Sqlite(home.join(file)));
        }
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return text.parse().map(|url| DatabaseUrl::Postgres(Box::new(url)));
        }
        Err(StorageError::Url("it is neither `sqlite`, `sqlite:FILE` nor `postgres://…`".into()))
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DatabaseUrl::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            DatabaseUrl::Postgres(url) => write!(f, "postgres://{url}"),
        }
    }
}
