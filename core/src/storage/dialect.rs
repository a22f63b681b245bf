//! All that differs between the SQL of the two databases. Statements are written for PostgreSQL;
//! SQLite understands them but for what stands here.

use std::borrow::Cow;

/// Whose SQL it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    Sqlite,
    Postgres,
}

impl Dialect {
    /// A schema script in this dialect. Scripts use `BIGINT`, `TEXT`, `BOOLEAN`, `BYTEA` and
    /// `BIGSERIAL PRIMARY KEY` (a number that is never given twice), and `COLLATE "C"` for texts
    /// that are searched by prefix: only sorted by octets is a prefix a range.
    pub fn schema(self, script: &str) -> Cow<'_, str> {
        match self {
            Dialect::Postgres => Cow::Borrowed(script),
            Dialect::Sqlite => Cow::Owned(
                script
                    .replace("BIGSERIAL PRIMARY KEY", "INTEGER PRIMARY KEY AUTOINCREMENT")
                    .replace("BYTEA", "BLOB")
                    .replace(" COLLATE \"C\"", ""),
            ),
        }
    }

    /// Reads the database's clock: one row, one column, milliseconds since 1970.
    pub fn clock(self) -> &'static str {
        match self {
            Dialect::Sqlite => "SELECT CAST(unixepoch('subsec') * 1000 AS BIGINT)",
            Dialect::Postgres => {
                "SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)"
            }
        }
    }

    /// The tables of this database, one name per row, without the database's own.
    pub fn tables(self) -> &'static str {
        match self {
            Dialect::Sqlite => {
                "SELECT name FROM sqlite_schema WHERE type = 'table' \
                 AND name NOT LIKE 'sqlite_%' ORDER BY name"
            }
            Dialect::Postgres => {
                "SELECT CAST(table_name AS TEXT) FROM information_schema.tables \
                 WHERE table_schema = current_schema() AND table_type = 'BASE TABLE' \
                 ORDER BY 1"
            }
        }
    }
}
