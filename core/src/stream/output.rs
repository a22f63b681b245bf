//! What a step causes.

use smallvec::SmallVec;

use super::{Account, Bound, Profiles, Question, StreamFault};
use crate::jid::Jid;
use crate::ns;
use crate::xml::writer::Writer;

/// What the driver does after it has written the octets.
pub enum Output {
    /// Begin the TLS handshake; octets that the peer sent before it are a fault.
    StartTls,
    /// The peer sends a new header: reset the framer.
    Restart,
    /// Give the question to the oracle and feed in its answer.
    Ask(Question),
    /// The peer is authenticated: higher limits apply from now on.
    Authenticated(Account),
    /// A wrong password or proof for this name, for whoever counts them.
    LoginFailed { username: String },
    /// The address is bound; the state is [`super::StreamState::Bound`].
    Bind { jid: Jid },
    /// Close the connection when everything is written.
    Close,
}

/// Octets to write, then actions, in this order. One value serves a connection for all its steps:
/// the driver drains both fields after each.
#[derive(Default)]
pub struct Outputs {
    pub text: Vec<u8>,
    pub actions: SmallVec<[Output; 2]>,
    wire: Wire,
}

/// What stands on the wire at our side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Wire {
    /// No header, or a stream that is over.
    #[default]
    Nothing,
    Header,
    /// `<proceed/>`: the peer would take anything else for TLS.
    Proceed,
}

/// What our header says (RFC 6120 §4.7).
pub(super) struct HeaderFields<'a> {
    pub domain: &'a str,
    pub to: Option<&'a str>,
    pub id: &'a str,
}

impl Outputs {
    pub fn new() -> Outputs {
        Outputs::default()
    }

    pub(super) fn push(&mut self, output: Output) {
        self.actions.push(output);
    }

    pub(super) fn writer(&mut self) -> Writer<'_> {
        Writer::new(&mut self.text)
    }

    /// Writes our header.
    pub(super) fn header(&mut self, fields: &HeaderFields<'_>) {
        self.text.extend_from_slice(b"<?xml version='1.0'?>");
        let mut writer = Writer::new(&mut self.text);
        writer.start("stream:stream", Some(ns::CLIENT)).attribute("xmlns:stream", ns::STREAM);
        writer.attribute("id", fields.id).attribute("from", fields.domain);
        if let Some(to) = fields.to {
            writer.attribute("to", to);
        }
        writer.attribute("version", "1.0").attribute("xml:lang", "en");
        self.text.push(b'>');
        self.wire = Wire::Header;
    }

    /// The peer will send a new header, and so shall we.
    pub(super) fn restart(&mut self) {
        self.wire = Wire::Nothing;
        self.push(Output::Restart);
    }

    pub(super) fn start_tls(&mut self) {
        self.wire = Wire::Proceed;
        self.push(Output::StartTls);
    }

    /// The peer takes XML again, and nothing of ours is on the wire yet.
    pub(super) fn tls_established(&mut self) {
        self.wire = Wire::Nothing;
    }

    /// Ends the stream in order.
    pub fn close(&mut self) {
        if std::mem::take(&mut self.wire) == Wire::Header {
            self.text.extend_from_slice(b"</stream:stream>");
        }
        self.push(Output::Close);
    }

    /// Ends the stream with an error. RFC 6120 §4.9.1.2: a header goes before it when none was
    /// sent, in the name of the first host.
    pub fn fail(&mut self, fault: &StreamFault, profiles: &Profiles) {
        if let (Wire::Nothing, Some(profile)) = (self.wire, profiles.first()) {
            let id = (profile.tokens)();
            self.header(&HeaderFields { domain: &profile.domain, to: None, id: &id });
        }
        if self.wire == Wire::Header {
            fault.render(&mut self.text);
        }
        self.close();
    }

    pub(super) fn bound(&mut self, bound: &Bound) {
        self.push(Output::Bind { jid: bound.jid.clone() });
    }
}
