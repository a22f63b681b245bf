//! What the database is: for the console.

use super::{Backend, Db, Dialect, Row, StorageError, Tx};
use crate::clock::Timestamp;

/// The database as it is now.
#[derive(Clone, Debug)]
pub struct Inspection {
    pub version: String,
    /// Octets, without the log of SQLite.
    pub size: u64,
    /// The file, or host, port and name: without a password.
    pub place: String,
    pub schema: i64,
    /// The oldest server that understands it reads this schema.
    pub min_reader: i64,
    pub applied: Vec<Applied>,
}

/// A migration that was run.
#[derive(Clone, Debug)]
pub struct Applied {
    pub feature: String,
    pub number: i64,
    pub name: String,
    pub at: Timestamp,
}

impl Db {
    /// Asks the database about itself.
    pub async fn inspect(&self) -> Result<Inspection, StorageError> {
        let place = match &*self.0.backend {
            Backend::Sqlite(sqlite) => sqlite.path().display().to_string(),
            Backend::Postgres(postgres) => postgres.place().to_owned(),
        };
        self.read(move |tx| Box::pin(inspect(tx, place))).await
    }
}

async fn inspect(tx: &mut Tx<'_>, place: String) -> Result<Inspection, StorageError> {
    let about = match tx.dialect() {
        Dialect::Sqlite => {
            "SELECT 'SQLite ' || sqlite_version(), page_count * page_size
             FROM pragma_page_count(), pragma_page_size()"
        }
        Dialect::Postgres => {
            "SELECT 'PostgreSQL ' || current_setting('server_version'),
                    pg_database_size(current_database())"
        }
    };
    let about = tx.query_one(about, &[]).await?;
    let schema = tx.query_one("SELECT schema, min_reader FROM schema_version", &[]).await?;
    let sql = "SELECT feature, number, name, applied FROM migration
               ORDER BY applied DESC, feature, number DESC";
    let applied = tx.query(sql, &[]).await?;
    let applied: Result<Vec<Applied>, StorageError> = applied.iter().map(migration).collect();
    Ok(Inspection {
        version: about.get(0)?,
        size: about.get::<i64>(1)?.max(0) as u64,
        place,
        schema: schema.get(0)?,
        min_reader: schema.get(1)?,
        applied: applied?,
    })
}

fn migration(row: &Row) -> Result<Applied, StorageError> {
    Ok(Applied { feature: row.get(0)?, number: row.get(1)?, name: row.get(2)?, at: row.get(3)? })
}
