//! A plugin's own tables: migrations before its start, transactions afterwards. Names in braces get
//! the plugin's prefix.

use std::sync::Arc;

use abi_stable::std_types::{RString, RVec};
use hearth_plugin_api::Migration;
use hearth_plugin_api::abi::{SqlRows, SqlStatement, SqlValue};
use hearth_plugin_api::{Capability, Error, ErrorKind, Offer};

use super::super::store;
use super::{Guest, prefix};
use crate::storage::{Dialect, Row, StorageError, Tx, Value};

/// Bits of the mode.
const READS: u32 = 1;
const RESERVED: u32 = 2;

/// Statements of one transaction.
const STATEMENTS: usize = 1000;

/// Runs the steps of a plugin's schema that the database does not have yet.
pub(super) async fn migrate<'o>(
    guest: &Arc<Guest>,
    offers: impl Iterator<Item = &'o Offer>,
) -> Result<(), Error> {
    let migrations = offers.filter_map(|offer| match offer {
        Offer::Migrations { migrations } => Some(migrations.clone()),
        _ => None,
    });
    let mut migrations: Vec<Migration> = migrations.flatten().collect();
    migrations.sort_by_key(|migration| migration.number);
    for migration in migrations {
        let (id, now) = (guest.id().to_owned(), guest.seams.clock.now());
        let name = migration.name.clone();
        let apply = guest.seams.db.write(move |tx| {
            Box::pin(async move {
                let Migration { number, name, sql } = &migration;
                if store::begin_migration(tx, (&id, *number), name, now).await? {
                    let sql = expand(&prefix(&id), sql, tx.dialect());
                    tx.script(&tx.dialect().schema(&sql)).await?;
                }
                Ok(())
            })
        });
        apply
            .await
            .map_err(|error| Error::invalid(format!("its migration `{name}` failed: {error}")))?;
    }
    Ok(())
}

/// The database's clock is read by the database, when the statement runs: nodes compare such times.
fn expand(prefix: &str, text: &str, dialect: Dialect) -> String {
    hearth_plugin_api::sql::expand(text, prefix, &format!("({})", dialect.clock()))
}

/// Runs all statements or none.
pub(super) async fn run(
    guest: &Arc<Guest>,
    mode: u32,
    statements: Vec<SqlStatement>,
) -> Result<RVec<SqlRows>, Error> {
    guest.manifest.require(Capability::Tables)?;
    if statements.len() > STATEMENTS {
        return Err(Error::invalid(format!("a transaction has at most {STATEMENTS} statements")));
    }
    let (prefix, dialect) = (guest.prefix(), guest.seams.db.dialect());
    let prepared = statements.into_iter().map(|statement| prepare(&prefix, dialect, statement));
    let prepared: Vec<Prepared> = prepared.collect::<Result<_, _>>()?;
    let (reads, reserved) = (mode & READS != 0, mode & RESERVED != 0);
    match reads && !reserved {
        true => {
            let read = guest.seams.db.read(move |tx| {
                Box::pin(async move {
                    // The row counts are the caller's: told beside the storage's own errors.
                    Ok(all(tx, prepared).await)
                })
            });
            read.await.map_err(refused)?.map_err(Failed::told)
        }
        false => {
            let db = &guest.seams.db;
            let outcome = match reserved {
                true => db.try_reserved(|tx| Box::pin(all(tx, prepared))).await,
                false => db.try_write(|tx| Box::pin(all(tx, prepared))).await,
            };
            outcome.map_err(Failed::told)
        }
    }
}

struct Prepared {
    sql: String,
    params: Vec<Value>,
    returns: bool,
    expect: (u32, u64),
}

/// DDL stands in migrations, transactions are the host's.
fn prepare(prefix: &str, dialect: Dialect, statement: SqlStatement) -> Result<Prepared, Error> {
    let sql = expand(prefix, &statement.text, dialect);
    let word = sql.split_whitespace().next().unwrap_or_default().to_ascii_uppercase();
    let returns = match &*word {
        "SELECT" | "WITH" => true,
        "INSERT" | "UPDATE" | "DELETE" => sql.to_ascii_uppercase().contains("RETURNING"),
        _ => {
            let allowed = "a transaction has SELECT, INSERT, UPDATE, DELETE and WITH only";
            return Err(Error::invalid(format!(
                "{allowed}, not `{word}`: tables are made by migrations"
            )));
        }
    };
    let params = statement.params.into_iter().map(value).collect();
    Ok(Prepared { sql, params, returns, expect: (statement.expect, statement.count) })
}

enum Failed {
    Storage(StorageError),
    Rows { expected: String, affected: u64 },
}

impl From<StorageError> for Failed {
    fn from(error: StorageError) -> Failed {
        Failed::Storage(error)
    }
}

impl Failed {
    fn told(self) -> Error {
        match self {
            Failed::Storage(error) => refused(error),
            Failed::Rows { expected, affected } => Error::new(
                ErrorKind::Conflict,
                format!("a statement demanded {expected} rows, and got {affected}"),
            ),
        }
    }
}

/// A storage error as a plugin sees it.
pub(super) fn refused(error: StorageError) -> Error {
    let kind = match &error {
        error if error.is_transient() => ErrorKind::Unavailable,
        error if error.is_constraint() => ErrorKind::Conflict,
        _ => ErrorKind::Invalid,
    };
    Error::new(kind, error.to_string())
}

async fn all(tx: &mut Tx<'_>, statements: Vec<Prepared>) -> Result<RVec<SqlRows>, Failed> {
    let mut answers = RVec::new();
    for Prepared { sql, params, returns, expect } in statements {
        let rows = match returns {
            true => rows(tx.query_once(&sql, &params).await?),
            false => {
                SqlRows { affected: tx.execute_made(&sql, &params).await?, ..SqlRows::default() }
            }
        };
        let affected = rows.affected;
        let (fits, expected) = match expect {
            (1, count) => (affected == count, format!("exactly {count}")),
            (2, count) => (affected >= count, format!("at least {count}")),
            _ => (true, String::new()),
        };
        if !fits {
            return Err(Failed::Rows { expected, affected });
        }
        answers.push(rows);
    }
    Ok(answers)
}

fn rows(rows: Vec<Row>) -> SqlRows {
    let affected = rows.len() as u64;
    let columns = |row: Row| row.values().iter().map(abi_value).collect();
    SqlRows { rows: rows.into_iter().map(columns).collect(), affected }
}

fn value(value: SqlValue) -> Value {
    match value {
        SqlValue::Null => Value::Null,
        SqlValue::Bool(value) => Value::Bool(value),
        SqlValue::Int(value) => Value::Int(value),
        SqlValue::Text(value) => Value::Text(value.as_str().into()),
        SqlValue::Blob(value) => Value::Blob(value.into_vec().into()),
    }
}

fn abi_value(value: &Value) -> SqlValue {
    match value {
        Value::Null => SqlValue::Null,
        Value::Bool(value) => SqlValue::Bool(*value),
        Value::Int(value) => SqlValue::Int(*value),
        Value::Text(value) => SqlValue::Text(RString::from(value.as_str())),
        Value::Blob(value) => SqlValue::Blob(RVec::from(value.to_vec())),
    }
}
