//! IQ handlers and sub-domains: stanzas that are for a plugin.

use std::sync::Arc;
use std::time::Duration;

use hearth_plugin_api::abi::{StanzaBuf, StanzasRef};
use hearth_plugin_api::{ComponentSpec, IqSpec};
use hearth_plugin_api::{Error, ErrorKind, StanzasSpec};

use super::disco::OfComponents;
use super::{Guest, Hooks, stanza};
use crate::host::HostId;
use crate::jid::Jid;
use crate::ns;
use crate::router::{IqHandler, Out, Remote, Request, Target};
use crate::services::disco::Said;
use crate::stanza::{Condition, IqType, Kind, Stanza};

const DEADLINE: Duration = Duration::from_secs(30);

pub(super) fn open(
    guest: &Arc<Guest>,
    spec: StanzasSpec,
    handler: StanzasRef,
    said: &OfComponents,
    hooks: &mut Hooks,
) -> Result<(), Error> {
    let handler = Arc::new(handler);
    match spec {
        StanzasSpec::Iq(spec) => {
            open_iq(guest, &spec, &handler, hooks);
            Ok(())
        }
        StanzasSpec::Component(spec) => open_component(guest, &spec, handler, said, hooks),
        _ => Err(Error::unsupported("this server has no such handler of stanzas")),
    }
}

fn open_iq(guest: &Arc<Guest>, spec: &IqSpec, handler: &Arc<StanzasRef>, hooks: &mut Hooks) {
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
    let successor = match guest.parking.over().await {
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

fn open_component(
    guest: &Arc<Guest>,
    spec: &ComponentSpec,
    handler: Arc<StanzasRef>,
    said: &OfComponents,
    hooks: &mut Hooks,
) -> Result<(), Error> {
    let domain = guest.seams.router.hosts.domain(HostId::FIRST);
    let address = format!("{}.{}", spec.label, domain.as_str());
    let address = Jid::parse(&address).ok().filter(|jid| jid.local().is_none());
    let Some(address) = address.filter(|_| !spec.label.contains(['.', '/', '@'])) else {
        return Err(Error::invalid(format!("`{}` is no label of a domain", spec.label)));
    };
    let (queue, arriving) = tokio::sync::mpsc::channel(QUEUE);
    let domain = address.as_str().to_owned();
    let (address, said) = (address.clone(), said.of(&spec.label));
    let component = Arc::new(Component { address, said, queue });
    hooks.hung.domains.push((domain.clone(), component));
    let serve = serve(guest.clone(), handler, domain, arriving);
    guest.seams.tracker.spawn("plugin component", serve);
    Ok(())
}

/// Stanzas that may wait for a component.
const QUEUE: usize = 1024;

struct Component {
    address: Jid,
    /// What service discovery answers in its name, if the plugin has said so.
    said: Option<Said>,
    queue: tokio::sync::mpsc::Sender<Stanza>,
}

impl Remote for Component {
    /// Keeps the order of what arrives; what finds no room is answered.
    fn route(&self, stanza: Stanza, out: &mut Out) {
        if let Some(answer) = self.disco(&stanza) {
            return out.route(answer);
        }
        use tokio::sync::mpsc::error::TrySendError::{Closed, Full};
        let (stanza, condition) = match self.queue.try_send(stanza) {
            Ok(()) => return,
            Err(Full(stanza)) => (stanza, Condition::ResourceConstraint),
            Err(Closed(stanza)) => (stanza, Condition::ServiceUnavailable),
        };
        out.routes.extend(stanza.error(&condition.into()));
    }
}

impl Component {
    /// XEP-0030 §3.1: the answer to a request about the component itself.
    fn disco(&self, stanza: &Stanza) -> Option<Stanza> {
        let said = self.said.as_ref()?;
        let query = stanza.child("query", ns::DISCO_INFO)?.element();
        let is_asked = stanza.head.kind == Kind::Iq(IqType::Get)
            && stanza.head.to.as_ref() == Some(&self.address)
            && query.attr("node").is_none();
        is_asked.then(|| stanza.result().with_child(&said.element()))
    }
}

async fn serve(
    guest: Arc<Guest>,
    handler: Arc<StanzasRef>,
    domain: String,
    mut arriving: tokio::sync::mpsc::Receiver<Stanza>,
) {
    loop {
        let stanza = tokio::select! {
            biased;
            () = guest.parking.begun() => None,
            () = guest.guard.closed() => None,
            stanza = arriving.recv() => stanza,
        };
        let Some(arrived) = stanza else { return leave(&guest, &domain, None, arriving).await };
        let question = stanza::give(&arrived);
        let answers = guest.guard.later("component", DEADLINE, || handler.stanza(question)).await;
        let mut out = Out::default();
        match answers {
            Ok(answers) => {
                let taken = answers.into_iter().map(stanza::take);
                out.routes.extend(taken.filter_map(|taken| of(&domain, &guest, taken)));
            }
            Err(error) if is_parked(&guest, &error) => {
                return leave(&guest, &domain, Some(arrived), arriving).await;
            }
            Err(error) => {
                tracing::warn!(%error, plugin = guest.id(), "a component did not take a stanza");
                out.routes.extend(arrived.error(&Condition::InternalServerError.into()));
            }
        }
        guest.seams.router.perform(&mut out).await;
    }
}

/// The component stops: its successor gets what still waits, or the senders are told.
async fn leave(
    guest: &Guest,
    domain: &str,
    mut first: Option<Stanza>,
    mut arriving: tokio::sync::mpsc::Receiver<Stanza>,
) {
    let resumed = guest.parking.is_begun() && guest.parking.over().await;
    let router = &guest.seams.router;
    arriving.close();
    loop {
        let next = match first.take() {
            Some(first) => Some(first),
            None => arriving.recv().await,
        };
        let Some(stanza) = next else { return };
        let mut out = Out::default();
        match router.guests.domain(domain).filter(|_| resumed) {
            Some(successor) => successor.route(stanza, &mut out),
            None => out.routes.extend(stanza.error(&Condition::ServiceUnavailable.into())),
        }
        router.perform(&mut out).await;
    }
}

/// A component speaks for its own addresses only.
fn of(domain: &str, guest: &Guest, taken: Result<Stanza, Error>) -> Option<Stanza> {
    let stanza = taken.inspect_err(|error| {
        tracing::warn!(%error, plugin = guest.id(), "a component's stanza is not routed");
    });
    let mut stanza = stanza.ok()?;
    stanza.origin = guest.origin;
    let own = stanza.head.from.as_ref().is_some_and(|from| from.domain() == domain);
    if !own || stanza.head.to.is_none() {
        tracing::warn!(plugin = guest.id(), domain, "a component's stanza has foreign addresses");
        return None;
    }
    Some(stanza)
}
