//! Presence for the accounts of this server (RFC 6121 §4, §8.5), from whomever.

use std::sync::Arc;

use super::super::Im;
use super::super::roster::{Key, Roster};
use super::super::stored;
use super::super::subscription::Event;
use super::{here, store};
use crate::host::HostId;
use crate::jid::Jid;
use crate::router::Out;
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
                match found {
                    Some(session) => out.send(&session, Envelope::new(Arc::new(stanza))),
                    // It may have been bound elsewhere a moment ago.
                    None => {
                        self.tell_others(vec![to], ToOverride::Keep, &Arc::new(stanza), out);
                    }
                }
            }
            // §8.5.2.1.2: every available resource.
            (PresenceType::Available | PresenceType::Unavailable, None) => {
                self.show_all(vec![to.to_bare()], ToOverride::Keep, &Arc::new(stanza), out);
            }
            // An error answers what one resource sent.
            (_, None) => {}
        }
    }

    /// The probe that stands behind initial presence (§4.2.2, §4.3.1). True for a contact of this
    /// server: other nodes are to be asked about him, too.
    pub(super) fn probe(
        self: &Arc<Self>,
        session: &Arc<Shared>,
        contact: &Jid,
        probe: &Arc<Stanza>,
        out: &mut Out,
    ) -> bool {
        if self.hosts.find(contact.domain()).is_none() || contact.local().is_none() {
            out.route(Stanza::clone(probe).with_to(contact.clone()));
            return false;
        }
        // A contact of this server is looked up instead of asked. One who is not available is
        // silent: to the client the contact is unavailable until told otherwise.
        self.show_here(contact, &session.jid, out);
        true
    }

    /// Another node asks for the presence of this account's sessions here.
    pub(in crate::im) fn probe_told(self: &Arc<Self>, owner: &Jid, probe: &Stanza, out: &mut Out) {
        if let Some(asker) = &probe.head.from {
            self.show_here(owner, asker, out);
        }
    }

    /// The presence of the account's sessions on this node for `asker`, if he may see it.
    fn show_here(self: &Arc<Self>, owner: &Jid, asker: &Jid, out: &mut Out) {
        let (Some(host), Some(local)) = (self.hosts.find(owner.domain()), owner.local()) else {
            return;
        };
        if self.sessions(owner, here(Entry::is_available)).is_empty() {
            return;
        }
        let (owner, asker) = (owner.clone(), asker.clone());
        self.with_account(host, local, out, move |im, account, out| {
            let Ok(Some(account)) = account else { return };
            let key = Key { host, account };
            let may_see = |roster: &Roster, asker: &Jid| {
                let item = roster.item(asker.bare_str());
                item.is_some_and(|item| item.state.from())
            };
            let is_own = owner.as_str() == asker.bare_str();
            if is_own || im.rosters.get(key).is_some_and(|roster| may_see(&roster, &asker)) {
                return im.show_to(&asker, &owner, out);
            }
            // What is remembered may be older than what another node knows.
            if im.registry.is_clustered() {
                im.rosters.forget(key);
            }
            im.with_roster(key, out, move |im, roster, out| {
                if roster.is_ok_and(|roster| may_see(roster, &asker)) {
                    im.show_to(&asker, &owner, out);
                }
            });
        });
    }

    /// The presence of the owner's sessions on this node for `contact`, who may see it.
    fn show_to(&self, contact: &Jid, owner: &Jid, out: &mut Out) {
        for session in self.sessions(owner, here(Entry::is_available)) {
            if let Entry::Local(session) = session
                && let Some(presence) = session.presence()
            {
                out.route(Stanza::clone(&presence).with_to(contact.clone()));
            }
        }
    }

    /// The same on all nodes.
    pub(super) fn show_everywhere(&self, contact: &Jid, owner: &Jid, out: &mut Out) {
        self.show_to(contact, owner, out);
        let probe = Stanza::presence(PresenceType::Probe).with_from(contact.clone());
        self.tell_others(vec![owner.to_bare()], ToOverride::Keep, &Arc::new(probe), out);
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
        self.show_everywhere(&from, &to, out);
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
