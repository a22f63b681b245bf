//! What a certificate says, for people.

use std::time::SystemTime;

use ring::digest::{SHA256, digest};
use rustls::client::verify_server_name;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::server::ParsedCertificate;
use x509_cert::Certificate;
use x509_cert::der::asn1::{ObjectIdentifier, UintRef};
use x509_cert::der::{Decode, Reader, SliceReader};
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::spki::SubjectPublicKeyInfoOwned;

const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");

/// One certificate of a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    /// RFC 4514.
    pub subject: String,
    pub issuer: String,
    /// The domains that it is for.
    pub names: Vec<String>,
    pub not_before: SystemTime,
    pub not_after: SystemTime,
    /// For example `ECDSA P-256` or `RSA 2048`.
    pub key: String,
    /// SHA-256 of the whole certificate, in hexadecimal pairs.
    pub fingerprint: String,
    /// Issued by itself: no authority vouches for it.
    pub self_signed: bool,
}

impl Described {
    /// `None`: it is no certificate.
    pub(super) fn of(certificate: &CertificateDer<'_>) -> Option<Described> {
        let parsed = Certificate::from_der(certificate).ok()?.tbs_certificate;
        let (subject, issuer) = (parsed.subject.to_string(), parsed.issuer.to_string());
        let names = parsed.get::<SubjectAltName>().ok().flatten();
        let names = names.iter().flat_map(|(_, names)| &names.0).filter_map(name);
        Some(Described {
            names: names.collect(),
            not_before: parsed.validity.not_before.to_system_time(),
            not_after: parsed.validity.not_after.to_system_time(),
            key: key(&parsed.subject_public_key_info),
            fingerprint: fingerprint(certificate),
            self_signed: subject == issuer,
            subject,
            issuer,
        })
    }
}

/// Whether clients that expect `domain` accept the certificate's names (RFC 6125, RFC 9525).
pub(super) fn covers(certificate: &CertificateDer<'_>, domain: &str) -> bool {
    let plain = domain.trim_matches(['[', ']']);
    let ascii = idna::domain_to_ascii(plain).unwrap_or_else(|_| plain.to_owned());
    let Ok(name) = ServerName::try_from(ascii) else { return false };
    let parsed = ParsedCertificate::try_from(certificate);
    parsed.is_ok_and(|parsed| verify_server_name(&parsed, &name).is_ok())
}

fn name(name: &GeneralName) -> Option<String> {
    match name {
        GeneralName::DnsName(name) => Some(name.to_string()),
        GeneralName::IpAddress(octets) => match octets.as_bytes() {
            octets if octets.len() == 4 => {
                Some(std::net::Ipv4Addr::from(<[u8; 4]>::try_from(octets).ok()?).to_string())
            }
            octets => {
                Some(std::net::Ipv6Addr::from(<[u8; 16]>::try_from(octets).ok()?).to_string())
            }
        },
        _ => None,
    }
}

fn key(info: &SubjectPublicKeyInfoOwned) -> String {
    let curve = || info.algorithm.parameters.as_ref()?.decode_as::<ObjectIdentifier>().ok();
    match info.algorithm.oid {
        RSA => rsa_bits(info).map_or("RSA".to_owned(), |bits| format!("RSA {bits}")),
        ED25519 => "Ed25519".to_owned(),
        EC => match curve() {
            Some(P256) => "ECDSA P-256".to_owned(),
            Some(P384) => "ECDSA P-384".to_owned(),
            _ => "ECDSA".to_owned(),
        },
        other => other.to_string(),
    }
}

/// RFC 8017 §A.1.1: the key is a sequence of modulus and exponent.
fn rsa_bits(info: &SubjectPublicKeyInfoOwned) -> Option<usize> {
    let mut reader = SliceReader::new(info.subject_public_key.as_bytes()?).ok()?;
    let modulus = reader.sequence(|fields| {
        let modulus = UintRef::decode(fields)?;
        UintRef::decode(fields)?;
        Ok(modulus.as_bytes().len() * 8)
    });
    modulus.ok()
}

fn fingerprint(certificate: &CertificateDer<'_>) -> String {
    let hash = digest(&SHA256, certificate);
    hash.as_ref().iter().map(|octet| format!("{octet:02X}")).collect::<Vec<_>>().join(":")
}
