//! Brings a stanza from its sender to whoever must have it. Routing is synchronous: what it causes,
//! also what must wait, goes into an [`Out`], which [`Router::perform`] carries out.

use std::sync::Arc;

use crate::clock::Clock;
use crate::events::Events;
use crate::host::HostId;
use crate::im::{Directory, Im};
use crate::jid::Jid;
use crate::services::archive::Archive;
use crate::session::duty::is_durable;
use crate::session::{Entry, Pending, Registry, Session, Shared};
use crate::stanza::{Defect, Kind, Stanza};
use crate::telemetry::Counter;

pub mod asked;
pub mod bounce;
pub mod cluster;
pub mod destination;
pub mod guests;
pub mod hosts;
pub mod iq;
pub mod local;
pub mod out;
mod past_guests;
pub mod phase;
pub mod remote;

use cluster::Far;
pub use cluster::Nodes;
pub use destination::Destination;
pub use guests::Guests;
pub use hosts::Hosts;
pub use iq::{IqHandler, IqTable, Request, Target};
pub use out::{Out, To, Work};
pub use remote::{Remote, Unreachable};

/// How often a stanza may be sent on before it counts as caught in a loop.
const MAX_HOPS: u8 = 16;

/// The parts that routing stands on.
pub struct Router {
    pub hosts: Arc<Hosts>,
    pub registry: Arc<Registry>,
    pub directory: Arc<dyn Directory>,
    pub im: Arc<Im>,
    pub archive: Arc<Archive>,
    /// The other nodes of a cluster.
    pub nodes: Arc<Nodes>,
    pub iqs: IqTable,
    pub guests: Arc<Guests>,
    pub events: Arc<Events>,
    pub remote: Arc<dyn Remote>,
    pub clock: Clock,
    /// Messages that came here to be routed.
    pub messages: Arc<Counter>,
}

/// A stanza's sender, as far as routing cares.
#[derive(Default)]
struct Sender<'s> {
    session: Option<&'s Arc<Shared>>,
    /// The sender's acknowledgement that waits for this stanza.
    pending: Option<Pending>,
}

impl Router {
    /// A stanza that the client of `session` sent. Its `from` is stamped here, whatever the client
    /// wrote (RFC 6120 §8.1.2.1).
    pub fn from_session(
        self: &Arc<Self>,
        session: &mut Session,
        mut stanza: Stanza,
        out: &mut Out,
    ) {
        stanza.head.from = Some(session.jid().clone());
        let pending = self.count(session, &stanza);
        if self.guests.watch(guests::Phase::Sent, stanza.head.kind) {
            return self.sent_past_guests(session, pending, stanza, out);
        }
        self.dispatch(session, pending, stanza, out);
    }

    fn dispatch(
        self: &Arc<Self>,
        session: &mut Session,
        pending: Option<Pending>,
        stanza: Stanza,
        out: &mut Out,
    ) {
        match stanza.head.kind {
            Kind::Presence(_) => self.im.presence_sent(session, stanza, out),
            _ => self.dispatch_shared(&session.shared, pending, stanza, out),
        }
    }

    /// Messages and IQs.
    fn dispatch_shared(
        self: &Arc<Self>,
        session: &Arc<Shared>,
        pending: Option<Pending>,
        stanza: Stanza,
        out: &mut Out,
    ) {
        match stanza.head.kind {
            Kind::Message(_) => {
                self.message(Sender { session: Some(session), pending }, stanza, out);
            }
            _ => self.iq(Some(session), stanza, out),
        }
    }

    /// Counts the stanza for XEP-0198. A durable one stays open until it is safe.
    fn count(&self, session: &Session, stanza: &Stanza) -> Option<Pending> {
        let watermark = session.shared.watermark()?;
        if !is_durable(stanza) {
            watermark.handled();
            return None;
        }
        Some(Pending { sender: session.shared.clone(), seq: watermark.wait() })
    }

    /// A stanza from elsewhere: another server, a component, or the server itself. `from` and `to`
    /// are set and were checked by who calls.
    pub fn route(self: &Arc<Self>, mut stanza: Stanza, out: &mut Out) {
        stanza.hops += 1;
        if stanza.hops > MAX_HOPS {
            tracing::warn!(to = ?stanza.head.to, "dropped a stanza that went in circles");
            return;
        }
        match stanza.head.kind {
            Kind::Message(_) => self.message(Sender::default(), stanza, out),
            Kind::Iq(_) => self.iq(None, stanza, out),
            Kind::Presence(_) => self.presence(stanza, out),
        }
    }

    fn presence(self: &Arc<Self>, stanza: Stanza, out: &mut Out) {
        let Some(to) = stanza.head.to.clone() else { return };
        match Destination::classify(&self.hosts, &to) {
            Destination::Account { host, .. } | Destination::Resource { host, .. } => {
                match self.guests.watch(guests::Phase::ToAccount, stanza.head.kind) {
                    true => self.presence_past_guests(host, stanza, out),
                    false => self.im.presence_received(host, stanza, out),
                }
            }
            // RFC 6121 §8.5.1: the server has no presence of its own.
            Destination::Server(_) => {}
            Destination::Remote(domain) => self.elsewhere(domain, stanza, out),
        }
    }

    /// Another domain: a guest's, or a server's.
    fn elsewhere(&self, domain: &str, stanza: Stanza, out: &mut Out) {
        match self.guests.domain(domain) {
            Some(guest) => guest.route(stanza, out),
            None => self.remote.route(stanza, out),
        }
    }

    fn iq(self: &Arc<Self>, session: Option<&Arc<Shared>>, stanza: Stanza, out: &mut Out) {
        let Some(mut stanza) = self.guests.asked.take(stanza) else { return };
        let to = match &stanza.head.to {
            Some(to) => to.clone(),
            // RFC 6120 §10.3.3: without `to` it is for the sender's own account.
            None => stanza.head.from.as_ref().map(|f| f.to_bare()).unwrap_or_else(|| self.own()),
        };
        if self.guests.watch(guests::Phase::ToAccount, stanza.head.kind)
            && self.hosts.find(to.domain()).is_some()
            && to.local().is_some()
        {
            stanza.head.to.get_or_insert_with(|| to.clone());
            return self.iq_past_guests(session, to, stanza, out);
        }
        self.iq_to(session, to, stanza, out);
    }

    /// The phases are over: an IQ for `to`.
    fn iq_to(
        self: &Arc<Self>,
        session: Option<&Arc<Shared>>,
        to: Jid,
        mut stanza: Stanza,
        out: &mut Out,
    ) {
        let (host, target) = match Destination::classify(&self.hosts, &to) {
            Destination::Server(host) => (host, Target::Server),
            Destination::Account { host, .. } => (host, self.whose(session, &to)),
            Destination::Resource { host, local, resource } => {
                let entry = self.registry.resource(host, local, resource);
                return self.iq_to_resource(entry, stanza, out);
            }
            Destination::Remote(domain) => return self.elsewhere(domain, stanza, out),
        };
        stanza.head.to.get_or_insert(to);
        let request = Request { host, target, stanza, session: session.cloned() };
        self.iq_to_server(request, out);
    }

    fn whose(&self, session: Option<&Arc<Shared>>, to: &Jid) -> Target {
        match session {
            Some(session) if session.jid.bare_str() == to.as_str() => Target::Own,
            _ => Target::Account,
        }
    }

    fn own(&self) -> Jid {
        self.hosts.domain(HostId::FIRST).clone()
    }

    /// Carries out what routing caused, without waiting. True when there is something to wait for:
    /// then [`Router::perform`] must be called before the same sender's next stanza.
    pub fn perform_now(self: &Arc<Self>, out: &mut Out) -> bool {
        loop {
            while let Some(stanza) = out.routes.pop_front() {
                self.route(stanza, out);
            }
            if self.guests.watch_deliveries() {
                self.deliveries_past_guests(out);
            }
            let mut far = Vec::new();
            let mut deliveries = out.deliveries.drain(..).peekable();
            while let Some((to, envelope)) = deliveries.next() {
                let session = match to {
                    To::Session(Entry::Local(session)) => session,
                    To::Session(Entry::Remote(session)) => {
                        // Mostly, the others are for other nodes, too.
                        far.reserve(1 + deliveries.len());
                        far.push((Far::Session(session), envelope));
                        continue;
                    }
                    To::Elsewhere(accounts) => {
                        far.push((Far::Accounts(accounts), envelope));
                        continue;
                    }
                    To::Interested(push) => {
                        self.im.push_here(&push);
                        let owner = Arc::new(vec![push.owner.clone()]);
                        let notice = (Far::Accounts(owner), envelope);
                        far.extend(Some(notice).filter(|_| self.nodes.is_clustered()));
                        continue;
                    }
                };
                let same = |(to, _): &(To, _)| matches!(to, To::Session(to) if to.is(&session));
                let more = std::iter::from_fn(|| Some(deliveries.next_if(same)?.1));
                let refused = session.mailbox.push_all(std::iter::once(envelope).chain(more));
                let refused = refused.into_iter().map(|envelope| (Some(session.clone()), envelope));
                out.returned.extend(refused);
            }
            drop(deliveries);
            if !far.is_empty() {
                self.nodes.send(far, out);
            }
            // The session ended between look-up and delivery: as if it had not been found.
            let Some((session, envelope)) = out.returned.pop_front() else {
                // A guest may have refused a delivery, and its sender is told.
                if out.routes.is_empty() {
                    return !out.work.is_empty();
                }
                continue;
            };
            self.undelivered(session.as_deref(), envelope, out);
        }
    }

    /// Carries out everything, in order.
    pub async fn perform(self: &Arc<Self>, out: &mut Out) {
        while self.perform_now(out) {
            let Some(work) = out.work.pop_front() else { return };
            // What the work causes comes before what was queued behind it.
            let mut caused = work.await;
            out.deliveries.append(&mut caused.deliveries);
            out.routes.append(&mut caused.routes);
            out.returned.append(&mut caused.returned);
            while let Some(work) = caused.work.pop_back() {
                out.work.push_front(work);
            }
        }
    }

    /// An error answer to a stanza that cannot be routed as it is.
    pub fn reject(&self, session: &Session, mut stanza: Stanza, defect: Defect, out: &mut Out) {
        if let Some(watermark) = session.shared.watermark() {
            watermark.handled();
        }
        stanza.head.from = Some(session.jid().clone());
        out.routes.extend(stanza.error(&defect.into()));
    }
}
