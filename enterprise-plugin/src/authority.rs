//! The cluster's own certificate authority. The first node makes it and keeps it in the plugin's table;
//! each node issues itself a certificate for each of its starts. So the links between nodes are encrypted
//! and both ends proven, and nobody configures anything: who reads the database may be a node.

use std::time::{Duration, SystemTime};

use hearth_plugin_api::{Error, Host, Result};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};
use ring::digest::{SHA256, digest};

use crate::store;

/// Longer than any run of a node.
const VALIDITY: Duration = Duration::from_secs(20 * 365 * 24 * 3600);
/// Clocks differ.
const BACKDATED: Duration = Duration::from_secs(2 * 24 * 3600);
const NAME: &str = "Hearth cluster";

/// What a node proves itself by. All in PEM.
#[derive(Clone)]
pub struct Identity {
    /// Certificate of the cluster's authority.
    pub authority: String,
    pub certificate: String,
    pub key: String,
    /// SHA-256 of the certificate, in hexadecimal.
    pub fingerprint: String,
}

/// The identity of this start of this node, from the cluster's authority, which is made if there is none.
pub async fn identity(host: &Host) -> Result<Identity> {
    let now = SystemTime::UNIX_EPOCH + Duration::from_millis(host.now_ms().max(0) as u64);
    let candidate = create(now)?;
    let [certificate, key] = store::authority(host, &candidate).await?;
    issue(&certificate, &key, host.info().node, now)
}

/// A new authority: certificate and key.
pub fn create(now: SystemTime) -> Result<[String; 2]> {
    // The default of rcgen with ring is ECDSA on P-256.
    let key = KeyPair::generate().map_err(failed)?;
    let certificate = authority(now).self_signed(&key).map_err(failed)?;
    Ok([certificate.pem(), key.serialize_pem()])
}

/// A certificate for a node.
pub fn issue(authority_pem: &str, key: &str, node: u32, now: SystemTime) -> Result<Identity> {
    let issuer = Issuer::new(authority(now), KeyPair::from_pem(key).map_err(failed)?);
    let mut params = dated(now);
    params.distinguished_name.push(DnType::CommonName, format!("node {node:08x}"));
    params.subject_alt_names = vec![SanType::DnsName(name_of(node).try_into().map_err(failed)?)];
    params.is_ca = IsCa::ExplicitNoCa;
    // Each node listens and connects.
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    let own = KeyPair::generate().map_err(failed)?;
    let certificate = params.signed_by(&own, &issuer).map_err(failed)?;
    let fingerprint = digest(&SHA256, certificate.der());
    let fingerprint = fingerprint.as_ref().iter().map(|octet| format!("{octet:02x}")).collect();
    Ok(Identity {
        authority: authority_pem.to_owned(),
        certificate: certificate.pem(),
        key: own.serialize_pem(),
        fingerprint,
    })
}

/// What a node's certificate names. Nobody resolves it: the domain is one that nobody can have.
pub fn name_of(node: u32) -> String {
    format!("node-{node:08x}.hearth.internal")
}

/// What an issuer is known by, its name and its key, does not depend on the dates.
fn authority(now: SystemTime) -> CertificateParams {
    let mut params = dated(now);
    params.distinguished_name.push(DnType::CommonName, NAME);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params
}

fn dated(now: SystemTime) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.not_before = (now - BACKDATED).into();
    params.not_after = (now + VALIDITY).into();
    params
}

fn failed(error: rcgen::Error) -> Error {
    Error::from(format!("the cluster's certificates could not be made: {error}"))
}
