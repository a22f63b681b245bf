//! What carries bytes between nodes. An engine may lose, double and delay samples (the lanes make them
//! reliable), but never delivers what was sent to another incarnation, and never waits.

mod local;
mod mesh;

use std::sync::Arc;

use bytes::Bytes;

use crate::membership::{Member, NodeRow};

pub use local::{Hub, Local};
pub use mesh::{Mesh, MeshNode};

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

/// To be called when there is something to do, from any thread; never waits.
pub type Wake = Arc<dyn Fn() + Send + Sync>;

/// One node's end. Opened for one incarnation; another one opens anew.
pub trait Engine: Send + Sync + 'static {
    /// Sends a sample, or drops it: there is no link, or its queue is full.
    fn send(&self, to: Member, sample: Bytes);

    /// What happened since the last call, in order.
    fn events(&self) -> Vec<Event>;

    /// The rows of the nodes, each time that they were read.
    fn know(&self, nodes: &[NodeRow]);

    /// It could not begin, and why. It is to be opened anew.
    fn failure(&self) -> Option<String>;

    /// Closes all links, which the others see.
    fn close(&self);
}

/// Opens engines.
pub trait Open: Send + Sync + 'static {
    type Engine: Engine;

    /// Where this node will be reached, for its row.
    fn addresses(&self) -> Vec<String>;

    /// Begins for this run of this node: with links to all whose rows are there. `wake` is called when
    /// there are events.
    fn open(
        &self,
        me: Member,
        nodes: &[NodeRow],
        wake: &Wake,
    ) -> hearth_plugin_api::Result<Self::Engine>;
}
