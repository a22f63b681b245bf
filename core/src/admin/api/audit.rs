//! `/audit`: administrative acts, the newest first.

use serde_json::json;

use super::{Answer, Call, Page, Problem, Route};
use crate::admin::store;
use crate::clock::StanzaId;

pub const ROUTES: &[Route] = &[Route::list("/audit", COLUMNS, |call| Box::pin(list(call)))];

const COLUMNS: &[&str] = &["id", "at", "node", "actor", "action", "target"];

async fn list(call: Call) -> Result<Answer, Problem> {
    let page = call.page()?;
    let Page { after, limit } = page.clone();
    let before = match after {
        None => StanzaId::from_bytes([0xff; 16]),
        Some(id) => id.parse().map_err(|_| Problem::invalid("after is the id of an act"))?,
    };
    let look = call
        .api
        .db
        .read(move |tx| Box::pin(async move { store::audit(tx, before, limit + 1).await }));
    Answer::page(
        &page,
        look.await?
            .into_iter()
            .map(|row| {
                json!({
                    "id": row.id.to_string(),
                    "at": row.at.to_string(),
                    "node": row.node,
                    "actor": row.actor,
                    "action": row.action,
                    "target": row.target,
                })
            })
            .collect(),
        |act| act["id"].as_str().unwrap_or_default().to_owned(),
    )
}
