//! What is served under which path. Route first: a handler is found by the path alone, and decides
//! itself who may use it. What is not mounted is 404.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt};
use http_body_util::Limited;
use hyper::body::{Body, Incoming};
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::service::Service;
use hyper::{StatusCode, Uri};
use hyper_util::service::TowerToHyperService;
use parking_lot::RwLock;
use tokio::time::timeout;
use warp::Reply;
use warp::filters::BoxedFilter;

use super::{Peer, Request, Response, path};

type Handler = Arc<dyn Fn(Request) -> BoxFuture<'static, Response> + Send + Sync>;

/// Below it programs ask, not people.
const API: &str = "/api/";

/// What one request of a mount may cost.
#[derive(Clone, Copy, Debug)]
pub struct Allowance {
    /// Bytes of its body.
    pub body: usize,
    /// From the end of its head to the begin of the answer.
    pub time: Duration,
}

impl Allowance {
    /// For requests that are answered at once.
    pub const fn body(body: usize) -> Allowance {
        Allowance { body, time: Duration::from_secs(30) }
    }
}

#[derive(Clone)]
struct Mount {
    allowance: Allowance,
    handler: Handler,
}

/// The mounts of one listener or of several.
#[derive(Default)]
pub struct Routes(RwLock<BTreeMap<String, Mount>>);

impl Routes {
    pub fn new() -> Arc<Routes> {
        Arc::default()
    }

    /// Serves everything at and below `prefix` (`/healthz`, `/api/v1`) by this filter, in place of
    /// an earlier one. The longest prefix wins.
    pub fn mount<R>(&self, prefix: &str, allowance: Allowance, filter: BoxedFilter<(R,)>)
    where
        R: Reply + 'static,
    {
        let service = TowerToHyperService::new(warp::service(filter));
        let handler: Handler = Arc::new(move |request| {
            service
                .call(request)
                .map(|answer| answer.unwrap_or_else(|never| match never {}))
                .boxed()
        });
        self.0.write().insert(prefix.to_owned(), Mount { allowance, handler });
    }

    /// As [`Routes::mount`] for a part that answers requests itself.
    pub fn serve(
        &self,
        prefix: &str,
        allowance: Allowance,
        handler: impl Fn(Request) -> BoxFuture<'static, Response> + Send + Sync + 'static,
    ) {
        let handler: Handler = Arc::new(handler);
        self.0.write().insert(prefix.to_owned(), Mount { allowance, handler });
    }

    /// Takes a mount away; requests in flight are answered.
    pub fn unmount(&self, prefix: &str) {
        self.0.write().remove(prefix);
    }

    /// Whether some mount answers for this path.
    pub fn is_mounted(&self, path: &str) -> bool {
        self.find(path).is_some()
    }

    fn find(&self, path: &str) -> Option<Mount> {
        let mounts = self.0.read();
        let mut prefix = path;
        loop {
            if let Some(mount) = mounts.get(prefix) {
                return Some(mount.clone());
            }
            prefix = &prefix[..prefix.rfind('/')?];
        }
    }

    /// Answers one request, with the headers that every answer carries.
    pub(super) async fn answer(&self, request: hyper::Request<Incoming>, peer: Peer) -> Response {
        let mut response = self.dispatch(request, peer).await;
        harden(&mut response);
        response
    }

    async fn dispatch(&self, request: hyper::Request<Incoming>, peer: Peer) -> Response {
        let is_api = request.uri().path().starts_with(API);
        let refused =
            |status, text| if is_api { problem(status, text) } else { plain(status, text) };
        if !path::is_canonical(request.uri().path()) {
            return refused(StatusCode::BAD_REQUEST, "This spelling of a path is not served.\n");
        }
        let Some(mount) = self.find(request.uri().path()) else {
            return refused(StatusCode::NOT_FOUND, "Nothing is served here.\n");
        };
        let Allowance { body, time } = mount.allowance;
        if request.body().size_hint().lower() > body as u64 {
            return refused(StatusCode::PAYLOAD_TOO_LARGE, "The body is too large.\n");
        }
        let mut request = request.map(|stream| Limited::new(stream, body));
        request.extensions_mut().insert(peer);
        match timeout(time, (mount.handler)(request)).await {
            Ok(response) => response,
            Err(_) => refused(StatusCode::REQUEST_TIMEOUT, "This took too long.\n"),
        }
    }
}

/// An answer made at run time. Headers that cannot be sent are left out, as are those that are
/// the connection's.
pub fn respond(status: u16, headers: &[(String, String)], body: Vec<u8>) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
    let mut response = warp::reply::with_status(body, status).into_response();
    response.headers_mut().remove(header::CONTENT_TYPE);
    let connection = ["connection", "transfer-encoding", "content-length", "upgrade"];
    for (name, value) in headers.iter().filter(|(name, _)| !connection.contains(&&**name)) {
        let pair = (HeaderName::try_from(name.as_str()), HeaderValue::try_from(value.as_str()));
        if let (Ok(name), Ok(value)) = pair {
            response.headers_mut().append(name, value);
        }
    }
    response
}

/// An answer of plain text.
pub(super) fn plain(status: StatusCode, text: &'static str) -> Response {
    warp::reply::with_status(text, status).into_response()
}

/// The same as problem details, for programs (RFC 9457).
fn problem(status: StatusCode, text: &'static str) -> Response {
    let told = serde_json::json!({
        "title": status.canonical_reason(),
        "status": status.as_u16(),
        "detail": text.trim_end(),
    });
    let mut response = warp::reply::with_status(told.to_string(), status).into_response();
    let json = HeaderValue::from_static("application/problem+json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}

/// Sends the client to the same path on the encrypted port. `None`: the request names no host.
pub(super) fn redirect(uri: &Uri, host: Option<&HeaderValue>, port: u16) -> Option<Response> {
    let authority: hyper::http::uri::Authority = host?.to_str().ok()?.parse().ok()?;
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let target = format!("https://{}:{port}{path}", authority.host());
    let location = HeaderValue::try_from(target).ok()?;
    let mut response = plain(StatusCode::PERMANENT_REDIRECT, "Only served encrypted.\n");
    response.headers_mut().insert(header::LOCATION, location);
    Some(response)
}

/// Headers that forbid everything; an answer that needs more says so by its own.
fn harden(response: &mut Response) {
    const DEFAULTS: [(HeaderName, HeaderValue); 6] = [
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (
            header::CONTENT_SECURITY_POLICY,
            HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"),
        ),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            HeaderValue::from_static("same-origin"),
        ),
    ];
    for (name, value) in DEFAULTS {
        response.headers_mut().entry(name).or_insert(value);
    }
}
