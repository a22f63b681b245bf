//! Both ends of a connection prove by the cluster's authority which node they are. TLS 1.3 only: no
//! node speaks anything older.

use std::sync::Arc;

use hearth_plugin_api::{Error, Result};
use rustls::client::{Resumption, WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::{NoServerSessionStorage, ParsedCertificate, WebPkiClientVerifier};
use rustls::version::TLS13;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::authority::{self, Identity};

/// What a node listens and calls with.
#[derive(Clone)]
pub struct Ends {
    pub acceptor: TlsAcceptor,
    pub connector: TlsConnector,
}

impl Ends {
    pub fn new(identity: &Identity) -> Result<Ends> {
        let provider = Arc::new(ring::default_provider());
        let (acceptor, connector) = (
            server(identity, &provider).map_err(failed)?,
            client(identity, &provider).map_err(failed)?,
        );
        Ok(Ends { acceptor: Arc::new(acceptor).into(), connector: Arc::new(connector).into() })
    }
}

type Made<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn server(identity: &Identity, provider: &Arc<CryptoProvider>) -> Made<ServerConfig> {
    let verifier = WebPkiClientVerifier::builder_with_provider(roots(identity)?, provider.clone());
    let (certificate, key) = own(identity)?;
    let mut config = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&TLS13])?
        .with_client_cert_verifier(verifier.build()?)
        .with_single_cert(certificate, key)?;
    // Links last; whoever calls again proves himself again.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(config)
}

fn client(identity: &Identity, provider: &Arc<CryptoProvider>) -> Made<ClientConfig> {
    let verifier = WebPkiServerVerifier::builder_with_provider(roots(identity)?, provider.clone());
    let (certificate, key) = own(identity)?;
    let mut config = ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&TLS13])?
        .with_webpki_verifier(verifier.build()?)
        .with_client_auth_cert(certificate, key)?;
    config.resumption = Resumption::disabled();
    Ok(config)
}

fn roots(identity: &Identity) -> Made<Arc<RootCertStore>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(identity.authority.as_bytes())?)?;
    Ok(Arc::new(roots))
}

fn own(identity: &Identity) -> Made<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)> {
    let certificate = CertificateDer::from_pem_slice(identity.certificate.as_bytes())?;
    Ok((vec![certificate], PrivateKeyDer::from_pem_slice(identity.key.as_bytes())?))
}

/// What the certificate of a node names.
pub fn name_of(node: u32) -> Option<ServerName<'static>> {
    ServerName::try_from(authority::name_of(node)).ok()
}

/// The certificate, which was verified, is this node's.
pub fn is_of(certificates: Option<&[CertificateDer<'_>]>, node: u32) -> bool {
    let certificate = certificates.and_then(|all| ParsedCertificate::try_from(all.first()?).ok());
    let name = name_of(node);
    certificate.zip(name).is_some_and(|(it, name)| verify_server_name(&it, &name).is_ok())
}

fn failed(error: Box<dyn std::error::Error>) -> Error {
    Error::from(format!("the links between nodes cannot be encrypted: {error}"))
}
