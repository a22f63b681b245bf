//! The API over HTTP.

use std::sync::Arc;

use bytes::Bytes;
use hyper::Method;
use hyper::header::{ACCEPT, HeaderMap};
use warp::path::FullPath;
use warp::{Filter, Reply};

use super::{Access, Answer, Api, Asked, Problem, routes};
use crate::admin::gate::Gate;
use crate::admin::route;
use crate::http::{Allowance, Peer, Response, Routes};

const PREFIX: &str = "/api/v1";
/// Bytes of a call's body: some thousand names at once.
const BODY: usize = 1024 * 1024;

/// Mounts the API.
pub fn mount(mounts: &Routes, api: Arc<Api>, gate: Arc<Gate>) {
    let filter = warp::method()
        .and(warp::path::full())
        .and(warp::query::<Vec<(String, String)>>())
        .and(warp::header::headers_cloned())
        .and(warp::ext::get::<Peer>())
        .and(warp::body::bytes())
        .then(move |method, path: FullPath, query, headers: HeaderMap, peer, body: Bytes| {
            let (api, gate) = (api.clone(), gate.clone());
            async move {
                let below = path.as_str().strip_prefix(PREFIX).unwrap_or_default();
                let segments = route::segments(below);
                let asked = Asked { method, segments, query, body };
                let answered = answer(&api, &gate, asked, Caller { headers, peer }).await;
                answered.unwrap_or_else(Problem::into_response)
            }
        });
    mounts.mount(PREFIX, Allowance::body(BODY), filter.boxed());
}

struct Caller {
    headers: HeaderMap,
    peer: Peer,
}

async fn answer(
    api: &Arc<Api>,
    gate: &Gate,
    asked: Asked,
    caller: Caller,
) -> Result<Response, Problem> {
    let (route, _) = route::find(routes(), &asked.method, &asked.segments)?;
    let actor = match route.access {
        Access::Anyone => "anyone".to_owned(),
        Access::Administrator => {
            let authorization = crate::admin::authorization(&caller.headers);
            gate.authenticate(authorization, caller.peer.address.ip()).await?
        }
    };
    check_type(&asked.method, &caller.headers)?;
    if !route.columns.is_empty() && wants_csv(&asked, &caller.headers) {
        return Ok(api.export(actor, asked).await?.into_response());
    }
    Ok(reply(api.perform(actor, asked).await?))
}

fn wants_csv(asked: &Asked, headers: &HeaderMap) -> bool {
    let format = asked.query.iter().find(|(name, _)| name == "format");
    let accepts = || headers.get(ACCEPT)?.to_str().ok()?.split(',').next();
    match format {
        Some((_, format)) => format == "csv",
        None => accepts().is_some_and(|kind| kind.trim().starts_with("text/csv")),
    }
}

/// Nothing but JSON is read, so nothing else is taken for it.
fn check_type(method: &Method, headers: &HeaderMap) -> Result<(), Problem> {
    let Some(kind) = headers.get("content-type").filter(|_| *method != Method::GET) else {
        return Ok(());
    };
    match kind.to_str().is_ok_and(|kind| kind.starts_with("application/json")) {
        true => Ok(()),
        false => Err(Problem::invalid("the body's content-type must be application/json")),
    }
}

fn reply(Answer { status, body }: Answer) -> Response {
    match body {
        Some(body) => warp::reply::with_status(warp::reply::json(&body), status).into_response(),
        None => status.into_response(),
    }
}
