//! Another member as the carrier sees it: its two lanes, and what is known of its sessions.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use hearth_plugin_api::cluster::{Ack, Delta, Envelope};
use smallvec::SmallVec;

use super::wire::{self, CONTROL, Framed, Joiner, LANES, Message, STANZAS};
use crate::engine::Samples;
use crate::lanes::{Inbox, Outbox, SAMPLE, Sample};

/// Octets of stanzas that wait for a node at most.
const STANZAS_BOUND: usize = 8 * 1024 * 1024;
/// Octets of everything else. What does not fit is mended by a full directory.
const CONTROL_BOUND: usize = 64 * 1024 * 1024;
/// Octets that are received before they are acknowledged at once.
const OWED: usize = 4 * SAMPLE;
/// Changes that are kept until the directory is there.
const EARLY: usize = 4096;

/// A lane in both directions.
#[derive(Debug)]
struct Lane {
    outbox: Outbox,
    inbox: Inbox,
    joiner: Joiner,
    /// Octets that were received and not acknowledged.
    owed: usize,
    is_urgent: bool,
}

/// What [`Peer::hear`] took from a sample.
#[derive(Debug, Default)]
pub struct Heard {
    pub messages: SmallVec<[Message; 1]>,
    /// The outbox takes stanzas again.
    pub is_ready: bool,
    /// There is something to send by it, which does not wait for company.
    pub is_due: bool,
    /// Parcels that could not be read.
    pub unreadable: usize,
}

/// One run of another node.
#[derive(Debug)]
pub struct Peer {
    lanes: [Lane; LANES],
    /// What often crosses is written here one behind the other, so that nothing of it needs memory of its own.
    room: BytesMut,
    pub sessions: Sessions,
    /// Something for it did not fit: it needs the whole directory.
    pub is_behind: bool,
    /// Version of the protocol that is spoken with it.
    version: u32,
}

/// How far core knows the sessions of a peer.
#[derive(Debug, Default)]
pub struct Sessions {
    /// Its directory has arrived, and there was no gap since.
    pub is_known: bool,
    /// The part of a directory that is here.
    parts: Vec<Delta>,
    /// Changes that arrived before the directory.
    early: Vec<(u64, Vec<Delta>)>,
}

impl Peer {
    pub fn new(version: u32) -> Peer {
        let lane = |bound| Lane {
            outbox: Outbox::new(bound),
            inbox: Inbox::default(),
            joiner: Joiner::default(),
            owed: 0,
            is_urgent: false,
        };
        let lanes = [lane(CONTROL_BOUND), lane(STANZAS_BOUND)];
        let room = BytesMut::new();
        Peer { lanes, room, sessions: Sessions::default(), is_behind: false, version }
    }

    /// Queues an envelope; false when the lane is full.
    pub fn push_envelope(&mut self, envelope: &Envelope<'_>) -> bool {
        let outbox = &mut self.lanes[usize::from(STANZAS)].outbox;
        let has_room = !outbox.is_full();
        if has_room {
            let parcels = wire::envelope_parcels(&mut self.room, envelope);
            // The bound may be passed within an envelope: its parts belong together.
            parcels.for_each(|parcel| outbox.push_over(parcel));
        }
        has_room
    }

    /// Queues what became of envelopes.
    pub fn push_acks(&mut self, acks: &[Ack]) {
        let outbox = &mut self.lanes[usize::from(CONTROL)].outbox;
        wire::ack_parcels(&mut self.room, acks).for_each(|parcel| outbox.push_over(parcel));
    }

    /// Queues a message that no stanza holds up.
    pub fn push(&mut self, message: Bytes) {
        let outbox = &mut self.lanes[usize::from(CONTROL)].outbox;
        wire::parcels(message).into_iter().for_each(|parcel| outbox.push_over(parcel));
    }

    /// The same for what a full directory mends: it is dropped when too much waits.
    pub fn push_change(&mut self, message: Bytes) {
        match self.is_behind || self.lanes[usize::from(CONTROL)].outbox.is_full() {
            true => self.is_behind = true,
            false => self.push(message),
        }
    }

    /// It is behind, and takes the directory now.
    pub fn may_catch_up(&mut self) -> bool {
        self.is_behind && self.lanes[usize::from(CONTROL)].outbox.octets() == 0
    }

    /// What is to be sent now. `flush`: acknowledgements too that may wait for company.
    pub fn samples(&mut self, now: Duration, flush: bool) -> Samples<Framed> {
        let mut all = Samples::new();
        for (number, lane) in self.lanes.iter_mut().enumerate() {
            lane.outbox.tick(now);
            loop {
                let (first, parcels) = lane.outbox.pack(now);
                if parcels.is_empty() && !lane.owes() && !(flush && lane.owed > 0) {
                    break;
                }
                let (received, gap) = lane.inbox.received();
                (lane.owed, lane.is_urgent) = (0, false);
                let sample = Sample { first, received, gap, parcels };
                all.push(Framed { version: self.version, lane: number as u8, sample });
            }
        }
        all
    }

    /// Takes a sample of a lane.
    pub fn hear(&mut self, lane: usize, sample: Sample, now: Duration) -> Heard {
        let Some(lane) = self.lanes.get_mut(lane) else { return Heard::default() };
        let was_held = lane.outbox.is_held() || sample.gap;
        let is_ready = lane.outbox.acknowledge(sample.received, sample.gap, now);
        let goes_on = was_held && !lane.outbox.is_held();
        let mut heard = Heard { is_ready, ..Heard::default() };
        let received = lane.inbox.accept(sample);
        lane.is_urgent |= received.is_urgent;
        heard.messages.reserve(received.parcels.len());
        for parcel in received.parcels {
            // An empty parcel is owed for too.
            lane.owed += parcel.len().max(1);
            match lane.joiner.join(parcel).map(|message| message.map(Message::decode)) {
                Ok(Some(Ok(message))) => heard.messages.extend(message),
                Ok(None) => {}
                Ok(Some(Err(_))) | Err(_) => heard.unreadable += 1,
            }
        }
        heard.is_due = goes_on || lane.owes();
        heard
    }
}

impl Lane {
    /// An acknowledgement that is not to wait.
    fn owes(&self) -> bool {
        self.is_urgent || self.owed >= OWED
    }
}

impl Sessions {
    /// Keeps a part of a directory.
    pub fn part(&mut self, sessions: Vec<Delta>) {
        self.parts.extend(sessions);
    }

    /// The whole of a directory, with what ends it.
    pub fn whole(&mut self, last: Vec<Delta>) -> Vec<Delta> {
        self.part(last);
        std::mem::take(&mut self.parts)
    }

    /// Core has the directory; gives the changes that arrived before it.
    pub fn replaced(&mut self) -> Vec<(u64, Vec<Delta>)> {
        self.is_known = true;
        std::mem::take(&mut self.early)
    }

    /// Keeps a change until the directory is there. Too many: the directory is newer anyway, or the
    /// next change shows the gap.
    pub fn keep(&mut self, seq: u64, deltas: Vec<Delta>) {
        if self.early.len() < EARLY {
            self.early.push((seq, deltas));
        }
    }
}
