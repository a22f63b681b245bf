//! Presence for the accounts of this server (RFC 6121 §4, §8.5), from whomever.

use std::sync::Arc;

use super::super::Im;
use super::super::roster::Key;
use super::super::stored;
use super::super::subscription::Event;
use super::store;
use crate::host::HostId;
use crate::jid::Jid;
use crate::router::Out;
use crate::session::registry::Entries;
use crate::session::{Entry, Envelope, Shared, ToOverride};
use crate::stanza::{Kind, PresenceType, Stanza};

impl Im {
    /// A presence stanza for a local account or one of its resources; `from` and `to` are set.
    pub fn presence_received(self: &Arc<Self>, host: HostId, stanza: Stanza, out: &mut Out) {
        let (Kind::Presence(kind), Some(to)) = (stanza.head.kind, stanza.head.to.clone()) else {
            return;
        };
        if let Some(event) = Event::of(kind) {
            return self.subscription_received(host, event, stanza, out);
        }
        match (kind, to.resource()) {
            (PresenceType::Probe, _) => self.probed(host, &stanza, &to, out),
            // §8.5.3.1: a resource gets what names it, available or not.
            (_, Some(resource)) => {
                let found = self.registry.resource(host, to.local().unwrap_or_default(), resource);
                if let Some(session) = found {
                    out.send(&session, Envelope::new(Arc::new(stanza)));
                }
            }
            // §8.5.2.1.2: every available resource.
            (PresenceType::Available | PresenceType::Unavailable, None) => {
                let sessions = self.sessions(&to, Entry::is_available);
                out.fan_out(&Arc::new(stanza), ToOverride::Keep, &sessions);
            }
            // An error answers what one resource sent.
            (_, None) => {}
        }
    }

    /// The probe that stands behind initial presence (§4.2.2, §4.3.1).
    pub(super) fn probe(
        self: &Arc<Self>,
        session: &Arc<Shared>,
        contact: &Jid,
        probe: &Arc<Stanza>,
        out: &mut Out,
    ) {
        let (Some(host), Some(local)) = (self.hosts.find(contact.domain()), contact.local()) else {
            return out.route(Stanza::clone(probe).with_to(contact.clone()));
        };
        // A contact of this server is looked up instead of asked. One who is not available is
        // silent: to the client the contact is unavailable until told otherwise.
        let present = self.sessions(contact, Entry::is_available);
        if present.is_empty() {
            return;
        }
        let (session, probe) = (session.clone(), probe.clone());
        self.with_account(host, local, out, move |im, account, out| {
            let Ok(Some(account)) = account else { return };
            im.with_roster(Key { host, account }, out, move |_, roster, out| {
                let Ok(roster) = roster else { return };
                let item = roster.item(session.jid.bare_str());
                if !item.is_some_and(|item| item.state.from()) {
                    return;
                }
                let to = [Entry::Local(session)];
                for resource in &present {
                    match resource {
                        Entry::Local(resource) => {
                            let presence = resource.presence();
                            presence.iter().for_each(|p| out.fan_out(p, ToOverride::Own, &to));
                        }
                        Entry::Remote(_) => out.send(resource, Envelope::new(probe.clone())),
                    }
                }
            });
        });
    }

    /// The presence of these sessions for `contact`, who may see it. That of sessions on other nodes
    /// comes from there.
    pub(super) fn show_to(&self, contact: &Jid, sessions: &Entries, out: &mut Out) {
        let probe = || Stanza::presence(PresenceType::Probe).with_from(contact.clone());
        let mut asking = None;
        for session in sessions {
            match session {
                Entry::Local(session) => {
                    if let Some(presence) = session.presence() {
                        out.route(Stanza::clone(&presence).with_to(contact.clone()));
                    }
                }
                Entry::Remote(_) => {
                    let probe = asking.get_or_insert_with(|| Arc::new(probe()));
                    out.send(session, Envelope::new(probe.clone()));
                }
            }
        }
    }

    /// Another node asks these sessions for their presence on behalf of the probe's sender, and has
    /// looked that he may see it.
    pub fn show(&self, sessions: &Entries, probe: &Stanza, out: &mut Out) {
        let here = sessions.iter().filter(|session| matches!(session, Entry::Local(_)));
        if let Some(asker) = &probe.head.from {
            self.show_to(asker, &here.cloned().collect(), out);
        }
    }

    /// §4.3.2.
    fn probed(self: &Arc<Self>, host: HostId, probe: &Stanza, to: &Jid, out: &mut Out) {
        let (Some(from), to) = (probe.head.from.clone(), to.to_bare()) else { return };
        let local = to.local().unwrap_or_default().to_owned();
        self.with_account(host, &local, out, move |im, account, out| {
            // §8.5.1: whoever has no right to know learns the same about an account that is not
            // there.
            let account = match account {
                Ok(Some(account)) => account,
                Ok(None) => return out.route(unsubscribed(&to, &from)),
                // Nothing is promised about presence.
                Err(_) => return,
            };
            let key = Key { host, account };
            im.with_roster(key, out, move |im, roster, out| {
                let Ok(roster) = roster else { return };
                let item = roster.item(from.bare_str());
                let own = from.bare_str() == to.as_str();
                if !own && !item.is_some_and(|item| item.state.from()) {
                    return out.route(unsubscribed(&to, &from));
                }
                im.answer_probe(key, to, from, out);
            });
        });
    }

    /// The presence of every available resource, or else how the last one went.
    fn answer_probe(self: &Arc<Self>, key: Key, to: Jid, from: Jid, out: &mut Out) {
        let present = self.sessions(&to, Entry::is_available);
        self.show_to(&from, &present, out);
        if !present.is_empty() {
            return;
        }
        let im = self.clone();
        out.wait(async move {
            let mut out = Out::default();
            let mut answer = Stanza::presence(PresenceType::Unavailable).with_from(to);
            if let Some((ended, stanza)) = im.last_presence(key).await {
                answer.payload = stanza.payload;
                let domain = im.hosts.domain(key.host);
                answer.append(stored::delay(domain, ended));
            }
            out.route(answer.with_to(from));
            out
        });
    }

    /// When the account's last resource went, and with which stanza; `None` when it is not known.
    pub async fn last_presence(&self, key: Key) -> Option<(crate::clock::Timestamp, Stanza)> {
        if let Some((ended, bytes)) = self.endings.get(key) {
            return Some((ended, stored::read(&bytes)?));
        }
        let read = self.db.read(move |tx| Box::pin(async move { store::last(tx, key).await }));
        match read.await {
            Ok(last) => last.and_then(|(ended, bytes)| Some((ended, stored::read(&bytes)?))),
            Err(error) => {
                tracing::error!(%error, "a last presence could not be read");
                None
            }
        }
    }
}

fn unsubscribed(from: &Jid, to: &Jid) -> Stanza {
    Stanza::presence(PresenceType::Unsubscribed).with_from(from.clone()).with_to(to.to_bare())
}
