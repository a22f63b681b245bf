//! The live picture: what the nodes published in the last minutes.

use std::collections::{BTreeMap, VecDeque};

use crate::membership::{About, State};

/// Values of a curve: at one each two seconds, four minutes.
pub const SLOTS: usize = 120;
/// Who has not renewed his row for so many milliseconds is shown as gone.
const GONE_MS: i64 = 10_000;

/// A node as it published itself.
#[derive(Clone, Debug)]
pub struct Node {
    pub id: u32,
    /// Milliseconds since it renewed its row.
    pub silent_ms: i64,
    /// It belongs to the view.
    pub is_member: bool,
    pub about: About,
}

impl Node {
    pub fn is_here(&self) -> bool {
        self.silent_ms < GONE_MS
    }

    /// It was put out of the view, or left it and does not answer.
    pub fn is_gone(&self) -> bool {
        // What it last said of itself is not true any more.
        let was_member = matches!(self.about.state, State::Member | State::Draining);
        !self.is_member && (was_member || !self.is_here())
    }

    /// A figure; `None` when the node does not publish it, or is gone.
    pub fn figure(&self, name: &str) -> Option<i64> {
        self.about.figures.get(name).copied().filter(|_| self.is_here())
    }
}

/// Messages per second of all nodes, over time.
#[derive(Debug, Default)]
pub struct Live {
    /// By node: when, and how many messages since its start.
    last: BTreeMap<u32, (i64, i64)>,
    rates: VecDeque<f64>,
}

impl Live {
    /// The next value, from what the nodes publish at `now_ms`.
    pub fn add(&mut self, now_ms: i64, nodes: &[Node]) {
        let mut sum = 0.0;
        let mut last = BTreeMap::new();
        for node in nodes {
            let Some(messages) = node.figure("messages") else { continue };
            last.insert(node.id, (now_ms, messages));
            if let Some((then, before)) = self.last.get(&node.id) {
                let seconds = (now_ms - then).max(1) as f64 / 1000.0;
                // Fewer than before: the node was restarted.
                sum += (messages - before).max(0) as f64 / seconds;
            }
        }
        self.last = last;
        if self.rates.len() == SLOTS {
            self.rates.pop_front();
        }
        self.rates.push_back(sum);
    }

    /// Messages per second, the newest last.
    pub fn rates(&self) -> Vec<f64> {
        self.rates.iter().copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(id: u32, silent_ms: i64, messages: i64) -> Node {
        let figures = BTreeMap::from([("messages".to_owned(), messages)]);
        Node { id, silent_ms, is_member: true, about: About { figures, ..About::default() } }
    }

    #[test]
    fn who_was_put_out_is_gone_at_once() {
        let about = About { state: State::Member, ..About::default() };
        let member = Node { about, ..node(1, GONE_MS, 0) };
        assert!(!member.is_gone(), "a member that hangs is shown as such");
        assert!(Node { is_member: false, silent_ms: 0, ..member }.is_gone());
        let other = Node { is_member: false, ..node(2, 0, 0) };
        assert!(!other.is_gone(), "it may be joining");
        assert!(Node { silent_ms: GONE_MS, ..other }.is_gone());
    }

    #[test]
    fn rates_are_differences_of_what_living_nodes_count() {
        let mut live = Live::default();
        live.add(0, &[node(1, 0, 100), node(2, 0, 50)]);
        live.add(2_000, &[node(1, 0, 120), node(2, 0, 10)]);
        live.add(4_000, &[node(1, 0, 120), node(2, GONE_MS, 900)]);
        assert_eq!(live.rates(), [0.0, 10.0, 0.0]);
        (0..200).for_each(|n| live.add(n, &[]));
        assert_eq!(live.rates().len(), SLOTS);
    }
}
