//! Guests of the router: steps, IQ handlers and sub-domains that come and go while the server runs.
//! Without them a stanza pays for one relaxed load and a branch per phase.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use arc_swap::ArcSwap;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;

use super::asked::Asked;
use super::iq::IqHandler;
use super::phase::{Failure, StepError};
use super::{Remote, Target};
use crate::clock::StanzaId;
use crate::jid::Jid;
use crate::session::{Envelope, Shared, ToOverride};
use crate::stanza::{Condition, Kind, Payload, Stanza, StanzaError};

/// When a guest's step sees a stanza.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Once, for the account that sends it, before it is routed.
    Sent,
    /// Once per recipient account, before resources are chosen.
    ToAccount,
    /// Once per resource that gets it. Only steps that answer at once.
    ToSession,
}

/// What a step watches.
#[derive(Clone, Debug)]
pub struct Interest {
    /// For logs: `plugin/step`.
    pub name: String,
    pub phase: Phase,
    /// By the name of the stanza; empty: all.
    pub kinds: Vec<&'static str>,
    /// Namespaces of children, one of which must be there; empty: all. The content namespace is
    /// the empty text.
    pub namespaces: Vec<String>,
    /// Lower ones run first.
    pub priority: i32,
    pub failure: Failure,
    /// The guest's number: it does not see what bears this [`Stanza::origin`].
    pub origin: u16,
}

/// Where a stanza is.
#[derive(Clone, Debug)]
pub struct At {
    pub phase: Phase,
    /// Whose phase it is.
    pub account: Jid,
    /// The full address of the recipient in `ToSession`.
    pub session: Option<Jid>,
    pub id: Option<StanzaId>,
}

/// What a step decides.
#[derive(Debug)]
pub enum Verdict {
    Pass,
    /// It ends here, and nobody is told.
    Drop,
    /// Type, language and children of a stanza of the same name; the rest stays.
    Replace(Replacement),
    /// It ends here, with an error for its sender.
    Bounce(StanzaError),
}

#[derive(Debug)]
pub struct Replacement {
    pub kind: Kind,
    pub lang: Option<compact_str::CompactString>,
    pub payload: Payload,
}

/// A step's answer.
pub enum Answer {
    Now(Result<Verdict, StepError>),
    /// Awaited before the same sender's next stanza.
    Later(BoxFuture<'static, Result<Verdict, StepError>>),
}

pub trait GuestStep: Send + Sync {
    fn interest(&self) -> &Interest;
    fn check(&self, at: &At, stanza: &Stanza) -> Answer;
}

/// What became of a stanza.
pub enum Passed {
    On(Stanza),
    Dropped,
    /// To be answered with the error.
    Bounced(Stanza, StanzaError),
    Later(BoxFuture<'static, Passed>),
}

pub type Steps = Vec<Arc<dyn GuestStep>>;
pub type Handlers = Vec<(Target, String, Arc<dyn IqHandler>)>;
pub type Domains = Vec<(String, Arc<dyn Remote>)>;

/// What one guest has hung in.
#[derive(Clone, Default)]
pub struct Hung {
    pub steps: Steps,
    pub iqs: Handlers,
    pub domains: Domains,
}

/// Who is there.
#[derive(Default)]
pub struct Guests {
    /// A bit for each phase and kind that some step watches.
    watched: AtomicU32,
    steps: ArcSwap<Steps>,
    iqs: ArcSwap<Handlers>,
    domains: ArcSwap<Domains>,
    /// Requests of guests that await their answers.
    pub asked: Asked,
    changes: Mutex<()>,
}

fn bit(phase: Phase, kind: &str) -> u32 {
    let kind = match kind {
        "message" => 0,
        "presence" => 1,
        _ => 2,
    };
    1 << (phase as u32 * 3 + kind)
}

impl Interest {
    fn bits(&self) -> u32 {
        let all = ["message", "presence", "iq"];
        let kinds = if self.kinds.is_empty() { &all[..] } else { &self.kinds[..] };
        kinds.iter().fold(0, |bits, kind| bits | bit(self.phase, kind))
    }

    fn watches(&self, phase: Phase, stanza: &Stanza) -> bool {
        let kind = stanza.head.kind.name();
        let named = |ns: Option<&str>| {
            self.namespaces.iter().any(|wanted| wanted == ns.unwrap_or_default())
        };
        self.phase == phase
            && (self.kinds.is_empty() || self.kinds.contains(&kind))
            && (stanza.origin == 0 || stanza.origin != self.origin)
            && (self.namespaces.is_empty() || stanza.visible().any(|child| named(child.ns)))
    }
}

impl Guests {
    /// Whether any step may want to see stanzas of this kind.
    pub fn watch(&self, phase: Phase, kind: Kind) -> bool {
        let watched = self.watched.load(Ordering::Relaxed);
        watched != 0 && watched & bit(phase, kind.name()) != 0
    }

    /// Whether any step may want to see presence or IQs that sessions get.
    pub fn watch_deliveries(&self) -> bool {
        let watched = self.watched.load(Ordering::Relaxed);
        let wanted = bit(Phase::ToSession, "presence") | bit(Phase::ToSession, "iq");
        watched & wanted != 0
    }

    /// Lets every step that watches it see the stanza, in order.
    pub fn pass(&self, at: At, stanza: Stanza) -> Passed {
        Walk { steps: self.steps.load_full(), next: 0, at, stanza }.go()
    }

    /// Phase `ToSession` of presence or an IQ, which the steps see as the session gets it.
    pub fn pass_delivery(&self, session: &Shared, envelope: &Envelope) -> Passed {
        let mut stanza = Stanza::clone(&envelope.stanza);
        if envelope.to == ToOverride::Own {
            stanza.head.to = Some(session.jid.clone());
        }
        let (account, own) = (session.jid.to_bare(), Some(session.jid.clone()));
        self.pass(At { phase: Phase::ToSession, account, session: own, id: None }, stanza)
    }

    /// Who answers requests of a namespace.
    pub fn iq(&self, target: Target, namespace: &str) -> Option<Arc<dyn IqHandler>> {
        let iqs = self.iqs.load();
        let found = iqs.iter().find(|(to, ns, _)| *to == target && ns == namespace);
        found.map(|(_, _, handler)| handler.clone())
    }

    /// Who serves a sub-domain.
    pub fn domain(&self, domain: &str) -> Option<Arc<dyn Remote>> {
        let domains = self.domains.load();
        domains.iter().find(|(served, _)| served == domain).map(|(_, guest)| guest.clone())
    }

    /// The step of that name.
    pub fn step(&self, name: &str) -> Option<Arc<dyn GuestStep>> {
        let steps = self.steps.load();
        steps.iter().find(|step| step.interest().name == name).cloned()
    }

    /// Puts what one guest has in place of what its predecessor had, each kind of it at once: no
    /// stanza meets both or neither. Nothing is changed when somebody else has one of the requests
    /// or domains; the error names it.
    pub fn swap(&self, old: &Hung, new: &Hung) -> Result<(), String> {
        let _alone = self.changes.lock();
        let mut iqs = Handlers::clone(&self.iqs.load());
        iqs.retain(|(_, _, known)| !old.iqs.iter().any(|(_, _, gone)| Arc::ptr_eq(known, gone)));
        for (target, namespace, handler) in &new.iqs {
            if iqs.iter().any(|(to, ns, _)| to == target && ns == namespace) {
                return Err(format!("the requests of {namespace}"));
            }
            iqs.push((*target, namespace.clone(), handler.clone()));
        }
        let mut domains = Domains::clone(&self.domains.load());
        domains.retain(|(_, known)| !old.domains.iter().any(|(_, gone)| Arc::ptr_eq(known, gone)));
        for (domain, guest) in &new.domains {
            if domains.iter().any(|(served, _)| served == domain) {
                return Err(format!("the address {domain}"));
            }
            domains.push((domain.clone(), guest.clone()));
        }
        let mut steps = Steps::clone(&self.steps.load());
        steps.retain(|known| !old.steps.iter().any(|gone| Arc::ptr_eq(known, gone)));
        steps.extend(new.steps.iter().cloned());
        steps.sort_by_key(|step| step.interest().priority);
        let watched = steps.iter().fold(0, |bits, step| bits | step.interest().bits());
        self.steps.store(Arc::new(steps));
        self.watched.store(watched, Ordering::Relaxed);
        self.iqs.store(Arc::new(iqs));
        self.domains.store(Arc::new(domains));
        Ok(())
    }
}

/// A stanza among the steps. Those that were there when it came are those that it meets.
struct Walk {
    steps: Arc<Steps>,
    next: usize,
    at: At,
    stanza: Stanza,
}

impl Walk {
    fn go(mut self) -> Passed {
        while let Some(step) = self.steps.get(self.next).cloned() {
            self.next += 1;
            if !step.interest().watches(self.at.phase, &self.stanza) {
                continue;
            }
            let verdict = match step.check(&self.at, &self.stanza) {
                Answer::Now(verdict) => verdict,
                Answer::Later(verdict) => {
                    return Passed::Later(Box::pin(self.wait(step, verdict)));
                }
            };
            self = match self.apply(step.interest(), verdict) {
                ControlFlow::Continue(walk) => walk,
                ControlFlow::Break(ended) => return ended,
            };
        }
        Passed::On(self.stanza)
    }

    async fn wait(
        self,
        step: Arc<dyn GuestStep>,
        verdict: BoxFuture<'static, Result<Verdict, StepError>>,
    ) -> Passed {
        let verdict = verdict.await;
        let passed = match self.apply(step.interest(), verdict) {
            ControlFlow::Continue(walk) => walk.go(),
            ControlFlow::Break(ended) => ended,
        };
        match passed {
            Passed::Later(later) => later.await,
            passed => passed,
        }
    }

    fn apply(
        mut self,
        by: &Interest,
        verdict: Result<Verdict, StepError>,
    ) -> ControlFlow<Passed, Walk> {
        match verdict {
            Ok(Verdict::Pass) => {}
            Ok(Verdict::Replace(new)) => {
                self.stanza.head.kind = new.kind;
                self.stanza.head.lang = new.lang;
                self.stanza.appended = None;
                self.stanza = self.stanza.with_payload(new.payload);
            }
            // RFC 6120 §8.2.3: a request must be answered.
            Ok(Verdict::Drop) if matches!(self.stanza.head.kind, Kind::Iq(_)) => {
                return ControlFlow::Break(Passed::Bounced(
                    self.stanza,
                    Condition::NotAllowed.into(),
                ));
            }
            Ok(Verdict::Drop) => return ControlFlow::Break(Passed::Dropped),
            Ok(Verdict::Bounce(error)) => {
                return ControlFlow::Break(Passed::Bounced(self.stanza, error));
            }
            Err(error) => {
                tracing::error!(step = by.name, %error, "a guest's step failed");
                if by.failure == Failure::Closed {
                    let condition = Condition::InternalServerError;
                    return ControlFlow::Break(Passed::Bounced(self.stanza, condition.into()));
                }
            }
        }
        ControlFlow::Continue(self)
    }
}

#[cfg(test)]
#[path = "guests_tests.rs"]
mod tests;
