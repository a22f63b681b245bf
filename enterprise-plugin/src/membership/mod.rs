//! Who belongs to the cluster. The shared database is the arbiter: a row per node, and one view with
//! a growing epoch that is changed by compare-and-swap. The nodes watch each other over their links
//! and propose to drop who is gone; [`judge`] holds the rules.

pub mod driver;
pub mod judge;
pub mod links;
pub mod node;

use std::collections::BTreeMap;
use std::fmt;

use hearth_plugin_api::cluster::Node;
use serde::{Deserialize, Serialize};

use judge::Sentence;

/// A node of the cluster in one run: a restarted node is another member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Member {
    pub node: u32,
    pub incarnation: i64,
}

/// The node's number as `hearth.toml` has it.
impl fmt::Display for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.node)
    }
}

impl From<Node> for Member {
    fn from(node: Node) -> Member {
        Member { node: node.id, incarnation: node.incarnation as i64 }
    }
}

impl From<Member> for Node {
    fn from(member: Member) -> Node {
        Node { id: member.node, incarnation: member.incarnation as u64 }
    }
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

/// What a node tells of itself in its row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(default)]
pub struct About {
    /// Of the machine, for people.
    pub name: String,
    /// The XMPP domain that it serves.
    pub domain: String,
    /// Of the protocol between nodes; each speaks its own version and the one before.
    pub protocol: u32,
    /// What runs there, by name: `server`, `enterprise`, and other plugins.
    pub versions: BTreeMap<String, String>,
    pub state: State,
    /// Why it may not join; empty when it may.
    pub refused: String,
    /// As [`hearth_plugin_api::Host::statistics`] gives them.
    pub figures: BTreeMap<String, i64>,
    /// Where the other nodes reach it: address and port.
    pub addresses: Vec<String>,
    /// SHA-256 of its certificate, in hexadecimal.
    pub fingerprint: String,
}

/// What a node does about the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Clustering is disabled, or it has not looked yet.
    #[default]
    Off,
    /// May not join.
    Refused,
    /// Wants to be admitted.
    Joining,
    /// Belongs to the view.
    Member,
    /// Belongs to the view and sends its users elsewhere.
    Draining,
}

/// A node's row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeRow {
    pub member: Member,
    /// Since it was renewed, by the database's clock.
    pub silent_ms: i64,
    /// Members to which it says it has a link.
    pub links: Vec<Member>,
    pub about: About,
    /// Sessions per second that it is asked to close; 0 for none.
    pub drain: u32,
    /// It has been a member before.
    pub known: bool,
}

/// What one transaction read.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Snapshot {
    pub view: View,
    /// Clustering is switched on.
    pub enabled: bool,
    /// Who left the view not long ago.
    pub departed: Vec<Departed>,
    pub nodes: Vec<NodeRow>,
}

impl Snapshot {
    /// Who sends its users elsewhere.
    pub fn draining(&self) -> Vec<Member> {
        let draining = self.nodes.iter().filter(|row| row.about.state == State::Draining);
        draining.map(|row| row.member).collect()
    }

    /// The row of a node, of whichever run.
    pub fn node(&self, node: u32) -> Option<&NodeRow> {
        self.nodes.iter().find(|row| row.member.node == node)
    }
}

/// A member that was taken out of the view.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Departed {
    pub member: Member,
    /// The first view without it.
    pub epoch: i64,
    /// It certainly does nothing any more. Otherwise it may act until its lease is over.
    pub is_certain: bool,
}

/// A change of the view, for the compare-and-swap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    pub view: View,
    pub departed: Vec<Departed>,
    /// For the log.
    pub happened: Vec<(Member, Happened)>,
}

/// What the membership log tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Happened {
    Joined,
    /// By itself: it stops, or clustering was disabled.
    Left,
    /// The others took it out.
    Evicted(Sentence),
    /// It runs anew, and its earlier run is over.
    Restarted,
}

impl Happened {
    pub fn name(&self) -> &'static str {
        match self {
            Happened::Joined => "joined",
            Happened::Left => "left",
            Happened::Evicted(_) => "evicted",
            Happened::Restarted => "restarted",
        }
    }
}

impl fmt::Display for Happened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Happened::Evicted(sentence) => sentence.fmt(f),
            _ => Ok(()),
        }
    }
}
