//! `/sessions`: who is connected to this node.

use std::sync::Arc;

use hyper::Method;
use serde_json::{Value, json};

use super::{Answer, Api, Call, Page, Problem, Route};
use crate::host::HostId;

use crate::session::Shared;
use crate::session::mailbox::{CloseReason, Order};
use crate::session::registry::Entry;

pub const ROUTES: &[Route] = &[
    Route::list("/sessions", COLUMNS, |call| Box::pin(list(call))),
    Route::new(Method::GET, "/sessions/{user}/{resource}", |call| Box::pin(get(call))),
    Route::new(Method::DELETE, "/sessions/{user}/{resource}", |call| Box::pin(disconnect(call))),
];

const HOST: HostId = HostId::FIRST;
const COLUMNS: &[&str] =
    &["jid", "address", "since", "tls", "mechanism", "available", "priority", "received", "sent"];

fn shown(session: &Shared) -> Value {
    use std::sync::atomic::Ordering::Relaxed;
    json!({
        "jid": session.jid.as_str(),
        "address": session.origin.peer.to_string(),
        "since": session.origin.since.to_string(),
        "tls": session.origin.tls,
        "mechanism": session.origin.mechanism,
        "available": session.is_available(),
        "priority": session.priority(),
        "received": session.received.load(Relaxed),
        "sent": session.sent.load(Relaxed),
    })
}

/// The page's sessions are kept while all are looked at once: memory follows the page, not the
/// number of sessions.
async fn list(call: Call) -> Result<Answer, Problem> {
    let page = call.page()?;
    let Page { after, limit } = &page;
    let after = after.as_deref().unwrap_or_default();
    let mut first = std::collections::BTreeMap::new();
    call.api.router.registry.each_local(|session| {
        let jid = session.jid.as_str();
        let fits = first.len() <= *limit
            || first.last_key_value().is_some_and(|(last, _): (&String, _)| jid < last.as_str());
        if jid > after && fits {
            first.insert(jid.to_owned(), session.clone());
            if first.len() > limit + 1 {
                first.pop_last();
            }
        }
    });
    let sessions: Vec<Arc<Shared>> = first.into_values().collect();
    let next = (sessions.len() > *limit).then(|| sessions[limit - 1].jid.as_str().to_owned());
    let items: Vec<_> = sessions.iter().take(*limit).map(|session| shown(session)).collect();
    Answer::ok(json!({ "items": items, "next": next }))
}

fn find(call: &Call) -> Result<Arc<Shared>, Problem> {
    match call.api.router.registry.resource(HOST, call.param(0), call.param(1)) {
        Some(Entry::Local(session)) => Ok(session),
        Some(Entry::Remote(_)) => {
            Err(Problem::Conflict("this session is on another node".to_owned()))
        }
        None => Err(Problem::not_found("session", &format!("{}/{}", call.param(0), call.param(1)))),
    }
}

async fn get(call: Call) -> Result<Answer, Problem> {
    Answer::ok(shown(&*find(&call)?))
}

async fn disconnect(call: Call) -> Result<Answer, Problem> {
    let session = find(&call)?;
    call.note("session.disconnect", session.jid.as_str()).await?;
    session.mailbox.order(Order::Close(CloseReason::Kicked));
    Answer::done()
}

/// Ends all sessions of a user on this node.
pub(super) fn end_sessions(api: &Api, username: &str) {
    let all = |entries: &[Entry]| entries.iter().cloned().collect();
    let Some((_, entries)) = api.router.registry.select(HOST, username, all) else { return };
    for entry in entries {
        if let Entry::Local(session) = entry {
            session.mailbox.order(Order::Close(CloseReason::Kicked));
        }
    }
}
