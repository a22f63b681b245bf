//! Who may join.

use crate::licence::{Refusal, Standing};
use crate::membership::judge::SILENT;
use crate::membership::{About, Member, Snapshot};
use crate::protocol;

/// By what a node is admitted, and what this node is.
#[derive(Clone, Debug)]
pub struct Terms {
    pub standing: Standing,
    me: About,
    /// No other node serves alone from this database.
    pub may_found: bool,
}

/// Why a node may not join. Each sentence is for the administrator.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAdmitted {
    #[error(transparent)]
    Licence(#[from] Refusal),
    #[error(
        "it serves the domain {theirs}, the cluster serves {ours}: set the node up for that domain, \
         or with a database of its own"
    )]
    Domain { theirs: String, ours: String },
    #[error(
        "it speaks version {theirs} of the protocol between nodes, {name} speaks {ours}: upgrade the \
         enterprise plugin of the older one"
    )]
    Protocol { theirs: u32, ours: u32, name: String },
    #[error(
        "another process runs as node {0}: this node's home folder is a copy of that one's; set this \
         one up in an empty folder (`hearth setup`)"
    )]
    Number(u32),
}

impl Terms {
    pub fn new(standing: Standing, me: About, may_found: bool) -> Terms {
        Terms { standing, me, may_found }
    }

    /// What this node tells of itself.
    pub fn me(&self) -> &About {
        &self.me
    }

    /// Whether `member` may join the view of `snapshot`. Members of it that are gone for good take no
    /// place: they are still to be removed.
    pub fn admit(
        &self,
        member: Member,
        about: &About,
        snapshot: &Snapshot,
    ) -> Result<(), NotAdmitted> {
        let others = snapshot.view.members.iter().filter(|other| other.node != member.node);
        let living = others.filter_map(|other| {
            snapshot
                .node(other.node)
                .filter(|row| row.member == *other && row.silent_ms < SILENT.as_millis() as i64)
        });
        let living: Vec<_> = living.collect();
        for row in &living {
            let (theirs, ours) = (&about.domain, &row.about.domain);
            if theirs != ours {
                let (theirs, ours) = (theirs.clone(), ours.clone());
                return Err(NotAdmitted::Domain { theirs, ours });
            }
            let (theirs, ours) = (about.protocol, row.about.protocol);
            if !protocol::is_near(theirs, ours) {
                let name = row.about.name.clone();
                return Err(NotAdmitted::Protocol { theirs, ours, name });
            }
        }
        let known = snapshot.node(member.node).is_some_and(|row| row.known);
        Ok(self.standing.admit(known, living.len() as u32)?)
    }
}
