//! The first page: how the server is.

use askama::Template;
use hyper::Method;
use serde::Deserialize;

use super::visit::show;
use super::{Frame, Refusal, Route, Visit};
use crate::http::Response;

pub const ROUTES: &[Route] = &[Route::new(Method::GET, "/", |visit| Box::pin(dashboard(visit)))];

#[derive(Deserialize)]
struct Server {
    version: String,
    domain: String,
    database: String,
}

#[derive(Template)]
#[template(path = "dashboard.html")]
struct Dashboard {
    page: Frame,
    server: Server,
}

async fn dashboard(visit: Visit) -> Result<Response, Refusal> {
    let server = visit.read(&["server"], &[]).await?;
    show(Dashboard { page: visit.frame("dashboard"), server })
}
