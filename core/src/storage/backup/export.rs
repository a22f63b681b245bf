//! Writing an export.

use std::io::Write;

use serde::Serialize;

use super::format::{End, FORMAT, Header, Table, to_json};
use super::{Progress, catalog, take_time};
use crate::storage::{Db, Dialect, Row, StorageError, Tx, Value, params};

/// Rows read at once.
const PAGE: i64 = 1000;

/// Writes all rows of one moment to `out`; returns their number. The server may run meanwhile.
pub async fn export(
    db: &Db,
    out: Box<dyn Write + Send>,
    progress: Progress,
) -> Result<u64, StorageError> {
    match db.dialect() {
        Dialect::Sqlite => db.read(|tx| Box::pin(write_all(tx, out, progress))).await,
        // Only a transaction of this level sees one moment throughout.
        Dialect::Postgres => {
            db.write(|tx| {
                Box::pin(async move {
                    tx.script("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY").await?;
                    take_time(tx).await?;
                    write_all(tx, out, progress).await
                })
            })
            .await
        }
    }
}

async fn write_all(
    tx: &mut Tx<'_>,
    mut out: Box<dyn Write + Send>,
    mut progress: Progress,
) -> Result<u64, StorageError> {
    let version = tx.query_one("SELECT schema, min_reader FROM schema_version", &[]).await?;
    let format = FORMAT.to_owned();
    let header = Header { format, schema: version.get(0)?, min_reader: version.get(1)? };
    line(&mut out, &header)?;
    let mut rows = 0;
    for table in catalog::tables(tx).await? {
        let columns = catalog::columns(tx, &table).await?;
        let last_id = catalog::last_id(tx, &table).await?;
        let mut pages = Pages::open(tx, &table, &columns).await?;
        line(&mut out, &Table { table, columns, last_id })?;
        loop {
            let page = pages.next(tx).await?;
            for row in &page {
                let values: Vec<_> = row.iter().map(to_json).collect();
                line(&mut out, &values)?;
            }
            rows += page.len() as u64;
            progress(rows, None);
            if page.len() < PAGE as usize {
                break;
            }
        }
        pages.close(tx).await?;
    }
    line(&mut out, &End { rows })?;
    out.flush().map_err(told)?;
    Ok(rows)
}

/// A table read in pages: by row number in SQLite, by a cursor in PostgreSQL.
struct Pages {
    query: String,
    after: Value,
}

impl Pages {
    async fn open(tx: &mut Tx<'_>, table: &str, columns: &[String]) -> Result<Pages, StorageError> {
        let columns = columns.iter().map(|c| format!("\"{c}\"")).collect::<Vec<_>>().join(", ");
        let query = match tx.dialect() {
            Dialect::Sqlite => format!(
                "SELECT rowid, {columns} FROM \"{table}\" WHERE rowid > $1 ORDER BY rowid LIMIT $2"
            ),
            Dialect::Postgres => {
                let select = format!("SELECT {columns} FROM \"{table}\"");
                tx.script(&format!("DECLARE page NO SCROLL CURSOR FOR {select}")).await?;
                format!("FETCH {PAGE} FROM page")
            }
        };
        Ok(Pages { query, after: Value::Int(i64::MIN) })
    }

    /// The next rows; fewer than [`PAGE`] when it was the last page.
    async fn next(&mut self, tx: &mut Tx<'_>) -> Result<Vec<Vec<Value>>, StorageError> {
        let whole = |row: &Row| row.values().to_vec();
        if tx.dialect() == Dialect::Postgres {
            let rows = tx.query_once(&self.query, &[]).await?;
            return Ok(rows.iter().map(whole).collect());
        }
        let rows = tx.query_once(&self.query, params![self.after.clone(), PAGE]).await?;
        if let Some(last) = rows.last() {
            self.after = last.get(0)?;
        }
        Ok(rows.iter().map(|row| row.values()[1..].to_vec()).collect())
    }

    async fn close(self, tx: &mut Tx<'_>) -> Result<(), StorageError> {
        match tx.dialect() {
            Dialect::Sqlite => Ok(()),
            Dialect::Postgres => tx.script("CLOSE page").await,
        }
    }
}

fn line(out: &mut impl Write, value: &impl Serialize) -> Result<(), StorageError> {
    let written = serde_json::to_writer(&mut *out, value).map_err(std::io::Error::from);
    written.and_then(|()| out.write_all(b"\n")).map_err(told)
}

fn told(error: std::io::Error) -> StorageError {
    StorageError::Backup(format!("the export could not be written: {error}"))
}
