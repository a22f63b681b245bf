//! `/server/figures`: how busy this node was in the last minutes.

use hyper::Method;
use serde_json::json;

use super::{Answer, Call, Problem, Route};
use crate::admin::figures::INTERVAL;

pub const ROUTES: &[Route] =
    &[Route::new(Method::GET, "/server/figures", |call| Box::pin(get(call)))];

async fn get(call: Call) -> Result<Answer, Problem> {
    Answer::ok(json!({
        "interval_seconds": INTERVAL.as_secs(),
        "samples": call.api.figures.samples(),
    }))
}
