//! An engine within one process, for tests: every node that was opened has a link to every other one,
//! unless it is cut.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hearth_plugin_api::Result;

use super::{Ear, Engine, Event, Open, Piece};
use crate::membership::{Member, NodeRow};

/// Where the nodes meet.
#[derive(Clone, Debug, Default)]
pub struct Hub(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    queues: BTreeMap<Member, VecDeque<Event>>,
    /// Numbers of two nodes, the lower one first.
    cut: BTreeSet<(u32, u32)>,
}

/// One node's end.
pub struct Local {
    hub: Hub,
    me: Member,
    ear: Arc<dyn Ear>,
}

impl Hub {
    /// Cuts the link between two nodes.
    pub fn cut(&self, a: u32, b: u32) {
        let mut state = self.state();
        state.cut.insert(ordered(a, b));
        state.tell(a, b, Event::Down);
    }

    /// Mends it.
    pub fn mend(&self, a: u32, b: u32) {
        let mut state = self.state();
        state.cut.remove(&ordered(a, b));
        state.tell(a, b, Event::Up);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn is_cut(&self, a: Member, b: Member) -> bool {
        self.cut.contains(&ordered(a.node, b.node))
    }

    /// Tells both nodes of each other.
    fn tell(&mut self, a: u32, b: u32, what: fn(Member) -> Event) {
        let ends: Vec<Member> =
            self.queues.keys().copied().filter(|it| it.node == a || it.node == b).collect();
        for (to, queue) in &mut self.queues {
            let others = ends.iter().filter(|end| end.node != to.node);
            if ends.contains(to) {
                queue.extend(others.map(|end| what(*end)));
            }
        }
    }
}

impl Open for Hub {
    type Engine = Local;

    fn addresses(&self) -> Vec<String> {
        Vec::new()
    }

    /// Whoever looks for events looks often.
    fn open(&self, me: Member, _: &[NodeRow], ear: &Arc<dyn Ear>) -> Result<Local> {
        let mut state = self.state();
        let all: Vec<Member> = state.queues.keys().copied().collect();
        let others: Vec<Member> = all.into_iter().filter(|it| !state.is_cut(*it, me)).collect();
        for other in &others {
            state.queues.entry(*other).or_default().push_back(Event::Up(me));
        }
        state.queues.insert(me, others.into_iter().map(Event::Up).collect());
        Ok(Local { hub: self.clone(), me, ear: ear.clone() })
    }
}

impl Engine for Local {
    fn send(&self, to: Member, samples: &[impl Piece]) {
        let mut state = self.hub.state();
        if state.is_cut(self.me, to) || !state.queues.contains_key(&self.me) {
            return;
        }
        if let Some(queue) = state.queues.get_mut(&to) {
            let sample =
                |sample: &_| Event::Sample { from: self.me, bytes: Piece::to_bytes(sample) };
            queue.extend(samples.iter().map(sample));
        }
    }

    /// Whoever looks for events hears the samples among them.
    fn events(&self) -> Vec<Event> {
        let queue = self.hub.state().queues.get_mut(&self.me).map(std::mem::take);
        let hear = |event| match event {
            Event::Sample { from, bytes } => {
                self.ear.hear(from, bytes).map(|bytes| Event::Sample { from, bytes })
            }
            event => Some(event),
        };
        queue.into_iter().flatten().filter_map(hear).collect()
    }

    fn catch_up(&self) {}

    fn know(&self, _: &[NodeRow]) {}

    fn failure(&self) -> Option<String> {
        None
    }

    fn close(&self) {
        let mut state = self.hub.state();
        state.queues.remove(&self.me);
        for queue in state.queues.values_mut() {
            queue.push_back(Event::Refused(self.me));
        }
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        self.close();
    }
}

fn ordered(a: u32, b: u32) -> (u32, u32) {
    (a.min(b), a.max(b))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn links_come_and_go_and_carry_samples() {
        let hub = Hub::default();
        let [one, two] = [1, 2].map(|node| Member { node, incarnation: 7 });
        let ear: Arc<dyn Ear> = Arc::new(|| ());
        let first = hub.open(one, &[], &ear).expect("open");
        let second = hub.open(two, &[], &ear).expect("open");
        assert_eq!(first.events(), [Event::Up(two)]);
        first.send(two, &[Bytes::from_static(b"x")]);
        let sample = Event::Sample { from: one, bytes: Bytes::from_static(b"x") };
        assert_eq!(second.events(), [Event::Up(one), sample]);
        hub.cut(1, 2);
        first.send(two, &[Bytes::from_static(b"lost")]);
        assert_eq!(second.events(), [Event::Down(one)]);
        hub.mend(1, 2);
        drop(first);
        assert_eq!(second.events(), [Event::Up(one), Event::Refused(one)]);
    }
}
