//! `/database`: what it is, how busy it is, and its backups.

use hyper::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::server::database;
use super::{Answer, Call, Problem, Route};
use crate::admin::backups::{BackupError, Form, Work};
use crate::storage::lease::{self, LeaseRow, Mode};
use crate::storage::{Db, Inspection};

pub const ROUTES: &[Route] = &[
    Route::new(Method::GET, "/database", |call| Box::pin(get(call))),
    Route::list("/backups", COLUMNS, |call| Box::pin(list(call))),
    Route::new(Method::POST, "/backups", |call| Box::pin(begin(call))),
    Route::new(Method::DELETE, "/backups/{name}", |call| Box::pin(delete(call))),
];

const COLUMNS: &[&str] = &["name", "bytes", "made"];

async fn get(call: Call) -> Result<Answer, Problem> {
    let db = &call.api.db;
    let Inspection { version, size, place, schema, min_reader, applied } = db.inspect().await?;
    let lease = db.read(|tx| Box::pin(lease::read(tx))).await?;
    let readiness = call.api.health.get();
    let applied = applied.iter().map(|one| {
        let at = one.at.to_string();
        json!({ "feature": one.feature, "number": one.number, "name": one.name, "at": at })
    });
    Answer::ok(json!({
        "kind": database(db),
        "version": version,
        "place": place,
        "bytes": size,
        "schema": schema,
        "min_reader": min_reader,
        "migrations": applied.collect::<Vec<_>>(),
        "figures": figures(db),
        "pool": pool(db),
        "state": readiness.state(),
        "reason": readiness.reason(),
        "lease": lease.as_ref().map(shown_lease),
    }))
}

/// Mean times are since the start, in milliseconds, waiting included.
fn figures(db: &Db) -> Value {
    let figures = db.figures();
    let mean = |microseconds: u64, count: u64| match count {
        0 => None,
        count => Some(microseconds as f64 / count as f64 / 1000.0),
    };
    let (reads, writes) = (figures.reads.get(), figures.writes.get());
    let slow = figures.slow_statements().into_iter().map(|slow| {
        json!({
            "statement": slow.statement,
            "milliseconds": slow.took.as_millis() as u64,
            "seconds_ago": slow.at.elapsed().as_secs(),
        })
    });
    json!({
        "reads": reads,
        "writes": writes,
        "commits": figures.commits.get(),
        "read_milliseconds": mean(figures.reading.get(), reads),
        "write_milliseconds": mean(figures.writing.get(), writes),
        "longest_milliseconds": figures.longest().as_secs_f64() * 1000.0,
        "appends": figures.appends.get(),
        "append_commits": figures.batches.get(),
        "slow": figures.slow.get(),
        "slow_statements": slow.collect::<Vec<_>>(),
    })
}

fn pool(db: &Db) -> Value {
    let load = db.load();
    json!({
        "size": load.size,
        "busy": load.busy,
        "waiting": load.waiting,
        "appending_bytes": load.appending,
    })
}

fn shown_lease(row: &LeaseRow) -> Value {
    json!({
        "mode": match row.mode {
            Mode::Alone => "alone",
            Mode::Cluster => "cluster",
        },
        "node": row.holder.node,
        "epoch": row.epoch,
        "expires": row.expires.to_string(),
    })
}

async fn list(call: Call) -> Result<Answer, Problem> {
    let backups = &call.running()?.backups;
    // Before the files: what is done by now is among them.
    let work = backups.last().map(|work| shown_work(&work));
    let files = backups.files()?;
    let files = files.iter().map(
        |file| json!({ "name": file.name, "bytes": file.size, "made": file.made.to_string() }),
    );
    Answer::ok(json!({
        "items": files.collect::<Vec<_>>(),
        "next": null,
        "work": work,
    }))
}

fn shown_work(work: &Work) -> Value {
    let (done, of) = work.progress();
    let outcome = work.outcome();
    json!({
        "name": work.name,
        "began": work.began.to_string(),
        "state": match &outcome {
            None => "running",
            Some(Ok(())) => "done",
            Some(Err(_)) => "failed",
        },
        "done": done,
        "of": of,
        "error": outcome.and_then(Result::err).map(|error| error.to_string()),
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Format {
    Snapshot,
    Export,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct New {
    format: Format,
}

async fn begin(call: Call) -> Result<Answer, Problem> {
    let form = match call.json::<New>()?.format {
        Format::Snapshot => Form::Snapshot,
        Format::Export => Form::Export,
    };
    let work = call.running()?.backups.begin(form)?;
    call.note("backup.create", &work.name).await?;
    Ok(Answer { status: StatusCode::ACCEPTED, body: Some(shown_work(&work)) })
}

async fn delete(call: Call) -> Result<Answer, Problem> {
    call.running()?.backups.delete(call.param(0))?;
    call.note("backup.delete", call.param(0)).await?;
    Answer::done()
}

impl From<BackupError> for Problem {
    fn from(error: BackupError) -> Problem {
        let told = error.to_string();
        match error {
            BackupError::Busy => Problem::Conflict(told),
            BackupError::NoFile => Problem::Invalid(told).at("format"),
            BackupError::Unknown(_) => Problem::NotFound(told),
            BackupError::Folder { .. } => {
                tracing::error!(%error, "the backups cannot be reached");
                Problem::Unavailable(told)
            }
        }
    }
}
