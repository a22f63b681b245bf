//! `/audit`: administrative acts, the newest first.

use serde_json::json;

use super::{Answer, Call, Page, Problem, Route};
use crate::admin::store::{self, AuditRange};
use crate::clock::StanzaId;

pub const ROUTES: &[Route] = &[Route::list("/audit", COLUMNS, |call| Box::pin(list(call)))];

const COLUMNS: &[&str] = &["id", "at", "node", "actor", "action", "target"];

fn range(call: &Call, page: &Page) -> Result<AuditRange, Problem> {
    let time = |name: &'static str| -> Result<Option<StanzaId>, Problem> {
        let read = |text: &str| text.parse().map(StanzaId::first_at);
        let told = |_| Problem::invalid("write a time as 2030-12-31T18:00:00Z").at(name);
        call.find(name).map(read).transpose().map_err(told)
    };
    let after = page.after.as_deref().map(str::parse).transpose();
    let after = after.map_err(|_| Problem::invalid("after is the id of an act").at("after"))?;
    let end = time("to")?.unwrap_or(StanzaId::from_bytes([0xff; 16]));
    let text = |name: &str| call.text(name).map(str::to_owned);
    Ok(AuditRange {
        before: after.map_or(end, |after: StanzaId| after.min(end)),
        from: time("from")?.unwrap_or(StanzaId::from_bytes([0; 16])),
        actor: text("actor"),
        action: text("action"),
        target: text("target"),
        limit: page.limit + 1,
    })
}

async fn list(call: Call) -> Result<Answer, Problem> {
    let page = call.page()?;
    let range = range(&call, &page)?;
    let look = call.api.db.read(move |tx| Box::pin(async move { store::audit(tx, &range).await }));
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
