//! SASL (RFC 6120 §6).

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::header::Link;
use super::{
    Account, Asking, AwaitRestart, Output, Outputs, Pending, Question, Standing, StreamFault,
    StreamState, features,
};
use crate::auth::authzid;
use crate::auth::credentials::ScramKeys;
use crate::auth::mechanism::{Hash, Mechanism};
use crate::auth::plain::Plain;
use crate::auth::scram::{Challenged, ClientFirst, Offer, ScramError};
use crate::jid::{Jid, localpart};
use crate::ns;
use crate::stanza::Stanza;
use crate::xml::Element;

use super::bind::iq_payload;

/// Features are offered, nobody is authenticated.
pub struct Negotiating {
    pub(super) link: Link,
}

/// A mechanism has sent a challenge and awaits the response.
pub struct Exchange {
    link: Link,
    mechanism: Mechanism,
    waiting: Waiting,
}

enum Waiting {
    /// For the first message: the client sent none with `<auth/>`.
    Initial,
    /// For SCRAM's final message.
    Final { challenged: Box<Challenged>, jid: Jid, standing: Standing },
}

/// Keys are asked for.
pub(super) struct PendingScram {
    link: Link,
    mechanism: Mechanism,
    first: ClientFirst,
    jid: Jid,
}

/// A password is being verified.
pub(super) struct PendingPassword {
    link: Link,
    jid: Jid,
}

/// RFC 6120 §6.5.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Failure {
    Aborted,
    AccountDisabled,
    EncryptionRequired,
    IncorrectEncoding,
    InvalidAuthzid,
    InvalidMechanism,
    MalformedRequest,
    NotAuthorized,
    TryLater,
}

impl Failure {
    fn name(self) -> &'static str {
        match self {
            Failure::Aborted => "aborted",
            Failure::AccountDisabled => "account-disabled",
            Failure::EncryptionRequired => "encryption-required",
            Failure::IncorrectEncoding => "incorrect-encoding",
            Failure::InvalidAuthzid => "invalid-authzid",
            Failure::InvalidMechanism => "invalid-mechanism",
            Failure::MalformedRequest => "malformed-request",
            Failure::NotAuthorized => "not-authorized",
            Failure::TryLater => "temporary-auth-failure",
        }
    }
}

impl From<ScramError> for Failure {
    fn from(error: ScramError) -> Failure {
        match error {
            ScramError::Malformed | ScramError::TooLong | ScramError::Extension => {
                Failure::MalformedRequest
            }
            ScramError::Downgraded
            | ScramError::Binding
            | ScramError::BindingMismatch
            | ScramError::Nonce
            | ScramError::Proof => Failure::NotAuthorized,
        }
    }
}

impl Negotiating {
    pub(super) fn element(
        self,
        element: &Element,
        out: &mut Outputs,
    ) -> Result<StreamState, StreamFault> {
        match (&*element.ns, element.name.as_str()) {
            (ns::TLS, "starttls") => self.starttls(out),
            (ns::SASL, "auth") => self.auth(element, out),
            (ns::SASL, "abort" | "response") => fail(self.link, Failure::MalformedRequest, out),
            (ns::SM, _) => Err(StreamFault::NotAuthenticated),
            _ => Err(StreamFault::UnknownElement),
        }
    }

    /// RFC 6120 §6.3.1: no stanza before authentication, but for the few that the host answers.
    pub(super) fn stanza(
        mut self,
        stanza: &Stanza,
        out: &mut Outputs,
    ) -> Result<StreamState, StreamFault> {
        let profile = &self.link.profile;
        let payload = iq_payload(stanza).ok_or(StreamFault::NotAuthenticated)?;
        let is_answered = profile.permits_sasl(self.link.tls.is_some())
            && profile.pre_auth.iter().any(|ns| *ns == payload.ns);
        if !is_answered {
            return Err(StreamFault::NotAuthenticated);
        }
        self.link.count_failure()?;
        let question = Question::PreAuthIq(Box::new(stanza.clone()));
        Ok(Asking::ask(question, Pending::PreAuthIq(Box::new(self)), out))
    }

    /// `<auth/>` (RFC 6120 §6.4.2).
    fn auth(self, element: &Element, out: &mut Outputs) -> Result<StreamState, StreamFault> {
        let wanted = element.attr("mechanism").and_then(Mechanism::from_name);
        let Some(mechanism) = wanted else {
            return fail(self.link, Failure::InvalidMechanism, out);
        };
        if !features::offered(&self.link).any(|offered| offered == mechanism) {
            let failure = match self.link.tls {
                None if self.link.profile.mechanisms.contains(&mechanism) => {
                    Failure::EncryptionRequired
                }
                _ => Failure::InvalidMechanism,
            };
            return fail(self.link, failure, out);
        }
        let exchange = Exchange { link: self.link, mechanism, waiting: Waiting::Initial };
        let text = element.text();
        if text.is_empty() {
            // §6.4.2: the mechanism begins with the client, so it is asked to go on.
            out.writer().start("challenge", Some(ns::SASL)).end("challenge");
            return Ok(StreamState::Authenticating(Box::new(exchange)));
        }
        exchange.message(text, out)
    }
}

impl Exchange {
    pub(super) fn element(
        self,
        element: &Element,
        out: &mut Outputs,
    ) -> Result<StreamState, StreamFault> {
        match (&*element.ns, element.name.as_str()) {
            (ns::SASL, "response") => self.message(element.text(), out),
            (ns::SASL, "abort") => fail(self.link, Failure::Aborted, out),
            (ns::SASL, "auth") => fail(self.link, Failure::MalformedRequest, out),
            (ns::TLS | ns::SM, _) => Err(StreamFault::NotAuthenticated),
            _ => Err(StreamFault::UnknownElement),
        }
    }

    /// A message of the mechanism in base64; `=` stands for an empty one (RFC 6120 §6.4.2).
    fn message(self, text: Cow<'_, str>, out: &mut Outputs) -> Result<StreamState, StreamFault> {
        let decoded = match &*text {
            "=" => Ok(Vec::new()),
            text => BASE64.decode(text),
        };
        let Ok(message) = decoded.map(zeroize::Zeroizing::new) else {
            return fail(self.link, Failure::IncorrectEncoding, out);
        };
        match self.waiting {
            Waiting::Final { challenged, jid, standing } => {
                let context = Verdict { link: self.link, mechanism: self.mechanism, jid };
                match challenged.finish(&message) {
                    Ok(server_final) => context.give(standing, Some(&server_final), out),
                    Err(ScramError::Proof) => context.give(Standing::Unknown, None, out),
                    Err(error) => fail(context.link, error.into(), out),
                }
            }
            Waiting::Initial => match self.mechanism {
                Mechanism::Plain => plain(self.link, &message, out),
                Mechanism::Scram(hash) => scram(self.link, self.mechanism, hash, &message, out),
                Mechanism::ScramPlus(hash) => scram(self.link, self.mechanism, hash, &message, out),
            },
        }
    }
}

fn plain(link: Link, message: &[u8], out: &mut Outputs) -> Result<StreamState, StreamFault> {
    let Ok(plain) = Plain::parse(message) else {
        return fail(link, Failure::MalformedRequest, out);
    };
    let jid = match identity(&link, plain.authcid, plain.authzid) {
        Ok(jid) => jid,
        Err(failure) => return fail(link, failure, out),
    };
    let question = Question::VerifyPassword {
        host: link.profile.host,
        username: username(&jid),
        password: plain.password,
    };
    Ok(Asking::ask(question, Pending::Password(PendingPassword { link, jid }), out))
}

fn scram(
    link: Link,
    mechanism: Mechanism,
    hash: Hash,
    message: &[u8],
    out: &mut Outputs,
) -> Result<StreamState, StreamFault> {
    let plus_offered = features::offered(&link).any(|offered| offered.binds_channel());
    let offer = Offer { plus_chosen: mechanism.binds_channel(), plus_offered };
    let first = match ClientFirst::parse(message, offer) {
        Ok(first) => first,
        Err(error) => return fail(link, error.into(), out),
    };
    let jid = match identity(&link, &first.username, first.authzid.as_deref()) {
        Ok(jid) => jid,
        Err(failure) => return fail(link, failure, out),
    };
    let question =
        Question::Credentials { host: link.profile.host, username: username(&jid), hash };
    let pending = PendingScram { link, mechanism, first, jid };
    Ok(Asking::ask(question, Pending::Credentials(pending), out))
}

/// The bare address that `authcid` means, if it may act as `authzid`.
fn identity(link: &Link, authcid: &str, authzid: Option<&str>) -> Result<Jid, Failure> {
    let local = localpart(authcid).map_err(|_| Failure::NotAuthorized)?;
    let jid = Jid::from_parts(Some(&local), &link.profile.domain, None)
        .map_err(|_| Failure::NotAuthorized)?;
    if authzid::permits(authzid, &jid) { Ok(jid) } else { Err(Failure::InvalidAuthzid) }
}

fn username(jid: &Jid) -> String {
    jid.local().unwrap_or_default().to_owned()
}

impl PendingScram {
    pub(super) fn challenge(
        self,
        keys: ScramKeys,
        standing: Standing,
        out: &mut Outputs,
    ) -> Result<StreamState, StreamFault> {
        let PendingScram { link, mechanism, first, jid } = self;
        let binding = match (first.binding, &link.tls) {
            (None, _) => Some(&[][..]),
            (Some(kind), Some(facts)) => facts.binding(kind),
            (Some(_), None) => None,
        };
        let Some(binding) = binding else {
            return fail(link, Failure::NotAuthorized, out);
        };
        let nonce = (link.profile.tokens)();
        let offered = features::in_one(&link);
        let (challenged, server_first) = first.challenge(keys, binding, &nonce, Some(&offered));
        let mut writer = out.writer();
        writer.start("challenge", Some(ns::SASL)).text(&BASE64.encode(server_first));
        writer.end("challenge");
        let waiting = Waiting::Final { challenged: Box::new(challenged), jid, standing };
        Ok(StreamState::Authenticating(Box::new(Exchange { link, mechanism, waiting })))
    }

    pub(super) fn try_later(self, out: &mut Outputs) -> Result<StreamState, StreamFault> {
        fail(self.link, Failure::TryLater, out)
    }
}

impl PendingPassword {
    pub(super) fn verdict(
        self,
        standing: Standing,
        out: &mut Outputs,
    ) -> Result<StreamState, StreamFault> {
        let PendingPassword { link, jid } = self;
        Verdict { link, mechanism: Mechanism::Plain, jid }.give(standing, None, out)
    }

    pub(super) fn try_later(self, out: &mut Outputs) -> Result<StreamState, StreamFault> {
        fail(self.link, Failure::TryLater, out)
    }
}

/// The mechanism has come to its end.
struct Verdict {
    link: Link,
    mechanism: Mechanism,
    jid: Jid,
}

impl Verdict {
    fn give(
        self,
        standing: Standing,
        additional: Option<&str>,
        out: &mut Outputs,
    ) -> Result<StreamState, StreamFault> {
        let Verdict { link, mechanism, jid } = self;
        let id = match standing {
            Standing::Active(id) => id,
            Standing::Disabled => return fail(link, Failure::AccountDisabled, out),
            Standing::Unknown => {
                out.push(Output::LoginFailed { username: username(&jid) });
                return fail(link, Failure::NotAuthorized, out);
            }
        };
        let mut writer = out.writer();
        writer.start("success", Some(ns::SASL));
        if let Some(message) = additional {
            writer.text(&BASE64.encode(message));
        }
        writer.end("success");
        let account = Account { id, jid, mechanism };
        out.push(Output::Authenticated(account.clone()));
        out.restart();
        // Attempts to bind are counted anew.
        let link = Link { failures: 0, ..link };
        Ok(StreamState::AwaitRestart(Box::new(AwaitRestart { link, account: Some(account) })))
    }
}

/// Answers `<failure/>` and offers another attempt, until there were too many.
fn fail(mut link: Link, failure: Failure, out: &mut Outputs) -> Result<StreamState, StreamFault> {
    let mut writer = out.writer();
    writer.start("failure", Some(ns::SASL));
    writer.start(failure.name(), None).end(failure.name()).end("failure");
    link.count_failure()?;
    Ok(StreamState::Negotiating(Box::new(Negotiating { link })))
}
