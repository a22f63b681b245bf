//! Stanza steps: what a plugin decides about the stanzas of others.

use std::sync::Arc;
use std::time::Duration;

use abi_stable::std_types::RStr;
use futures_util::future::BoxFuture;
use hearth_plugin_api::abi::{Passage, PassageBuf, StepRef};
use hearth_plugin_api::{self as api, Error, ErrorKind, StepSpec};

use super::stanzas::is_parked;
use super::{Guest, Hooks, stanza};
use crate::router::guests::{Answer, At, GuestStep, Interest, Phase, Replacement, Verdict};
use crate::router::phase::{Failure, StepError};
use crate::session::duty::is_durable;
use crate::stanza::{Condition, Kind, Stanza, StanzaError};

/// The sender's next stanza waits for it.
const DEADLINE: Duration = Duration::from_secs(5);

struct Step {
    guest: Arc<Guest>,
    interest: Interest,
    what: String,
    asynchronous: bool,
    step: Arc<StepRef>,
}

pub(super) fn open(
    guest: &Arc<Guest>,
    spec: StepSpec,
    step: StepRef,
    hooks: &mut Hooks,
) -> Result<(), Error> {
    let phase = match spec.phase {
        api::Phase::Sent => Phase::Sent,
        api::Phase::ToAccount => Phase::ToAccount,
        api::Phase::ToSession => Phase::ToSession,
    };
    let step = Step {
        interest: Interest {
            name: format!("{}/{}", guest.id(), spec.name),
            phase,
            kinds: kinds(&spec)?,
            namespaces: spec.namespaces,
            priority: spec.priority,
            failure: match spec.failure {
                api::Failure::FailClosed => Failure::Closed,
                api::Failure::FailOpen => Failure::Open,
            },
            origin: guest.origin,
        },
        what: format!("step {}", spec.name),
        asynchronous: spec.asynchronous,
        step: Arc::new(step),
        guest: guest.clone(),
    };
    let step: Arc<dyn GuestStep> = Arc::new(step);
    hooks.hung.steps.push(step);
    Ok(())
}

/// Presence that a session sends changes the session itself: it cannot wait for an answer.
fn kinds(spec: &StepSpec) -> Result<Vec<&'static str>, Error> {
    let cannot_wait = spec.asynchronous && spec.phase == api::Phase::Sent;
    if cannot_wait && spec.kinds.contains(&api::Kind::Presence) {
        let message = "a step of phase sent answers at once for presence";
        return Err(Error::new(ErrorKind::Unsupported, message));
    }
    if cannot_wait && spec.kinds.is_empty() {
        return Ok(vec!["message", "iq"]);
    }
    Ok(spec.kinds.iter().map(|kind| kind.name()).collect())
}

impl GuestStep for Step {
    fn interest(&self) -> &Interest {
        &self.interest
    }

    fn check(&self, at: &At, stanza: &Stanza) -> Answer {
        if self.guest.parking.is_begun() {
            return self.park(at, stanza);
        }
        let id = at.id.map(|id| id.to_string()).unwrap_or_default();
        let passage = Passage {
            phase: phase(at.phase).bit(),
            hops: stanza.hops.into(),
            flags: is_durable(stanza).into(),
            account: at.account.as_str().into(),
            session: at.session.as_ref().map_or(RStr::from_str(""), |jid| jid.as_str().into()),
            stanza_id: id.as_str().into(),
        };
        match self.asynchronous {
            true => Answer::Later(self.later(&passage, at, stanza)),
            false => self.now(&passage, at, stanza),
        }
    }
}

impl Step {
    fn now(&self, passage: &Passage<'_>, at: &At, stanza: &Stanza) -> Answer {
        let call = || stanza::lend(stanza, |stanza| self.step.check(passage, stanza));
        match self.guest.guard.now(&self.what, call) {
            Err(error) if is_parked(&self.guest, &error) => self.park(at, stanza),
            verdict => Answer::Now(decide(verdict, stanza.head.kind)),
        }
    }

    fn later(&self, passage: &Passage<'_>, at: &At, stanza: &Stanza) -> Later {
        let passage = PassageBuf {
            phase: passage.phase,
            hops: passage.hops,
            flags: passage.flags,
            account: passage.account.into(),
            session: passage.session.into(),
            stanza_id: passage.stanza_id.into(),
        };
        let (kind, question) = (stanza.head.kind, stanza::give(stanza));
        let (guest, what, step) = (self.guest.clone(), self.what.clone(), self.step.clone());
        let successor = self.successor(at, stanza);
        Box::pin(async move {
            let call = move || step.check_later(passage, question);
            match guest.guard.later(&what, DEADLINE, call).await {
                Err(error) if is_parked(&guest, &error) => successor.await,
                verdict => decide(verdict, kind),
            }
        })
    }

    /// The plugin is being replaced. What cannot wait is treated as when the step fails.
    fn park(&self, at: &At, stanza: &Stanza) -> Answer {
        let is_presence = matches!(stanza.head.kind, Kind::Presence(_));
        match at.phase == Phase::ToSession || (at.phase == Phase::Sent && is_presence) {
            true => Answer::Now(Err(replaced())),
            false => Answer::Later(self.successor(at, stanza)),
        }
    }

    /// Waits for the verdict of the step that takes over.
    fn successor(&self, at: &At, stanza: &Stanza) -> Later {
        let (guest, name) = (self.guest.clone(), self.interest.name.clone());
        let (at, stanza) = (at.clone(), stanza.clone());
        Box::pin(async move {
            if !guest.parking.over(stanza.payload.bytes.len()).await {
                return Err(replaced());
            }
            // The new version may have no such step.
            let Some(step) = guest.seams.router.guests.step(&name) else {
                return Ok(Verdict::Pass);
            };
            match step.check(&at, &stanza) {
                Answer::Now(verdict) => verdict,
                Answer::Later(verdict) => verdict.await,
            }
        })
    }
}

type Later = BoxFuture<'static, Result<Verdict, StepError>>;

fn replaced() -> StepError {
    StepError("the plugin is being replaced".to_owned())
}

fn phase(phase: Phase) -> api::Phase {
    match phase {
        Phase::Sent => api::Phase::Sent,
        Phase::ToAccount => api::Phase::ToAccount,
        Phase::ToSession => api::Phase::ToSession,
    }
}

/// What the plugin decided, as the router takes it.
fn decide(verdict: Result<api::abi::Verdict, Error>, kind: Kind) -> Result<Verdict, StepError> {
    let failed = |error: Error| StepError(error.message);
    let verdict = match verdict {
        Ok(verdict) if verdict.kind == 2 => return replacement(verdict, kind).map_err(failed),
        Ok(verdict) => api::Verdict::from_abi(verdict).map_err(failed)?,
        // It stops while the stanza is with it: as if it were gone already.
        Err(error) if error.kind == ErrorKind::Stopped => return Ok(Verdict::Pass),
        Err(error) => return Err(failed(error)),
    };
    Ok(match verdict {
        api::Verdict::Drop => Verdict::Drop,
        api::Verdict::Bounce { condition, text } => {
            let mut error = StanzaError::new(self::condition(&condition));
            error.text = Some(text).filter(|text| !text.is_empty());
            Verdict::Bounce(error)
        }
        _ => Verdict::Pass,
    })
}

fn replacement(verdict: api::abi::Verdict, kind: Kind) -> Result<Verdict, Error> {
    let body = verdict.with.into_option().ok_or_else(|| Error::invalid("nothing to put there"))?;
    let mut buf = abi_stable::std_types::RBox::into_inner(body).stanza;
    // An IQ must have an id to be read; the old one stays anyway.
    buf.id = "1".into();
    let new = stanza::take(buf)?;
    match new.head.kind.name() == kind.name() {
        true => Ok(Verdict::Replace(Replacement {
            kind: new.head.kind,
            lang: new.head.lang,
            payload: new.payload,
        })),
        false => Err(Error::invalid("a stanza is replaced by one of the same kind")),
    }
}

/// A condition by its name (RFC 6120 §8.3.3).
pub(super) fn condition(name: &str) -> Condition {
    use Condition as C;
    let all = [
        C::BadRequest,
        C::Conflict,
        C::FeatureNotImplemented,
        C::Forbidden,
        C::Gone,
        C::InternalServerError,
        C::ItemNotFound,
        C::JidMalformed,
        C::NotAcceptable,
        C::NotAllowed,
        C::NotAuthorized,
        C::PolicyViolation,
        C::RecipientUnavailable,
        C::Redirect,
        C::RegistrationRequired,
        C::RemoteServerNotFound,
        C::RemoteServerTimeout,
        C::ResourceConstraint,
        C::ServiceUnavailable,
        C::SubscriptionRequired,
        C::UnexpectedRequest,
    ];
    all.into_iter().find(|known| known.as_str() == name).unwrap_or(C::UndefinedCondition)
}
