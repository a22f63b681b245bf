//! Reading an export into a database that has this server's schema.

use std::io::BufRead;

use serde_json::Value as Json;

use super::format::{End, FORMAT, Header, Table, from_json};
use super::{OWN, Progress, catalog, take_time};
use crate::storage::migrate::SCHEMA;
use crate::storage::{Db, StorageError, Tx, Value};

/// What an import did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    pub rows: u64,
    /// Tables of the export that this database does not have, such as those of plugins.
    pub skipped: Vec<String>,
}

/// Replaces the contents of all tables by those of the export, or changes nothing. The schema must
/// be there (`migrate`), and no server may run on the database.
pub async fn import(
    db: &Db,
    from: Box<dyn BufRead + Send>,
    progress: Progress,
) -> Result<Imported, StorageError> {
    db.write(|tx| {
        Box::pin(async move {
            let reading = Reading { lines: Lines { from, number: 0 }, progress, known: Vec::new() };
            reading.run(tx).await
        })
    })
    .await
}

struct Reading {
    lines: Lines,
    progress: Progress,
    known: Vec<String>,
}

/// Where rows go.
struct Target {
    insert: String,
    columns: usize,
}

impl Reading {
    async fn run(mut self, tx: &mut Tx<'_>) -> Result<Imported, StorageError> {
        self.header()?;
        take_time(tx).await?;
        self.known = catalog::tables(tx).await?;
        for table in self.known.iter().rev() {
            tx.script(&format!("DELETE FROM \"{table}\"")).await?;
        }
        let mut imported = Imported { rows: 0, skipped: Vec::new() };
        let mut target = None;
        let mut seen = 0;
        loop {
            let line = self.lines.next()?;
            if let Json::Array(values) = &line {
                seen += 1;
                imported.rows += self.row(tx, target.as_ref(), values).await?;
                (self.progress)(seen, None);
            } else if let Ok(table) = serde_json::from_value::<Table>(line.clone()) {
                target = self.table(tx, table, &mut imported.skipped).await?;
            } else {
                return match serde_json::from_value::<End>(line) {
                    Ok(end) if end.rows == seen => Ok(imported),
                    _ => Err(self.lines.wrong("it is neither a row, a table nor the right end")),
                };
            }
        }
    }

    fn header(&mut self) -> Result<(), StorageError> {
        let header = serde_json::from_value::<Header>(self.lines.next()?).ok();
        match header.filter(|header| header.format == FORMAT) {
            Some(Header { min_reader, .. }) if min_reader > SCHEMA => {
                Err(StorageError::TooNew { min_reader, ours: SCHEMA })
            }
            Some(_) => Ok(()),
            None => Err(self.lines.wrong("this is no export of Hearth")),
        }
    }

    /// `None` when the database has no such table.
    async fn table(
        &mut self,
        tx: &mut Tx<'_>,
        table: Table,
        skipped: &mut Vec<String>,
    ) -> Result<Option<Target>, StorageError> {
        let Table { table, columns, last_id } = table;
        if OWN.contains(&table.as_str()) || !self.known.contains(&table) {
            skipped.push(table);
            return Ok(None);
        }
        let known = catalog::columns(tx, &table).await?;
        // The names become part of a statement: only those of the database itself may.
        if let Some(column) = columns.iter().find(|column| !known.contains(column)) {
            return Err(self.lines.wrong(&format!("{table} has no column {column}")));
        }
        if let Some(last) = last_id {
            catalog::set_last_id(tx, &table, last).await?;
        }
        let names: Vec<String> = columns.iter().map(|column| format!("\"{column}\"")).collect();
        let slots: Vec<String> = (1..=columns.len()).map(|n| format!("${n}")).collect();
        let (names, slots) = (names.join(", "), slots.join(", "));
        let insert = format!("INSERT INTO \"{table}\" ({names}) VALUES ({slots})");
        Ok(Some(Target { insert, columns: columns.len() }))
    }

    /// The number of rows written, 0 for a table that is skipped.
    async fn row(
        &mut self,
        tx: &mut Tx<'_>,
        target: Option<&Target>,
        values: &[Json],
    ) -> Result<u64, StorageError> {
        let Some(target) = target else { return Ok(0) };
        let values: Option<Vec<Value>> = values.iter().map(from_json).collect();
        let values = values.filter(|values| values.len() == target.columns);
        let values = values.ok_or_else(|| self.lines.wrong("the row does not fit its table"))?;
        tx.execute_made(&target.insert, &values).await
    }
}

struct Lines {
    from: Box<dyn BufRead + Send>,
    number: u64,
}

impl Lines {
    fn next(&mut self) -> Result<Json, StorageError> {
        self.number += 1;
        let mut line = String::new();
        let read = self.from.read_line(&mut line).map_err(|e| self.wrong(&e.to_string()))?;
        match read {
            0 => Err(self.wrong("the file is cut short")),
            _ => serde_json::from_str(&line).map_err(|e| self.wrong(&e.to_string())),
        }
    }

    fn wrong(&self, why: &str) -> StorageError {
        StorageError::Backup(format!("line {}: {why}; nothing was imported", self.number))
    }
}
