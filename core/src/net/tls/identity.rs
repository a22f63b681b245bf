//! A certificate with its key, ready to be served.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{NoServerSessionStorage, ServerConfig};
use rustls::sign::CertifiedKey;
use rustls::{Error as RustlsError, InconsistentKeys, NoKeyLog};
use x509_cert::Certificate;
use x509_cert::der::Decode;
use zeroize::Zeroizing;

use super::channel_binding;
use super::witness::{ExporterLog, SingleCertificate};
use super::{CertificateError, Service};

/// One loaded certificate and the TLS configurations that serve it. Replaced as a whole on reload, so
/// that session tickets, too, belong to the certificate that the client saw.
pub(super) struct Identity {
    client: Arc<ServerConfig>,
    server: Arc<ServerConfig>,
    http: Arc<ServerConfig>,
    /// `tls-server-end-point`, the same for every connection.
    pub(super) server_end_point: Option<Arc<[u8]>>,
    pub(super) not_after: SystemTime,
    /// The server's certificate first.
    pub(super) chain: Vec<CertificateDer<'static>>,
}

impl Identity {
    /// Reads a PEM chain (the server's certificate first) and its PEM private key.
    pub(super) fn load(chain: &Path, key: &Path) -> Result<Identity, CertificateError> {
        Identity::parse((&read(chain)?, chain), (&read(key)?, key))
    }

    /// The same from text; the paths are for errors.
    pub(super) fn parse(
        (chain_text, chain): (&[u8], &Path),
        (key_text, key): (&[u8], &Path),
    ) -> Result<Identity, CertificateError> {
        let certificates = parse_chain(chain_text, chain)?;
        let no_key = |_| CertificateError::NoKey { path: key.into() };
        let private_key = PrivateKeyDer::from_pem_slice(key_text).map_err(no_key)?;
        let served = certificates.clone();
        let leaf_der = certificates[0].clone();
        let leaf = Certificate::from_der(&leaf_der).map_err(|e| unusable(chain, e))?;
        let certified =
            CertifiedKey::from_der(certificates, private_key, &ring::default_provider()).map_err(
                |error| match error {
                    RustlsError::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
                        CertificateError::Mismatch { chain: chain.into(), key: key.into() }
                    }
                    other => unusable(key, other),
                },
            )?;
        let resolver = Arc::new(SingleCertificate(Arc::new(certified)));
        let config = |service| server_config(service, &resolver).map_err(|e| unusable(chain, e));
        Ok(Identity {
            client: config(Service::Client)?,
            server: config(Service::Server)?,
            http: config(Service::Http)?,
            server_end_point: channel_binding::server_end_point(&leaf_der, &leaf),
            chain: served,
            not_after: leaf.tbs_certificate.validity.not_after.to_system_time(),
        })
    }

    pub(super) fn config(&self, service: Service) -> &Arc<ServerConfig> {
        match service {
            Service::Client => &self.client,
            Service::Server => &self.server,
            Service::Http => &self.http,
        }
    }

    /// Tells the log when the certificate is no longer, or soon not, valid.
    pub(super) fn warn_of_expiry(&self, chain: &Path, now: SystemTime) {
        const SOON: Duration = Duration::from_secs(14 * 24 * 3600);
        let chain = chain.display();
        match self.not_after.duration_since(now) {
            Err(_) => {
                tracing::warn!(%chain, "the certificate has expired: clients will refuse it; install a new one")
            }
            Ok(left) if left < SOON => {
                let days = left.as_secs() / (24 * 3600);
                tracing::warn!(%chain, days, "the certificate expires soon: install a new one");
            }
            Ok(_) => {}
        }
    }
}

fn server_config(
    service: Service,
    resolver: &Arc<SingleCertificate>,
) -> Result<Arc<ServerConfig>, RustlsError> {
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_cert_resolver(resolver.clone());
    config.alpn_protocols = vec![service.alpn().into()];
    // Stateless tickets only: no table of sessions to bound. No early data: it can be replayed.
    config.ticketer = ring::Ticketer::new()?;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 1;
    config.key_log = match service {
        Service::Client | Service::Server => Arc::new(ExporterLog),
        Service::Http => Arc::new(NoKeyLog {}),
    };
    Ok(Arc::new(config))
}

/// Wiped when dropped: it may be a key.
fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, CertificateError> {
    let unreadable = |source| CertificateError::Unreadable { path: path.into(), source };
    std::fs::read(path).map(Zeroizing::new).map_err(unreadable)
}

fn parse_chain(text: &[u8], path: &Path) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    let parsed: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text).collect();
    match parsed {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        _ => Err(CertificateError::NoCertificate { path: path.into() }),
    }
}

fn unusable(path: &Path, reason: impl ToString) -> CertificateError {
    CertificateError::Unusable { path: path.into(), reason: reason.to_string() }
}
