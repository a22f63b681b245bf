//! The trial plugin's table.

use hearth_plugin_api::sql::Statement;
use hearth_plugin_api::{Error, Host, Migration, Result, json};

pub fn migrations() -> Vec<Migration> {
    let notes = "CREATE TABLE {note} (name TEXT PRIMARY KEY, said BIGINT NOT NULL);";
    vec![Migration::new(1, "notes", notes)]
}

/// Counts how often a name was said.
pub async fn count(host: &Host, name: &str) -> Result<json::Value> {
    let add = "INSERT INTO {note} (name, said) VALUES ($1, 1)
               ON CONFLICT (name) DO UPDATE SET said = {note}.said + 1";
    host.sql().execute(Statement::new(add).bind(name)).await?;
    let read = Statement::new("SELECT said FROM {note} WHERE name = $1").bind(name);
    let rows = host.sql().query(read).await?;
    let row = rows.first().ok_or_else(|| Error::not_found("it is gone"))?;
    Ok(json::json!(row.int(0)?))
}
