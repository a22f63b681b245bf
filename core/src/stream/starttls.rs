//! STARTTLS (RFC 6120 §5).

use super::header::Link;
use super::{AwaitRestart, Negotiating, Outputs, StartTls, StreamFault, StreamState};
use crate::auth::mechanism::BindingType;
use crate::ns;

/// What authentication needs to know of the TLS connection.
#[derive(Clone, Debug)]
pub struct TlsFacts {
    /// Protocol version and cipher suite, for the console and the log.
    pub version: &'static str,
    /// Keying material of RFC 9266 (label `EXPORTER-Channel-Binding`).
    pub exporter: Option<Box<[u8]>>,
    /// Hash of the server's certificate by RFC 5929 §4.1.
    pub server_end_point: Option<Box<[u8]>>,
}

impl TlsFacts {
    pub(super) fn binding(&self, kind: BindingType) -> Option<&[u8]> {
        match kind {
            BindingType::TlsExporter => self.exporter.as_deref(),
            BindingType::TlsServerEndPoint => self.server_end_point.as_deref(),
        }
    }
}

/// The peer may send its TLS handshake and nothing else.
pub struct Securing {
    link: Link,
}

impl Securing {
    /// RFC 6120 §5.4.3.3: all that was learnt before is forgotten, only the domain stays.
    pub(super) fn established(self, facts: TlsFacts, out: &mut Outputs) -> StreamState {
        out.tls_established();
        let link = Link { tls: Some(facts), lang: None, ..self.link };
        StreamState::AwaitRestart(Box::new(AwaitRestart { link, account: None }))
    }
}

impl Negotiating {
    /// Answers `<starttls/>`.
    pub(super) fn starttls(self, out: &mut Outputs) -> Result<StreamState, StreamFault> {
        let mut writer = out.writer();
        if self.link.tls.is_some() || self.link.profile.starttls == StartTls::Disabled {
            // §5.4.2.2: a failure, and the end of the stream without an error.
            writer.start("failure", Some(ns::TLS)).end("failure");
            out.close();
            return Ok(StreamState::Closed);
        }
        writer.start("proceed", Some(ns::TLS)).end("proceed");
        out.start_tls();
        Ok(StreamState::Securing(Box::new(Securing { link: self.link })))
    }
}
