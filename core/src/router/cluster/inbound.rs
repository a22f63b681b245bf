//! What comes from other nodes: stanzas for sessions of this one, and what became of those that this
//! one sent.

use std::sync::Arc;

use super::codec::{self, Before, Letter};
use super::copies::{self, LETTERS};
use super::nodes::Nodes;
use super::{Ack, Node, Outcome, Parcel};
use crate::jid::Jid;
use crate::router::{MAX_HOPS, Out, Router};
use crate::session::registry::Entries;
use crate::session::{Duty, Entry, Envelope, Teller, Ticket, ToOverride};
use crate::stanza::{Condition, IqType, Kind, PresenceType, Stanza};

const UNAVAILABLE: Kind = Kind::Presence(PresenceType::Unavailable);

/// What one node sent at once.
struct Post<'n> {
    nodes: &'n Nodes,
    router: Arc<Router>,
    from: Node,
    /// The session that was found last: parcels of one conversation follow each other.
    last: Option<(Jid, Entry)>,
    out: Out,
}

impl Nodes {
    /// Takes parcels that came from another node, in the order of their lanes.
    pub fn receive(&self, from: Node, parcels: &[Parcel<'_>]) {
        let Some(router) = self.router() else { return };
        let mut post = Post { nodes: self, router, from, last: None, out: Out::default() };
        let mut before = Before::default();
        let teller = Arc::new(Teller { origin: from, acks: self.acks.clone() });
        for parcel in parcels {
            post.unpack(parcel, &teller, &mut before);
        }
        self.perform(&post.router, post.out);
    }

    /// Takes what became of parcels that this node sent.
    pub fn acknowledged(&self, _from: Node, acks: &[Ack]) {
        let Some(router) = self.router() else { return };
        let mut out = Out::default();
        for (outcome, copy) in self.outbox.settle(acks) {
            match outcome {
                Outcome::Delivered => {
                    if let Some((owner, id)) = copy.delivered() {
                        router.im.spooled_elsewhere(&owner, id, &mut out);
                    }
                }
                Outcome::Committed => copy.committed(),
                Outcome::Refused => {
                    out.returned.extend(copy.returned().map(|envelope| (None, envelope)));
                }
            }
        }
        self.perform(&router, out);
    }

    /// Carries out what is caused where nobody can wait.
    pub(super) fn perform(&self, router: &Arc<Router>, mut out: Out) {
        if router.perform_now(&mut out) {
            self.later(out);
        }
    }
}

impl Post<'_> {
    /// Opens the letters of an envelope. Those from the first one that cannot be read are refused, however many
    /// they are.
    fn unpack(&mut self, parcel: &Parcel<'_>, teller: &Arc<Teller>, before: &mut Before) {
        let (from, mut octets) = (self.from, parcel.bytes);
        let ticket = |letter| {
            let number = copies::of_letter(parcel.ticket, letter);
            (parcel.ticket != 0).then(|| Ticket { teller: teller.clone(), number })
        };
        for letter in 0..LETTERS {
            match codec::decode(&mut octets, before) {
                Ok(it) => self.open(it, ticket(letter)),
                Err(error) => {
                    tracing::error!(?from, %error, "what another node sent is refused");
                    let rest = (letter..LETTERS).filter_map(ticket);
                    return rest.for_each(|ticket| ticket.tell(Outcome::Refused));
                }
            }
            if octets.is_empty() {
                return;
            }
        }
        tracing::error!(?from, "another node sent more letters than an envelope may hold");
    }

    fn open(&mut self, letter: Letter, ticket: Option<Ticket>) {
        let Letter { recipients, to, id, mut stanza } = letter;
        // Nobody else has it yet: nothing is copied.
        let hops = &mut Arc::make_mut(&mut stanza).hops;
        *hops = hops.saturating_add(1);
        if recipients.iter().all(Jid::is_bare) {
            let ended = stanza.head.from.as_ref().filter(|_| stanza.head.kind == UNAVAILABLE);
            if ended.and_then(|jid| self.find(jid)).is_some_and(|it| has_moved(&it, self.from)) {
                return;
            }
            return self.router.im.told(&recipients, to, stanza, &mut self.out);
        }
        let entries = self.sessions(&recipients);
        let (router, out) = (&self.router, &mut self.out);
        match stanza.head.kind {
            Kind::Message(_) if ticket.is_some() || to == ToOverride::Keep => {
                let duty = ticket.map(|ticket| {
                    let id = id.unwrap_or_else(|| router.clock.stanza_id());
                    Arc::new(Duty::from_node(id, ticket))
                });
                message(router, entries, stanza, duty, out);
            }
            Kind::Iq(kind) => {
                if matches!(kind, IqType::Result | IqType::Error) {
                    self.nodes.outbox.answered(&stanza);
                }
                if entries.is_empty() {
                    return router.refuse(&stanza, Condition::ServiceUnavailable, out);
                }
                hand_out(&entries, to, stanza, out);
            }
            Kind::Message(_) | Kind::Presence(_) => hand_out(&entries, to, stanza, out),
        }
    }

    fn sessions(&mut self, recipients: &[Jid]) -> Entries {
        let [recipient] = recipients else {
            return recipients.iter().filter_map(|jid| self.find(jid)).collect();
        };
        if self.last.as_ref().is_none_or(|(jid, _)| jid != recipient) {
            self.last = self.find(recipient).map(|session| (recipient.clone(), session));
        }
        self.last.iter().map(|(_, session)| session.clone()).collect()
    }

    fn find(&self, jid: &Jid) -> Option<Entry> {
        let host = self.router.hosts.find(jid.domain())?;
        self.router.registry.resource(host, jid.local()?, jid.resource()?)
    }
}

/// The resource whose end `from` tells is there again, on another node: nodes do not wait for each other,
/// and whoever sees both must not take the older word for the newer one.
fn has_moved(session: &Entry, from: Node) -> bool {
    let is_elsewhere = match session {
        Entry::Local(_) => true,
        Entry::Remote(session) => session.node != from,
    };
    is_elsewhere && session.is_available()
}

/// A message whose phase `TO_ACCOUNT` the origin has run. Without a session here the origin finds a
/// durable one another home.
fn message(
    router: &Arc<Router>,
    mut entries: Entries,
    stanza: Arc<Stanza>,
    duty: Option<Arc<Duty>>,
    out: &mut Out,
) {
    let is_here = |entry: &Entry| matches!(entry, Entry::Local(_));
    match (entries.iter().any(is_here), duty) {
        (true, duty) => {
            entries.retain(|entry| is_here(entry));
            router.deliver_to(entries, stanza, duty, out);
        }
        (false, Some(duty)) => {
            duty.refuse();
        }
        (false, None) => hand_out(&entries, ToOverride::Keep, stanza, out),
    }
}

/// To sessions here, and to those which have moved on to another node.
fn hand_out(entries: &Entries, to: ToOverride, stanza: Arc<Stanza>, out: &mut Out) {
    let may_go_on = stanza.hops < MAX_HOPS;
    for entry in entries {
        if may_go_on || matches!(entry, Entry::Local(_)) {
            out.send(entry, Envelope { stanza: stanza.clone(), to, duty: None });
        }
    }
}
