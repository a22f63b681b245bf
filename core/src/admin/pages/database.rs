//! The database: what it is, how busy it is, and its backups.

use askama::Template;
use hyper::Method;
use serde::Deserialize;
use serde_json::json;

use super::text::Catalogue;
use super::visit::show;
use super::{Frame, Refusal, Route, Visit, list};
use crate::admin::api::Problem;
use crate::http::Response;

const PATH: &str = "/server/database";

pub const ROUTES: &[Route] = &[
    Route::new(Method::GET, PATH, |visit| Box::pin(shown(visit))),
    Route::new(Method::POST, "/server/database/backup", |visit| Box::pin(begin(visit))),
    Route::new(Method::POST, "/server/database/backups/{name}/delete", |visit| {
        Box::pin(delete(visit))
    }),
];

#[derive(Deserialize)]
struct Database {
    kind: String,
    version: String,
    place: String,
    bytes: u64,
    schema: i64,
    min_reader: i64,
    migrations: Vec<Migration>,
    figures: Figures,
    pool: Pool,
    state: String,
    reason: Option<String>,
    lease: Option<Lease>,
}

#[derive(Deserialize)]
struct Migration {
    feature: String,
    number: i64,
    name: String,
    at: String,
}

#[derive(Deserialize)]
struct Figures {
    reads: u64,
    writes: u64,
    commits: u64,
    read_milliseconds: Option<f64>,
    write_milliseconds: Option<f64>,
    longest_milliseconds: f64,
    appends: u64,
    append_commits: u64,
    slow: u64,
    slow_statements: Vec<Slow>,
}

impl Figures {
    /// How many messages share a commit.
    fn group(&self, language: &Catalogue) -> String {
        match self.append_commits {
            0 => "–".to_owned(),
            commits => language.measure(self.appends as f64 / commits as f64, 1),
        }
    }
}

#[derive(Deserialize)]
struct Slow {
    statement: String,
    milliseconds: u64,
    seconds_ago: u64,
}

#[derive(Deserialize)]
struct Pool {
    size: u64,
    busy: u64,
    waiting: u64,
    appending_bytes: u64,
}

#[derive(Deserialize)]
struct Lease {
    mode: String,
    node: u32,
}

#[derive(Deserialize)]
struct Backups {
    items: Vec<Backup>,
    work: Option<Work>,
}

#[derive(Deserialize)]
struct Backup {
    name: String,
    bytes: u64,
    made: String,
}

#[derive(Deserialize)]
struct Work {
    name: String,
    state: String,
    done: u64,
    of: Option<u64>,
    error: Option<String>,
}

#[derive(Template)]
#[template(path = "database.html")]
struct Page {
    page: Frame,
    database: Database,
    backups: Backups,
}

impl Page {
    /// It was made, and nobody has deleted it.
    fn is_there(&self, work: &Work) -> bool {
        work.state == "done" && self.backups.items.iter().any(|file| file.name == work.name)
    }

    fn mean(&self, milliseconds: &Option<f64>) -> String {
        let shown = |mean| format!("{} ms", self.page.figures().measure(mean, 2));
        milliseconds.map_or("–".to_owned(), shown)
    }

    fn is_busy(&self) -> bool {
        self.backups.work.as_ref().is_some_and(|work| work.state == "running")
    }
}

async fn shown(visit: Visit) -> Result<Response, Refusal> {
    if list::wants_csv(&visit) {
        return table(&visit).await;
    }
    let database = visit.read(&["database"], &[]).await?;
    let backups = visit.read(&["backups"], &[]).await?;
    show(Page { page: visit.frame("database"), database, backups })
}

/// One of the page's tables as a file; the backups when none is named.
async fn table(visit: &Visit) -> Result<Response, Refusal> {
    let (at, columns): (_, &[&str]) = match visit.query.get("table") {
        "migrations" => ("/migrations", &["feature", "number", "name", "at"]),
        "slow_statements" => {
            ("/figures/slow_statements", &["milliseconds", "seconds_ago", "statement"])
        }
        _ => return list::csv(visit, &["backups"], &[]).await,
    };
    list::csv_within(visit, &["database"], at, columns).await
}

async fn begin(visit: Visit) -> Result<Response, Refusal> {
    let body = json!({ "format": visit.form.get("format") });
    let _: Work = visit.change(Method::POST, &["backups"], body).await?;
    visit.done(PATH, visit.t("database.begun"))
}

async fn delete(visit: Visit) -> Result<Response, Refusal> {
    match visit.change(Method::DELETE, &["backups", visit.param(0)], ()).await {
        Ok(()) | Err(Problem::NotFound(_)) => visit.done(PATH, visit.t("database.deleted")),
        Err(problem) => Err(problem.into()),
    }
}
