//! `/server`: what this node is and how it is.

use std::collections::BTreeMap;
use std::time::Duration;

use arc_swap::ArcSwap;
use hyper::Method;
use serde_json::{Value, json};

use super::certificates::warnings;
use super::{Answer, Api, Call, Problem, Route};
use crate::storage::{Db, Dialect};
use crate::stream::STARTTLS;
use crate::telemetry::process::{self, Usage};

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
    let usage = match call.flag("process")? {
        Some(true) => Some(usage(&call).await),
        Some(false) | None => None,
    };
    let machine = process::machine();
    Answer::ok(json!({
        "name": "Hearth",
        "version": env!("CARGO_PKG_VERSION"),
        "domain": api.about.domain,
        "node": api.clock.node(),
        "uptime_seconds": api.clock.boot().saturating_sub(api.about.started).as_secs(),
        "sessions": api.router.registry.local_count(),
        "state": readiness.state(),
        "reason": readiness.reason(),
        "lease": lease(api),
        "database": database(&api.db),
        "ports": **api.about.ports.load(),
        "listeners": listeners(api),
        "process": usage,
        "machine": machine,
        "build": { "rust": env!("HEARTH_RUSTC"), "profile": PROFILE },
        "certificate_warnings": call.running().ok().map(|running| {
            let (chain, domain) = (running.certificates.describe(), &api.about.domain);
            warnings(&running.certificates, &chain, domain, api.clock.now())
        }),
    }))
}

/// Who serves, as the database says.
fn lease(api: &Api) -> Option<Value> {
    let told = api.running.as_ref()?.lease.borrow().clone();
    Some(json!({ "mode": told.mode, "holder": told.holder, "epoch": told.epoch }))
}

/// Adding up the memory takes a while for a large process.
async fn usage(call: &Call) -> Usage {
    match &call.api.running {
        Some(running) => {
            running.tracker.blocking("usage", process::usage).await.unwrap_or_default()
        }
        None => process::usage(),
    }
}

const PROFILE: &str = if cfg!(debug_assertions) { "debug" } else { "release" };

/// The open ports, and how TLS comes to each.
fn listeners(api: &Api) -> Vec<Value> {
    let starttls = api.properties.entry(STARTTLS.name).map(|entry| entry.value);
    let tls = |name: &str| match name {
        "c2s" => match starttls.as_deref() {
            Ok("disabled") => "none",
            Ok("optional") => "optional",
            _ => "starttls",
        },
        "http" => "none",
        // From elsewhere it leads to the encrypted port.
        "console" => "local",
        _ => "direct",
    };
    let ports = api.about.ports.load();
    let listener =
        |(name, port): (&String, &u16)| json!({ "name": name, "port": port, "tls": tls(name) });
    ports.iter().map(listener).collect()
}

pub(super) fn database(db: &Db) -> &'static str {
    match db.dialect() {
        Dialect::Sqlite => "sqlite",
        Dialect::Postgres => "postgres",
    }
}
