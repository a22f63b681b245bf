//! The plugin's tables, in memory.

use rusqlite::types::{Value as Sqlite, ValueRef};
use rusqlite::{Connection, Statement};

use crate::abi::{SqlRows, SqlStatement, SqlValue};
use crate::error::{Error, ErrorKind, Result};
use crate::offer::Migration;
use crate::sql::expand;

const NOW: &str = "CAST(unixepoch('subsec') * 1000 AS BIGINT)";
const PREFIX: &str = "p_test_";

pub struct Database(Connection);

impl Database {
    pub fn new() -> Result<Database> {
        Ok(Database(Connection::open_in_memory().map_err(refused)?))
    }

    pub fn migrate(&self, migrations: &[Migration]) -> Result<()> {
        if !migrations.is_sorted_by(|a, b| a.number < b.number) {
            return Err(Error::invalid("the numbers of migrations must ascend"));
        }
        for migration in migrations {
            let sql =
                migration.sql.replace("BIGSERIAL PRIMARY KEY", "INTEGER PRIMARY KEY AUTOINCREMENT");
            let sql = expand(&sql.replace("BYTEA", "BLOB"), PREFIX, NOW);
            let failed = |error| Error::invalid(format!("migration {}: {error}", migration.name));
            self.0.execute_batch(&sql).map_err(failed)?;
        }
        Ok(())
    }

    pub fn transaction(&mut self, statements: &[SqlStatement]) -> Result<Vec<SqlRows>> {
        let transaction = self.0.transaction().map_err(refused)?;
        let mut all = Vec::new();
        for statement in statements {
            let rows = run(&transaction, statement)?;
            let fits = match statement.expect {
                0 => true,
                1 => rows.affected == statement.count,
                _ => rows.affected >= statement.count,
            };
            if !fits {
                let message = format!("{} rows, wanted {}", rows.affected, statement.count);
                return Err(Error::new(ErrorKind::Conflict, message));
            }
            all.push(rows);
        }
        transaction.commit().map_err(refused)?;
        Ok(all)
    }
}

fn run(connection: &Connection, statement: &SqlStatement) -> Result<SqlRows> {
    let sql = expand(&statement.text, PREFIX, NOW);
    let mut prepared = connection.prepare(&sql).map_err(refused)?;
    for (at, value) in statement.params.iter().enumerate() {
        let name = format!("${}", at + 1);
        let index = prepared.parameter_index(&name).map_err(refused)?;
        let index = index.ok_or_else(|| Error::invalid(format!("the SQL has no {name}")))?;
        prepared.raw_bind_parameter(index, to_sqlite(value)).map_err(refused)?;
    }
    if prepared.column_count() == 0 {
        let affected = prepared.raw_execute().map_err(refused)? as u64;
        return Ok(SqlRows { affected, ..SqlRows::default() });
    }
    let rows = read_rows(&mut prepared)?;
    Ok(SqlRows { affected: rows.len() as u64, rows: rows.into() })
}

fn read_rows(prepared: &mut Statement<'_>) -> Result<Vec<abi_stable::std_types::RVec<SqlValue>>> {
    let columns = prepared.column_count();
    let mut rows = prepared.raw_query();
    let mut all = Vec::new();
    while let Some(row) = rows.next().map_err(refused)? {
        let value = |column| from_sqlite(row.get_ref(column).map_err(refused)?);
        all.push((0..columns).map(value).collect::<Result<_>>()?);
    }
    Ok(all)
}

fn to_sqlite(value: &SqlValue) -> Sqlite {
    match value {
        SqlValue::Null => Sqlite::Null,
        SqlValue::Bool(value) => Sqlite::Integer((*value).into()),
        SqlValue::Int(value) => Sqlite::Integer(*value),
        SqlValue::Text(value) => Sqlite::Text(value.to_string()),
        SqlValue::Blob(value) => Sqlite::Blob(value.to_vec()),
    }
}

fn from_sqlite(value: ValueRef<'_>) -> Result<SqlValue> {
    Ok(match value {
        ValueRef::Null => SqlValue::Null,
        ValueRef::Integer(value) => SqlValue::Int(value),
        ValueRef::Text(value) => SqlValue::Text(String::from_utf8_lossy(value).as_ref().into()),
        ValueRef::Blob(value) => SqlValue::Blob(value.to_vec().into()),
        ValueRef::Real(_) => return Err(Error::invalid("a floating column is not supported")),
    })
}

fn refused(error: rusqlite::Error) -> Error {
    Error::invalid(format!("SQL: {error}"))
}
