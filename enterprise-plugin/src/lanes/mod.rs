//! Lanes: parcels from one incarnation of a node to one incarnation of another, in order, none lost
//! and none twice while both live. The engine below may lose, double and delay samples: this is the
//! one layer that makes them reliable. Sans-IO: time is a parameter, samples are values.
//!
//! A lane has an [`Outbox`] on the sending node and an [`Inbox`] on the receiving one. A sample packs
//! what is queued, and carries the acknowledgement of the lane in the other direction. After a gap
//! the sender goes back to the first parcel that is missing: losses are rare (a link that was cut),
//! and what was sent behind them is small.

mod inbox;
mod outbox;
mod sample;

#[cfg(test)]
mod tests;

pub use inbox::{Inbox, Received};
pub use outbox::{Full, Outbox};
pub use sample::{Parcels, Sample, SampleError};

/// Octets of parcels that a sample holds at most; a larger parcel has a sample of its own.
pub const SAMPLE: usize = 64 * 1024;
/// Octets that may be under way without being acknowledged.
pub const WINDOW: usize = 1024 * 1024;
