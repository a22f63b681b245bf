//! IQ handlers: requests that are for a plugin.

use std::sync::Arc;
use std::time::Duration;

use hearth_plugin_api::abi::{StanzaBuf, StanzasRef};
use hearth_plugin_api::{Error, ErrorKind, IqSpec};

use super::{Guest, Hooks, stanza};
use crate::router::{IqHandler, Out, Request, Target};
use crate::stanza::{Condition, IqType, Kind, Stanza};

pub(super) const DEADLINE: Duration = Duration::from_secs(30);

pub(super) fn open_iq(guest: &Arc<Guest>, spec: &IqSpec, handler: StanzasRef, hooks: &mut Hooks) {
    let handler = Arc::new(handler);
    let wanted = [(spec.to_server, Target::Server), (spec.to_account, Target::Account)];
    for (_, target) in wanted.into_iter().filter(|(wanted, _)| *wanted) {
        let namespace = spec.namespace.clone();
        let iq = Iq { guest: guest.clone(), target, namespace, handler: handler.clone() };
        hooks.hung.iqs.push((target, spec.namespace.clone(), Arc::new(iq)));
    }
}

struct Iq {
    guest: Arc<Guest>,
    target: Target,
    namespace: String,
    handler: Arc<StanzasRef>,
}

impl IqHandler for Iq {
    /// The sender does not wait: answers to requests may overtake each other.
    fn handle(&self, request: Request, _: &mut Out) {
        let (guest, handler) = (self.guest.clone(), self.handler.clone());
        let router = guest.seams.router.clone();
        let (target, namespace) = (self.target, self.namespace.clone());
        self.guest.seams.tracker.spawn("plugin iq", async move {
            if guest.parking.is_begun() {
                return pass_on(&guest, (target, &namespace), request).await;
            }
            let question = stanza::give(&request.stanza);
            let call = move || handler.stanza(question);
            let answers = guest.guard.later("iq", DEADLINE, call).await;
            if answers.as_ref().is_err_and(|error| is_parked(&guest, error)) {
                return pass_on(&guest, (target, &namespace), request).await;
            }
            let mut out = Out::default();
            out.routes.extend(answer(&request.stanza, answers.map(|all| all.into_vec())));
            router.perform(&mut out).await;
        });
    }
}

/// Whether the instance did not answer because its successor is to.
pub(super) fn is_parked(guest: &Guest, error: &Error) -> bool {
    error.kind == ErrorKind::Stopped && guest.parking.is_begun()
}

/// The plugin is being replaced: its successor is asked.
async fn pass_on(guest: &Guest, (target, namespace): (Target, &str), request: Request) {
    let router = &guest.seams.router;
    let mut out = Out::default();
    let successor = match guest.parking.over(request.stanza.payload.bytes.len()).await {
        true => router.guests.iq(target, namespace),
        false => None,
    };
    match successor {
        Some(successor) => successor.handle(request, &mut out),
        None => out.routes.extend(request.stanza.error(&Condition::ServiceUnavailable.into())),
    }
    router.perform(&mut out).await;
}

/// RFC 6120 §8.2.3: exactly one answer, whatever the plugin does.
fn answer(request: &Stanza, answers: Result<Vec<StanzaBuf>, Error>) -> Option<Stanza> {
    let given = answers.and_then(|mut answers| {
        let mut answer = answers.pop().ok_or_else(|| Error::invalid("there is no answer"))?;
        answer.id = request.head.id.as_deref().unwrap_or_default().into();
        stanza::take(answer)
    });
    match given {
        Ok(mut given) if matches!(given.head.kind, Kind::Iq(IqType::Result | IqType::Error)) => {
            given.head.from.clone_from(&request.head.to);
            given.head.to.clone_from(&request.head.from);
            Some(given)
        }
        Ok(_) => request.error(&Condition::InternalServerError.into()),
        Err(error) if error.kind == ErrorKind::Stopped => {
            request.error(&Condition::ServiceUnavailable.into())
        }
        Err(error) => {
            tracing::warn!(%error, "a plugin did not answer a request");
            request.error(&Condition::InternalServerError.into())
        }
    }
}
