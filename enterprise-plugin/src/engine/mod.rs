//! What carries bytes between nodes. An engine may lose, double and delay samples (the lanes make them
//! reliable), but never delivers what was sent to another incarnation, and never waits.

mod local;

use bytes::Bytes;

use crate::membership::Member;

pub use local::{Hub, Local};

/// What an engine tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// There is a link to this run of this node.
    Up(Member),
    /// There is none any more.
    Down(Member),
    /// The machine answers that nothing listens there. An engine that cannot tell says `Down`.
    Refused(Member),
    Sample {
        from: Member,
        bytes: Bytes,
    },
}

/// One node's end. Opened for one incarnation; another one opens anew.
pub trait Engine: Send + Sync + 'static {
    /// Sends a sample, or drops it: there is no link, or its queue is full.
    fn send(&self, to: Member, sample: Bytes);

    /// What happened since the last call, in order.
    fn events(&self) -> Vec<Event>;

    /// Closes all links, which the others see.
    fn close(&self);
}

/// Opens engines.
pub trait Open: Send + Sync + 'static {
    type Engine: Engine;

    fn open(&self, me: Member) -> hearth_plugin_api::Result<Self::Engine>;
}
