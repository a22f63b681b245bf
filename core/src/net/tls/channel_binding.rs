//! Channel binding (RFC 5929, RFC 9266): ties SASL to the TLS connection below it.

use std::sync::Arc;

use ring::digest::{self, SHA256, SHA384, SHA512};
use ring::hkdf::{self, HKDF_SHA256, HKDF_SHA384, KeyType, Prk};
use x509_cert::Certificate;
use zeroize::Zeroizing;

/// RFC 9266 §2: the label and the length of the `tls-exporter` value; its context is empty.
const EXPORTER_LABEL: &[u8] = b"EXPORTER-Channel-Binding";
const EXPORTER_LENGTH: usize = 32;

/// The values that SCRAM-…-PLUS can bind to. Wiped when dropped.
pub struct ChannelBinding {
    pub(super) exporter: Option<Zeroizing<[u8; EXPORTER_LENGTH]>>,
    pub(super) server_end_point: Option<Arc<[u8]>>,
}

impl ChannelBinding {
    /// `tls-exporter` (RFC 9266), 32 bytes; `None` under TLS 1.2.
    pub fn tls_exporter(&self) -> Option<&[u8]> {
        self.exporter.as_ref().map(|value| value.as_slice())
    }

    /// `tls-server-end-point` (RFC 5929 §4), the hash of the served certificate; `None` if its
    /// signature algorithm implies no hash function (Ed25519).
    pub fn tls_server_end_point(&self) -> Option<&[u8]> {
        self.server_end_point.as_deref()
    }
}

/// RFC 8446 §7.5: `HKDF-Expand-Label(Derive-Secret(secret, label, ""), "exporter", Hash(""), 32)`.
/// `None` if `secret` has the length of no hash function that TLS 1.3 uses.
pub(super) fn tls_exporter(secret: &[u8]) -> Option<Zeroizing<[u8; EXPORTER_LENGTH]>> {
    let (hkdf, hash) = match secret.len() {
        32 => (HKDF_SHA256, &SHA256),
        48 => (HKDF_SHA384, &SHA384),
        _ => return None,
    };
    let empty = digest::digest(hash, b"");
    let mut derived = Zeroizing::new([0; 48]);
    let derived = &mut derived[..secret.len()];
    expand_label(&Prk::new_less_safe(hkdf, secret), EXPORTER_LABEL, empty.as_ref(), derived);
    let mut value = Zeroizing::new([0; EXPORTER_LENGTH]);
    let secret = Prk::new_less_safe(hkdf, derived);
    expand_label(&secret, b"exporter", empty.as_ref(), value.as_mut());
    Some(value)
}

/// RFC 8446 §7.1 `HKDF-Expand-Label`; `out` is at most 255 bytes long.
fn expand_label(secret: &Prk, label: &[u8], context: &[u8], out: &mut [u8]) {
    struct Length(usize);
    impl KeyType for Length {
        fn len(&self) -> usize {
            self.0
        }
    }
    const PREFIX: &[u8] = b"tls13 ";
    let info: [&[u8]; 6] = [
        &[0, out.len() as u8],
        &[(PREFIX.len() + label.len()) as u8],
        PREFIX,
        label,
        &[context.len() as u8],
        context,
    ];
    secret
        .expand(&info, Length(out.len()))
        .and_then(|okm: hkdf::Okm<'_, Length>| okm.fill(out))
        .expect("HKDF gives up to 255 hash lengths, and 48 bytes are asked for at most");
}

/// RFC 5929 §4.1: the certificate's hash by the function of its signature, SHA-256 in place of MD5 and
/// SHA-1. `None` for signatures without a single hash function; RSASSA-PSS, which keeps it in a
/// parameter, is among them.
pub(super) fn server_end_point(der: &[u8], certificate: &Certificate) -> Option<Arc<[u8]>> {
    let hash = match certificate.signature_algorithm.oid.to_string().as_str() {
        // MD5, SHA-1 and SHA-256 with RSA; SHA-1 and SHA-256 with ECDSA.
        "1.2.840.113549.1.1.4" | "1.2.840.113549.1.1.5" | "1.2.840.113549.1.1.11" => &SHA256,
        "1.2.840.10045.4.1" | "1.2.840.10045.4.3.2" => &SHA256,
        // SHA-384 and SHA-512 with RSA and with ECDSA.
        "1.2.840.113549.1.1.12" | "1.2.840.10045.4.3.3" => &SHA384,
        "1.2.840.113549.1.1.13" | "1.2.840.10045.4.3.4" => &SHA512,
        _ => return None,
    };
    Some(digest::digest(hash, der).as_ref().into())
}
