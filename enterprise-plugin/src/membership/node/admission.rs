//! Who may join.

use crate::licence::{self, Refusal, Standing};
use crate::membership::judge::SILENT;
use crate::membership::{About, Member, NodeRow, Snapshot, View};
use crate::protocol;

/// By what a node is admitted, and what this node is.
#[derive(Clone, Debug)]
pub struct Terms {
    standings: Vec<Standing>,
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
    pub fn new(standings: Vec<Standing>, me: About, may_found: bool) -> Terms {
        Terms { standings, me, may_found }
    }

    /// Whether this node, as `me`, may join the view of `snapshot`. Members of it that are silent take no
    /// place: they are still to be removed.
    pub fn admits_me(&self, me: Member, snapshot: &Snapshot) -> Result<(), NotAdmitted> {
        let lives = |row: &&NodeRow| row.silent_ms < SILENT.as_millis() as i64;
        let living: Vec<_> = others(me, &snapshot.view, snapshot).filter(lives).collect();
        let known = snapshot.node(me.node).is_some_and(|row| row.known);
        self.admit(&self.me, &living, known, living.len())
    }

    /// Whether a node may join `view`. Each member takes its place: after an outage of the database all are
    /// silent, and come back.
    pub fn admits(
        &self,
        row: &NodeRow,
        view: &View,
        snapshot: &Snapshot,
    ) -> Result<(), NotAdmitted> {
        let members: Vec<_> = others(row.member, view, snapshot).collect();
        let count = view.members.iter().filter(|member| member.node != row.member.node).count();
        self.admit(&row.about, &members, row.known, count)
    }

    fn admit(
        &self,
        about: &About,
        beside: &[&NodeRow],
        known: bool,
        count: usize,
    ) -> Result<(), NotAdmitted> {
        for row in beside {
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
        Ok(licence::admit(&self.standings, known, count as u32)?)
    }
}

/// The rows of the members of `view` other than `member`.
fn others<'s>(
    member: Member,
    view: &'s View,
    snapshot: &'s Snapshot,
) -> impl Iterator<Item = &'s NodeRow> {
    let others = view.members.iter().filter(move |other| other.node != member.node);
    others.filter_map(|other| snapshot.node(other.node).filter(|row| row.member == *other))
}
