//! What carries bytes between nodes. An engine may lose, double and delay samples (the lanes make them
//! reliable), but never delivers what was sent to another incarnation, and never waits.

mod local;
mod mesh;

use std::sync::Arc;

use bytes::Bytes;
use smallvec::SmallVec;

use crate::membership::{Member, NodeRow};

pub use local::{Hub, Local};
pub use mesh::{Mesh, MeshNode, Watch};

/// What an engine tells, and the samples that its [`Ear`] gave back.
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

/// What is sent to one node at once: mostly a sample for each lane.
pub type Samples<S> = SmallVec<[S; 2]>;

/// What is sent to all nodes at once.
pub type ForAll<S> = SmallVec<[(Member, Samples<S>); 1]>;

/// To be called when there is something to do, from any thread; never waits.
pub type Wake = Arc<dyn Fn() + Send + Sync>;

/// Takes what an engine brings, on the thread that noticed it; never waits.
pub trait Ear: Send + Sync + 'static {
    /// Takes a sample, or gives it back: then it is one of the events. After the engine's end it is not
    /// called any more.
    fn hear(&self, from: Member, sample: Bytes) -> Option<Bytes>;

    /// There are events.
    fn wake(&self);
}

/// What is sent in one piece. It may lie in several until it is written where it leaves.
pub trait Piece {
    fn octets(&self) -> usize;

    /// Appends it.
    fn write(&self, out: &mut Vec<u8>);

    fn to_bytes(&self) -> Bytes {
        let mut out = Vec::with_capacity(self.octets());
        self.write(&mut out);
        out.into()
    }
}

impl Piece for Bytes {
    fn octets(&self) -> usize {
        self.len()
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self);
    }
}

/// One node's end. Opened for one incarnation; another one opens anew.
pub trait Engine: Send + Sync + 'static {
    /// Sends samples, or drops them: there is no link, or its queue is full.
    fn send(&self, to: Member, samples: &[impl Piece]);

    /// What happened since the last call, in order.
    fn events(&self) -> Vec<Event>;

    /// Hears what has arrived by now: a process that was stopped for a while learns of it late.
    fn catch_up(&self);

    /// The rows of the nodes, each time that they were read.
    fn know(&self, nodes: &[NodeRow]);

    /// It could not begin, and why. It is to be opened anew.
    fn failure(&self) -> Option<String>;

    /// Closes all links, which the others see, and hears nothing any more.
    fn close(&self);
}

/// Opens engines.
pub trait Open: Send + Sync + 'static {
    type Engine: Engine;

    /// Where this node will be reached, for its row.
    fn addresses(&self) -> Vec<String>;

    /// Begins for this run of this node: with links to all whose rows are there.
    fn open(
        &self,
        me: Member,
        nodes: &[NodeRow],
        ear: &Arc<dyn Ear>,
    ) -> hearth_plugin_api::Result<Self::Engine>;
}

/// Takes no samples.
#[cfg(test)]
impl<F: Fn() + Send + Sync + 'static> Ear for F {
    fn hear(&self, _: Member, sample: Bytes) -> Option<Bytes> {
        Some(sample)
    }

    fn wake(&self) {
        self();
    }
}
