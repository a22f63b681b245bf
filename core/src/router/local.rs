//! Messages for the accounts of this server (RFC 6121 §8.5).

use std::iter::repeat_n;
use std::sync::Arc;

use super::{Destination, Out, Router, Sender, To, guests, phase};
use crate::host::{AccountId, HostId};
use crate::jid::Jid;
use crate::session::duty::is_durable;
use crate::session::registry::Entries;
use crate::session::{Duty, Entry, Envelope, ToOverride};
use crate::stanza::Condition;
use crate::stanza::{Kind, MessageType, Stanza};

/// A message on its way through this file.
pub(super) struct Mail {
    pub host: HostId,
    pub to: Jid,
    pub kind: MessageType,
    pub stanza: Stanza,
    pub duty: Option<Arc<Duty>>,
}

impl Router {
    pub(super) fn message(
        self: &Arc<Self>,
        mut sender: Sender<'_>,
        mut stanza: Stanza,
        out: &mut Out,
    ) {
        let Kind::Message(kind) = stanza.head.kind else { return };
        self.messages.inc();
        let to = match &stanza.head.to {
            Some(to) => to.clone(),
            // RFC 6120 §10.3.1: without `to` it is for the sender's own account.
            None => stanza.head.from.as_ref().map_or_else(|| self.own(), Jid::to_bare),
        };
        stanza.head.to.get_or_insert_with(|| to.clone());
        let duty = self.duty(&mut sender, &stanza);
        self.sent(&sender, &mut stanza, duty.as_ref());
        match Destination::classify(&self.hosts, &to) {
            Destination::Account { host, .. } | Destination::Resource { host, .. } => {
                self.mail(Mail { host, to: to.clone(), kind, stanza, duty }, out);
            }
            // The server reads no mail; an error keeps the sender informed.
            Destination::Server(_) => {
                release(duty.as_ref());
                self.refuse(&stanza, Condition::ServiceUnavailable, out);
            }
            Destination::Remote(domain) => {
                release(duty.as_ref());
                self.elsewhere(domain, stanza, out);
            }
        }
    }

    /// A durable message gets a duty when somebody waits for it or a copy is kept of it.
    fn duty(&self, sender: &mut Sender<'_>, stanza: &Stanza) -> Option<Arc<Duty>> {
        let awaited = sender.pending.take();
        let wanted = awaited.is_some() || (self.archive.is_enabled() && is_durable(stanza));
        wanted.then(|| Arc::new(Duty::new(self.clock.stanza_id(), awaited)))
    }

    /// Phase `SENT`.
    fn sent(&self, sender: &Sender<'_>, stanza: &mut Stanza, duty: Option<&Arc<Duty>>) {
        let Some(session) = sender.session else { return };
        let mut passage = phase::Passage {
            host: session.host,
            account: session.account,
            owner: &session.jid,
            stanza,
            id: duty.map(|duty| duty.id),
            duty: None,
        };
        // Its steps fail open: nothing stops a message here.
        let _ = phase::run(phase::SENT, self, &mut passage);
    }

    fn mail(self: &Arc<Self>, mail: Mail, out: &mut Out) {
        let local = mail.to.local().unwrap_or_default();
        let (known, entries) = self.online(&mail);
        let account = match known {
            Some(account) => Some(account),
            None => match self.directory.peek(mail.host, local) {
                Some(account) => {
                    if let Some(id) = account.filter(|_| !entries.is_empty()) {
                        self.registry.identify(mail.host, local, id);
                    }
                    account
                }
                None => return self.find_account(mail, out),
            },
        };
        match account {
            Some(account) => self.mail_account(account, entries, mail, out),
            // RFC 6121 §8.5.1: no such account.
            None => self.refuse_mail(&mail, Condition::ServiceUnavailable, out),
        }
    }

    /// The number of the account, if it is known, and the sessions that take the message.
    pub(super) fn online(&self, mail: &Mail) -> (Option<AccountId>, Entries) {
        let local = mail.to.local().unwrap_or_default();
        let choose = |entries: &[Entry]| choose(entries, mail.to.resource(), mail.kind);
        self.registry.select(mail.host, local, choose).unwrap_or_default()
    }

    /// The account is not in the cache: asks the database, then goes on.
    fn find_account(self: &Arc<Self>, mail: Mail, out: &mut Out) {
        let router = self.clone();
        out.wait(async move {
            let mut out = Out::default();
            let local = mail.to.local().unwrap_or_default();
            match router.directory.find(mail.host, local).await {
                Ok(Some(account)) => {
                    // Somebody may have come or gone meanwhile: what is sent next goes there, too.
                    let (_, entries) = router.online(&mail);
                    router.mail_account(account, entries, mail, &mut out);
                }
                Ok(None) => router.refuse_mail(&mail, Condition::ServiceUnavailable, &mut out),
                Err(error) => {
                    tracing::error!(%error, "cannot look up the recipient of a message");
                    router.refuse_mail(&mail, Condition::InternalServerError, &mut out);
                }
            }
            out
        });
    }

    /// Phase `TO_ACCOUNT`: the guests' part first.
    fn mail_account(
        self: &Arc<Self>,
        account: AccountId,
        entries: Entries,
        mail: Mail,
        out: &mut Out,
    ) {
        match self.guests.watch(guests::Phase::ToAccount, mail.stanza.head.kind) {
            true => self.mail_past_guests(account, entries, mail, out),
            false => self.mail_resources(account, entries, mail, out),
        }
    }

    /// The rest of phase `TO_ACCOUNT`, then the chosen resources.
    pub(super) fn mail_resources(
        self: &Arc<Self>,
        account: AccountId,
        entries: Entries,
        mut mail: Mail,
        out: &mut Out,
    ) {
        let mut passage = phase::Passage {
            host: mail.host,
            account,
            owner: &mail.to,
            stanza: &mut mail.stanza,
            id: mail.duty.as_ref().map(|duty| duty.id),
            duty: mail.duty.as_ref(),
        };
        if phase::run(phase::TO_ACCOUNT, self, &mut passage).is_err() {
            return self.refuse_mail(&mail, Condition::InternalServerError, out);
        }
        if entries.is_empty() {
            return self.nobody_takes(mail, out);
        }
        self.deliver_to(entries, Arc::new(mail.stanza), mail.duty, out);
    }

    /// Puts one message into each mailbox.
    pub(super) fn deliver_to(
        &self,
        entries: Entries,
        stanza: Arc<Stanza>,
        mut duty: Option<Arc<Duty>>,
        out: &mut Out,
    ) {
        if duty.is_none() && needs_duty(&entries) && is_durable(&stanza) {
            duty = Some(Arc::new(Duty::new(self.clock.stanza_id(), None)));
        }
        if self.guests.watch(guests::Phase::ToSession, stanza.head.kind) {
            return self.deliver_past_guests(entries, &stanza, duty, out);
        }
        let count = entries.len();
        self.put(entries.into_iter().zip(repeat_n(stanza, count)), count, duty, out);
    }

    /// Puts `count` envelopes into their mailboxes.
    pub(super) fn put(
        &self,
        envelopes: impl Iterator<Item = (Entry, Arc<Stanza>)>,
        count: usize,
        duty: Option<Arc<Duty>>,
        out: &mut Out,
    ) {
        if let Some(duty) = &duty {
            duty.hold(count);
        }
        for ((entry, stanza), duty) in envelopes.zip(repeat_n(duty, count)) {
            let envelope = Envelope { stanza, to: ToOverride::Keep, duty };
            out.deliveries.push((To::Session(entry), envelope));
        }
    }

    /// RFC 6121 §8.5.2.2 and §8.5.3.2.1: what happens when no resource takes the message.
    pub(super) fn nobody_takes(self: &Arc<Self>, mail: Mail, out: &mut Out) {
        match (mail.kind, mail.to.is_bare()) {
            (MessageType::Error, _) | (MessageType::Headline, true) => release(mail.duty.as_ref()),
            (MessageType::Chat, _) | (MessageType::Normal, true) => {
                self.im.no_recipient(mail.host, Arc::new(mail.stanza), mail.duty, out);
            }
            (MessageType::Normal | MessageType::Headline, false) | (MessageType::Groupchat, _) => {
                self.refuse_mail(&mail, Condition::ServiceUnavailable, out);
            }
        }
    }

    fn refuse_mail(&self, mail: &Mail, condition: Condition, out: &mut Out) {
        release(mail.duty.as_ref());
        self.refuse(&mail.stanza, condition, out);
    }
}

/// RFC 6121 §8.5.2.1.1 and §8.5.3: the sessions that a message goes to. A connected resource gets
/// everything that names it. What is for the bare address goes to the resources of the highest
/// priority, unless that is negative, and so does a chat message whose resource is gone. Headlines
/// go to every resource whose priority is not negative.
pub(super) fn choose(entries: &[Entry], resource: Option<&str>, kind: MessageType) -> Entries {
    if let Some(resource) = resource {
        if let Some(entry) = entries.iter().find(|e| e.resource() == resource && e.is_open()) {
            return Entries::from_elem(entry.clone(), 1);
        }
        if kind != MessageType::Chat {
            return Entries::new();
        }
    }
    match kind {
        MessageType::Chat | MessageType::Normal => most_available(entries),
        MessageType::Headline => takers(entries).cloned().collect(),
        MessageType::Groupchat | MessageType::Error => Entries::new(),
    }
}

fn takers(entries: &[Entry]) -> impl Iterator<Item = &Entry> {
    entries.iter().filter(|entry| entry.takes_messages())
}

fn most_available(entries: &[Entry]) -> Entries {
    let highest = takers(entries).map(Entry::priority).max();
    takers(entries).filter(|entry| Some(entry.priority()) == highest).cloned().collect()
}

/// One envelope to a client without XEP-0198, or to another node, is its message's only holder, and needs
/// no duty.
fn needs_duty(entries: &Entries) -> bool {
    match entries.as_slice() {
        [Entry::Local(session)] => session.watermark().is_some(),
        [Entry::Remote(_)] => false,
        _ => true,
    }
}

/// Lets the sender's acknowledgement go on: the message is where it must be, or was answered.
pub(super) fn release(duty: Option<&Arc<Duty>>) {
    if let Some(duty) = duty {
        duty.release();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::{Delta, Node, RemoteSession};

    /// Sessions named after their priorities; `None`: not available.
    fn entries(priorities: &[Option<i8>]) -> Vec<Entry> {
        let entry = |(index, priority): (usize, &Option<i8>)| {
            let jid = Jid::parse(&format!("juliet@hearth.example/r{index}")).unwrap();
            let delta = Delta {
                gone: false,
                host: 0,
                account: "juliet".into(),
                resource: jid.resource().unwrap().into(),
                session: index as u64,
                epoch: 1,
                bound_ms: 1,
                priority: priority.unwrap_or(0),
                flags: if priority.is_some() { Delta::AVAILABLE } else { 0 },
            };
            Entry::Remote(Arc::new(RemoteSession::new(Node { id: 1, incarnation: 1 }, jid, &delta)))
        };
        priorities.iter().enumerate().map(entry).collect()
    }

    /// RFC 6121 §8.5.4, the columns in which somebody receives the message.
    #[test]
    fn each_kind_of_message_has_its_recipients() {
        use MessageType::{Chat, Error, Groupchat, Headline, Normal};
        let all = entries(&[Some(1), Some(5), Some(5), Some(-1), None]);
        let rows: &[(MessageType, Option<&str>, &[&str])] = &[
            (Chat, None, &["r1", "r2"]),
            (Normal, None, &["r1", "r2"]),
            (Headline, None, &["r0", "r1", "r2"]),
            (Groupchat, None, &[]),
            (Error, None, &[]),
            (Chat, Some("gone"), &["r1", "r2"]),
            (Normal, Some("gone"), &[]),
            (Headline, Some("gone"), &[]),
            (Groupchat, Some("gone"), &[]),
            (Error, Some("gone"), &[]),
            (Chat, Some("r3"), &["r3"]),
            (Groupchat, Some("r4"), &["r4"]),
            (Error, Some("r0"), &["r0"]),
        ];
        for (kind, resource, expected) in rows {
            let chosen = choose(&all, *resource, *kind);
            let chosen: Vec<_> = chosen.iter().map(Entry::resource).collect();
            assert_eq!(chosen, *expected, "{kind:?} to {resource:?}");
        }
    }

    #[test]
    fn negative_priorities_alone_take_nothing_for_the_bare_address() {
        let shy = entries(&[Some(-1), Some(-128), None]);
        assert!(choose(&shy, None, MessageType::Chat).is_empty());
    }
}
