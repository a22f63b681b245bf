//! The sending end of a lane.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;

use super::{Parcels, SAMPLE, WINDOW};

/// The receiver is taken to have lost what it has not acknowledged after this time without progress.
const PATIENCE: Duration = Duration::from_millis(250);

/// Parcels for which a sample has room at first.
const MANY: usize = 256;

/// What waits to be sent, and what was sent and is not acknowledged.
#[derive(Debug)]
pub struct Outbox {
    /// In order; the first one has the number `base`.
    parcels: VecDeque<Bytes>,
    base: u64,
    /// How many of `parcels` are under way, and their octets.
    sent: usize,
    under_way: usize,
    octets: usize,
    bound: usize,
    /// On the monotonic clock: the last time that something was sent or acknowledged.
    progress: Duration,
    was_full: bool,
}

/// There is no room: the parcel comes back. [`Outbox::acknowledge`] tells when there is.
#[derive(Debug, PartialEq, Eq)]
pub struct Full(pub Bytes);

impl Outbox {
    /// A lane that keeps at most `bound` octets, the parcel that reaches it included.
    pub fn new(bound: usize) -> Outbox {
        Outbox {
            parcels: VecDeque::new(),
            base: 0,
            sent: 0,
            under_way: 0,
            octets: 0,
            bound,
            progress: Duration::ZERO,
            was_full: false,
        }
    }

    /// Queues a parcel, and returns its number.
    pub fn push(&mut self, parcel: Bytes) -> Result<u64, Full> {
        if self.octets >= self.bound {
            self.was_full = true;
            return Err(Full(parcel));
        }
        self.octets += parcel.len();
        self.parcels.push_back(parcel);
        Ok(self.base + self.parcels.len() as u64 - 1)
    }

    /// Queues a parcel although there is no room: it belongs to those before it.
    pub fn push_over(&mut self, parcel: Bytes) {
        self.octets += parcel.len();
        self.parcels.push_back(parcel);
    }

    /// There is no room. [`Outbox::acknowledge`] tells when there is.
    pub fn is_full(&mut self) -> bool {
        let is_full = self.octets >= self.bound;
        self.was_full |= is_full;
        is_full
    }

    /// The parcels that the next sample carries, with the number of the first; none when nothing
    /// waits or the window is full.
    pub fn pack(&mut self, now: Duration) -> (u64, Parcels) {
        let first = self.base + self.sent as u64;
        let waiting = self.parcels.len() - self.sent;
        let (mut packed, mut octets) = (Parcels::with_capacity(waiting.min(MANY)), 0);
        while let Some(parcel) = self.parcels.get(self.sent) {
            let size = parcel.len();
            let fits = packed.is_empty() || octets + size <= SAMPLE;
            if !fits || !self.has_window(size) {
                break;
            }
            octets += size;
            packed.push(parcel.clone());
            self.sent += 1;
            self.under_way += size;
        }
        if !packed.is_empty() {
            self.progress = now;
        }
        (first, packed)
    }

    /// The receiver has everything below `received`; with `gap` it misses what comes next. True:
    /// there is room again after [`Full`].
    pub fn acknowledge(&mut self, received: u64, gap: bool, now: Duration) -> bool {
        // An old acknowledgement that was overtaken, or one of something never sent.
        if (self.base..=self.base + self.sent as u64).contains(&received) {
            let done = (received - self.base) as usize;
            for parcel in self.parcels.drain(..done) {
                self.octets -= parcel.len();
                self.under_way -= parcel.len();
            }
            (self.base, self.sent) = (received, self.sent - done);
            if done > 0 {
                self.progress = now;
            }
            if gap {
                self.go_back();
            }
        }
        let ready = self.was_full && self.octets * 2 <= self.bound;
        self.was_full &= !ready;
        ready
    }

    /// To be called now and then: starts again behind the last acknowledgement when none came for
    /// too long. True: there is something to pack.
    pub fn tick(&mut self, now: Duration) -> bool {
        if self.sent > 0 && now.saturating_sub(self.progress) >= PATIENCE {
            self.go_back();
            self.progress = now;
        }
        self.sent < self.parcels.len()
    }

    /// What waits is held up by the window.
    pub fn is_held(&self) -> bool {
        self.parcels.get(self.sent).is_some_and(|parcel| !self.has_window(parcel.len()))
    }

    fn has_window(&self, octets: usize) -> bool {
        self.under_way == 0 || self.under_way + octets <= WINDOW
    }

    fn go_back(&mut self) {
        (self.sent, self.under_way) = (0, 0);
    }

    /// Octets that are queued or under way.
    pub fn octets(&self) -> usize {
        self.octets
    }

    /// The receiving node is gone: what it has not acknowledged, in order.
    pub fn into_parcels(self) -> impl Iterator<Item = Bytes> {
        self.parcels.into_iter()
    }
}
