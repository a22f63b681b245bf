//! Style sheet, scripts and pictures: compiled in, served under names that change with the content,
//! so that a browser keeps them for ever.

use std::sync::LazyLock;

use hyper::Method;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use ring::digest::{SHA256, digest};
use warp::Reply;

use super::{Refusal, Route, Visit};
use crate::admin::api::Problem;
use crate::http::Response;

pub const ROUTES: &[Route] =
    &[Route::open(Method::GET, "/assets/{name}", |visit| Box::pin(async move { get(&visit) }))];

macro_rules! assets {
    ($($name:literal),+ $(,)?) => {
        &[$(($name, include_bytes!(concat!("../../../../web/assets/", $name)))),+]
    };
}

const FILES: &[(&str, &[u8])] =
    assets!["hearth.css", "hearth.js", "htmx.min.js", "sse.js", "logo.svg"];

struct Asset {
    name: &'static str,
    path: String,
    content: &'static [u8],
}

static ASSETS: LazyLock<Vec<Asset>> = LazyLock::new(|| {
    let asset = |(name, content): &(&'static str, &'static [u8])| {
        let hash = digest(&SHA256, content);
        let hash: String = hash.as_ref()[..8].iter().map(|byte| format!("{byte:02x}")).collect();
        Asset { name, path: format!("/assets/{hash}-{name}"), content }
    };
    FILES.iter().map(asset).collect()
});

/// The path of an asset; empty when there is none of that name (a bug of the template).
pub fn path(name: &str) -> &'static str {
    ASSETS
        .iter()
        .find(|asset| asset.name == name)
        .map(|asset| asset.path.as_str())
        .unwrap_or_default()
}

/// The content of a text among the assets; empty when there is none of that name (a bug of ours).
pub fn text(name: &str) -> &'static str {
    let content = FILES.iter().find(|(own, _)| *own == name).map(|(_, content)| *content);
    std::str::from_utf8(content.unwrap_or_default()).unwrap_or_default()
}

/// For everybody: the sign-in page needs them, and they are public in the source.
fn get(visit: &Visit) -> Result<Response, Refusal> {
    serve(&visit.path).ok_or_else(|| Problem::not_found("file", visit.param(0)).into())
}

/// The asset under this path.
pub fn serve(path: &str) -> Option<Response> {
    let asset = ASSETS.iter().find(|asset| asset.path == path)?;
    let kind = match asset.name.rsplit('.').next() {
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        _ => "image/svg+xml",
    };
    let mut response = asset.content.into_response();
    let for_ever = HeaderValue::from_static("public, max-age=31536000, immutable");
    response.headers_mut().insert(CACHE_CONTROL, for_ever);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    Some(response)
}
