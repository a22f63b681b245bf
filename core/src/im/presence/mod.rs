//! Presence that our own sessions send (RFC 6121 §4): initial, updates, unavailable, directed.

mod endings;
mod received;
pub mod store;
mod subscribe;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use super::Im;
use super::roster::{Key, Roster};
use super::stored;
use super::subscription::Event;
use crate::events;
use crate::jid::Jid;
use crate::ns;
use crate::router::Out;
use crate::router::guests::Phase;
use crate::session::{Directed, Entry, Session, Shared, ToOverride};
use crate::stanza::{Condition, Kind, Marks, PresenceType, Stanza, StanzaError};
use crate::storage::{Append, Done, params};

pub use endings::Endings;

/// Entities beyond the roster to which one session may have shown itself (RFC 6121 §4.6).
const MAX_DIRECTED: usize = 500;

/// RFC 6121 §4.7.2.3: not an integer from -128 to 127. The peer's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a priority is an integer from -128 to 127")]
pub struct BadPriority;

impl From<BadPriority> for StanzaError {
    fn from(fault: BadPriority) -> StanzaError {
        StanzaError::new(Condition::BadRequest).with_text(fault.to_string())
    }
}

/// The priority of a presence stanza; absent is 0.
pub fn priority(stanza: &Stanza) -> Result<i8, BadPriority> {
    if !stanza.marks.intersects(Marks::AVAILABILITY) {
        return Ok(0);
    }
    match stanza.child("priority", ns::CLIENT) {
        Some(child) => child.element().text().trim().parse().map_err(|_| BadPriority),
        None => Ok(0),
    }
}

impl Im {
    /// A presence stanza that one of our sessions sent, `from` stamped.
    pub fn presence_sent(self: &Arc<Self>, session: &mut Session, stanza: Stanza, out: &mut Out) {
        let Kind::Presence(kind) = stanza.head.kind else { return };
        if let Some(event) = Event::of(kind) {
            return self.subscription_sent(&session.shared, event, stanza, out);
        }
        match (kind, &stanza.head.to) {
            (PresenceType::Available, None) => self.available(session, stanza, out),
            (PresenceType::Unavailable, None) => self.unavailable(session, stanza, out),
            (PresenceType::Available | PresenceType::Unavailable, Some(to)) => {
                let to = to.clone();
                self.directed(session, (to, kind), stanza, out);
            }
            (_, Some(_)) => out.route(stanza),
            // A probe or an error for nobody.
            (_, None) => {}
        }
    }

    /// The session is gone for good. Its subscribers and all to whom it had shown itself learn of
    /// it (RFC 6121 §4.5), unless it had said so itself.
    pub fn session_ended(self: &Arc<Self>, session: &mut Session, out: &mut Out) {
        let jid = session.jid().clone();
        let there = self.registry.resource(
            session.shared.host,
            jid.local().unwrap_or_default(),
            session.shared.resource(),
        );
        let stanza = Stanza::presence(PresenceType::Unavailable).with_from(jid);
        // Another connection took the resource and has shown itself: its presence holds, but not
        // for those whom only this one had addressed.
        let is_taken = there.is_some_and(|there| match &there {
            Entry::Local(other) => other.id != session.shared.id && other.is_available(),
            Entry::Remote(other) => other.is_available(),
        });
        if is_taken {
            return end_directed(session, &stanza, out);
        }
        self.unavailable(session, stanza, out);
    }

    /// Initial presence (RFC 6121 §4.2) and updates (§4.4).
    fn available(self: &Arc<Self>, session: &mut Session, stanza: Stanza, out: &mut Out) {
        let shared = session.shared.clone();
        let priority = match priority(&stanza) {
            Ok(priority) => priority,
            Err(fault) => return refuse(&shared, &stanza, fault, out),
        };
        let initial = !shared.is_available();
        let took_messages = shared.takes_messages();
        let stanza = Arc::new(stanza);
        shared.set_presence(Some((stanza.clone(), priority)));
        self.registry.changed(&shared);
        self.tell_presence(&shared);
        if priority >= 0 && !took_messages {
            self.flush(&shared, out);
        }
        self.with_roster(Key::from(&*shared), out, move |im, roster, out| {
            let Ok(roster) = roster else { return };
            im.broadcast(&shared.jid, roster, &stanza, out);
            if initial {
                im.welcome(&shared, roster, out);
            }
        });
    }

    /// RFC 6121 §4.5.2.
    fn unavailable(self: &Arc<Self>, session: &mut Session, stanza: Stanza, out: &mut Out) {
        let shared = session.shared.clone();
        let was_available = shared.is_available();
        shared.set_presence(None);
        self.registry.changed(&shared);
        end_directed(session, &stanza, out);
        if !was_available {
            return;
        }
        self.tell_presence(&shared);
        self.note_last(Key::from(&*shared), &shared.jid, &stanza);
        let stanza = Arc::new(stanza);
        self.with_roster(Key::from(&*shared), out, move |im, roster, out| {
            let Ok(roster) = roster else { return };
            im.broadcast(&shared.jid, roster, &stanza, out);
        });
    }

    /// To every subscriber, and to every available resource of the account (§4.2.2, §4.4.2).
    pub(super) fn broadcast(
        &self,
        from: &Jid,
        roster: &Roster,
        presence: &Arc<Stanza>,
        out: &mut Out,
    ) {
        let mut ours = Vec::new();
        // Steps of plugins see it once for each account.
        let kind = presence.head.kind;
        let is_watched = self.guests.get().is_some_and(|g| g.watch(Phase::ToAccount, kind));
        for contact in roster.subscribers() {
            let is_ours = self.hosts.find(contact.domain()).is_some() && contact.local().is_some();
            if is_ours && !is_watched {
                ours.push(contact.clone());
            } else {
                out.route(Stanza::clone(presence).with_to(contact.clone()));
            }
        }
        ours.push(from.to_bare());
        self.show_all(ours, ToOverride::Own, presence, out);
    }

    /// To the available resources of these accounts of ours, on all nodes. Whoever becomes available
    /// elsewhere at this moment is known to his own node only, which is told, too.
    pub(super) fn show_all(
        &self,
        accounts: Vec<Jid>,
        to: ToOverride,
        presence: &Arc<Stanza>,
        out: &mut Out,
    ) {
        for account in &accounts {
            out.fan_out(presence, to, &self.sessions(account, here(Entry::is_available)));
        }
        self.tell_others(accounts, to, presence, out);
    }

    /// What a resource that has just become available gets: the presence of its siblings and of
    /// the contacts (§4.2.2, by probes), and the requests that wait for an answer (§3.1.3).
    fn welcome(self: &Arc<Self>, session: &Arc<Shared>, roster: &Roster, out: &mut Out) {
        let probe = Arc::new(Stanza::presence(PresenceType::Probe).with_from(session.jid.clone()));
        for sibling in self.sessions(&session.jid, here(Entry::is_available)) {
            if let Entry::Local(sibling) = &sibling
                && sibling.id != session.id
                && let Some(presence) = sibling.presence()
            {
                out.fan_out(&presence, ToOverride::Own, &[Entry::Local(session.clone())]);
            }
        }
        let mut ours = vec![session.jid.to_bare()];
        for contact in roster.subscriptions() {
            if self.probe(session, contact, &probe, out) {
                ours.push(contact.clone());
            }
        }
        // Only a session's own node has its presence: the others are asked all at once.
        self.tell_others(ours, ToOverride::Keep, &probe, out);
        for item in roster.items().iter().filter(|item| item.state.pending_in()) {
            out.deliver(session, Arc::new(item.request(&session.jid)));
        }
    }

    /// Directed presence (RFC 6121 §4.6): also to somebody who is not subscribed.
    fn directed(
        &self,
        session: &mut Session,
        (to, kind): (Jid, PresenceType),
        stanza: Stanza,
        out: &mut Out,
    ) {
        if kind == PresenceType::Unavailable {
            if let Some(directed) = &mut session.directed {
                directed.to.retain(|known| *known != to);
            }
            return out.route(stanza);
        }
        // §4.6.3: who gets the broadcasts anyway needs no second account of it.
        let roster = self.rosters.get(Key::from(&*session.shared));
        let item = roster.as_ref().and_then(|roster| roster.item(to.bare_str()));
        let subscriber = session.shared.is_available() && item.is_some_and(|i| i.state.from());
        let directed = session.directed.get_or_insert_with(Box::<Directed>::default);
        if !subscriber && !directed.to.contains(&to) {
            if directed.to.len() >= MAX_DIRECTED {
                let error = StanzaError::new(Condition::ResourceConstraint)
                    .with_text("presence was directed to too many addresses");
                return refuse(&session.shared, &stanza, error, out);
            }
            directed.to.push(to);
        }
        out.route(stanza);
    }

    fn tell_presence(&self, session: &Shared) {
        self.events.tell(events::Kind::PresenceChanged, || {
            serde_json::json!({
                "jid": session.jid.as_str(),
                "available": session.is_available(),
                "priority": session.priority(),
            })
        });
    }

    /// Remembers how the account went, when this was its last resource.
    pub(super) fn note_last(&self, key: Key, owner: &Jid, stanza: &Stanza) {
        if !self.sessions(owner, Entry::is_available).is_empty() {
            return;
        }
        let (now, bytes) = (self.clock.now(), stored::bytes(stanza));
        let values = params![key.host, key.account, now, bytes.clone()].to_vec();
        let endings = self.endings.clone();
        endings.put(key, now, bytes);
        let done = Done::Call(Box::new(move |_| endings.saved(key, now)));
        self.db.append(Append { statement: store::NOTE, params: values, id: None, done });
    }
}

/// Sessions of this node.
pub(super) fn here(wanted: impl Fn(&Entry) -> bool) -> impl Fn(&Entry) -> bool {
    move |entry| matches!(entry, Entry::Local(_)) && wanted(entry)
}

/// §4.6.3: to all to whom presence was directed.
fn end_directed(session: &mut Session, stanza: &Stanza, out: &mut Out) {
    for to in session.directed.take().map(|directed| directed.to).unwrap_or_default() {
        out.route(stanza.clone().with_to(to));
    }
}

/// Tells the session what was wrong with its stanza.
fn refuse(session: &Arc<Shared>, stanza: &Stanza, error: impl Into<StanzaError>, out: &mut Out) {
    if let Some(error) = stanza.error(&error.into()) {
        out.deliver(session, Arc::new(error));
    }
}
