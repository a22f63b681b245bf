//! Our server side against rustls' own client over loopback.

use std::future::poll_fn;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{
    ClientConfig, RootCertStore, SupportedCipherSuite, SupportedProtocolVersion, version,
};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::*;
use crate::net::Io;

const DOMAIN: &str = "hearth.example";

struct Site {
    folder: TempDir,
    certificates: Arc<Certificates>,
}

fn site() -> Site {
    let folder = TempDir::new().unwrap();
    let certificates = Certificates::open(folder.path(), [DOMAIN, ""], SystemTime::now()).unwrap();
    Site { folder, certificates }
}

async fn accepted(
    server: TcpStream,
    acceptor: &TlsAcceptor,
    buffered: usize,
    deadline: Instant,
) -> Result<Io, TlsError> {
    let mut io = Io::plain(server);
    io.accept_tls(acceptor, buffered, deadline).await?;
    Ok(io)
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout_at(soon(), future).await.expect("the deadline of a test")
}

async fn tcp() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (client, server) = tokio::join!(TcpStream::connect(address), listener.accept());
    (client.unwrap(), server.unwrap().0)
}

fn leaf(folder: &Path) -> CertificateDer<'static> {
    CertificateDer::from_pem_file(folder.join(CHAIN_FILE)).unwrap()
}

fn client_config(folder: &Path, version: &'static SupportedProtocolVersion) -> ClientConfig {
    config_with_suite(folder, version, None)
}

fn config_with_suite(
    folder: &Path,
    version: &'static SupportedProtocolVersion,
    suite: Option<SupportedCipherSuite>,
) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(leaf(folder)).unwrap();
    let mut provider = rustls::crypto::ring::default_provider();
    if let Some(suite) = suite {
        provider.cipher_suites = vec![suite];
    }
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"xmpp-client".to_vec()];
    config
}

impl Site {
    fn acceptor(&self) -> TlsAcceptor {
        self.certificates.acceptor(Service::Client)
    }

    async fn connect(
        &self,
        version: &'static SupportedProtocolVersion,
    ) -> (TlsStream<TcpStream>, Io) {
        let config = client_config(self.folder.path(), version);
        let (client, server) = self.try_connect(config).await;
        (client.unwrap(), server.unwrap())
    }

    async fn try_connect(
        &self,
        config: ClientConfig,
    ) -> (io::Result<TlsStream<TcpStream>>, Result<Io, TlsError>) {
        let (client, server) = tcp().await;
        let name = ServerName::try_from(DOMAIN).unwrap();
        let acceptor = self.acceptor();
        within(async {
            tokio::join!(
                TlsConnector::from(Arc::new(config)).connect(name, client),
                accepted(server, &acceptor, 0, soon()),
            )
        })
        .await
    }
}

async fn read(io: &mut Io) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    within(poll_fn(|cx| io.poll_read(cx, &mut |slice| bytes.extend_from_slice(slice)))).await?;
    Ok(bytes)
}

async fn read_exactly(io: &mut Io, length: usize) -> Vec<u8> {
    let mut all = Vec::new();
    while all.len() < length {
        let bytes = read(io).await.unwrap();
        assert!(!bytes.is_empty(), "the stream ended after {} of {length} bytes", all.len());
        all.extend(bytes);
    }
    all
}

/// Hands `bytes` over in one call; returns what was not taken by the kernel at once.
async fn write(io: &mut Io, bytes: &[u8]) -> usize {
    poll_fn(|cx| {
        let result = io.poll_write(cx, bytes);
        assert!(!matches!(result, std::task::Poll::Ready(Err(_))), "{result:?}");
        std::task::Poll::Ready(())
    })
    .await;
    io.pending()
}

async fn flush(io: &mut Io) {
    within(poll_fn(|cx| io.poll_flush(cx))).await.unwrap();
}

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|i| (i % 251) as u8).collect()
}

async fn carries_both_ways(version: &'static SupportedProtocolVersion) {
    let (mut client, mut io) = site().connect(version).await;
    for length in [1, 2, 100, 4096, 16 * 1024, 16 * 1024 + 1, 100_000, 1 << 20] {
        let data = pattern(length);
        let (sent, received) = tokio::join!(
            async {
                client.write_all(&data).await.unwrap();
                client.flush().await.unwrap();
                let mut back = vec![0; length];
                client.read_exact(&mut back).await.unwrap();
                back
            },
            async {
                let received = read_exactly(&mut io, length).await;
                write(&mut io, &received).await;
                flush(&mut io).await;
                received
            }
        );
        assert!(sent == data && received == data, "{length} bytes");
        assert_eq!(io.held(), 0, "buffers after {length} bytes");
    }
}

#[tokio::test]
async fn tls13_carries_data_of_every_size() {
    carries_both_ways(&version::TLS13).await;
}

#[tokio::test]
async fn tls12_carries_data_of_every_size() {
    carries_both_ways(&version::TLS12).await;
}

#[tokio::test]
async fn the_handshake_tells_what_was_agreed() {
    let (_client, io) = site().connect(&version::TLS13).await;
    let info = io.tls().unwrap();
    assert_eq!(info.version, "TLSv1_3");
    assert!(info.cipher_suite.starts_with("TLS13_"), "{}", info.cipher_suite);
    assert_eq!(info.alpn, Some("xmpp-client"));
    assert_eq!(info.server_name.as_deref(), Some(DOMAIN));
    let (_client, io) = site().connect(&version::TLS12).await;
    assert_eq!(io.tls().unwrap().version, "TLSv1_2");
}

#[tokio::test]
async fn both_ends_export_the_same_channel_binding_with_every_suite() {
    let site = site();
    for suite in rustls::crypto::ring::default_provider().cipher_suites {
        if suite.tls13().is_none() {
            continue;
        }
        let config = config_with_suite(site.folder.path(), &version::TLS13, Some(suite));
        let (client, server) = site.try_connect(config).await;
        let mut server = server.unwrap();
        let expected = exported(&client.unwrap());
        let binding = server.tls().unwrap().channel_binding().unwrap();
        assert_eq!(binding.tls_exporter(), Some(&expected[..]), "{suite:?}");
        server.forget_channel_binding();
        assert!(server.tls().unwrap().channel_binding().is_none());
    }
}

fn exported(client: &TlsStream<TcpStream>) -> [u8; 32] {
    let connection = client.get_ref().1;
    connection.export_keying_material([0; 32], b"EXPORTER-Channel-Binding", Some(b"")).unwrap()
}

#[tokio::test]
async fn a_resumed_connection_exports_its_own_channel_binding() {
    let site = site();
    let config = client_config(site.folder.path(), &version::TLS13);
    let mut seen = Vec::new();
    for _ in 0..2 {
        let (client, server) = site.try_connect(config.clone()).await;
        let (mut client, mut server) = (client.unwrap(), server.unwrap());
        // The ticket comes with the first bytes.
        write(&mut server, b"x").await;
        client.read_u8().await.unwrap();
        let expected = exported(&client);
        let binding = server.tls().unwrap().channel_binding().unwrap();
        assert_eq!(binding.tls_exporter(), Some(&expected[..]));
        seen.push((client.get_ref().1.handshake_kind().unwrap(), expected));
    }
    assert_eq!(seen[0].0, rustls::HandshakeKind::Full);
    assert_eq!(seen[1].0, rustls::HandshakeKind::Resumed);
    assert_ne!(seen[0].1, seen[1].1);
}

#[tokio::test]
async fn tls12_binds_to_the_certificate_only() {
    let site = site();
    let (_client, io) = site.connect(&version::TLS12).await;
    let binding = io.tls().unwrap().channel_binding().unwrap();
    let digest = ring::digest::digest(&ring::digest::SHA256, &leaf(site.folder.path()));
    assert_eq!(binding.tls_server_end_point(), Some(digest.as_ref()));
    assert_eq!(binding.tls_exporter(), None);
}

/// Passes every byte in a segment of its own.
async fn drip(mut from: TcpStream, mut to: TcpStream) {
    to.set_nodelay(true).unwrap();
    let (mut from_read, mut from_write) = from.split();
    let (mut to_read, mut to_write) = to.split();
    let there = async {
        while let Ok(byte) = from_read.read_u8().await {
            to_write.write_u8(byte).await.unwrap();
            tokio::task::yield_now().await;
        }
    };
    tokio::join!(there, async { tokio::io::copy(&mut to_read, &mut from_write).await.ok() });
}

#[tokio::test]
async fn records_may_come_byte_by_byte() {
    let site = site();
    for version in [&version::TLS12, &version::TLS13] {
        let (client, near) = tcp().await;
        let (far, server) = tcp().await;
        let proxy = tokio::spawn(drip(near, far));
        let connector = TlsConnector::from(Arc::new(client_config(site.folder.path(), version)));
        let acceptor = site.acceptor();
        let (client, server) = tokio::join!(
            connector.connect(ServerName::try_from(DOMAIN).unwrap(), client),
            accepted(server, &acceptor, 0, soon()),
        );
        let (mut client, mut server) = (client.unwrap(), server.unwrap());
        let data = pattern(3000);
        client.write_all(&data).await.unwrap();
        client.flush().await.unwrap();
        assert_eq!(read_exactly(&mut server, data.len()).await, data);
        assert_eq!(server.held(), 0);
        proxy.abort();
    }
}

#[tokio::test]
async fn a_slow_reader_leaves_bytes_pending_until_it_reads() {
    let (mut client, mut io) = site().connect(&version::TLS13).await;
    let data = pattern(16 << 20);
    let (first, second) = data.split_at(data.len() - 10);
    assert!(write(&mut io, first).await > 0, "the kernel took 16 MiB that nobody reads");
    let pending = io.pending();
    assert!(write(&mut io, second).await > pending, "written behind what waits");
    let mut back = vec![0; data.len()];
    let ((), read) = tokio::join!(flush(&mut io), client.read_exact(&mut back));
    read.unwrap();
    assert!(back == data);
    assert_eq!((io.pending(), io.held()), (0, 0));
}

#[tokio::test]
async fn a_proper_close_is_told_from_a_cut() {
    let site = site();
    for version in [&version::TLS12, &version::TLS13] {
        let (mut client, mut io) = site.connect(version).await;
        client.write_all(b"bye").await.unwrap();
        client.shutdown().await.unwrap();
        assert_eq!(read(&mut io).await.unwrap(), b"bye");
        assert_eq!(read(&mut io).await.unwrap(), b"");
        assert!(!io.truncated());

        let (mut client, mut io) = site.connect(version).await;
        // A socket that is closed with bytes unread (the session ticket) sends RST instead of FIN.
        write(&mut io, b"x").await;
        client.read_u8().await.unwrap();
        drop(client.into_inner().0);
        assert_eq!(read(&mut io).await.unwrap(), b"");
        assert!(io.truncated());
    }
}

#[tokio::test]
async fn shutdown_tells_the_peer() {
    let (mut client, mut io) = site().connect(&version::TLS13).await;
    write(&mut io, b"last words").await;
    io.shutdown(soon()).await;
    let mut rest = Vec::new();
    // rustls' client reports an error if close_notify is missing.
    within(client.read_to_end(&mut rest)).await.unwrap();
    assert_eq!(rest, b"last words");
}

#[tokio::test]
async fn shutdown_gives_up_on_a_peer_that_does_not_read() {
    let (_client, mut io) = site().connect(&version::TLS13).await;
    write(&mut io, &pattern(16 << 20)).await;
    io.shutdown(Instant::now()).await;
    assert!(io.pending() > 0);
}

#[tokio::test]
async fn data_right_behind_the_handshake_is_kept_for_the_first_read() {
    let site = site();
    let (client, server) = tcp().await;
    let connector =
        TlsConnector::from(Arc::new(client_config(site.folder.path(), &version::TLS13)));
    let acceptor = site.acceptor();
    let speak = async {
        let name = ServerName::try_from(DOMAIN).unwrap();
        let mut client = connector.connect(name, client).await.unwrap();
        client.write_all(b"<stream>").await.unwrap();
        client.flush().await.unwrap();
        client
    };
    let (server, _client) = tokio::join!(accepted(server, &acceptor, 0, soon()), speak);
    assert_eq!(read(&mut server.unwrap()).await.unwrap(), b"<stream>");
}

#[tokio::test]
async fn garbage_is_answered_with_an_alert() {
    let site = site();
    let (mut client, server) = tcp().await;
    client.write_all(b"<?xml version='1.0'?><stream:stream to='hearth.example'>").await.unwrap();
    let error = accepted(server, &site.acceptor(), 0, soon()).await.err().unwrap();
    assert!(matches!(error, TlsError::Protocol(_)), "{error}");
    let mut alert = [0; 7];
    client.read_exact(&mut alert).await.unwrap();
    assert_eq!((alert[0], alert[5]), (21, 2), "a fatal alert");
}

#[tokio::test]
async fn an_endless_client_hello_is_refused() {
    let site = site();
    let (mut client, server) = tcp().await;
    // A handshake message of 60,000 bytes, in records of 4,000.
    let mut hello = vec![22, 3, 1, 0x0f, 0xa0, 1, 0, 0xea, 0x60];
    hello.resize(4005, 0);
    let mut record = vec![22, 3, 1, 0x0f, 0xa0];
    record.resize(4005, 0);
    let flood = async {
        client.write_all(&hello).await?;
        loop {
            client.write_all(&record).await?;
        }
    };
    let acceptor = site.acceptor();
    tokio::select! {
        result = accepted(server, &acceptor, 0, soon()) => {
            assert!(matches!(result, Err(TlsError::TooLarge { .. })), "{:?}", result.err());
        }
        error = flood => { let error: io::Result<()> = error; panic!("{error:?}") }
    }
}

#[tokio::test]
async fn a_client_for_another_protocol_is_refused() {
    let site = site();
    let mut config = client_config(site.folder.path(), &version::TLS13);
    config.alpn_protocols = vec![b"xmpp-server".to_vec()];
    let (client, server) = site.try_connect(config).await;
    assert!(matches!(server, Err(TlsError::Protocol(_))));
    assert!(client.unwrap_err().to_string().contains("NoApplicationProtocol"));
}

#[tokio::test]
async fn a_silent_client_meets_the_deadline() {
    let (_client, server) = tcp().await;
    let acceptor = site().acceptor();
    let error = accepted(server, &acceptor, 0, Instant::now()).await.err();
    assert!(matches!(error, Some(TlsError::Deadline)), "{error:?}");
}

#[tokio::test]
async fn a_client_that_leaves_ends_the_handshake() {
    let (client, server) = tcp().await;
    drop(client);
    let acceptor = site().acceptor();
    let error = accepted(server, &acceptor, 0, soon()).await.err();
    assert!(matches!(error, Some(TlsError::Closed)), "{error:?}");
}

#[tokio::test]
async fn plaintext_ahead_of_the_handshake_is_refused() {
    let (_client, server) = tcp().await;
    let acceptor = site().acceptor();
    let error = accepted(server, &acceptor, 5, soon()).await.err();
    assert!(matches!(error, Some(TlsError::PlaintextInjected { bytes: 5 })), "{error:?}");
}

#[tokio::test]
async fn plain_text_carries_data_and_holds_nothing() {
    let (mut client, server) = tcp().await;
    let mut io = Io::plain(server);
    let data = pattern(16 << 20);
    assert!(write(&mut io, &data).await > 0);
    let mut back = vec![0; data.len()];
    let ((), read_back) = tokio::join!(flush(&mut io), client.read_exact(&mut back));
    read_back.unwrap();
    assert!(back == data);
    client.write_all(b"hello").await.unwrap();
    client.shutdown().await.unwrap();
    assert_eq!(read(&mut io).await.unwrap(), b"hello");
    assert_eq!(read(&mut io).await.unwrap(), b"");
    assert_eq!(io.held(), 0);
    assert!(io.tls().is_none() && !io.truncated());
    assert!(std::mem::size_of::<Io>() <= 96);
}

#[tokio::test]
async fn a_reload_serves_the_new_certificate_and_keeps_connections() {
    let site = site();
    let old = leaf(site.folder.path());
    let (mut old_client, mut old_io) = site.connect(&version::TLS13).await;
    let now = SystemTime::now();
    assert!(!site.certificates.reload_if_changed(now).unwrap());

    std::fs::remove_file(site.folder.path().join(CHAIN_FILE)).unwrap();
    std::fs::remove_file(site.folder.path().join(KEY_FILE)).unwrap();
    assert!(site.certificates.reload_if_changed(now).is_err());
    let elsewhere = TempDir::new().unwrap();
    Certificates::open(elsewhere.path(), [DOMAIN, ""], now).unwrap();
    for file in [CHAIN_FILE, KEY_FILE] {
        std::fs::rename(elsewhere.path().join(file), site.folder.path().join(file)).unwrap();
    }
    assert!(site.certificates.reload_if_changed(now).unwrap());

    let (client, _io) = site.connect(&version::TLS13).await;
    let served = client.get_ref().1.peer_certificates().unwrap()[0].clone();
    assert_eq!(served, leaf(site.folder.path()));
    assert_ne!(served, old);
    old_client.write_all(b"still here").await.unwrap();
    assert_eq!(read(&mut old_io).await.unwrap(), b"still here");
}

#[test]
fn the_self_signed_key_is_readable_by_its_owner_only_and_survives_a_restart() {
    use std::os::unix::fs::PermissionsExt;
    let site = site();
    let mode = site.folder.path().join(KEY_FILE).metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let before = leaf(site.folder.path());
    Certificates::open(site.folder.path(), [DOMAIN, ""], SystemTime::now()).unwrap();
    assert_eq!(leaf(site.folder.path()), before);
    let years = site.certificates.not_after().duration_since(SystemTime::now()).unwrap();
    assert!(years > Duration::from_secs(9 * 365 * 24 * 3600));
}

#[test]
fn unusable_files_are_named_with_the_remedy() {
    let site = site();
    let other = self::site();
    let path = |name: &str| site.folder.path().join(name);
    let error = || {
        let opened = Certificates::open(site.folder.path(), [DOMAIN, ""], SystemTime::now());
        opened.err().map(|error| error.to_string()).unwrap_or_default()
    };
    let key = std::fs::read(path(KEY_FILE)).unwrap();

    std::fs::copy(other.folder.path().join(KEY_FILE), path(KEY_FILE)).unwrap();
    assert!(error().contains("does not belong to"), "{}", error());
    std::fs::write(path(KEY_FILE), "no key").unwrap();
    assert!(error().contains("holds no private key"), "{}", error());
    std::fs::remove_file(path(KEY_FILE)).unwrap();
    assert!(error().contains("privkey.pem is missing while"), "{}", error());
    std::fs::create_dir(path(KEY_FILE)).unwrap();
    assert!(error().contains("cannot read"), "{}", error());
    std::fs::remove_dir(path(KEY_FILE)).unwrap();
    std::fs::write(path(KEY_FILE), key).unwrap();
    std::fs::write(path(CHAIN_FILE), "").unwrap();
    assert!(error().contains("holds no certificate"), "{}", error());
    let der = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    std::fs::write(path(CHAIN_FILE), der).unwrap();
    assert!(error().contains("issue a new certificate"), "{}", error());
}

#[test]
fn domains_may_be_international_or_addresses() {
    for domain in ["bücher.example", "127.0.0.1", "[::1]", "localhost"] {
        let folder = TempDir::new().unwrap();
        Certificates::open(folder.path(), [domain, ""], SystemTime::now()).unwrap();
    }
}
