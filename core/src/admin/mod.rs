//! Administration over HTTP: the API `/api/v1`, which covers everything that can be done, and the
//! metrics.

pub mod api;
pub mod audit;
pub mod backups;
pub mod figures;
mod gate;
mod lockout;
mod offices;
pub mod pages;
mod route;
mod session;
pub mod setup;

mod store;
#[cfg(test)]
mod tests;
mod token;

use std::path::PathBuf;
use std::sync::Arc;

use hyper::header::{AUTHORIZATION, HeaderMap};
use warp::{Filter, Reply};

pub use api::Api;
pub use gate::Gate;
pub use offices::Administrators;
pub use session::PROPERTIES;
pub use store::TokenRow;
pub use token::{Token, TokenHash};

use crate::config::Home;
use crate::http::{Allowance, Peer, Response, Routes};
use crate::storage::migrate::Migration;
use crate::telemetry::Metrics;

/// Tables of this module.
pub const MIGRATIONS: &[Migration] = &[
    Migration::expand(
        "admin",
        1,
        "tokens and audit log",
        include_str!("migrations/0001_token_audit.sql"),
    ),
    Migration::expand(
        "admin",
        2,
        "audit log by actor, action and target",
        include_str!("migrations/0002_audit_index.sql"),
    ),
];

/// Where the running server leaves a token for the administrator of this machine.
pub fn local_token_file(home: &Home) -> PathBuf {
    home.run().join("admin-token")
}

/// The value of the `Authorization` header, when it is text.
fn authorization(headers: &HeaderMap) -> Option<&str> {
    headers.get(AUTHORIZATION)?.to_str().ok()
}

/// Mounts `/metrics`: for Prometheus on this machine as it is, from elsewhere with a token.
pub fn mount_metrics(routes: &Routes, metrics: Arc<Metrics>, gate: Arc<Gate>) {
    let filter = warp::get()
        .and(warp::path::param::<String>())
        .and(warp::path::end())
        .and(warp::header::headers_cloned())
        .and(warp::ext::get::<Peer>())
        .then(move |_, headers: HeaderMap, peer: Peer| {
            let (metrics, gate) = (metrics.clone(), gate.clone());
            async move { show_metrics(&metrics, &gate, &headers, peer).await }
        });
    routes.mount("/metrics", Allowance::body(0), filter.boxed());
}

async fn show_metrics(metrics: &Metrics, gate: &Gate, headers: &HeaderMap, peer: Peer) -> Response {
    if !peer.is_local()
        && let Err(problem) = gate.authenticate(authorization(headers), peer.address.ip()).await
    {
        return problem.into_response();
    }
    let format = "text/plain; version=0.0.4; charset=utf-8";
    warp::reply::with_header(metrics.render(), "content-type", format).into_response()
}
