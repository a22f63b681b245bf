//! The audit log: who did what to whom, when and on which node.

use askama::Template;
use hyper::Method;
use serde::Deserialize;

use super::form::{Fields, Form};
use super::list::{self, List};
use super::visit::{show, show_refused};
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
    form: Form,
    /// `None`: what was asked for was refused.
    list: Option<List<Act>>,
}

async fn list(visit: Visit) -> Result<Response, Refusal> {
    let form = Form::sent(&visit.query);
    let moment = |(name, value): (String, String)| match &*name {
        "from" | "to" => (name, super::form::moment(&value)),
        _ => (name, value),
    };
    let query = Fields::new(visit.query.pairs().map(moment).collect());
    let visit = Visit { query, ..visit };
    if list::wants_csv(&visit) {
        return list::csv(&visit, &["audit"], FILTERS).await;
    }
    let page = visit.frame("audit");
    match List::read(&visit, &["audit"], FILTERS).await {
        Ok(list) => show(Audit { page, form, list: Some(list) }),
        Err(problem) if problem.field().is_some_and(|field| FILTERS.contains(&field)) => {
            show_refused(Audit { page, form: form.refuse_by(&problem), list: None })
        }
        Err(problem) => Err(problem.into()),
    }
}
