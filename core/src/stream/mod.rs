//! The negotiation of a client's stream, from the header to the bound resource (RFC 6120 §4 to §7),
//! as a state machine without IO.
//!
//! Each state owns what it needs and is consumed by [`StreamState::step`]. What a step causes goes
//! into [`Outputs`]: octets to write, then actions. What it needs from outside it asks for by
//! [`Output::Ask`]; until the answer comes the machine takes nothing else from the peer, so the
//! driver reads no further while [`StreamState::is_asking`], and its deadline runs on.

pub mod bind;
mod error;
pub mod features;
mod header;
mod output;
mod profile;
mod sasl;
pub mod sm;
mod starttls;
#[cfg(test)]
mod tests;

use bytes::Bytes;

use crate::auth::credentials::ScramKeys;
use crate::auth::mechanism::{Hash, Mechanism};
use crate::host::{AccountId, HostId};
use crate::jid::Jid;
use crate::stanza::Stanza;
use crate::xml::{Element, StreamHeader};

pub use crate::auth::Standing;
pub use bind::{Authenticated, BindRefusal};
pub use error::{Blame, Condition, StreamFault};
pub use header::{AwaitHeader, AwaitRestart};
pub use output::{Output, Outputs};
pub use profile::{PreAuth, Profile, Profiles, STARTTLS, StartTls, Tokens};
pub use sasl::{Exchange, Negotiating};
pub use starttls::{Securing, TlsFacts};

use sasl::{PendingPassword, PendingScram};

/// Where a stream stands.
pub enum StreamState {
    /// Nothing but the connection, and TLS if it came first.
    AwaitHeader(Box<AwaitHeader>),
    /// A new header is due: after TLS or after authentication.
    AwaitRestart(Box<AwaitRestart>),
    /// `<proceed/>` is sent; the TLS handshake runs.
    Securing(Box<Securing>),
    /// Features are offered, nobody is authenticated.
    Negotiating(Box<Negotiating>),
    /// A challenge is sent.
    Authenticating(Box<Exchange>),
    /// A question is open.
    Asking(Box<Asking>),
    /// Features are offered to an authenticated account without a resource.
    Authenticated(Box<Authenticated>),
    /// The machine is done: the driver takes what is in it and reads stanzas from now on.
    Bound(Box<Bound>),
    Closed,
}

/// What the driver feeds in.
pub enum Input<'a> {
    Header(StreamHeader),
    /// A first-level element that is no stanza.
    Element(Element),
    Stanza(&'a Stanza),
    /// The peer has closed its stream.
    End,
    /// After [`Output::StartTls`]. Octets that came between must end the stream, see
    /// [`StreamFault::PipelinedStartTls`].
    TlsEstablished(TlsFacts),
    Answer(Answer),
    /// The time for negotiation is over, whatever the peer sent meanwhile.
    Deadline,
}

/// What the machine wants to know.
#[derive(Clone)]
pub enum Question {
    /// Keys to authenticate `username` (prepared) by; fake ones when there is no such account.
    Credentials { host: HostId, username: String, hash: Hash },
    /// Is this the password? Costs a key derivation. Both are prepared.
    VerifyPassword { host: HostId, username: String, password: Password },
    /// May this full address be bound? `generated`: the client left the choice to the server.
    Bind { account: AccountId, jid: Jid, generated: bool },
    /// An IQ whose namespace is in [`Profile::pre_auth`] (XEP-0077).
    PreAuthIq(Box<Stanza>),
    /// XEP-0198 §5: take over the session of this id, if it belongs to the account.
    Resume { account: AccountId, jid: Jid, previd: String, h: sm::Counter },
}

/// A password on its way to verification; wiped when dropped, and never in a log.
pub type Password = zeroize::Zeroizing<String>;

/// What the driver's oracle found out.
pub enum Answer {
    /// To [`Question::Credentials`]. The keys answer the client even when `standing` is
    /// [`Standing::Unknown`], so that nobody learns which names exist.
    Credentials {
        keys: ScramKeys,
        standing: Standing,
    },
    /// To [`Question::VerifyPassword`].
    Password(Standing),
    /// To either of them: too many attempts, the pool is full or the database is away.
    TryLater,
    /// To [`Question::Bind`]: the full address that is bound.
    Bound(Jid),
    BindRefused(BindRefusal),
    /// To [`Question::PreAuthIq`]: the rendered reply.
    Reply(Bytes),
    /// To [`Question::Resume`]: the full address of the session and what it has handled. The
    /// driver holds the session and writes what is unacknowledged after this step's octets.
    Resumed {
        jid: Jid,
        h: sm::Counter,
    },
    ResumeRefused {
        refusal: sm::Refusal,
        h: Option<sm::Counter>,
    },
}

/// Who has authenticated, and how.
#[derive(Clone, Debug)]
pub struct Account {
    pub id: AccountId,
    /// The bare address.
    pub jid: Jid,
    pub mechanism: Mechanism,
}

/// The outcome of the negotiation.
#[derive(Debug)]
pub struct Bound {
    pub host: HostId,
    pub account: Account,
    /// The full address.
    pub jid: Jid,
    /// `xml:lang` of the stream, the default for its stanzas (RFC 6120 §8.1.5).
    pub lang: Option<String>,
    /// Version and cipher of the TLS connection.
    pub tls: Option<&'static str>,
    /// This stream goes on with an older session.
    pub resumed: bool,
}

/// What becomes of the answer.
pub struct Asking {
    pending: Pending,
}

enum Pending {
    Credentials(PendingScram),
    Password(PendingPassword),
    PreAuthIq(Box<Negotiating>),
    Bind(bind::PendingBind),
    Resume(bind::PendingResume),
}

impl StreamState {
    /// The state of a fresh connection. `tls` is set when TLS came before the stream.
    pub fn new(profiles: Profiles, tls: Option<TlsFacts>) -> StreamState {
        StreamState::AwaitHeader(Box::new(AwaitHeader { profiles, tls }))
    }

    /// A question is open: read nothing from the peer until its answer was fed in.
    pub fn is_asking(&self) -> bool {
        matches!(self, StreamState::Asking(_))
    }

    /// Goes one step. After a fault the driver calls [`Outputs::fail`], performs what is in `out`
    /// and closes the connection.
    pub fn step(self, input: Input<'_>, out: &mut Outputs) -> Result<StreamState, StreamFault> {
        use StreamState as S;
        match (self, input) {
            (S::Closed, _) => Ok(S::Closed),
            (_, Input::Deadline) => Err(StreamFault::TimedOut),
            (_, Input::End) => {
                out.close();
                Ok(S::Closed)
            }
            (S::AwaitHeader(state), Input::Header(header)) => state.header(&header, out),
            (S::AwaitRestart(state), Input::Header(header)) => state.header(&header, out),
            (S::Securing(state), Input::TlsEstablished(facts)) => Ok(state.established(facts, out)),
            (S::Securing(_), _) => Err(StreamFault::PipelinedStartTls),
            (S::Asking(state), Input::Answer(answer)) => state.answer(answer, out),
            (S::Asking(_), _) => Err(StreamFault::Impatient),
            (_, Input::Header(_)) => Err(StreamFault::UnexpectedHeader),
            (S::Negotiating(state), Input::Element(element)) => state.element(&element, out),
            (S::Negotiating(state), Input::Stanza(stanza)) => state.stanza(stanza, out),
            (S::Authenticating(state), Input::Element(element)) => state.element(&element, out),
            (S::Authenticating(_), Input::Stanza(_)) => Err(StreamFault::NotAuthenticated),
            (S::Authenticated(state), Input::Element(element)) => state.element(&element, out),
            (S::Authenticated(state), Input::Stanza(stanza)) => state.stanza(stanza, out),
            (_, Input::Element(_) | Input::Stanza(_)) => Err(StreamFault::UnknownElement),
            (_, Input::Answer(_)) => Err(StreamFault::Bug("an answer to no question")),
            (_, Input::TlsEstablished(_)) => Err(StreamFault::Bug("TLS that nobody asked for")),
        }
    }
}

impl Asking {
    /// Asks, and waits for the answer.
    fn ask(question: Question, pending: Pending, out: &mut Outputs) -> StreamState {
        out.push(Output::Ask(question));
        StreamState::Asking(Box::new(Asking { pending }))
    }

    fn answer(self, answer: Answer, out: &mut Outputs) -> Result<StreamState, StreamFault> {
        match (self.pending, answer) {
            (Pending::Credentials(pending), Answer::Credentials { keys, standing }) => {
                pending.challenge(keys, standing, out)
            }
            (Pending::Credentials(pending), Answer::TryLater) => pending.try_later(out),
            (Pending::Password(pending), Answer::Password(standing)) => {
                pending.verdict(standing, out)
            }
            (Pending::Password(pending), Answer::TryLater) => pending.try_later(out),
            (Pending::PreAuthIq(state), Answer::Reply(reply)) => {
                out.text.extend_from_slice(&reply);
                Ok(StreamState::Negotiating(state))
            }
            (Pending::Bind(pending), Answer::Bound(jid)) => Ok(pending.bound(jid, out)),
            (Pending::Bind(pending), Answer::BindRefused(refusal)) => pending.refused(refusal, out),
            (Pending::Resume(pending), Answer::Resumed { jid, h }) => {
                Ok(pending.resumed(jid, h, out))
            }
            (Pending::Resume(pending), Answer::ResumeRefused { refusal, h }) => {
                pending.refused(refusal, h, out)
            }
            _ => Err(StreamFault::Bug("the answer does not fit the question")),
        }
    }
}
