//! TLS 1.2 and 1.3, server side, by rustls' unbuffered interface with ring as the only provider.
//!
//! A connection keeps nothing but rustls' own state: records are decrypted and encrypted in buffers of
//! the worker thread, and only an incomplete record waits in the connection.

mod certificates;
mod channel_binding;
mod connection;
mod described;
mod error;
mod identity;
mod self_signed;
#[cfg(test)]
mod tests;
mod witness;

pub use certificates::{CHAIN_FILE, Certificates, KEY_FILE, TlsAcceptor};
pub use channel_binding::ChannelBinding;
pub(super) use connection::Tls;
pub use connection::TlsInfo;
pub use described::Described;
pub use error::{CertificateError, TlsError};

/// What a listener speaks under TLS; decides the ALPN protocol (RFC 7301) that it accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// XEP-0368 client to server.
    Client,
    /// XEP-0368 server to server.
    Server,
    /// HTTP/1.1: console, BOSH, WebSocket.
    Http,
}

impl Service {
    /// The protocol's registered ALPN identifier.
    pub fn alpn(self) -> &'static str {
        match self {
            Service::Client => "xmpp-client",
            Service::Server => "xmpp-server",
            Service::Http => "http/1.1",
        }
    }
}
