//! The listeners over real sockets.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use warp::Filter;

use super::*;
use crate::net::listener::Listener;
use crate::shutdown::Tracker;
use crate::telemetry::Counter;

const DEADLINE: Duration = Duration::from_secs(20);

struct Running {
    address: SocketAddr,
    tracker: Tracker,
    health: Arc<Health>,
}

async fn start(plain: Plain, limits: Limits) -> Running {
    open(Door::Plain(plain), limits).await
}

async fn open(door: Door, limits: Limits) -> Running {
    let tracker = Tracker::new(Arc::new(Counter::new()));
    let routes = Routes::new();
    let health = Health::starting();
    mount_health(&routes, health.clone());
    routes.mount(
        "/echo",
        Allowance::body(8),
        warp::body::bytes().map(|body: bytes::Bytes| body.to_vec()).boxed(),
    );
    routes.mount(
        "/who",
        Allowance::body(0),
        warp::ext::get::<Peer>().map(|peer: Peer| peer.secure.to_string()).boxed(),
    );
    let listener = Listener::bind(([127, 0, 0, 1], 0).into()).expect("a free port");
    let address = listener.local_addr();
    let server = Server { routes, door, settings: limits.into(), tracker: tracker.clone() };
    tracker.spawn("http", server.serve(listener));
    Running { address, tracker, health }
}

/// Sends bytes and reads until the server closes.
async fn exchange(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.expect("accepted");
    stream.write_all(request.as_bytes()).await.expect("written");
    let mut answer = Vec::new();
    // A reset after the answer (unread bytes of a refused body) still leaves the answer.
    let _ = timeout(DEADLINE, stream.read_to_end(&mut answer)).await.expect("closed in time");
    String::from_utf8_lossy(&answer).into_owned()
}

async fn get(address: SocketAddr, path: &str) -> String {
    exchange(address, &format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")).await
}

fn status(answer: &str) -> &str {
    answer.get(9..12).unwrap_or("none")
}

#[tokio::test]
async fn health_tells_living_from_serving() {
    let server = start(Plain::Refuse, Limits::DEFAULT).await;
    assert_eq!(status(&get(server.address, "/healthz").await), "200");
    assert_eq!(status(&get(server.address, "/readyz").await), "503");
    server.health.set(Readiness::Serving);
    assert_eq!(status(&get(server.address, "/readyz").await), "200");
    server.health.set(Readiness::Standby("another node serves".to_owned()));
    let answer = get(server.address, "/readyz").await;
    assert_eq!(status(&answer), "503");
    assert!(answer.contains("standby: another node serves"), "{answer}");
}

#[tokio::test]
async fn unknown_paths_are_404_and_other_spellings_400() {
    let server = start(Plain::Refuse, Limits::DEFAULT).await;
    assert_eq!(status(&get(server.address, "/").await), "404");
    assert_eq!(status(&get(server.address, "/healthz/more").await), "404");
    assert_eq!(status(&get(server.address, "/x/../healthz").await), "400");
    assert_eq!(status(&get(server.address, "//healthz").await), "400");
    assert_eq!(status(&get(server.address, "/%68ealthz").await), "400");
    let options = "OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    assert_eq!(status(&exchange(server.address, options).await), "400");
}

#[tokio::test]
async fn every_answer_is_hardened() {
    let server = start(Plain::Refuse, Limits::DEFAULT).await;
    for path in ["/healthz", "/nothing"] {
        let answer = get(server.address, path).await.to_lowercase();
        assert!(answer.contains("x-content-type-options: nosniff"), "{answer}");
        assert!(answer.contains("content-security-policy: default-src 'none'"), "{answer}");
    }
}

#[tokio::test]
async fn a_body_above_the_limit_is_refused() {
    let server = start(Plain::Refuse, Limits::DEFAULT).await;
    let post = |length: usize| {
        let body = "x".repeat(length);
        format!(
            "POST /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
        )
    };
    assert!(exchange(server.address, &post(8)).await.ends_with("xxxxxxxx"));
    assert_eq!(status(&exchange(server.address, &post(9)).await), "413");
    let chunked = "POST /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
        Transfer-Encoding: chunked\r\n\r\n9\r\nxxxxxxxxx\r\n0\r\n\r\n";
    assert_ne!(status(&exchange(server.address, chunked).await), "200");
}

#[tokio::test]
async fn a_head_above_the_limit_is_refused() {
    let server = start(Plain::Refuse, Limits::DEFAULT).await;
    let request = format!("GET /healthz HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(20_000));
    assert_eq!(status(&exchange(server.address, &request).await), "431");
}

#[tokio::test]
async fn silence_and_dripping_end_the_connection() {
    let limits = Limits { header_timeout: Duration::from_millis(20), ..Limits::DEFAULT };
    let server = start(Plain::Refuse, limits).await;
    for start in ["", "GET /healthz HT"] {
        let answer = exchange(server.address, start).await;
        assert!(!answer.contains("200"), "{answer}");
    }
}

/// The only connection is given to the next one as soon as the server gives up.
#[tokio::test]
async fn who_reads_nothing_is_not_written_to_for_ever() {
    let limits =
        Limits { write_timeout: Duration::from_millis(20), connections: 1, ..Limits::DEFAULT };
    let server = start(Plain::Refuse, limits).await;
    let mut deaf = TcpStream::connect(server.address).await.expect("accepted");
    // More answers than the buffers between them hold; who does not read them cannot ask on.
    let requests = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n".repeat(1000);
    let asking = async { while deaf.write_all(requests.as_bytes()).await.is_ok() {} };
    timeout(DEADLINE, asking).await.expect("closed in time");
    assert_eq!(status(&get(server.address, "/healthz").await), "200");
}

#[tokio::test]
async fn a_soft_stop_closes_the_port_and_idle_connections() {
    let server = start(Plain::Refuse, Limits::DEFAULT).await;
    let mut idle = TcpStream::connect(server.address).await.expect("accepted");
    idle.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await.expect("written");
    let mut first = [0; 12];
    idle.read_exact(&mut first).await.expect("answered");
    assert_eq!(server.tracker.stop(DEADLINE, DEADLINE).await, 0);
    assert!(!server.tracker.hard().is_cancelled());
    assert!(TcpStream::connect(server.address).await.is_err());
}

/// What a browser does that was told to trust this certificate.
async fn get_by_tls(address: SocketAddr, folder: &std::path::Path, path: &str) -> String {
    use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
    let mut roots = rustls::RootCertStore::empty();
    let chain = folder.join(crate::net::tls::CHAIN_FILE);
    roots.add(CertificateDer::from_pem_file(chain).expect("PEM")).expect("a certificate");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(address).await.expect("accepted");
    let name = ServerName::try_from("localhost").expect("name");
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let mut stream = connector.connect(name, stream).await.expect("handshake");
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("written");
    let mut answer = Vec::new();
    timeout(DEADLINE, stream.read_to_end(&mut answer)).await.expect("in time").expect("read");
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn the_encrypted_port_serves_under_the_servers_certificate() {
    use crate::net::tls::{Certificates, Service};
    let folder = tempfile::tempdir().expect("a folder");
    let now = std::time::SystemTime::now();
    let certificates =
        Certificates::open(folder.path(), ["localhost", ""], now).expect("self-signed");
    let server = open(Door::Tls(certificates.acceptor(Service::Http)), Limits::DEFAULT).await;
    let answer = get_by_tls(server.address, folder.path(), "/who").await;
    assert!(answer.ends_with("true"), "{answer}");
    let plain = get(server.address, "/who").await;
    assert!(!plain.contains("200"), "{plain}");
}

#[tokio::test]
async fn a_mount_comes_and_goes() {
    let routes = Routes::new();
    routes.mount("/a", Allowance::body(0), warp::any().map(|| "a").boxed());
    routes.mount("/a/b", Allowance::body(0), warp::any().map(|| "b").boxed());
    assert!(routes.is_mounted("/a/x") && routes.is_mounted("/a/b/c") && !routes.is_mounted("/ab"));
    routes.unmount("/a");
    assert!(!routes.is_mounted("/a/x") && routes.is_mounted("/a/b"));
}

#[test]
fn elsewhere_is_sent_to_the_encrypted_port() {
    let uri = "/users?after=a".parse().expect("URI");
    let host = hyper::header::HeaderValue::from_static("chat.example:9090");
    let answer = routes::redirect(&uri, Some(&host), 9091).expect("redirected");
    assert_eq!(answer.headers()["location"], "https://chat.example:9091/users?after=a");
    assert!(routes::redirect(&uri, None, 9091).is_none());
    let evil = hyper::header::HeaderValue::from_static("a/b?c@evil");
    assert!(routes::redirect(&uri, Some(&evil), 9091).is_none());
}
