//! What can go wrong with a handshake, and with the certificate files.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// Why a connection could not be secured, or stopped being so.
#[derive(Debug, Error)]
pub enum TlsError {
    /// Peer: plaintext came after `<starttls/>`; may be an attack on the way.
    #[error("{bytes} bytes of plaintext were sent ahead of the TLS handshake")]
    PlaintextInjected { bytes: usize },
    /// Peer: violated the protocol, or shares no version, suite or ALPN protocol with this server.
    #[error("TLS: {0}")]
    Protocol(#[from] rustls::Error),
    /// Peer: sent an incomplete message beyond what a server needs to hold.
    #[error("TLS message too large: {bytes} bytes without an end")]
    TooLarge { bytes: usize },
    /// Peer: went away during the handshake.
    #[error("the peer closed the connection during the TLS handshake")]
    Closed,
    /// Peer: did not complete the handshake in time.
    #[error("the TLS handshake took too long")]
    Deadline,
    /// The connection broke.
    #[error("connection lost: {0}")]
    Io(#[from] io::Error),
    /// Bug: TLS was asked for on a connection that has it.
    #[error("TLS requested twice on one connection")]
    AlreadySecured,
}

impl From<TlsError> for io::Error {
    fn from(error: TlsError) -> Self {
        match error {
            TlsError::Io(error) => error,
            other => io::Error::new(io::ErrorKind::InvalidData, other),
        }
    }
}

/// Why a certificate cannot be served. All are local faults; each names the file and the remedy.
#[derive(Debug, Error)]
pub enum CertificateError {
    #[error(
        "cannot read {}: {source}; let the account that runs Hearth read it", .path.display()
    )]
    Unreadable { path: PathBuf, source: io::Error },
    #[error(
        "{} is missing while {} exists; put both there, or remove both to get a self-signed certificate",
        .missing.display(), .present.display()
    )]
    Half { missing: PathBuf, present: PathBuf },
    #[error(
        "{} holds no certificate; it must be PEM text: the server's certificate first, then its intermediates",
        .path.display()
    )]
    NoCertificate { path: PathBuf },
    #[error("{} holds no private key; it must be PEM text without a passphrase", .path.display())]
    NoKey { path: PathBuf },
    #[error(
        "{} does not belong to {}; install the pair that was issued together",
        .key.display(), .chain.display()
    )]
    Mismatch { chain: PathBuf, key: PathBuf },
    #[error(
        "the certificate is valid from {from} to {to} only, and now it is {now}; issue another one, \
         or set the clock of this machine"
    )]
    OutOfDate { from: String, to: String, now: String },
    #[error(
        "the certificate is not for {domain} but for {}; clients would refuse it: issue one that has \
         this name", .names.join(", ")
    )]
    Elsewhere { domain: String, names: Vec<String> },
    #[error("cannot use {}: {reason}; issue a new certificate (ECDSA P-256 or RSA)", .path.display())]
    Unusable { path: PathBuf, reason: String },
    #[error(
        "cannot write {}: {source}; check the folder's owner and the free space", .path.display()
    )]
    Unwritable { path: PathBuf, source: io::Error },
    #[error(
        "cannot create a self-signed certificate for {domain:?}: {reason}; check the domain's spelling"
    )]
    Generate { domain: String, reason: String },
}
