//! The certificate of a first start: encrypts, but proves nothing until the operator installs another.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::net::IpAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Duration, SystemTime};

use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, SanType};

use super::CertificateError;

/// A client that pinned it must not be surprised by its end.
const VALIDITY: Duration = Duration::from_secs(10 * 365 * 24 * 3600);
/// Clocks differ.
const BACKDATED: Duration = Duration::from_secs(24 * 3600);
/// `id-on-xmppAddr`, RFC 6120 §13.7.1.4.
const XMPP_ADDR: [u64; 9] = [1, 3, 6, 1, 5, 5, 7, 8, 5];

/// Writes an ECDSA P-256 key (mode 0600) and a self-signed certificate for `domain` and the machine's
/// own `host_name` (empty: none), each atomically. The certificate comes last: it exists only beside
/// its key.
pub(super) fn create(
    chain: &Path,
    key: &Path,
    [domain, host_name]: [&str; 2],
    now: SystemTime,
) -> Result<(), CertificateError> {
    let generate = |reason: String| CertificateError::Generate { domain: domain.into(), reason };
    let params = params([domain, host_name], now).map_err(generate)?;
    let key_pair = KeyPair::generate().map_err(|e| generate(e.to_string()))?;
    let certificate = params.self_signed(&key_pair).map_err(|e| generate(e.to_string()))?;
    if let Some(folder) = chain.parent() {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(|source| CertificateError::Unwritable { path: folder.into(), source })?;
    }
    let pem = zeroize::Zeroizing::new(key_pair.serialize_pem());
    write_atomically(key, &pem, 0o600)?;
    write_atomically(chain, &certificate.pem(), 0o644)?;
    tracing::warn!(chain = %chain.display(), "created a self-signed certificate: install one from a certificate authority");
    Ok(())
}

fn params([domain, host_name]: [&str; 2], now: SystemTime) -> Result<CertificateParams, String> {
    let mut params = CertificateParams::default();
    params.not_before = (now - BACKDATED).into();
    params.not_after = (now + VALIDITY).into();
    params.is_ca = IsCa::ExplicitNoCa;
    params.distinguished_name.push(DnType::CommonName, domain);
    // A server is the client of other servers.
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    let xmpp_addr = SanType::OtherName((XMPP_ADDR.to_vec(), domain.into()));
    params.subject_alt_names = vec![subject(domain)?, xmpp_addr];
    if !host_name.is_empty() && host_name != domain {
        params.subject_alt_names.push(subject(host_name)?);
    }
    Ok(params)
}

fn subject(name: &str) -> Result<SanType, String> {
    if let Ok(address) = name.trim_matches(['[', ']']).parse::<IpAddr>() {
        return Ok(SanType::IpAddress(address));
    }
    let ascii = idna::domain_to_ascii(name).map_err(|e| e.to_string())?;
    Ok(SanType::DnsName(ascii.try_into().map_err(|e: rcgen::Error| e.to_string())?))
}

/// A reader sees the whole file or none, also after a crash.
pub(super) fn write_atomically(path: &Path, text: &str, mode: u32) -> Result<(), CertificateError> {
    let new = path.with_extension("new");
    let write = || -> io::Result<()> {
        // What a crash left behind may have another mode.
        fs::remove_file(&new).or_else(|e| match e.kind() {
            io::ErrorKind::NotFound => Ok(()),
            _ => Err(e),
        })?;
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&new)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, path)
    };
    write().map_err(|source| CertificateError::Unwritable { path: path.into(), source })
}
