//! Messages until their destination says what became of them.

use std::mem;
use std::sync::Arc;

use bytes::Bytes;
use smallvec::SmallVec;

use super::Outcome;
use super::codec::{self, Before, Letter};
use crate::clock::StanzaId;
use crate::jid::Jid;
use crate::session::{Duty, Envelope, Node, RemoteSession};

/// The durable messages of one envelope that is with another node. Mostly they are delivered there and
/// forgotten here, so they are kept as they were sent, where they lie beside each other: a stanza lies in
/// many pieces, and each has left the processor's cache by then.
pub(super) struct Kept {
    node: Node,
    octets: Bytes,
    letters: SmallVec<[Held; 1]>,
    /// Letters of which nobody has told.
    open: usize,
}

/// What is kept of one letter beside its octets.
pub(super) struct Held {
    /// Where it begins.
    at: usize,
    /// Nobody any more once it was told what became of it.
    sessions: SmallVec<[Arc<RemoteSession>; 1]>,
    /// `None`: nobody would miss it, and there will be a new one of its number.
    duty: Option<Arc<Duty>>,
}

/// One message, once it is known what became of it.
pub(super) struct Copy {
    /// The letter, and those behind it.
    octets: Bytes,
    sessions: SmallVec<[Arc<RemoteSession>; 1]>,
    duty: Option<Arc<Duty>>,
}

impl Held {
    pub fn new(
        at: usize,
        sessions: SmallVec<[Arc<RemoteSession>; 1]>,
        duty: Option<Arc<Duty>>,
    ) -> Held {
        Held { at, sessions, duty: duty.filter(|duty| !duty.is_replaceable()) }
    }
}

impl Kept {
    /// `octets` are the envelope with these letters, for sessions of `node`.
    pub fn new(node: Node, octets: Bytes, letters: SmallVec<[Held; 1]>) -> Kept {
        let open = letters.len();
        Kept { node, octets, letters, open }
    }

    pub fn node(&self) -> Node {
        self.node
    }

    /// How many letters nobody has told of.
    pub fn open(&self) -> usize {
        self.open
    }

    /// Somebody tells what became of a letter, or of all of which nobody has told. Gives those about which
    /// something is to be done.
    pub fn told(&mut self, letter: Option<usize>, outcome: Outcome) -> SmallVec<[Copy; 1]> {
        let told = letter.map_or(0..self.letters.len(), |letter| letter..letter + 1);
        let letters = self.letters.get_mut(told).unwrap_or_default();
        let mut copies = SmallVec::new();
        for held in letters.iter_mut().filter(|held| !held.sessions.is_empty()) {
            self.open -= 1;
            let (sessions, duty) = (mem::take(&mut held.sessions), held.duty.take());
            if outcome == Outcome::Refused || duty.is_some() {
                copies.push(Copy { octets: self.octets.slice(held.at..), sessions, duty });
            }
        }
        copies
    }

    /// All of which nobody has told.
    pub fn into_copies(mut self) -> SmallVec<[Copy; 1]> {
        self.told(None, Outcome::Refused)
    }
}

impl Copy {
    /// A client has it. If a row of the offline table is to be removed now: whose, and its number.
    pub fn delivered(&self) -> Option<(Jid, StanzaId)> {
        let duty = self.duty.as_ref().filter(|duty| duty.done())?;
        Some((self.letter()?.stanza.head.to.clone()?, duty.id))
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
        Some(Envelope { stanza, to, duty: Some(duty) })
    }

    fn letter(&self) -> Option<Letter> {
        let letter = codec::decode(&mut &self.octets[..], &mut Before::default());
        letter.inspect_err(|error| tracing::error!(%error, "a copy cannot be read: a bug")).ok()
    }
}
