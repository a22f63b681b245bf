//! The lines of an export.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use crate::storage::Value;

/// What the first line says of the format.
pub const FORMAT: &str = "hearth-export-1";

/// The first line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    pub format: String,
    pub schema: i64,
    pub min_reader: i64,
}

/// The line before the rows of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    pub table: String,
    pub columns: Vec<String>,
    /// The last number given by its `id` column, if that counts by itself: never given again.
    pub last_id: Option<i64>,
}

/// The last line: without it the file is cut short.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    pub rows: u64,
}

/// One column of a row.
pub(super) fn to_json(value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Bool(yes) => Json::Bool(*yes),
        Value::Int(n) => json!(n),
        Value::Text(text) => json!(text.as_str()),
        Value::Blob(bytes) => json!({ "base64": STANDARD.encode(bytes) }),
    }
}

/// The inverse of [`to_json`].
pub(super) fn from_json(json: &Json) -> Option<Value> {
    match json {
        Json::Null => Some(Value::Null),
        Json::Bool(yes) => Some(Value::Bool(*yes)),
        Json::Number(n) => n.as_i64().map(Value::Int),
        Json::String(text) => Some(Value::Text(text.as_str().into())),
        Json::Object(object) => {
            let octets = STANDARD.decode(object.get("base64")?.as_str()?).ok()?;
            Some(Value::Blob(octets.into()))
        }
        Json::Array(_) => None,
    }
}
