//! What rustls tells only while it runs: the SNI name and the exporter secret.
//!
//! `UnbufferedServerConnection` has a getter for neither. But rustls calls the certificate resolver and
//! the key log on the thread that feeds it, so a thread-local slot ties what they see to a connection.

use std::cell::RefCell;
use std::sync::Arc;

use rustls::KeyLog;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use zeroize::Zeroizing;

/// The label of the TLS 1.3 `exporter_secret` in the key log (RFC 9850 §2).
const EXPORTER_SECRET: &str = "EXPORTER_SECRET";

thread_local! {
    static SEEN: RefCell<Seen> = const { RefCell::new(Seen { server_name: None, exporter: None }) };
}

/// What one run of rustls revealed.
#[derive(Default)]
pub(super) struct Seen {
    /// The name in the client's SNI extension (RFC 6066 §3).
    pub(super) server_name: Option<Box<str>>,
    /// TLS 1.3 `exporter_secret` (RFC 8446 §7.5).
    pub(super) exporter: Option<Zeroizing<Vec<u8>>>,
}

/// Runs `f` and returns what rustls revealed meanwhile on this thread.
pub(super) fn watch<R>(f: impl FnOnce() -> R) -> (R, Seen) {
    SEEN.take();
    let result = f();
    (result, SEEN.take())
}

/// Passes the exporter secret, and no other one, to [`watch`].
#[derive(Debug)]
pub(super) struct ExporterLog;

impl KeyLog for ExporterLog {
    fn log(&self, label: &str, _client_random: &[u8], secret: &[u8]) {
        if label == EXPORTER_SECRET {
            SEEN.with_borrow_mut(|seen| seen.exporter = Some(Zeroizing::new(secret.to_vec())));
        }
    }

    fn will_log(&self, label: &str) -> bool {
        label == EXPORTER_SECRET
    }
}

/// Serves one certificate to everybody, and passes the SNI name to [`watch`].
#[derive(Debug)]
pub(super) struct SingleCertificate(pub(super) Arc<CertifiedKey>);

impl ResolvesServerCert for SingleCertificate {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let server_name = hello.server_name().map(Box::from);
        SEEN.with_borrow_mut(|seen| seen.server_name = server_name);
        Some(self.0.clone())
    }
}
