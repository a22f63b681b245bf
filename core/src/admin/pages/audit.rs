//! The audit log: who did what to whom, when and on which node.

use askama::Template;
use hyper::Method;
use serde::Deserialize;

use super::form::Fields;
use super::list::{self, List};
use super::visit::show;
use super::{Frame, Refusal, Route, Visit};
use crate::http::Response;

pub const ROUTES: &[Route] =
    &[Route::new(Method::GET, "/server/audit", |visit| Box::pin(list(visit)))];

/// As the API takes them.
const FILTERS: &[&str] = &["actor", "action", "target", "from", "to"];

#[derive(Deserialize)]
struct Act {
    at: String,
    node: u32,
    actor: String,
    action: String,
    target: String,
}

#[derive(Template)]
#[template(path = "audit.html")]
struct Audit {
    page: Frame,
    list: List<Act>,
}

impl Audit {
    /// As `datetime-local` takes it.
    fn moment(&self, name: &str) -> &str {
        let text = self.list.value(name);
        text.get(..16).unwrap_or(text)
    }
}

async fn list(visit: Visit) -> Result<Response, Refusal> {
    let moment = |(name, value): (String, String)| match &*name {
        "from" | "to" => (name, super::form::moment(&value)),
        _ => (name, value),
    };
    let query = Fields::new(visit.query.pairs().map(moment).collect());
    let visit = Visit { query, ..visit };
    if list::wants_csv(&visit) {
        return list::csv(&visit, &["audit"], FILTERS).await;
    }
    let list = List::read(&visit, &["audit"], FILTERS).await?;
    show(Audit { page: visit.frame("audit"), list })
}
