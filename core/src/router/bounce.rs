//! Stanzas that did not reach the client for which they were meant.

use std::sync::Arc;

use super::local::{Mail, choose};
use super::{Out, Router};
use crate::jid::Jid;
use crate::session::duty::is_durable;
use crate::session::{Entry, Envelope, Shared};
use crate::stanza::{Condition, IqType, Kind, Stanza, StanzaError};

/// What is too large for the way to its recipient's node, today and later: its sender is told (RFC 6120
/// §8.3.3.12), or the node that keeps a copy.
pub(super) fn too_large(envelope: Envelope, out: &mut Out) {
    if let Some(duty) = &envelope.duty {
        if !duty.let_go() || duty.refuse() {
            return;
        }
        duty.release();
    }
    let error = StanzaError::new(Condition::PolicyViolation)
        .with_text("this is too large for the way to the recipient's node");
    out.routes.extend(envelope.stanza.error(&error));
}

impl Router {
    /// Finds another home for what `session` did not deliver, or tells its sender: XEP-0198 §5,
    /// RFC 6121 §8.5.
    pub fn undelivered(
        self: &Arc<Self>,
        session: Option<&Shared>,
        envelope: Envelope,
        out: &mut Out,
    ) {
        match envelope.stanza.head.kind {
            Kind::Message(_) if is_durable(&envelope.stanza) => {
                self.message_undelivered(session, envelope, out);
            }
            Kind::Iq(IqType::Get | IqType::Set) => {
                self.refuse(&envelope.stanza, Condition::ServiceUnavailable, out);
            }
            // Presence is computed anew, and nobody waits for the rest.
            Kind::Message(_) | Kind::Iq(_) | Kind::Presence(_) => {}
        }
    }

    /// Sends what came for the session at `jid` after it, to wherever that is now.
    pub fn forward(self: &Arc<Self>, jid: &Jid, envelope: Envelope, out: &mut Out) {
        let place = self.hosts.find(jid.domain()).and_then(|host| {
            let (local, resource) = (jid.local()?, jid.resource()?);
            self.registry.resource(host, local, resource)
        });
        match place {
            Some(session) => out.send(&session, envelope),
            None => self.undelivered(None, envelope, out),
        }
    }

    fn message_undelivered(
        self: &Arc<Self>,
        session: Option<&Shared>,
        envelope: Envelope,
        out: &mut Out,
    ) {
        let Envelope { stanza, duty, .. } = envelope;
        if let Some(duty) = &duty {
            if !duty.let_go() {
                return;
            }
            if let (Some(session), true) = (session, duty.is_spooled()) {
                return self.im.spooled_free(session, duty.id);
            }
            if duty.refuse() {
                return;
            }
        }
        let (Some(to), Kind::Message(kind)) = (stanza.head.to.clone(), stanza.head.kind) else {
            return;
        };
        let Some(host) = self.hosts.find(to.domain()) else { return };
        let others = |entries: &[Entry]| choose(entries, to.resource(), kind);
        let entries = self
            .registry
            .select(host, to.local().unwrap_or_default(), others)
            .map(|(_, entries)| entries)
            .unwrap_or_default();
        if entries.is_empty() {
            let stanza = Arc::unwrap_or_clone(stanza);
            return self.nobody_takes(Mail { host, to, kind, stanza, duty }, out);
        }
        self.deliver_to(entries, stanza, duty, out);
    }

    /// Answers with an error, unless the stanza is an error or an answer itself
    /// (RFC 6120 §8.3.1).
    pub(super) fn refuse(&self, stanza: &Stanza, condition: Condition, out: &mut Out) {
        if let Some(error) = stanza.error(&condition.into()) {
            out.route(error);
        }
    }
}
