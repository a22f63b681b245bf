//! Values in PostgreSQL's binary format, both ways.

use std::error::Error;

use bytes::{Bytes, BytesMut};
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};

use crate::storage::{Row, Value};

type Failure = Box<dyn Error + Sync + Send>;

impl ToSql for Value {
    /// Encodes for the type that the server inferred for the parameter.
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Failure> {
        match self {
            Value::Null => Ok(IsNull::Yes),
            Value::Bool(yes) => encode_bool(*yes, ty, out),
            Value::Int(n) => encode_int(*n, ty, out),
            Value::Text(text) => text.as_str().to_sql(ty, out),
            Value::Blob(bytes) => bytes.as_ref().to_sql(ty, out),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

fn encode_bool(yes: bool, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Failure> {
    match *ty {
        Type::BOOL => yes.to_sql(ty, out),
        _ => encode_int(yes.into(), ty, out),
    }
}

fn encode_int(n: i64, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Failure> {
    match *ty {
        Type::INT8 => n.to_sql(ty, out),
        Type::INT4 => i32::try_from(n)?.to_sql(ty, out),
        Type::INT2 => i16::try_from(n)?.to_sql(ty, out),
        Type::BOOL if n == 0 || n == 1 => (n == 1).to_sql(ty, out),
        _ => Err(format!("an integer does not fit a parameter of type {ty}").into()),
    }
}

impl<'a> FromSql<'a> for Value {
    fn from_sql(ty: &Type, raw: &'a [u8]) -> Result<Value, Failure> {
        match *ty {
            Type::BOOL => bool::from_sql(ty, raw).map(Value::Bool),
            Type::INT8 => i64::from_sql(ty, raw).map(Value::Int),
            Type::INT4 => i32::from_sql(ty, raw).map(|n| Value::Int(n.into())),
            Type::INT2 => i16::from_sql(ty, raw).map(|n| Value::Int(n.into())),
            Type::BYTEA => Ok(Value::Blob(Bytes::copy_from_slice(raw))),
            _ if <&str as FromSql>::accepts(ty) => {
                <&str>::from_sql(ty, raw).map(|text| Value::Text(text.into()))
            }
            _ => Err(format!("columns of type {ty} are not read; add a CAST").into()),
        }
    }

    fn from_sql_null(_: &Type) -> Result<Value, Failure> {
        Ok(Value::Null)
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

/// All columns of an answered row.
pub(super) fn row(row: &tokio_postgres::Row) -> Result<Row, tokio_postgres::Error> {
    (0..row.len()).map(|i| row.try_get::<_, Value>(i)).collect::<Result<_, _>>().map(Row)
}
