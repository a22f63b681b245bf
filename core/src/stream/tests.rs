//! Plays of a stream: what the client sends, what it gets, what the driver is told to do.

mod login;
mod opening;
mod resource;

use std::num::NonZeroU32;
use std::sync::Arc;

use super::*;
use crate::auth::mechanism::{Hash, Mechanism};
use crate::stanza::{IqType, Kind, MessageType};
use crate::xml::Element;

const HEADER: &str = "<stream:stream xmlns='jabber:client' \
    xmlns:stream='http://etherx.jabber.org/streams' to='im.example' version='1.0'>";
const ROUNDS: NonZeroU32 = NonZeroU32::new(16).unwrap();
const JULIET: AccountId = AccountId(7);

/// One connection.
struct Play {
    profiles: Profiles,
    state: Option<StreamState>,
    out: Outputs,
}

fn profile(starttls: StartTls) -> Profile {
    Profile {
        host: HostId::FIRST,
        domain: "im.example".into(),
        starttls,
        mechanisms: Mechanism::ALL.to_vec(),
        features: vec![
            Arc::new(features::STREAM_MANAGEMENT),
            Arc::new(features::ROSTER_VERSIONING),
            Arc::new(features::PRE_APPROVAL),
            Arc::new(features::REGISTER),
        ],
        pre_auth: vec!["jabber:iq:register"],
        max_failures: 3,
        tokens: Arc::new(|| "token".into()),
    }
}

fn tls() -> TlsFacts {
    TlsFacts { version: "TLSv1.3", exporter: Some([7; 32].into()), server_end_point: None }
}

impl Play {
    fn new(profile: Profile, tls: Option<TlsFacts>) -> Play {
        let profiles = Profiles::new([Arc::new(profile)]);
        let state = Some(StreamState::new(profiles.clone(), tls));
        Play { profiles, state, out: Outputs::new() }
    }

    /// A stream over direct TLS whose header is answered.
    fn secured() -> Play {
        let mut play = Play::new(profile(StartTls::Required), Some(tls()));
        play.send(HEADER).unwrap();
        play
    }

    /// A stream without TLS on a host that permits that, its header answered.
    fn unsecured() -> Play {
        let mut play = Play::new(profile(StartTls::Optional), None);
        play.send(HEADER).unwrap();
        play
    }

    /// A stream that is authenticated as juliet and restarted.
    fn authenticated() -> Play {
        let mut play = Play::secured();
        play.send(&auth("PLAIN", b"\0juliet\0pencil")).unwrap();
        play.answer(Answer::Password(Standing::Active(JULIET))).unwrap();
        play.send(HEADER).unwrap();
        play
    }

    fn step(&mut self, input: Input<'_>) -> Result<String, StreamFault> {
        self.out.text.clear();
        self.out.actions.clear();
        let state = self.state.take().expect("the stream goes on");
        match state.step(input, &mut self.out) {
            Ok(state) => {
                self.state = Some(state);
                Ok(self.text())
            }
            Err(fault) => {
                self.out.fail(&fault, &self.profiles);
                Err(fault)
            }
        }
    }

    /// A header, a stanza or another element; returns what is written.
    fn send(&mut self, xml: &str) -> Result<String, StreamFault> {
        if xml.starts_with("<stream:stream") {
            return self.step(Input::Header(StreamHeader::parse(xml.as_bytes()).unwrap()));
        }
        let element = Element::parse(xml.as_bytes()).unwrap();
        match element.name.as_str() {
            "iq" | "message" => self.step(Input::Stanza(&stanza(&element))),
            _ => self.step(Input::Element(element)),
        }
    }

    fn answer(&mut self, answer: Answer) -> Result<String, StreamFault> {
        self.step(Input::Answer(answer))
    }

    fn text(&self) -> String {
        String::from_utf8(self.out.text.clone()).unwrap()
    }

    fn question(&self) -> Question {
        match self.out.actions.as_slice() {
            [Output::Ask(question)] => question.clone(),
            _ => panic!("no question was asked"),
        }
    }

    fn is_closed(&self) -> bool {
        matches!(self.out.actions.last(), Some(Output::Close))
    }
}

/// A stanza as the reader would give it, as far as negotiation looks.
fn stanza(element: &Element) -> Stanza {
    let kind = match (element.name.as_str(), element.attr("type")) {
        ("iq", Some("set")) => Kind::Iq(IqType::Set),
        ("iq", Some("get")) => Kind::Iq(IqType::Get),
        ("iq", _) => Kind::Iq(IqType::Result),
        _ => Kind::Message(MessageType::Chat),
    };
    let stanza = Stanza::new(kind).with_id(element.attr("id").unwrap_or_default());
    element.children().fold(stanza, |stanza, child| stanza.with_child(child))
}

fn encode(message: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(message)
}

/// `<auth/>` with an initial response.
fn auth(mechanism: &str, message: &[u8]) -> String {
    let message = encode(message);
    format!(
        "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='{mechanism}'>{message}</auth>"
    )
}

fn response(message: &[u8]) -> String {
    let message = encode(message);
    format!("<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>{message}</response>")
}

fn failure(condition: &str) -> String {
    format!("<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><{condition}/></failure>")
}

fn keys(hash: Hash) -> ScramKeys {
    ScramKeys::derive(hash, "pencil", b"0123456789abcdef", ROUNDS)
}
