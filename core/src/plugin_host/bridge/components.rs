//! Sub-domains: everything that is sent to one is for a plugin, in the order in which it came, also
//! across a change of the instance.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hearth_plugin_api::abi::StanzasRef;
use hearth_plugin_api::{ComponentSpec, Error};
use tokio::sync::mpsc::{Receiver, Sender};

use super::stanzas::{DEADLINE, is_parked};
use super::{Guest, Hooks, stanza};
use crate::host::HostId;
use crate::jid::Jid;
use crate::ns;
use crate::router::{Out, Remote};
use crate::services::disco::Said;
use crate::stanza::{Condition, IqType, Kind, Stanza};

/// Stanzas that wait for a component.
const QUEUE: usize = 1024;

/// What is sent to a sub-domain. A successor takes it over with all that waits in it, so that nothing
/// overtakes anything.
#[derive(Clone)]
pub(super) struct Inbox {
    queue: Sender<Stanza>,
    arriving: Arc<tokio::sync::Mutex<Arriving>>,
    /// Successors that wait for it.
    heirs: Arc<AtomicUsize>,
}

struct Arriving {
    /// What the instance before did not get to answer.
    first: Option<Stanza>,
    rest: Receiver<Stanza>,
}

impl Arriving {
    async fn next(&mut self) -> Option<Stanza> {
        match self.first.take() {
            Some(first) => Some(first),
            None => self.rest.recv().await,
        }
    }
}

impl Inbox {
    fn new() -> Inbox {
        let (queue, rest) = tokio::sync::mpsc::channel(QUEUE);
        let arriving = Arc::new(tokio::sync::Mutex::new(Arriving { first: None, rest }));
        Inbox { queue, arriving, heirs: Arc::default() }
    }
}

/// `before` is what the predecessor had.
pub(super) fn open(
    guest: &Arc<Guest>,
    (spec, handler): (&ComponentSpec, StanzasRef),
    (said, before): (Option<Said>, &[(String, Inbox)]),
    hooks: &mut Hooks,
) -> Result<(), Error> {
    let domain = guest.seams.router.hosts.domain(HostId::FIRST);
    let address = format!("{}.{}", spec.label, domain.as_str());
    let address = Jid::parse(&address).ok().filter(|jid| jid.local().is_none());
    let Some(address) = address.filter(|_| !spec.label.contains(['.', '/', '@'])) else {
        return Err(Error::invalid(format!("`{}` is no label of a domain", spec.label)));
    };
    let domain = address.as_str().to_owned();
    let inherited = before.iter().find(|(known, _)| *known == domain);
    let inbox = inherited.map_or_else(Inbox::new, |(_, inbox)| inbox.clone());
    hooks.inboxes.push((domain.clone(), inbox.clone()));
    let component = Arc::new(Component { address, said, inbox: inbox.clone() });
    hooks.hung.domains.push((domain.clone(), component));
    let (guest, handler) = (guest.clone(), Arc::new(handler));
    hooks.begin.lock().push(Box::new(move || {
        inbox.heirs.fetch_add(1, Ordering::AcqRel);
        let (arriving, heirs) = (inbox.arriving.clone(), inbox.heirs.clone());
        guest.clone().seams.tracker.spawn("plugin component", async move {
            let mut arriving = arriving.lock_owned().await;
            heirs.fetch_sub(1, Ordering::AcqRel);
            serve(&guest, &handler, &domain, &mut arriving).await;
            leave(&guest, &mut arriving, &heirs).await;
        });
    }));
    Ok(())
}

struct Component {
    address: Jid,
    /// What service discovery answers in its name, if the plugin has said so.
    said: Option<Said>,
    inbox: Inbox,
}

impl Remote for Component {
    /// Keeps the order of what arrives; what finds no room is answered.
    fn route(&self, stanza: Stanza, out: &mut Out) {
        if let Some(answer) = self.disco(&stanza) {
            return out.route(answer);
        }
        use tokio::sync::mpsc::error::TrySendError::{Closed, Full};
        let (stanza, condition) = match self.inbox.queue.try_send(stanza) {
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

/// Until the instance stops.
async fn serve(
    guest: &Arc<Guest>,
    handler: &Arc<StanzasRef>,
    domain: &str,
    arriving: &mut Arriving,
) {
    loop {
        let stanza = tokio::select! {
            biased;
            () = guest.parking.begun() => return,
            () = guest.guard.closed() => return,
            stanza = arriving.next() => stanza,
        };
        let Some(arrived) = stanza else { return };
        let question = stanza::give(&arrived);
        let answers = guest.guard.later("component", DEADLINE, || handler.stanza(question)).await;
        let mut out = Out::default();
        match answers {
            Ok(answers) => {
                let taken = answers.into_iter().map(stanza::take);
                out.routes.extend(taken.filter_map(|taken| of(domain, guest, taken)));
            }
            Err(error) if is_parked(guest, &error) => {
                arriving.first = Some(arrived);
                return;
            }
            Err(error) => {
                tracing::warn!(%error, plugin = guest.id(), "a component did not take a stanza");
                out.routes.extend(arrived.error(&Condition::InternalServerError.into()));
            }
        }
        guest.seams.router.perform(&mut out).await;
    }
}

/// The instance stops: its successor gets what waits. Without one, or if it takes long, the senders
/// are told.
async fn leave(guest: &Guest, arriving: &mut Arriving, heirs: &AtomicUsize) {
    if guest.parking.is_begun() && !guest.parking.over(0).await {
        let stop = guest.seams.tracker.soft();
        loop {
            let late = tokio::select! {
                biased;
                () = guest.parking.settled() => break,
                () = stop.cancelled() => break,
                late = arriving.next() => late,
            };
            let Some(late) = late else { break };
            refuse(guest, &late).await;
        }
    }
    if heirs.load(Ordering::Acquire) > 0 {
        return;
    }
    arriving.rest.close();
    while let Some(stanza) = arriving.next().await {
        refuse(guest, &stanza).await;
    }
}

async fn refuse(guest: &Guest, stanza: &Stanza) {
    let mut out = Out::default();
    out.routes.extend(stanza.error(&Condition::ServiceUnavailable.into()));
    guest.seams.router.perform(&mut out).await;
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
