//! One statement on a SQLite connection: parameters in, rows out, errors named.

use std::path::Path;

use bytes::Bytes;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{CachedStatement, Connection, ErrorCode, ToSql};

use crate::storage::{Row, StorageError, Value};

/// Runs `sql` and returns the number of rows that it changed.
pub(in crate::storage) fn execute(
    connection: &Connection,
    sql: &str,
    params: &[Value],
) -> Result<u64, StorageError> {
    let mut statement = prepare(connection, sql, params)?;
    if statement.column_count() == 0 {
        return statement.raw_execute().map(|n| n as u64).map_err(|e| failure(e, connection));
    }
    // With RETURNING a statement must be stepped to its end to take effect in full.
    let mut rows = statement.raw_query();
    let mut changed = 0;
    while rows.next().map_err(|e| failure(e, connection))?.is_some() {
        changed += 1;
    }
    Ok(changed)
}

/// Runs `sql` and returns its rows.
pub(in crate::storage) fn query(
    connection: &Connection,
    sql: &str,
    params: &[Value],
) -> Result<Vec<Row>, StorageError> {
    let mut statement = prepare(connection, sql, params)?;
    let columns = statement.column_count();
    let mut cursor = statement.raw_query();
    let mut rows = Vec::new();
    while let Some(row) = cursor.next().map_err(|e| failure(e, connection))? {
        let values: Result<_, _> = (0..columns).map(|i| column(row.get_ref(i))).collect();
        rows.push(Row(values?));
    }
    Ok(rows)
}

/// Runs several statements that have no parameters.
pub(in crate::storage) fn script(
    connection: &Connection,
    script: &str,
) -> Result<(), StorageError> {
    connection.execute_batch(script).map_err(|e| failure(e, connection))
}

/// SQLite numbers `$1`, `$2`… by first appearance, PostgreSQL by their names: bind by name.
fn prepare<'c>(
    connection: &'c Connection,
    sql: &str,
    params: &[Value],
) -> Result<CachedStatement<'c>, StorageError> {
    let wrong = || StorageError::Statement(format!("the parameters of `{sql}`"));
    let mut statement = connection.prepare_cached(sql).map_err(|e| failure(e, connection))?;
    for slot in 1..=statement.parameter_count() {
        let number = statement.parameter_name(slot).and_then(|name| name[1..].parse().ok());
        let value = number.and_then(|n: usize| params.get(n.checked_sub(1)?)).ok_or_else(wrong)?;
        statement.raw_bind_parameter(slot, value).map_err(|e| failure(e, connection))?;
    }
    Ok(statement)
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Value::Null => ValueRef::Null,
            Value::Bool(yes) => ValueRef::Integer(i64::from(*yes)),
            Value::Int(n) => ValueRef::Integer(*n),
            Value::Text(text) => ValueRef::Text(text.as_bytes()),
            Value::Blob(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

fn column(value: rusqlite::Result<ValueRef<'_>>) -> Result<Value, StorageError> {
    let wrong = |what: &str| StorageError::Statement(format!("a column holds {what}"));
    match value.map_err(|e| StorageError::Statement(e.to_string()))? {
        ValueRef::Null => Ok(Value::Null),
        ValueRef::Integer(n) => Ok(Value::Int(n)),
        ValueRef::Real(_) => Err(wrong("a floating-point number")),
        ValueRef::Text(text) => match std::str::from_utf8(text) {
            Ok(text) => Ok(Value::Text(text.into())),
            Err(_) => Err(wrong("a text that is not UTF-8")),
        },
        ValueRef::Blob(bytes) => Ok(Value::Blob(Bytes::copy_from_slice(bytes))),
    }
}

fn failure(failure: rusqlite::Error, connection: &Connection) -> StorageError {
    error(failure, Path::new(connection.path().unwrap_or_default()))
}

/// Our word for what SQLite says about the file at `path`.
pub(in crate::storage) fn error(error: rusqlite::Error, path: &Path) -> StorageError {
    let (place, why) = (path.display().to_string(), error.to_string());
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            StorageError::Corrupt { place, why }
        }
        Some(
            ErrorCode::CannotOpen
            | ErrorCode::SystemIoFailure
            | ErrorCode::FileLockingProtocolFailed,
        ) => StorageError::Unreachable { place, why },
        Some(ErrorCode::DiskFull) => StorageError::Full(place),
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => StorageError::ReadOnly(place),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => StorageError::Busy(why),
        Some(ErrorCode::ConstraintViolation) => StorageError::Constraint(why),
        _ => StorageError::Statement(why),
    }
}
