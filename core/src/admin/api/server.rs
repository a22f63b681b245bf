//! `/server`: what this node is and how it is.

use std::collections::BTreeMap;
use std::time::Duration;

use arc_swap::ArcSwap;
use hyper::Method;
use serde_json::json;

use super::{Answer, Call, Problem, Route};
use crate::storage::{Db, Dialect};

pub const ROUTES: &[Route] = &[Route::new(Method::GET, "/server", |call| Box::pin(get(call)))];

/// What does not change, or rarely, while the server runs.
pub struct About {
    pub domain: String,
    /// On the monotonic clock.
    pub started: Duration,
    /// The open ports, by the names of `ports.json`.
    pub ports: ArcSwap<BTreeMap<String, u16>>,
}

async fn get(call: Call) -> Result<Answer, Problem> {
    let api = &call.api;
    let readiness = api.health.get();
    Answer::ok(json!({
        "name": "Hearth",
        "version": env!("CARGO_PKG_VERSION"),
        "domain": api.about.domain,
        "node": api.clock.node(),
        "uptime_seconds": api.clock.boot().saturating_sub(api.about.started).as_secs(),
        "state": readiness.state(),
        "reason": readiness.reason(),
        "database": database(&api.db),
        "ports": **api.about.ports.load(),
    }))
}

fn database(db: &Db) -> &'static str {
    match db.dialect() {
        Dialect::Sqlite => "sqlite",
        Dialect::Postgres => "postgres",
    }
}
