//! The table of broadcasts: what was sent, how far it has come.

use hearth_plugin_api::sql::{Expect, Row, Statement};
use hearth_plugin_api::{Error, ErrorKind, Host, Migration, Result};

use crate::audience::Audience;

const BROADCAST: &str = "CREATE TABLE {broadcast} (
    id BIGSERIAL PRIMARY KEY,
    created_ms BIGINT NOT NULL,
    actor TEXT NOT NULL,
    audience TEXT NOT NULL,
    headline BOOLEAN NOT NULL,
    subject TEXT NOT NULL,
    body TEXT NOT NULL,
    state TEXT NOT NULL,
    reason TEXT NOT NULL,
    total BIGINT NOT NULL,
    sent BIGINT NOT NULL,
    failed BIGINT NOT NULL,
    place TEXT NOT NULL,
    node BIGINT NOT NULL,
    held_until_ms BIGINT NOT NULL,
    ended_ms BIGINT
);
CREATE INDEX {broadcast_running} ON {broadcast} (state, id);";

const COLUMNS: &str = "id, created_ms, actor, audience, headline, subject, body, state, reason, \
                       total, sent, failed, place, ended_ms";

/// How long a node has a broadcast to itself after each batch, milliseconds of the database's clock.
const HELD_MS: i64 = 10_000;

pub fn migrations() -> Vec<Migration> {
    vec![Migration::new(1, "broadcast", BROADCAST)]
}

/// What somebody wants to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// An administrator's name, or an address.
    pub actor: String,
    pub audience: Audience,
    /// Not kept for those who are away.
    pub headline: bool,
    /// May be empty.
    pub subject: String,
    pub body: String,
}

/// A broadcast and how far it has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sending {
    pub id: i64,
    pub created_ms: i64,
    pub draft: Draft,
    /// `running`, `done`, `stopped` or `failed`.
    pub state: String,
    /// Why it failed.
    pub reason: String,
    pub total: i64,
    pub sent: i64,
    pub failed: i64,
    /// Where to go on: see [`crate::audience::Batch`].
    pub place: String,
    pub ended_ms: Option<i64>,
}

fn sending(row: &Row) -> Result<Sending> {
    let text = |column| row.text(column).map(str::to_owned);
    let draft = Draft {
        actor: text(2)?,
        audience: Audience::parse(row.text(3)?)?,
        headline: row.bool(4)?,
        subject: text(5)?,
        body: text(6)?,
    };
    Ok(Sending {
        id: row.int(0)?,
        created_ms: row.int(1)?,
        draft,
        state: text(7)?,
        reason: text(8)?,
        total: row.int(9)?,
        sent: row.int(10)?,
        failed: row.int(11)?,
        place: text(12)?,
        ended_ms: (!row.is_null(13)).then(|| row.int(13)).transpose()?,
    })
}

/// Keeps a draft as running. Gives its id.
pub async fn begin(host: &Host, draft: &Draft, total: i64) -> Result<i64> {
    let insert = Statement::new(
        "INSERT INTO {broadcast} (created_ms, actor, audience, headline, subject, body, state, \
         reason, total, sent, failed, place, node, held_until_ms) \
         VALUES ($1, $2, $3, $4, $5, $6, 'running', '', $7, 0, 0, '', 0, 0) RETURNING id",
    );
    let insert = insert
        .bind(host.now_ms())
        .bind(&draft.actor)
        .bind(draft.audience.to_string())
        .bind(draft.headline)
        .bind(&draft.subject)
        .bind(&draft.body)
        .bind(total);
    let rows = host.sql().execute(insert.expect(Expect::Exactly(1))).await?;
    rows.first().map_or_else(|| Err(Error::from("no id")), |row| row.int(0))
}

/// How many are not at their end.
pub async fn waiting(host: &Host) -> Result<i64> {
    let count = Statement::new("SELECT COUNT(*) FROM {broadcast} WHERE state = 'running'");
    host.sql().query(count).await?.first().map_or(Ok(0), |row| row.int(0))
}

/// The oldest one that is running, if this node may send it: another one that has sent lately goes
/// on with it.
pub async fn take(host: &Host) -> Result<Option<Sending>> {
    let take = Statement::new(&format!(
        "UPDATE {{broadcast}} SET node = $1, held_until_ms = {{:now}} + $2 \
         WHERE id = (SELECT MIN(id) FROM {{broadcast}} WHERE state = 'running') \
         AND (node = $1 OR held_until_ms < {{:now}}) RETURNING {COLUMNS}"
    ));
    let rows = host.sql().execute(take.bind(host.info().node).bind(HELD_MS)).await?;
    rows.first().map(sending).transpose()
}

/// Notes what was sent of a broadcast that this node has taken, and its end if it has come. False when
/// somebody has stopped it, or another node has taken it.
pub async fn advance(host: &Host, sending: &Sending, state: &str, reason: &str) -> Result<bool> {
    let ended = (state != "running").then(|| host.now_ms());
    let advance = Statement::new(
        "UPDATE {broadcast} SET sent = $1, failed = $2, place = $3, state = $4, reason = $5, \
         ended_ms = $6 WHERE id = $7 AND node = $8 AND state = 'running'",
    );
    let advance = advance
        .bind(sending.sent)
        .bind(sending.failed)
        .bind(&sending.place)
        .bind(state)
        .bind(reason)
        .bind(ended)
        .bind(sending.id)
        .bind(host.info().node);
    Ok(host.sql().execute(advance).await?.affected == 1)
}

/// Ends a broadcast before its time. `Conflict` when it is at its end already.
pub async fn stop(host: &Host, id: i64) -> Result<()> {
    let stop = Statement::new(
        "UPDATE {broadcast} SET state = 'stopped', ended_ms = $1 WHERE id = $2 AND state = 'running'",
    );
    match host.sql().execute(stop.bind(host.now_ms()).bind(id)).await?.affected {
        1 => Ok(()),
        _ => Err(Error::new(ErrorKind::Conflict, format!("broadcast {id} is not running"))),
    }
}

/// At most `limit` broadcasts before an id, the newest first.
pub async fn before(host: &Host, id: i64, limit: u32) -> Result<Vec<Sending>> {
    let query = Statement::new(&format!(
        "SELECT {COLUMNS} FROM {{broadcast}} WHERE id < $1 ORDER BY id DESC LIMIT $2"
    ));
    host.sql().query(query.bind(id).bind(limit)).await?.rows.iter().map(sending).collect()
}

/// One broadcast.
pub async fn find(host: &Host, id: i64) -> Result<Option<Sending>> {
    let query = Statement::new(&format!("SELECT {COLUMNS} FROM {{broadcast}} WHERE id = $1"));
    host.sql().query(query.bind(id)).await?.first().map(sending).transpose()
}
