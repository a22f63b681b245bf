//! The three places at which stanzas meet the steps of guests. Each is entered only when some step
//! watches that kind of stanza there.

use std::sync::Arc;

use super::guests::{At, Passed, Phase};
use super::local::{Mail, release};
use super::out::To;
use super::{Out, Router};
use crate::host::{AccountId, HostId};
use crate::jid::Jid;
use crate::session::registry::Entries;
use crate::session::{Duty, Entry, Envelope, Pending, Session, Shared};
use crate::stanza::{Kind, Stanza, StanzaError};

impl Router {
    /// Phase `Sent`.
    pub(super) fn sent_past_guests(
        self: &Arc<Self>,
        session: &mut Session,
        pending: Option<Pending>,
        stanza: Stanza,
        out: &mut Out,
    ) {
        let at =
            At { phase: Phase::Sent, account: session.jid().to_bare(), session: None, id: None };
        match self.guests.pass(at, stanza) {
            Passed::On(stanza) => self.dispatch(session, pending, stanza, out),
            Passed::Later(passed) => {
                let (router, session) = (self.clone(), session.shared.clone());
                out.wait(async move {
                    let mut out = Out::default();
                    let passed = passed.await;
                    router.sent_later(&session, pending, passed, &mut out);
                    out
                });
            }
            ended => self.ended(pending, ended, out),
        }
    }

    /// Presence changes the session itself, so that no step may think about it for long: those that
    /// answer later are not admitted to it.
    fn sent_later(
        self: &Arc<Self>,
        session: &Arc<Shared>,
        pending: Option<Pending>,
        passed: Passed,
        out: &mut Out,
    ) {
        match passed {
            Passed::On(stanza) => self.dispatch_shared(session, pending, stanza, out),
            ended => self.ended(pending, ended, out),
        }
    }

    /// The stanza goes no further; its sender's acknowledgement does.
    fn ended(&self, pending: Option<Pending>, ended: Passed, out: &mut Out) {
        if let Some(pending) = pending {
            pending.sender.settle(pending.seq);
        }
        if let Passed::Bounced(stanza, error) = ended {
            self.bounce(&stanza, &error, out);
        }
    }

    fn bounce(&self, stanza: &Stanza, error: &StanzaError, out: &mut Out) {
        if let Some(answer) = stanza.error(error) {
            out.route(answer);
        }
    }

    /// Phase `ToAccount` of a message.
    pub(super) fn mail_past_guests(
        self: &Arc<Self>,
        account: AccountId,
        entries: Entries,
        mut mail: Mail,
        out: &mut Out,
    ) {
        let stanza = std::mem::replace(&mut mail.stanza, Stanza::message(mail.kind));
        let id = mail.duty.as_ref().map(|duty| duty.id);
        let at = At { phase: Phase::ToAccount, account: mail.to.to_bare(), session: None, id };
        match self.guests.pass(at, stanza) {
            Passed::Later(passed) => {
                let router = self.clone();
                out.wait(async move {
                    let mut out = Out::default();
                    let passed = passed.await;
                    // Somebody may have come or gone meanwhile.
                    let (_, entries) = router.online(&mail);
                    router.mail_passed(account, entries, (mail, passed), &mut out);
                    out
                });
            }
            passed => self.mail_passed(account, entries, (mail, passed), out),
        }
    }

    fn mail_passed(
        self: &Arc<Self>,
        account: AccountId,
        entries: Entries,
        (mut mail, passed): (Mail, Passed),
        out: &mut Out,
    ) {
        match passed {
            Passed::On(stanza) => {
                if let Kind::Message(kind) = stanza.head.kind {
                    mail.kind = kind;
                }
                mail.stanza = stanza;
                self.mail_resources(account, entries, mail, out);
            }
            Passed::Bounced(stanza, error) => {
                release(mail.duty.as_ref());
                self.bounce(&stanza, &error, out);
            }
            Passed::Dropped | Passed::Later(_) => release(mail.duty.as_ref()),
        }
    }

    /// Phase `ToAccount` of an IQ.
    pub(super) fn iq_past_guests(
        self: &Arc<Self>,
        session: Option<&Arc<Shared>>,
        to: Jid,
        stanza: Stanza,
        out: &mut Out,
    ) {
        let session = session.cloned();
        let then = move |router: &Arc<Router>, stanza: Stanza, out: &mut Out| {
            router.iq_to(session.as_ref(), to, stanza, out);
        };
        self.to_account(stanza, then, out);
    }

    /// Phase `ToAccount` of presence.
    pub(super) fn presence_past_guests(
        self: &Arc<Self>,
        host: HostId,
        stanza: Stanza,
        out: &mut Out,
    ) {
        let then = move |router: &Arc<Router>, stanza: Stanza, out: &mut Out| {
            router.im.presence_received(host, stanza, out);
        };
        self.to_account(stanza, then, out);
    }

    fn to_account(
        self: &Arc<Self>,
        stanza: Stanza,
        then: impl FnOnce(&Arc<Router>, Stanza, &mut Out) + Send + 'static,
        out: &mut Out,
    ) {
        let account = stanza.head.to.as_ref().map_or_else(|| self.own(), Jid::to_bare);
        let at = At { phase: Phase::ToAccount, account, session: None, id: None };
        match self.guests.pass(at, stanza) {
            Passed::On(stanza) => then(self, stanza, out),
            Passed::Later(passed) => {
                let router = self.clone();
                out.wait(async move {
                    let mut out = Out::default();
                    match passed.await {
                        Passed::On(stanza) => then(&router, stanza, &mut out),
                        ended => router.ended(None, ended, &mut out),
                    }
                    out
                });
            }
            ended => self.ended(None, ended, out),
        }
    }

    /// Phase `ToSession` of presence and IQs.
    pub(super) fn deliveries_past_guests(&self, out: &mut Out) {
        for (to, envelope) in std::mem::take(&mut out.deliveries) {
            let kind = envelope.stanza.head.kind;
            // A message met its steps when its resources were chosen.
            let is_watched =
                !matches!(kind, Kind::Message(_)) && self.guests.watch(Phase::ToSession, kind);
            match to {
                To::Session(Entry::Local(session)) if is_watched => {
                    self.delivery_past_guests(session, envelope, out);
                }
                // The node of a session elsewhere asks its own steps.
                to => out.deliveries.push((to, envelope)),
            }
        }
    }

    fn delivery_past_guests(&self, session: Arc<Shared>, envelope: Envelope, out: &mut Out) {
        match self.guests.pass_delivery(&session, &envelope) {
            Passed::On(stanza) => {
                let envelope = Envelope { stanza: Arc::new(stanza), ..envelope };
                out.deliveries.push((To::Session(Entry::Local(session)), envelope));
            }
            Passed::Bounced(stanza, error) => self.bounce(&stanza, &error, out),
            Passed::Dropped | Passed::Later(_) => {}
        }
    }

    /// Phase `ToSession` of a message: each resource may get a stanza of its own, or none.
    pub(super) fn deliver_past_guests(
        &self,
        entries: Entries,
        stanza: &Arc<Stanza>,
        duty: Option<Arc<Duty>>,
        out: &mut Out,
    ) {
        let id = duty.as_ref().map(|duty| duty.id);
        let see = |session: &Jid| {
            let (account, session) = (session.to_bare(), Some(session.clone()));
            let at = At { phase: Phase::ToSession, account, session, id };
            match self.guests.pass(at, Stanza::clone(stanza)) {
                Passed::On(stanza) => Some(Arc::new(stanza)),
                _ => None,
            }
        };
        let passed = entries.into_iter().filter_map(|entry| {
            let stanza = match &entry {
                Entry::Local(session) => see(&session.jid)?,
                // Its own node asks its own steps.
                Entry::Remote(_) => stanza.clone(),
            };
            Some((entry, stanza))
        });
        let passed: Vec<_> = passed.collect();
        if passed.is_empty() {
            return release(duty.as_ref());
        }
        let count = passed.len();
        self.put(passed.into_iter(), count, duty, out);
    }
}
