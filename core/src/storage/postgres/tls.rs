//! TLS to the database, by rustls with ring.

use std::sync::Arc;

use ::ring::digest::{SHA256, digest};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::url::{PostgresUrl, Verify};
use crate::storage::StorageError;

/// Makes the TLS side of connections to `url`.
pub(super) fn connector(url: &PostgresUrl) -> Result<MakeRustlsConnect, StorageError> {
    let provider = Arc::new(ring::default_provider());
    let verifier: Arc<dyn ServerCertVerifier> = match url.verify() {
        Verify::Nothing => Arc::new(Pinned { fingerprint: None, provider: provider.clone() }),
        Verify::Fingerprint(octets) => {
            Arc::new(Pinned { fingerprint: Some(*octets), provider: provider.clone() })
        }
        Verify::PublicRoots => {
            let roots = webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect();
            chain(roots, &provider)?
        }
        Verify::RootFile(path) => chain(roots_in(path)?, &provider)?,
    };
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| StorageError::Tls(e.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}

fn chain(
    roots: RootCertStore,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>, StorageError> {
    let built = WebPkiServerVerifier::builder_with_provider(roots.into(), provider.clone()).build();
    built.map(|v| v as Arc<dyn ServerCertVerifier>).map_err(|e| StorageError::Tls(e.to_string()))
}

fn roots_in(path: &std::path::Path) -> Result<RootCertStore, StorageError> {
    let wrong = |why: String| StorageError::Tls(format!("sslrootcert {}: {why}", path.display()));
    let mut roots = RootCertStore::empty();
    let unread = |error: pem::Error| match error {
        pem::Error::Io(cause) => wrong(cause.to_string()),
        other => wrong(other.to_string()),
    };
    for certificate in CertificateDer::pem_file_iter(path).map_err(unread)? {
        let certificate = certificate.map_err(unread)?;
        roots.add(certificate).map_err(|e| wrong(e.to_string()))?;
    }
    match roots.is_empty() {
        true => Err(wrong("it holds no certificate".to_owned())),
        false => Ok(roots),
    }
}

/// Accepts one certificate, or any when no fingerprint is given. PostgreSQL's usual self-signed
/// certificate is marked as a CA, which a chain check refuses; pinning is the way to trust it.
#[derive(Debug)]
struct Pinned {
    fingerprint: Option<[u8; 32]>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match self.fingerprint {
            Some(pinned) if digest(&SHA256, end_entity).as_ref() != pinned => {
                Err(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure))
            }
            _ => Ok(ServerCertVerified::assertion()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
