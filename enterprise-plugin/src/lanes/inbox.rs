//! The receiving end of a lane.

use super::{Parcels, Sample};

/// Knows what arrived.
#[derive(Debug, Default)]
pub struct Inbox {
    /// All parcels below this number have arrived.
    next: u64,
    gap: bool,
}

/// What a sample brought.
#[derive(Debug, PartialEq, Eq)]
pub struct Received {
    /// New ones, in order.
    pub parcels: Parcels,
    /// Tell the sender at once: something is missing, or it sends what was here before.
    pub is_urgent: bool,
}

impl Inbox {
    /// Takes what is new. What arrives behind a gap is let go: the sender goes back.
    pub fn accept(&mut self, sample: Sample) -> Received {
        let Sample { first, mut parcels, .. } = sample;
        self.gap = first > self.next;
        if self.gap {
            return Received { parcels: Parcels::new(), is_urgent: true };
        }
        let known = usize::try_from(self.next - first).unwrap_or(usize::MAX).min(parcels.len());
        parcels.drain(..known);
        self.next += parcels.len() as u64;
        Received { parcels, is_urgent: known > 0 }
    }

    /// The acknowledgement that the next sample in the other direction carries: everything below
    /// has arrived; and whether something is missing.
    pub fn received(&mut self) -> (u64, bool) {
        (self.next, std::mem::take(&mut self.gap))
    }
}
