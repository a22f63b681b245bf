//! The API over HTTP.

use std::sync::Arc;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use futures_util::{Stream, TryStreamExt};
use hyper::Method;
use hyper::header::{ACCEPT, HeaderMap};
use warp::filters::BoxedFilter;
use warp::path::FullPath;
use warp::{Filter, Reply};

use super::{Access, Answer, Api, Asked, Problem, routes, upload};
use crate::admin::gate::Gate;
use crate::admin::route;
use crate::http::{Allowance, Peer, Response, Routes};

const PREFIX: &str = "/api/v1";
/// Bytes of a call's body: some thousand names at once.
const BODY: usize = 1024 * 1024;

/// Mounts the API.
pub fn mount(mounts: &Routes, api: Arc<Api>, gate: Arc<Gate>) {
    let uploads = uploads(api.clone(), gate.clone()).or(calls(api.clone(), gate.clone())).unify();
    mounts.mount("/api/v1/plugins", upload::ALLOWANCE, uploads.boxed());
    mounts.mount(PREFIX, Allowance::body(BODY), calls(api, gate));
}

/// Every call but the upload.
fn calls(api: Arc<Api>, gate: Arc<Gate>) -> BoxedFilter<(Response,)> {
    let filter = warp::method()
        .and(warp::path::full())
        .and(warp::query::<Vec<(String, String)>>())
        .and(warp::header::headers_cloned())
        .and(warp::ext::get::<Peer>())
        .and(warp::body::stream())
        .then(move |method, path: FullPath, query, headers: HeaderMap, peer, body| {
            let (api, gate) = (api.clone(), gate.clone());
            async move {
                let body = match collect(body).await {
                    Ok(body) => body,
                    Err(problem) => return problem.into_response(),
                };
                let below = path.as_str().strip_prefix(PREFIX).unwrap_or_default();
                let segments = route::segments(below);
                let asked = Asked { method, segments, query, body };
                let answered = answer(&api, &gate, asked, Caller { headers, peer }).await;
                answered.unwrap_or_else(Problem::into_response)
            }
        });
    filter.boxed()
}

/// The upload of a plugin, whose body is not held in memory.
fn uploads(api: Arc<Api>, gate: Arc<Gate>) -> BoxedFilter<(Response,)> {
    let filter = warp::post()
        .and(warp::path!("api" / "v1" / "plugins"))
        .and(warp::header::headers_cloned())
        .and_then(|headers: HeaderMap| async move {
            match upload::is_form(&headers) {
                true => Ok(headers),
                false => Err(warp::reject::not_found()),
            }
        })
        .and(warp::ext::get::<Peer>())
        .and(warp::multipart::form().max_length(None))
        .then(move |headers: HeaderMap, peer: Peer, form| {
            let (api, gate) = (api.clone(), gate.clone());
            async move {
                let authorization = crate::admin::authorization(&headers);
                let installed = match gate.authenticate(authorization, peer.address.ip()).await {
                    Ok(actor) => upload::install(&api, actor, form, None).await,
                    Err(problem) => Err(problem),
                };
                installed.and_then(Answer::created).map_or_else(Problem::into_response, reply)
            }
        });
    filter.boxed()
}

/// The body of a call, which has a size that memory does not mind.
async fn collect(
    body: impl Stream<Item = Result<impl Buf, warp::Error>>,
) -> Result<Bytes, Problem> {
    let mut whole = BytesMut::new();
    let mut pieces = std::pin::pin!(body);
    let broken = |error| Problem::Invalid(format!("the body broke off: {error}"));
    while let Some(piece) = pieces.try_next().await.map_err(broken)? {
        whole.put(piece);
        if whole.len() > BODY {
            return Err(Problem::TooLarge(format!("a call has at most {} KiB", BODY >> 10)));
        }
    }
    Ok(whole.freeze())
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
    if !route.columns.is_empty() && wants_csv(&asked, &caller.headers)? {
        return Ok(api.export(actor, asked).await?.into_response());
    }
    Ok(reply(api.perform(actor, asked).await?))
}

fn wants_csv(asked: &Asked, headers: &HeaderMap) -> Result<bool, Problem> {
    let format = asked.query.iter().find(|(name, _)| name == "format");
    let accepts = || headers.get(ACCEPT)?.to_str().ok()?.split(',').next();
    match format.map(|(_, format)| format.as_str()) {
        Some("csv") => Ok(true),
        Some("json") => Ok(false),
        Some(_) => Err(Problem::invalid("format is json or csv").at("format")),
        None => Ok(accepts().is_some_and(|kind| kind.trim().starts_with("text/csv"))),
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
