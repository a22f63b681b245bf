//! Managing subscriptions (RFC 6121 §3): the table decides, this file performs.

use std::sync::Arc;

use super::super::Im;
use super::super::roster::{AmendError, Change, Changed, Item, Key, RosterFault};
use super::super::subscription::{Event, State, Step, inbound, outbound};
use super::{here, refuse};
use crate::host::HostId;
use crate::jid::Jid;
use crate::router::Out;
use crate::session::{Entry, Shared, ToOverride};
use crate::stanza::{Payload, PresenceType, Stanza, StanzaError};

/// Octets of a request that are kept for later log-ins; of a longer one only the asking is.
const MAX_REQUEST: usize = 1024;

impl Item {
    /// The subscription request that waits for `owner`'s answer (RFC 6121 §3.1.3).
    pub(super) fn request(&self, owner: &Jid) -> Stanza {
        let payload = self.request.clone().and_then(|bytes| Payload::from_canonical(bytes).ok());
        Stanza::presence(PresenceType::Subscribe)
            .with_from(self.contact.clone())
            .with_to(owner.to_bare())
            .with_payload(payload.unwrap_or_default())
    }

    /// The item after `step`.
    fn stepped(mut self, step: Step) -> Change {
        let before = (self.state, self.approved, self.listed);
        self.state = step.next;
        self.approved = step.approved;
        let state = self.state;
        self.listed |= state.to() || state.from() || state.pending_out() || self.approved;
        if !state.pending_in() {
            self.request = None;
        }
        match before == (self.state, self.approved, self.listed) {
            true => Change::Keep,
            false if self.is_void() => Change::Remove,
            false => Change::Put(self),
        }
    }
}

fn current(item: Option<&Item>, contact: &Jid) -> Item {
    item.cloned().unwrap_or_else(|| Item::new(contact.clone()))
}

fn state(item: Option<&Arc<Item>>) -> (State, bool) {
    item.map_or((State::None, false), |item| (item.state, item.approved))
}

impl Im {
    /// One of our sessions asks, approves, cancels or declines (RFC 6121 §A.2).
    pub(super) fn subscription_sent(
        self: &Arc<Self>,
        session: &Arc<Shared>,
        event: Event,
        stanza: Stanza,
        out: &mut Out,
    ) {
        let owner = session.jid.to_bare();
        let contact = stanza.head.to.as_ref().map_or_else(|| owner.clone(), Jid::to_bare);
        if contact == owner {
            let fault = StanzaError::from(RosterFault::OwnAddress);
            return refuse(session, &stanza, fault, out);
        }
        let (im, session) = (self.clone(), session.clone());
        out.wait(async move {
            let sent = im.send_subscription(Key::from(&*session), &owner, event, stanza).await;
            sent.unwrap_or_else(|(error, stanza)| {
                let mut out = Out::default();
                refuse(&session, &stanza, error, &mut out);
                out
            })
        });
    }

    /// The account `owner`, a bare address, sends `stanza`. One that is not sent comes back.
    pub async fn send_subscription(
        self: &Arc<Self>,
        key: Key,
        owner: &Jid,
        event: Event,
        mut stanza: Stanza,
    ) -> Result<Out, (AmendError, Box<Stanza>)> {
        let contact = stanza.head.to.as_ref().map_or_else(|| owner.clone(), Jid::to_bare);
        let address = contact.clone();
        let decide = move |item: Option<&Item>| {
            let item = current(item, &address);
            let step = outbound(event, item.state, item.approved);
            Ok(item.stepped(step))
        };
        let changed = match self.amend(key, contact.clone(), decide).await {
            Ok(changed) => changed,
            Err(error) => return Err((error, Box::new(stanza))),
        };
        // §3.1.2: both addresses are bare.
        stanza.head.from = Some(owner.clone());
        stanza.head.to = Some(contact);
        let (before, approved) = state(changed.before.as_ref());
        let pass = outbound(event, before, approved).pass;
        let mut out = Out::default();
        self.sent(owner, &changed, pass.then_some(stanza), &mut out);
        Ok(out)
    }

    /// What follows from an outbound step, in the order in which the contact is to see it.
    fn sent(self: &Arc<Self>, owner: &Jid, changed: &Changed, pass: Option<Stanza>, out: &mut Out) {
        let (before, after) = (state(changed.before.as_ref()).0, state(changed.after()).0);
        self.push(owner, changed, out);
        if before.from() && !after.from() {
            self.withdraw_presence(owner, &changed.contact, out);
        }
        if let Some(stanza) = pass {
            self.pass_on(stanza, out);
        }
        if !before.from() && after.from() {
            self.show_presence(owner, &changed.contact, out);
        }
    }

    /// A contact asks, approves, cancels or declines (RFC 6121 §A.3).
    pub(super) fn subscription_received(
        self: &Arc<Self>,
        host: HostId,
        event: Event,
        stanza: Stanza,
        out: &mut Out,
    ) {
        let (Some(from), Some(to)) = (&stanza.head.from, &stanza.head.to) else { return };
        let (contact, owner) = (from.to_bare(), to.to_bare());
        let local = owner.local().unwrap_or_default().to_owned();
        self.with_account(host, &local, out, move |im, account, out| {
            // §8.5.1: silence, so that nobody learns which accounts there are.
            let Ok(Some(account)) = account else { return };
            let im = im.clone();
            out.wait(async move {
                let mut out = Out::default();
                let key = Key { host, account };
                match im.receive(key, contact, event, &stanza).await {
                    Ok(changed) => im.received(&owner, event, &changed, stanza, &mut out),
                    Err(error) => refuse_remote(&stanza, error, &mut out),
                }
                out
            });
        });
    }

    async fn receive(
        self: &Arc<Self>,
        key: Key,
        contact: Jid,
        event: Event,
        stanza: &Stanza,
    ) -> Result<Changed, AmendError> {
        let request = &stanza.payload.bytes;
        let request = (request.len() <= MAX_REQUEST).then(|| request.clone());
        let address = contact.clone();
        let decide = move |item: Option<&Item>| {
            let mut item = current(item, &address);
            let step = inbound(event, item.state, item.approved);
            if event == Event::Subscribe && step.pass {
                item.request = request;
            }
            Ok(item.stepped(step))
        };
        self.amend(key, contact, decide).await
    }

    /// What follows from an inbound step.
    fn received(
        self: &Arc<Self>,
        owner: &Jid,
        event: Event,
        changed: &Changed,
        stanza: Stanza,
        out: &mut Out,
    ) {
        let (before, approved) = state(changed.before.as_ref());
        let after = state(changed.after()).0;
        let step = inbound(event, before, approved);
        if step.pass {
            let stanza = stanza.with_from(changed.contact.clone()).with_to(owner.clone());
            let stanza = Arc::new(stanza);
            self.pass_here(owner, event, &stanza, out);
            self.tell_others(vec![owner.clone()], ToOverride::Keep, &stanza, out);
        }
        self.push(owner, changed, out);
        if step.reply {
            self.pass_on(between(owner, &changed.contact, PresenceType::Subscribed), out);
            self.show_presence(owner, &changed.contact, out);
        }
        if before.from() && !after.from() {
            self.withdraw_presence(owner, &changed.contact, out);
        }
    }

    /// §3.1.3: a request goes to all available resources; the rest to the interested.
    fn pass_here(&self, owner: &Jid, event: Event, stanza: &Arc<Stanza>, out: &mut Out) {
        let wanted = here(|entry: &Entry| match event {
            Event::Subscribe => entry.is_available(),
            _ => entry.is_interested(),
        });
        out.fan_out(stanza, ToOverride::Keep, &self.sessions(owner, wanted));
    }

    /// The same on behalf of another node. What is remembered of the roster may be older: whoever
    /// becomes available from now on is shown the request by what the database says.
    pub(in crate::im) fn subscription_told(
        self: &Arc<Self>,
        owner: &Jid,
        event: Event,
        stanza: &Arc<Stanza>,
        out: &mut Out,
    ) {
        let (Some(host), Some(local)) = (self.hosts.find(owner.domain()), owner.local()) else {
            return;
        };
        self.with_account(host, local, out, move |im, account, _| {
            if let Ok(Some(account)) = account {
                im.rosters.forget(Key { host, account });
            }
        });
        self.pass_here(owner, event, stanza, out);
    }

    /// RFC 6121 §2.5.2: a contact that is removed is told so, in both directions.
    pub(in crate::im) fn end_subscriptions(&self, owner: &Jid, item: &Item, out: &mut Out) {
        let (state, contact) = (item.state, &item.contact);
        if state.to() || state.pending_out() {
            out.route(between(owner, contact, PresenceType::Unsubscribe));
        }
        if state.from() {
            self.withdraw_presence(owner, contact, out);
        }
        if state.from() || state.pending_in() {
            out.route(between(owner, contact, PresenceType::Unsubscribed));
        }
    }

    /// To the other side. For an account of ours the work is queued here, so that what is to
    /// follow can be queued behind it.
    fn pass_on(self: &Arc<Self>, stanza: Stanza, out: &mut Out) {
        let to = stanza.head.to.as_ref().filter(|to| to.local().is_some());
        match to.and_then(|to| self.hosts.find(to.domain())) {
            Some(host) => self.presence_received(host, stanza, out),
            None => out.route(stanza),
        }
    }

    /// §3.1.5: a new subscriber gets the presence of every available resource, after he has
    /// learnt that he is one: clients drop presence that they did not ask for.
    fn show_presence(self: &Arc<Self>, owner: &Jid, contact: &Jid, out: &mut Out) {
        let (im, owner, contact) = (self.clone(), owner.clone(), contact.clone());
        out.wait(async move {
            let mut out = Out::default();
            im.show_everywhere(&contact, &owner, &mut out);
            out
        });
    }

    /// §3.2.2, §3.3.3: to somebody who was a subscriber every resource becomes unavailable.
    fn withdraw_presence(&self, owner: &Jid, contact: &Jid, out: &mut Out) {
        for session in self.sessions(owner, Entry::is_available) {
            out.route(between(session.jid(), contact, PresenceType::Unavailable));
        }
    }
}

fn between(from: &Jid, to: &Jid, kind: PresenceType) -> Stanza {
    Stanza::presence(kind).with_from(from.clone()).with_to(to.clone())
}

/// The sender learns that it did not work for the moment. A request too many is met with silence,
/// as one to nobody is (§8.5.1).
fn refuse_remote(stanza: &Stanza, error: AmendError, out: &mut Out) {
    if matches!(error, AmendError::Storage(_))
        && let Some(error) = stanza.error(&error.into())
    {
        out.route(error);
    }
}
