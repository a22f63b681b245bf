//! `/sources`: who knows passwords, users and groups beside this server's own accounts.

use hyper::Method;
use serde::Serialize;

use super::{Answer, Call, Problem, Route};
use crate::auth::providers::Shown;

pub const ROUTES: &[Route] = &[Route::new(Method::GET, "/sources", |call| Box::pin(list(call)))];

#[derive(Serialize)]
struct Source {
    name: String,
    plugin: String,
    kind: &'static str,
    priority: i32,
    answered: u64,
    failed: u64,
    last_failure: Option<String>,
}

impl From<Shown> for Source {
    fn from(shown: Shown) -> Source {
        Source {
            name: shown.title.name,
            plugin: shown.title.plugin,
            kind: shown.kind,
            priority: shown.title.priority,
            answered: shown.answered,
            failed: shown.failed,
            last_failure: shown.last_failure,
        }
    }
}

async fn list(call: Call) -> Result<Answer, Problem> {
    let sources = call.api.accounts.providers().list();
    let sources: Vec<Source> = sources.into_iter().map(Source::from).collect();
    Answer::ok(serde_json::json!({ "items": sources }))
}
