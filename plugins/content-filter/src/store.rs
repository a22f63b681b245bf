//! The table of patterns and how often each has matched.

use hearth_plugin_api::sql::{Row, Statement};
use hearth_plugin_api::{Error, Host, Migration, Result};

use crate::pattern::{Action, Direction, Part, Pattern};

const PATTERN: &str = "CREATE TABLE {pattern} (
    id BIGSERIAL PRIMARY KEY,
    text TEXT NOT NULL,
    is_regex BOOLEAN NOT NULL,
    action TEXT NOT NULL,
    notify BOOLEAN NOT NULL,
    reply TEXT NOT NULL,
    part TEXT NOT NULL,
    direction TEXT NOT NULL,
    excluded TEXT NOT NULL,
    enabled BOOLEAN NOT NULL,
    hits BIGINT NOT NULL,
    last_ms BIGINT
);";

const COLUMNS: &str =
    "id, text, is_regex, action, notify, reply, part, direction, excluded, enabled, hits, last_ms";

pub fn migrations() -> Vec<Migration> {
    vec![Migration::new(1, "pattern", PATTERN)]
}

/// A pattern with its figures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    pub pattern: Pattern,
    pub hits: i64,
    /// Milliseconds since 1970.
    pub last_ms: Option<i64>,
}

fn kept(row: &Row) -> Result<Kept> {
    let pattern = Pattern {
        id: row.int(0)?,
        text: row.text(1)?.to_owned(),
        is_regex: row.bool(2)?,
        action: Action::from_word(row.text(3)?)?,
        notify: row.bool(4)?,
        reply: row.text(5)?.to_owned(),
        part: Part::from_word(row.text(6)?)?,
        direction: Direction::from_word(row.text(7)?)?,
        excluded: row.text(8)?.to_owned(),
        enabled: row.bool(9)?,
    };
    let last_ms = (!row.is_null(11)).then(|| row.int(11)).transpose()?;
    Ok(Kept { pattern, hits: row.int(10)?, last_ms })
}

/// All patterns in the order in which they were made.
pub async fn all(host: &Host) -> Result<Vec<Kept>> {
    let query = Statement::new(&format!("SELECT {COLUMNS} FROM {{pattern}} ORDER BY id"));
    host.sql().query(query).await?.rows.iter().map(kept).collect()
}

/// Keeps a new pattern, or changes the one with its id. Gives the id; `NotFound` when there is no such one.
pub async fn save(host: &Host, pattern: &Pattern) -> Result<i64> {
    let statement = match pattern.id {
        0 => Statement::new(
            "INSERT INTO {pattern} (text, is_regex, action, notify, reply, part, direction, \
             excluded, enabled, hits) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 0) RETURNING id",
        ),
        _ => Statement::new(
            "UPDATE {pattern} SET text = $1, is_regex = $2, action = $3, notify = $4, reply = $5, \
             part = $6, direction = $7, excluded = $8, enabled = $9 WHERE id = $10 RETURNING id",
        ),
    };
    let bound = statement
        .bind(&pattern.text)
        .bind(pattern.is_regex)
        .bind(pattern.action.word())
        .bind(pattern.notify)
        .bind(&pattern.reply)
        .bind(pattern.part.word())
        .bind(pattern.direction.word())
        .bind(&pattern.excluded)
        .bind(pattern.enabled);
    let bound = if pattern.id == 0 { bound } else { bound.bind(pattern.id) };
    let rows = host.sql().execute(bound).await?;
    let row = rows.first().ok_or_else(|| Error::not_found("there is no such pattern"))?;
    row.int(0)
}

/// Deletes a pattern. `NotFound` when there is no such one.
pub async fn delete(host: &Host, id: i64) -> Result<()> {
    let delete = Statement::new("DELETE FROM {pattern} WHERE id = $1").bind(id);
    match host.sql().execute(delete).await?.affected {
        0 => Err(Error::not_found("there is no such pattern")),
        _ => Ok(()),
    }
}

/// Adds matches, by the pattern's id.
pub async fn count(host: &Host, counts: &[(i64, u64)], now_ms: i64) -> Result<()> {
    let add = "UPDATE {pattern} SET hits = hits + $1, last_ms = $2 WHERE id = $3";
    let statements = counts.iter().map(|(id, hits)| {
        Statement::new(add).bind(i64::try_from(*hits).unwrap_or(i64::MAX)).bind(now_ms).bind(*id)
    });
    host.sql().transaction(statements.collect()).await?;
    Ok(())
}
