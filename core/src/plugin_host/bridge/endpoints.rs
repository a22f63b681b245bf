//! HTTP requests that a plugin answers, below `/plugins/<id>/`.

use std::sync::Arc;
use std::time::Duration;

use hearth_plugin_api::{Endpoint, Listener};
use hearth_plugin_api::{Error, ErrorKind, HttpRequest, HttpResponse};
use http_body_util::BodyExt;
use hyper::header::{AUTHORIZATION, COOKIE, HeaderMap};
use percent_encoding::percent_decode_str;

use super::{Guest, Handler, Hooks};
use crate::admin::Gate;
use crate::http::{Allowance, Peer, Request, Response, respond};

const DEADLINE: Duration = Duration::from_secs(60);
/// Octets of a body, whatever a plugin asks for.
const LARGEST: u64 = 64 << 20;

pub(super) fn open(
    guest: &Arc<Guest>,
    endpoint: Endpoint,
    handler: Handler,
    hooks: &mut Hooks,
) -> Result<(), Error> {
    let path = endpoint.path.trim_matches('/');
    let is_public = endpoint.listener == Listener::Public;
    if path.is_empty() && !is_public {
        return Err(Error::invalid("an endpoint of the console has a path: pages stand beside it"));
    }
    let prefix = match path {
        "" => format!("/plugins/{}", guest.id()),
        path => format!("/plugins/{}/{path}", guest.id()),
    };
    let body = usize::try_from(endpoint.max_body.min(LARGEST)).unwrap_or(usize::MAX);
    let seams = &guest.seams;
    let routes = if is_public { seams.public.clone() } else { seams.console.clone() };
    let gate = (!is_public).then(|| seams.gate.clone());
    let mounted = prefix.clone();
    routes.serve(&prefix.clone(), Allowance { body, time: DEADLINE }, move |request| {
        let (handler, prefix, gate) = (handler.clone(), prefix.clone(), gate.clone());
        Box::pin(async move {
            match admit(gate.as_deref(), &request).await {
                Ok(()) => serve(&handler, &prefix, request).await,
                Err(refusal) => refusal,
            }
        })
    });
    hooks.undo(move || routes.unmount(&mounted));
    Ok(())
}

/// The console's listener serves administrators only: whoever shows a token of the API.
async fn admit(gate: Option<&Gate>, request: &Request) -> Result<(), Response> {
    let Some(gate) = gate else { return Ok(()) };
    let authorization = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let peer = request.extensions().get::<Peer>().map(|peer| peer.address.ip());
    let Some(peer) = peer else { return Err(respond(500, &[], Vec::new())) };
    match gate.authenticate(authorization, peer).await {
        Ok(_) => Ok(()),
        Err(problem) => Err(problem.into_response()),
    }
}

async fn serve(handler: &Handler, prefix: &str, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let peer = head.extensions.get::<Peer>().map(|peer| peer.address.ip().to_string());
    let Ok(body) = body.collect().await else {
        return respond(413, &[], b"The body is too large.\n".to_vec());
    };
    let asked = HttpRequest {
        method: head.method.to_string(),
        url: head.uri.path().strip_prefix(prefix).unwrap_or_default().to_owned(),
        query: query(head.uri.query().unwrap_or_default()),
        headers: headers(&head.headers),
        peer: peer.unwrap_or_default(),
        ..HttpRequest::default()
    };
    let body = body.to_bytes().to_vec();
    match handler.ask::<_, HttpResponse>("endpoint", DEADLINE, (&asked, body)).await {
        Ok((answer, body)) => respond(answer.status, &answer.headers, body),
        Err(error) => failed(handler, &error),
    }
}

fn failed(handler: &Handler, error: &Error) -> Response {
    tracing::warn!(plugin = handler.guard.id(), %error, "an endpoint of a plugin failed");
    let status = match error.kind {
        ErrorKind::Invalid => 400,
        ErrorKind::NotFound => 404,
        ErrorKind::Forbidden => 403,
        ErrorKind::Conflict => 409,
        ErrorKind::Stopped | ErrorKind::Unavailable | ErrorKind::Full => 503,
        ErrorKind::Timeout => 504,
        _ => 500,
    };
    respond(status, &[], b"The plugin could not answer.\n".to_vec())
}

/// Cookies and tokens are between the browser and the server.
fn headers(headers: &HeaderMap) -> Vec<(String, String)> {
    let shown = headers.iter().filter(|(name, _)| **name != COOKIE && **name != AUTHORIZATION);
    let text =
        |value: &hyper::header::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    shown.map(|(name, value)| (name.to_string(), text(value))).collect()
}

fn query(query: &str) -> Vec<(String, String)> {
    let decode =
        |text: &str| percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned();
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (decode(name), decode(value)))
        .collect()
}
