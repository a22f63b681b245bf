//! Roster pushes (RFC 6121 §2.1.6). A change is told to every node, which pushes it to its own
//! sessions: it knows best which of them have asked for the roster, whatever the others know by then.

use std::sync::Arc;

use super::{Changed, Item, Key, iq_set, item};
use crate::host::AccountId;
use crate::im::Im;
use crate::jid::Jid;
use crate::ns;
use crate::router::guests::{Passed, Phase};
use crate::router::{Out, To};
use crate::session::{Entry, Envelope, RosterPush, Shared, ToOverride};
use crate::stanza::{IqType, Kind, Payload, Stanza};
use crate::xml::writer::Writer;

/// The child by which one node tells the others of a change; what clients are sent follows it.
const CHANGE: &str = "roster-change";
/// Of what nodes of this server tell each other, and nobody else sees.
const NODES: &str = "urn:hearth:nodes";

impl Im {
    /// Tells the owner's resources what has become of a contact, on all nodes.
    pub(in crate::im) fn push(&self, owner: &Jid, changed: &Changed, out: &mut Out) {
        let version = changed.roster.version;
        if changed.previous == version {
            return;
        }
        let push = Arc::new(RosterPush {
            owner: owner.clone(),
            after: changed.previous,
            version,
            contact: changed.contact.clone(),
            stanza: stanza(changed).map(Arc::new),
        });
        let notice = notice(changed.key, &push);
        out.deliveries.push((To::Interested(push), Envelope::new(Arc::new(notice))));
    }

    /// Another node changed a roster.
    pub fn roster_told(&self, owner: &Jid, notice: &Stanza) {
        let Some((account, push)) = read(owner, notice) else {
            return tracing::error!(%owner, "another node tells of a roster what cannot be read");
        };
        if let Some(host) = self.hosts.find(owner.domain()) {
            self.rosters.forget(Key { host, account });
        }
        self.push_here(&Arc::new(push));
    }

    /// Puts a push into the mailboxes of this node.
    pub fn push_here(&self, push: &Arc<RosterPush>) {
        let sessions = self.sessions(&push.owner, Entry::is_interested);
        for entry in &sessions {
            let Entry::Local(session) = entry else { continue };
            // Under the lock, so that the client gets them in this order.
            let mut view = session.roster();
            if let Some(version) = view.offer(push) {
                self.send(session, push, version);
            }
        }
    }

    /// Answers the session's request with the roster's `version`, or with an error. What was changed
    /// meanwhile follows.
    pub(super) fn answer_get(
        &self,
        session: &Arc<Shared>,
        version: Option<i64>,
        answer: Option<Stanza>,
    ) {
        let mut view = session.roster();
        if let Some(answer) = answer {
            self.hand(session, Envelope::new(Arc::new(answer)));
        }
        for (push, version) in view.answered(version) {
            self.send(session, &push, version);
        }
    }

    fn send(&self, session: &Shared, push: &RosterPush, version: i64) {
        let Some(stanza) = &push.stanza else { return };
        let stanza = match version == push.version {
            true => stanza.clone(),
            false => Arc::new(relabelled(stanza, push.version, version)),
        };
        self.hand(session, Envelope { stanza, to: ToOverride::Own, duty: None });
    }

    /// Whoever is gone meanwhile asks anew. Nobody is told of what a step holds back: it would be the
    /// account itself.
    fn hand(&self, session: &Shared, mut envelope: Envelope) {
        let kind = envelope.stanza.head.kind;
        if let Some(guests) = self.guests.get().filter(|it| it.watch(Phase::ToSession, kind)) {
            match guests.pass_delivery(session, &envelope) {
                Passed::On(stanza) => envelope.stanza = Arc::new(stanza),
                _ => return,
            }
        }
        let _ = session.mailbox.push(envelope);
    }
}

/// The push for clients, when they see a difference.
fn stanza(changed: &Changed) -> Option<Stanza> {
    let visible = |item: Option<&Arc<Item>>| item.filter(|item| item.listed).cloned();
    let (before, after) = (visible(changed.before.as_ref()), visible(changed.after()));
    let same = match (&before, &after) {
        (None, None) => true,
        (Some(before), Some(after)) => before.looks_like(after),
        _ => false,
    };
    let version = changed.roster.version;
    (!same).then(|| iq(version, item::push(version, &changed.contact, after.as_deref())))
}

fn iq(version: i64, payload: Payload) -> Stanza {
    iq_set(format!("push-{version}"), payload)
}

/// The push with another version.
fn relabelled(stanza: &Stanza, from: i64, to: i64) -> Stanza {
    let (bytes, before) = (&stanza.payload.bytes, item::opening(from));
    let rest = bytes.strip_prefix(before.as_slice()).unwrap_or_default();
    let payload = Payload::from_canonical([&item::opening(to), rest].concat());
    Stanza { payload: payload.unwrap_or_else(|_| stanza.payload.clone()), ..stanza.clone() }
}

fn notice(key: Key, push: &RosterPush) -> Stanza {
    let mut bytes = Vec::with_capacity(512);
    Writer::new(&mut bytes)
        .start(CHANGE, Some(NODES))
        .attribute("account", &key.account.0.to_string())
        .attribute("after", &push.after.to_string())
        .attribute("version", &push.version.to_string())
        .attribute("contact", push.contact.as_str())
        .end(CHANGE);
    if let Some(stanza) = &push.stanza {
        bytes.extend_from_slice(&stanza.payload.bytes);
    }
    let payload = Payload::from_canonical(bytes).expect("the writer writes canonical elements");
    iq(push.version, payload).with_from(push.owner.clone())
}

fn read(owner: &Jid, notice: &Stanza) -> Option<(AccountId, RosterPush)> {
    if notice.head.kind != Kind::Iq(IqType::Set) {
        return None;
    }
    let change = notice.child(CHANGE, NODES)?.element();
    let number = |name: &str| change.attr(name)?.parse().ok();
    let (after, version) = (number("after")?, number("version")?);
    let contact = Jid::parse(change.attr("contact")?).ok()?;
    let query = notice.child("query", ns::ROSTER);
    let query = query.map(|query| Payload::from_canonical(query.to_bytes())).transpose().ok()?;
    let stanza = query.map(|query| Arc::new(iq(version, query)));
    let owner = owner.clone();
    Some((AccountId(number("account")?), RosterPush { owner, after, version, contact, stanza }))
}
