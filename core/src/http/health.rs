//! `/healthz` (the process lives) and `/readyz` (this node serves its domain), for load balancers.

use std::sync::Arc;

use hyper::StatusCode;
use tokio::sync::watch;
use warp::{Filter, Reply};

use super::{Allowance, Response, Routes};

/// Whether this node serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// The set-up wizard waits; the text says where.
    SettingUp(String),
    Starting,
    Serving,
    /// Clients are moved to other nodes, and none is taken.
    Draining,
    /// The console is up, nothing else is; the text says why and what helps.
    Standby(String),
    Stopping,
}

impl Readiness {
    /// One word for machines.
    pub fn state(&self) -> &'static str {
        match self {
            Readiness::SettingUp(_) => "setting up",
            Readiness::Starting => "starting",
            Readiness::Serving => "serving",
            Readiness::Draining => "draining",
            Readiness::Standby(_) => "standby",
            Readiness::Stopping => "stopping",
        }
    }

    /// What keeps the node from serving, for people.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Readiness::SettingUp(reason) | Readiness::Standby(reason) => Some(reason),
            Readiness::Draining => Some("its clients are asked to connect to the other nodes"),
            Readiness::Starting | Readiness::Serving | Readiness::Stopping => None,
        }
    }
}

/// The state that the server sets and everybody may ask for.
#[derive(Debug)]
pub struct Health(watch::Sender<Readiness>);

impl Health {
    pub fn starting() -> Arc<Health> {
        Arc::new(Health(watch::Sender::new(Readiness::Starting)))
    }

    pub fn set(&self, readiness: Readiness) {
        let old = self.0.send_replace(readiness.clone());
        if old != readiness {
            let reason = readiness.reason().unwrap_or_default();
            tracing::info!(state = readiness.state(), reason, "the server's state has changed");
        }
    }

    pub fn get(&self) -> Readiness {
        self.0.borrow().clone()
    }

    /// To wait for changes.
    pub fn watch(&self) -> watch::Receiver<Readiness> {
        self.0.subscribe()
    }
}

/// The paths that are served to everybody, on every console port.
pub(super) const PATHS: [&str; 2] = ["/healthz", "/readyz"];

/// Mounts both paths.
pub fn mount(routes: &Routes, health: Arc<Health>) {
    let asked = || warp::get().or(warp::head()).unify().and(warp::path::param::<String>());
    let end = warp::path::end();
    routes.mount(PATHS[0], Allowance::body(0), asked().and(end).map(|_| "ok\n").boxed());
    routes.mount(
        PATHS[1],
        Allowance::body(0),
        asked().and(end).map(move |_| ready(&health.get())).boxed(),
    );
}

fn ready(readiness: &Readiness) -> Response {
    let status = match readiness {
        Readiness::Serving => StatusCode::OK,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    };
    let reason = readiness.reason().map(|reason| format!(": {reason}")).unwrap_or_default();
    let text = format!("{}{reason}\n", readiness.state());
    warp::reply::with_status(text, status).into_response()
}
