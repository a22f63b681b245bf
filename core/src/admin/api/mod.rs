//! `/api/v1`: one file per noun, one table of routes. Route first, then authorise by route, default
//! deny. The command line is its client, over HTTP while the server runs, otherwise in its own
//! process ([`Api::perform`]).

mod administrators;
mod audit;
mod call;
mod certificates;
mod csv;
mod database;
mod figures;
mod groups;
mod http;
mod lockouts;
mod logs;
mod notices;
mod openapi;
mod plugins;
mod problem;
mod properties;
mod roster;
mod server;
mod sessions;
mod sources;
mod tokens;
mod upload;
mod user_properties;
mod users;

use std::sync::Arc;

use bytes::Bytes;
use hyper::Method;
use tokio::sync::watch;

pub use super::route::Access;
pub use call::{Answer, Call, Page};
pub use csv::Export;
pub use http::mount;
pub use lockouts::watch as watch_lockouts;
pub use problem::Problem;
pub use server::About;
pub use upload::{ALLOWANCE as UPLOAD, install as install_upload};

use super::audit as log;
use super::backups::Backups;
use super::figures::Figures;
use super::route::{self, Missing};
use crate::auth::accounts::Accounts;
use crate::clock::Clock;
use crate::http::Health;
use crate::net::tls::Certificates;
use crate::plugin_host::PluginHost;
use crate::properties::Properties;
use crate::router::Router;
use crate::services::removal::Removal;
use crate::shutdown::Tracker;
use crate::storage::lease::Told;
use crate::storage::{BoxFuture, Db, Tx};
use crate::telemetry::LogHandle;

/// What the handlers work on.
pub struct Api {
    pub db: Db,
    pub clock: Clock,
    pub accounts: Arc<Accounts>,
    pub properties: Properties,
    /// Without streams when no server runs.
    pub router: Arc<Router>,
    pub removal: Removal,
    pub plugins: Arc<PluginHost>,
    pub health: Arc<Health>,
    pub about: About,
    /// Empty when no server runs.
    pub figures: Arc<Figures>,
    /// `None` when no server runs.
    pub running: Option<Running>,
}

/// What only a server that runs has.
pub struct Running {
    pub certificates: Arc<Certificates>,
    pub log: LogHandle,
    /// What others are told of the serving lease.
    pub lease: watch::Receiver<Told>,
    pub backups: Backups,
    pub tracker: Tracker,
}

pub type Handler = fn(Call) -> BoxFuture<'static, Result<Answer, Problem>>;
pub type Route = route::Route<Handler>;

/// Every route of the API.
pub fn routes() -> impl Iterator<Item = &'static Route> {
    let people = [
        users::ROUTES,
        lockouts::ROUTES,
        administrators::ROUTES,
        user_properties::ROUTES,
        roster::ROUTES,
        groups::ROUTES,
        sessions::ROUTES,
        sources::ROUTES,
    ];
    let server = [server::ROUTES, properties::ROUTES, tokens::ROUTES, audit::ROUTES];
    let node = [certificates::ROUTES, database::ROUTES, logs::ROUTES, figures::ROUTES];
    let rest = [plugins::ROUTES, notices::ROUTES, openapi::ROUTES];
    let nouns = people.into_iter().chain(server).chain(node).chain(rest);
    nouns.flatten()
}

impl From<Missing> for Problem {
    fn from(missing: Missing) -> Problem {
        match missing {
            Missing::Path => {
                Problem::NotFound("the API has no such path: see /api/v1/openapi.json".to_owned())
            }
            Missing::Method(methods) => Problem::Method(methods),
        }
    }
}

/// What a call asks for, before its route is known.
#[derive(Clone, Debug)]
pub struct Asked {
    pub method: Method,
    /// Decoded segments below `/api/v1`.
    pub segments: Vec<String>,
    pub query: Vec<(String, String)>,
    pub body: Bytes,
}

impl Api {
    /// Performs a call in the name of `actor`, who is an administrator.
    pub async fn perform(self: &Arc<Api>, actor: String, asked: Asked) -> Result<Answer, Problem> {
        let (route, params) = route::find(routes(), &asked.method, &asked.segments)?;
        asked.check(route)?;
        let Asked { query, body, .. } = asked;
        (route.handler)(Call { api: self.clone(), actor, params, query, body }).await
    }
}

impl Asked {
    /// A parameter that is given twice means two things; and a page is one also where a list has
    /// only one.
    fn check(&self, route: &Route) -> Result<(), Problem> {
        let twice = |(at, (name, _)): (usize, &(String, String))| {
            self.query[..at].iter().any(|(other, _)| other == name).then(|| name.clone())
        };
        if let Some(name) = self.query.iter().enumerate().find_map(twice) {
            return Err(Problem::Invalid(format!("{name} is given twice")));
        }
        if !route.columns.is_empty() {
            Page::of(&self.query)?;
        }
        Ok(())
    }
}

impl Call {
    /// What only a running server can do.
    pub fn running(&self) -> Result<&Running, Problem> {
        let stopped =
            || Problem::Unavailable("no server runs here: start it by `hearth run`".to_owned());
        self.api.running.as_ref().ok_or_else(stopped)
    }

    /// Notes in the audit log what was done in a transaction of its own.
    pub async fn note(&self, action: &'static str, target: &str) -> Result<(), Problem> {
        self.change(action, target, |_| Box::pin(async { Ok(()) })).await
    }

    /// Runs `change` and notes it in the audit log, in one transaction.
    pub async fn change<T, F>(
        &self,
        action: &'static str,
        target: &str,
        change: F,
    ) -> Result<T, Problem>
    where
        F: for<'t, 'c> FnOnce(&'t mut Tx<'c>) -> BoxFuture<'t, Result<T, Problem>> + Send + 'static,
        T: Send + 'static,
    {
        let (clock, actor, target) =
            (self.api.clock.clone(), self.actor.clone(), target.to_owned());
        self.api
            .db
            .try_write(move |tx| {
                Box::pin(async move {
                    let done = change(tx).await?;
                    log::note(tx, &clock, &actor, action, &target).await?;
                    Ok(done)
                })
            })
            .await
    }
}
