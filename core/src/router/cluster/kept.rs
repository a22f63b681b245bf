//! A message until its destination says what became of it.

use std::sync::Arc;

use bytes::Bytes;
use smallvec::SmallVec;

use super::codec::{self, Before, Letter};
use crate::clock::StanzaId;
use crate::jid::Jid;
use crate::session::{Duty, Envelope, Node, RemoteSession};

/// A durable message that is with another node. Mostly it is delivered there and forgotten here, so it is
/// kept as it was sent, where that lies beside others: a stanza lies in many pieces, and each has left the
/// processor's cache by then.
pub(super) struct Kept {
    sessions: SmallVec<[Arc<RemoteSession>; 1]>,
    octets: Bytes,
    /// `None`: nobody would miss it, and there will be a new one of its number.
    duty: Option<Arc<Duty>>,
}

impl Kept {
    /// `octets` are the envelope of this duty for the sessions.
    pub fn new(
        sessions: SmallVec<[Arc<RemoteSession>; 1]>,
        octets: Bytes,
        duty: Arc<Duty>,
    ) -> Kept {
        let duty = (!duty.is_replaceable()).then_some(duty);
        Kept { sessions, octets, duty }
    }

    pub fn node(&self) -> Node {
        self.sessions[0].node
    }

    /// A client has it. If a row of the offline table is to be removed now: whose, and its number.
    pub fn delivered(&self) -> Option<(Jid, StanzaId)> {
        let duty = self.duty.as_ref().filter(|duty| duty.done())?;
        Some((self.letter()?.stanza.head.to?, duty.id))
    }

    /// It is committed there. Its hold on the duty stays: whoever lets go of it last need not do anything.
    pub fn committed(&self) {
        if let Some(duty) = &self.duty {
            duty.release();
        }
    }

    /// Nobody took it: its sessions are passed over until more is known of them.
    pub fn returned(self) -> Option<Envelope> {
        self.sessions.iter().for_each(|session| session.shut());
        self.into_envelope()
    }

    /// The envelope for all sessions together: the duty knows of one holder only from now on.
    pub fn into_envelope(self) -> Option<Envelope> {
        let Letter { to, id, stanza, .. } = self.letter()?;
        let duty = match self.duty {
            Some(duty) => {
                for _ in 1..self.sessions.len() {
                    duty.let_go();
                }
                duty
            }
            None => {
                let duty = Duty::new(id?, None);
                duty.hold(1);
                Arc::new(duty)
            }
        };
        Some(Envelope { stanza: Arc::new(stanza), to, duty: Some(duty) })
    }

    fn letter(&self) -> Option<Letter> {
        let letter = codec::decode(&self.octets, &mut Before::default());
        letter.inspect_err(|error| tracing::error!(%error, "a copy cannot be read: a bug")).ok()
    }
}
