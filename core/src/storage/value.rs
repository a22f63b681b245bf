//! Parameters and columns, the same for both databases.

use bytes::Bytes;
use compact_str::CompactString;

use super::StorageError;
use crate::clock::{StanzaId, Timestamp};
use crate::host::{AccountId, HostId};

/// One parameter or column. Times are milliseconds since 1970 (`BIGINT`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    Null,
    Bool(bool),
    Int(i64),
    Text(CompactString),
    Blob(Bytes),
}

impl Value {
    /// Octets that the value holds outside of itself, for bounds in bytes.
    pub fn weight(&self) -> usize {
        match self {
            Value::Text(text) => text.len(),
            Value::Blob(bytes) => bytes.len(),
            Value::Null | Value::Bool(_) | Value::Int(_) => 0,
        }
    }
}

/// The parameters of a statement: `params![host, name, now]` is a `&[Value]`.
#[macro_export]
macro_rules! params {
    () => { &[] as &[$crate::storage::Value] };
    ($($value:expr),+ $(,)?) => { &[$($crate::storage::Value::from($value)),+] };
}
pub use crate::params;

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
    u16, value => Value::Int(value.into());
    u8, value => Value::Int(value.into());
    &str, value => Value::Text(value.into());
    String, value => Value::Text(value.into());
    &String, value => Value::Text(value.as_str().into());
    CompactString, value => Value::Text(value);
    &CompactString, value => Value::Text(value.clone());
    Bytes, value => Value::Blob(value);
    &Bytes, value => Value::Blob(value.clone());
    Vec<u8>, value => Value::Blob(value.into());
    &[u8], value => Value::Blob(Bytes::copy_from_slice(value));
    Timestamp, value => Value::Int(value.0);
    HostId, value => Value::Int(value.0.into());
    AccountId, value => Value::Int(value.0);
    StanzaId, value => Value::Blob(Bytes::copy_from_slice(&value.to_bytes()));
}

impl<const N: usize> From<[u8; N]> for Value {
    fn from(value: [u8; N]) -> Value {
        Value::Blob(Bytes::copy_from_slice(&value))
    }
}

impl<const N: usize> From<&[u8; N]> for Value {
    fn from(value: &[u8; N]) -> Value {
        Value::Blob(Bytes::copy_from_slice(value))
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Value {
        value.map_or(Value::Null, Into::into)
    }
}

/// A type that a column can be read as.
pub trait FromValue: Sized {
    /// What the error names.
    const EXPECTED: &'static str;

    /// `None` when the column holds something else.
    fn from_value(value: &Value) -> Option<Self>;
}

macro_rules! from_value {
    ($($type:ty, $expected:literal, $pattern:pat => $into:expr;)*) => {$(
        impl FromValue for $type {
            const EXPECTED: &'static str = $expected;

            fn from_value(value: &Value) -> Option<Self> {
                match value {
                    $pattern => $into,
                    _ => None,
                }
            }
        }
    )*};
}

from_value! {
    i64, "an integer", Value::Int(n) => Some(*n);
    i32, "an integer of 32 bits", Value::Int(n) => (*n).try_into().ok();
    u64, "an integer that is not negative", Value::Int(n) => (*n).try_into().ok();
    u32, "an integer of 32 bits", Value::Int(n) => (*n).try_into().ok();
    u16, "an integer of 16 bits", Value::Int(n) => (*n).try_into().ok();
    u8, "an integer of 8 bits", Value::Int(n) => (*n).try_into().ok();
    String, "a text", Value::Text(text) => Some(text.to_string());
    CompactString, "a text", Value::Text(text) => Some(text.clone());
    Bytes, "octets", Value::Blob(bytes) => Some(bytes.clone());
    Vec<u8>, "octets", Value::Blob(bytes) => Some(bytes.to_vec());
    Timestamp, "a time", Value::Int(n) => Some(Timestamp(*n));
    HostId, "a host", Value::Int(n) => (*n).try_into().ok().map(HostId);
    AccountId, "an account", Value::Int(n) => Some(AccountId(*n));
    StanzaId, "an id of 16 octets",
        Value::Blob(bytes) => bytes.as_ref().try_into().ok().map(StanzaId::from_bytes);
}

impl FromValue for bool {
    const EXPECTED: &'static str = "a boolean";

    fn from_value(value: &Value) -> Option<bool> {
        match value {
            Value::Bool(yes) => Some(*yes),
            // SQLite keeps booleans as integers.
            Value::Int(n @ (0 | 1)) => Some(*n == 1),
            _ => None,
        }
    }
}

impl<const N: usize> FromValue for [u8; N] {
    const EXPECTED: &'static str = "octets of a fixed number";

    fn from_value(value: &Value) -> Option<[u8; N]> {
        match value {
            Value::Blob(bytes) => bytes.as_ref().try_into().ok(),
            _ => None,
        }
    }
}

impl FromValue for Value {
    const EXPECTED: &'static str = "anything";

    fn from_value(value: &Value) -> Option<Value> {
        Some(value.clone())
    }
}

impl<T: FromValue> FromValue for Option<T> {
    const EXPECTED: &'static str = T::EXPECTED;

    fn from_value(value: &Value) -> Option<Option<T>> {
        match value {
            Value::Null => Some(None),
            other => T::from_value(other).map(Some),
        }
    }
}

/// One row of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row(pub(super) Box<[Value]>);

impl Row {
    /// Column `index`, from 0. A column of another type is a bug of the query.
    pub fn get<T: FromValue>(&self, index: usize) -> Result<T, StorageError> {
        let column = self.0.get(index).and_then(T::from_value);
        column.ok_or(StorageError::Column { index, expected: T::EXPECTED })
    }

    /// All columns.
    pub fn values(&self) -> &[Value] {
        &self.0
    }
}
