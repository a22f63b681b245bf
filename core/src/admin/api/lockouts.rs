//! `/users/{name}/lock`: who may not sign in, from when, until when and why.

use std::sync::Arc;
use std::time::Duration;

use hyper::Method;
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use super::administrators::keep_one;
use super::call::check_text;
use super::sessions::end_sessions;
use super::users::{HOST, find};
use super::{Answer, Api, Call, Problem, Route};
use crate::auth::profile::{self, Lockout};
use crate::auth::store;
use crate::clock::Timestamp;

pub const ROUTES: &[Route] = &[
    Route::new(Method::PUT, "/users/{name}/lock", |call| Box::pin(lock(call))),
    Route::new(Method::DELETE, "/users/{name}/lock", |call| Box::pin(unlock(call))),
];

const LONGEST_REASON: usize = 256;
/// How often lock-outs are looked for that have begun meanwhile.
const LOOK: Duration = Duration::from_secs(5);
/// So far back, so that neither a slow commit nor another node's clock lets one slip through.
const BACK: Duration = Duration::from_secs(60);

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct New {
    /// Absent: now.
    from: Option<String>,
    /// Absent: until it is taken back.
    until: Option<String>,
    reason: Option<String>,
}

/// A time of the body, as XEP-0082 and RFC 3339 write it.
fn time(field: &'static str, text: Option<String>) -> Result<Option<Timestamp>, Problem> {
    let read = |text: String| {
        let told = "write a time as 2030-12-31T18:00:00Z";
        text.parse().map_err(|_| Problem::invalid(told).at(field))
    };
    text.filter(|text| !text.is_empty()).map(read).transpose()
}

fn check(new: New, now: Timestamp) -> Result<Lockout, Problem> {
    let (from, until) = (time("from", new.from)?.unwrap_or(now), time("until", new.until)?);
    if until.is_some_and(|until| until <= now) {
        return Err(Problem::invalid("this time has passed").at("until"));
    }
    if until.is_some_and(|until| until <= from) {
        return Err(Problem::invalid("it would end before it begins").at("until"));
    }
    let reason = new.reason.filter(|reason| !reason.trim().is_empty());
    let reason = reason.map(|reason| check_text("reason", &reason, LONGEST_REASON)).transpose()?;
    Ok(Lockout { from, until, reason })
}

async fn lock(call: Call) -> Result<Answer, Problem> {
    let now = call.api.clock.now();
    let lockout = check(call.json_if_any()?, now)?;
    let row = find(&call).await?;
    let (id, name, begins_now) = (row.id, row.username.clone(), lockout.holds(now));
    let change = call.change("user.lock", &row.username, move |tx| {
        Box::pin(async move {
            keep_one(tx, id).await?;
            Ok(store::set_lockout(tx, HOST, &name, Some(&lockout)).await?)
        })
    });
    let changed = change.await;
    call.api.accounts.invalidate(HOST, &row.username);
    changed?;
    if begins_now {
        end_sessions(&call.api, &row.username);
    }
    Answer::done()
}

/// Ends the sessions on this node of everybody whose lock-out has begun by itself, or was set on
/// another node, until `stop`.
pub async fn watch(api: Arc<Api>, stop: CancellationToken) {
    while stop.run_until_cancelled(tokio::time::sleep(LOOK)).await.is_some() {
        let now = api.clock.now();
        let begun = api.db.read(move |tx| {
            Box::pin(async move { profile::store::locked_since(tx, HOST, now - BACK, now).await })
        });
        match begun.await {
            Ok(names) => names.iter().for_each(|name| {
                // A session may have begun by what was remembered of the account.
                api.accounts.invalidate(HOST, name);
                end_sessions(&api, name);
            }),
            // The next look goes as far back.
            Err(error) => tracing::debug!(%error, "lock-outs that have begun cannot be read"),
        }
    }
}

async fn unlock(call: Call) -> Result<Answer, Problem> {
    let row = find(&call).await?;
    call.api.accounts.set_lockout(HOST, &row.username, None).await?;
    call.note("user.unlock", &row.username).await?;
    Answer::done()
}
