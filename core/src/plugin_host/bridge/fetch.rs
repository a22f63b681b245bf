//! Outgoing HTTP on behalf of a plugin: certificates are verified, bodies and time are bounded.

use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use hearth_plugin_api::{Error, ErrorKind, HttpRequest, HttpResponse};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::handshake;
use hyper::header::{HOST, HeaderMap, HeaderValue, LOCATION};
use hyper::rt::{Read, Write};
use hyper::{Method, Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::host::Answer;

const TIMEOUT: Duration = Duration::from_secs(30);
const LONGEST: Duration = Duration::from_secs(300);
const LARGEST: usize = 16 << 20;
const REDIRECTS: usize = 5;

fn unavailable(error: impl std::fmt::Display) -> Error {
    Error::unavailable(error.to_string())
}

pub(super) async fn fetch(request: HttpRequest, body: Vec<u8>) -> Answer {
    let timeout = match request.timeout_ms {
        0 => TIMEOUT,
        ms => Duration::from_millis(ms).min(LONGEST),
    };
    let late = |_| Error::new(ErrorKind::Timeout, format!("`{}` did not answer", request.url));
    let fetched = tokio::time::timeout(timeout, follow(&request, body.into()));
    let Fetched { status, headers, body } = fetched.await.map_err(late)??;
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let headers = headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect();
    let response = HttpResponse { status: status.as_u16(), headers, body: Vec::new() };
    Ok((serde_json::to_value(response)?, body.to_vec()))
}

struct Fetched {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

async fn follow(request: &HttpRequest, mut body: Bytes) -> Result<Fetched, Error> {
    let invalid = |_| Error::invalid(format!("`{}` is no web address", request.url));
    let mut uri: Uri = request.url.parse().map_err(invalid)?;
    let method = request.method.parse();
    let mut method: Method = method.map_err(|_| Error::invalid("no such method"))?;
    for _ in 0..=REDIRECTS {
        let fetched = send(&uri, &method, request, body.clone()).await?;
        let Some(next) = redirect(&uri, &fetched) else { return Ok(fetched) };
        // RFC 9110 §15.4: only 307 and 308 repeat the request as it was.
        if !matches!(fetched.status.as_u16(), 307 | 308) && method != Method::HEAD {
            (method, body) = (Method::GET, Bytes::new());
        }
        uri = next;
    }
    Err(unavailable("it redirects more than five times"))
}

/// Where a redirect leads; never from an encrypted address to one that is not.
fn redirect(from: &Uri, fetched: &Fetched) -> Option<Uri> {
    let is_redirect = matches!(fetched.status.as_u16(), 301 | 302 | 303 | 307 | 308);
    let location = fetched.headers.get(LOCATION).filter(|_| is_redirect)?.to_str().ok()?;
    let target: Uri = location.parse().ok()?;
    if target.authority().is_some() {
        let is_worse = from.scheme_str() == Some("https") && target.scheme_str() != Some("https");
        return Some(target).filter(|_| !is_worse);
    }
    let path = target.path_and_query()?.clone();
    let base = Uri::builder().scheme(from.scheme()?.clone()).authority(from.authority()?.clone());
    base.path_and_query(path).build().ok()
}

async fn send(
    uri: &Uri,
    method: &Method,
    asked: &HttpRequest,
    body: Bytes,
) -> Result<Fetched, Error> {
    let host = uri.host().ok_or_else(|| Error::invalid("a web address names a host"))?;
    let tls = match uri.scheme_str() {
        Some("http") => false,
        Some("https") => true,
        _ => return Err(Error::invalid("only http and https addresses can be asked")),
    };
    let port = uri.port_u16().unwrap_or(if tls { 443 } else { 80 });
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let mut request = Request::builder().method(method).uri(path);
    let given = |name: &str| asked.headers.iter().any(|(given, _)| given == name);
    if !given("host") {
        request = request.header(HOST, uri.authority().map_or(host, |a| a.as_str()));
    }
    let forbidden = ["content-length", "transfer-encoding", "connection", "upgrade"];
    for (name, value) in asked.headers.iter().filter(|(name, _)| !forbidden.contains(&&**name)) {
        request = request.header(name, value);
    }
    let request = request
        .body(Full::new(body))
        .map_err(|error| Error::invalid(format!("the request: {error}")))?;
    let name = host.trim_start_matches('[').trim_end_matches(']');
    let stream = TcpStream::connect((name, port)).await.map_err(unavailable)?;
    if !tls {
        return exchange(TokioIo::new(stream), request).await;
    }
    let server = ServerName::try_from(name.to_owned()).map_err(unavailable)?;
    let stream = connector().connect(server, stream).await.map_err(unavailable)?;
    exchange(TokioIo::new(stream), request).await
}

/// The connection works while the answer is read, and is not used again.
async fn exchange<I>(io: I, request: Request<Full<Bytes>>) -> Result<Fetched, Error>
where
    I: Read + Write + Unpin + Send + 'static,
{
    let (mut sender, connection) = handshake(io).await.map_err(unavailable)?;
    let mut answer = pin!(async {
        let response = sender.send_request(request).await.map_err(unavailable)?;
        let (head, body) = response.into_parts();
        let body = Limited::new(body, LARGEST).collect().await.map_err(unavailable)?;
        Ok(Fetched { status: head.status, headers: head.headers, body: body.to_bytes() })
    });
    tokio::select! {
        answer = answer.as_mut() => answer,
        _ = connection => answer.await,
    }
}

/// Trusts whom browsers trust.
fn connector() -> TlsConnector {
    static CONFIG: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    let config = CONFIG.get_or_init(|| {
        let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("ring has the default versions");
        Arc::new(config.with_root_certificates(roots).with_no_client_auth())
    });
    TlsConnector::from(config.clone())
}
