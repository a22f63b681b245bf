//! Tables of a plugin's own.
//!
//! One SQL text serves SQLite and PostgreSQL: `$1` for parameters, `ON CONFLICT`, `RETURNING`. In
//! migrations the types are `BIGINT`, `TEXT`, `BOOLEAN`, `BYTEA` and `BIGSERIAL PRIMARY KEY`.
//! `{name}` stands for the plugin's table `name` (the server puts its prefix before it; indices
//! have such names too), and `{:now}` for the database's clock in milliseconds since 1970.
//!
//! The server runs migrations before the plugin starts, each once and in a transaction. A plugin
//! reaches only tables that it names in braces.

use abi_stable::std_types::RVec;

use crate::abi::{SqlRows, SqlStatement, SqlValue};
use crate::error::{Error, Result, from_abi};
use crate::host::Host;

/// A parameter or column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// NULL.
    Null,
    /// BOOLEAN. SQLite gives an `Int` of 0 or 1 back: read it by [`Row::bool`].
    Bool(bool),
    /// BIGINT.
    Int(i64),
    /// TEXT.
    Text(String),
    /// BYTEA.
    Blob(Vec<u8>),
}

macro_rules! value_from {
    ($($type:ty, $value:ident => $into:expr;)*) => {$(
        impl From<$type> for Value {
            fn from($value: $type) -> Value {
                $into
            }
        }
    )*};
}

value_from! {
    bool, value => Value::Bool(value);
    i64, value => Value::Int(value);
    i32, value => Value::Int(value.into());
    u32, value => Value::Int(value.into());
    &str, value => Value::Text(value.to_owned());
    &String, value => Value::Text(value.clone());
    String, value => Value::Text(value);
    Vec<u8>, value => Value::Blob(value);
    &[u8], value => Value::Blob(value.to_vec());
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Value {
        value.map_or(Value::Null, Into::into)
    }
}

impl From<Value> for SqlValue {
    fn from(value: Value) -> SqlValue {
        match value {
            Value::Null => SqlValue::Null,
            Value::Bool(value) => SqlValue::Bool(value),
            Value::Int(value) => SqlValue::Int(value),
            Value::Text(value) => SqlValue::Text(value.into()),
            Value::Blob(value) => SqlValue::Blob(value.into()),
        }
    }
}

impl From<SqlValue> for Value {
    fn from(value: SqlValue) -> Value {
        match value {
            SqlValue::Null => Value::Null,
            SqlValue::Bool(value) => Value::Bool(value),
            SqlValue::Int(value) => Value::Int(value),
            SqlValue::Text(value) => Value::Text(value.into_string()),
            SqlValue::Blob(value) => Value::Blob(value.into_vec()),
        }
    }
}

/// How many rows a statement must change or return; otherwise the whole transaction is rolled back
/// with `Conflict`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Expect {
    /// Any number.
    #[default]
    Any,
    /// So many.
    Exactly(u64),
    /// So many or more.
    AtLeast(u64),
}

/// One statement of a transaction.
///
/// ```
/// use hearth_plugin_api::sql::{Expect, Statement};
/// let take = Statement::new("UPDATE {lease} SET holder = $1 WHERE holder = $2")
///     .bind("a").bind("b").expect(Expect::Exactly(1));
/// # let _ = take;
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    text: String,
    params: Vec<Value>,
    expect: Expect,
}

impl Statement {
    /// SQL with `$1`, `$2`, … for parameters.
    pub fn new(text: &str) -> Statement {
        Statement { text: text.to_owned(), params: Vec::new(), expect: Expect::Any }
    }

    /// The next parameter.
    pub fn bind(mut self, value: impl Into<Value>) -> Statement {
        self.params.push(value.into());
        self
    }

    /// Demands a number of rows.
    pub fn expect(mut self, expect: Expect) -> Statement {
        self.expect = expect;
        self
    }

    fn into_abi(self) -> SqlStatement {
        let (expect, count) = match self.expect {
            Expect::Any => (0, 0),
            Expect::Exactly(count) => (1, count),
            Expect::AtLeast(count) => (2, count),
        };
        let params = self.params.into_iter().map(SqlValue::from).collect();
        SqlStatement { text: self.text.into(), params, expect, count }
    }
}

/// One row of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row(Vec<Value>);

impl Row {
    /// A column, counted from 0.
    pub fn value(&self, column: usize) -> &Value {
        self.0.get(column).unwrap_or(&Value::Null)
    }

    /// A column of BIGINT; `Invalid` for anything else.
    pub fn int(&self, column: usize) -> Result<i64> {
        match self.value(column) {
            Value::Int(value) => Ok(*value),
            other => Err(mismatch(column, "BIGINT", other)),
        }
    }

    /// A column of BOOLEAN; `Invalid` for anything else.
    pub fn bool(&self, column: usize) -> Result<bool> {
        match self.value(column) {
            Value::Bool(value) => Ok(*value),
            Value::Int(value @ (0 | 1)) => Ok(*value == 1),
            other => Err(mismatch(column, "BOOLEAN", other)),
        }
    }

    /// A column of TEXT; `Invalid` for anything else.
    pub fn text(&self, column: usize) -> Result<&str> {
        match self.value(column) {
            Value::Text(value) => Ok(value),
            other => Err(mismatch(column, "TEXT", other)),
        }
    }

    /// A column of BYTEA; `Invalid` for anything else.
    pub fn blob(&self, column: usize) -> Result<&[u8]> {
        match self.value(column) {
            Value::Blob(value) => Ok(value),
            other => Err(mismatch(column, "BYTEA", other)),
        }
    }

    /// Whether a column is NULL.
    pub fn is_null(&self, column: usize) -> bool {
        *self.value(column) == Value::Null
    }
}

fn mismatch(column: usize, wanted: &str, found: &Value) -> Error {
    let found = match found {
        Value::Null => "NULL",
        Value::Bool(_) => "BOOLEAN",
        Value::Int(_) => "BIGINT",
        Value::Text(_) => "TEXT",
        Value::Blob(_) => "BYTEA",
    };
    Error::invalid(format!("column {column} is {found}, not {wanted}"))
}

/// What a statement gave.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rows {
    /// What it returned.
    pub rows: Vec<Row>,
    /// Rows changed, or returned when it changed none.
    pub affected: u64,
}

impl Rows {
    /// The first row.
    pub fn first(&self) -> Option<&Row> {
        self.rows.first()
    }
}

impl From<SqlRows> for Rows {
    fn from(rows: SqlRows) -> Rows {
        let row = |row: RVec<SqlValue>| Row(row.into_iter().map(Value::from).collect());
        Rows { rows: rows.rows.into_iter().map(row).collect(), affected: rows.affected }
    }
}

/// The plugin's tables. Needs the capability `tables`.
#[derive(Debug, Clone, Copy)]
pub struct Sql<'h> {
    host: &'h Host,
    mode: u32,
}

impl<'h> Sql<'h> {
    pub(crate) fn new(host: &'h Host) -> Sql<'h> {
        Sql { host, mode: 0 }
    }

    /// On a connection that nobody else uses, so that it does not wait behind anybody; one for all of
    /// the plugin. On SQLite the same as without.
    pub fn reserved(mut self) -> Sql<'h> {
        self.mode |= 2;
        self
    }

    /// Reads.
    pub async fn query(mut self, statement: Statement) -> Result<Rows> {
        self.mode |= 1;
        self.one(statement).await
    }

    /// One statement that writes.
    pub async fn execute(self, statement: Statement) -> Result<Rows> {
        self.one(statement).await
    }

    async fn one(self, statement: Statement) -> Result<Rows> {
        let rows = self.transaction(vec![statement]).await?;
        Ok(rows.into_iter().next().unwrap_or_default())
    }

    /// All statements or none. `Conflict` when one did not give the rows that it demands,
    /// `Unavailable` when the database is away, `Invalid` when it refuses the SQL.
    pub async fn transaction(self, statements: Vec<Statement>) -> Result<Vec<Rows>> {
        let statements = statements.into_iter().map(Statement::into_abi).collect();
        let rows = from_abi(self.host.abi().sql(self.mode, statements).await)?;
        Ok(rows.into_iter().map(Rows::from).collect())
    }
}

/// Puts a plugin's `prefix` before table names in braces and `now` in place of `{:now}`. The server
/// and the server of make-believe do this before they run a statement. Braces around anything that
/// is no name stay as they are.
///
/// ```
/// use hearth_plugin_api::sql::expand;
/// assert_eq!(
///     expand("INSERT INTO {note} VALUES ({:now}, '{}')", "p_hello_", "7"),
///     "INSERT INTO p_hello_note VALUES (7, '{}')",
/// );
/// ```
pub fn expand(text: &str, prefix: &str, now: &str) -> String {
    let mut out = String::with_capacity(text.len() + 32);
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        out.push_str(before);
        let name = after.split_once('}').map(|(name, _)| name).unwrap_or_default();
        let is_name = !name.is_empty()
            && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        match name {
            ":now" => out.push_str(now),
            _ if is_name => out.extend([prefix, name]),
            _ => {
                out.push('{');
                rest = after;
                continue;
            }
        }
        rest = &after[name.len() + 1..];
    }
    out.push_str(rest);
    out
}
