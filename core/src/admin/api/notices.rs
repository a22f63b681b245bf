//! `/notices`: what plugins of this node want administrators to read.

use hyper::Method;
use serde_json::{Value, json};

use super::{Answer, Call, Problem, Route};

pub const ROUTES: &[Route] = &[Route::new(Method::GET, "/notices", |call| Box::pin(list(call)))];

/// The most urgent first. They are few, so that there is one page.
async fn list(call: Call) -> Result<Answer, Problem> {
    Answer::ok(json!({ "items": call.api.plugins.notices(), "next": Value::Null }))
}
