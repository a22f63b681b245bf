//! Who belongs to the cluster. The shared database is the arbiter: a row per node, and one view with
//! a growing epoch that is changed by compare-and-swap. The nodes watch each other over their links
//! and propose to drop who is gone; [`judge`] holds the rules.

pub mod judge;

use serde::{Deserialize, Serialize};

/// A node of the cluster in one run: a restarted node is another member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Member {
    pub node: u32,
    pub incarnation: i64,
}

/// The cluster as the database has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct View {
    /// Grows with every change; 0 before the first.
    pub epoch: i64,
    /// The senior first: in the order of joining.
    pub members: Vec<Member>,
}

impl View {
    pub fn contains(&self, member: Member) -> bool {
        self.members.contains(&member)
    }

    /// Who acts for all where one must.
    pub fn senior(&self) -> Option<Member> {
        self.members.first().copied()
    }

    /// The next view, without a member.
    pub fn without(&self, gone: Member) -> View {
        let members = self.members.iter().copied().filter(|member| *member != gone).collect();
        View { epoch: self.epoch + 1, members }
    }

    /// The next view, with a member that comes last. An earlier run of the same node goes.
    pub fn with(&self, new: Member) -> View {
        let others = self.members.iter().copied().filter(|member| member.node != new.node);
        View { epoch: self.epoch + 1, members: others.chain([new]).collect() }
    }
}
