//! What the links and the one that asks for events have in common.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::Notify;

use super::super::{Ear, Event, Piece};
use super::Watch;
use super::hearing::Hearing;
use super::line::Line;
use crate::membership::{Member, NodeRow};

/// Octets of samples that wait to be taken; more are dropped, and the lanes bring them again.
const WAITING: usize = 16 * 1024 * 1024;
/// A node that has not renewed its row for this time, in milliseconds, is called no more.
const FORGOTTEN: i64 = 60_000;

pub struct Shared {
    pub me: Member,
    /// Where the others reach this node.
    pub address: String,
    pub watch: Watch,
    ear: Arc<dyn Ear>,
    news: Notify,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    events: Vec<Event>,
    octets: usize,
    /// Where the nodes are that the database knows.
    rows: BTreeMap<Member, Vec<String>>,
    /// Who has called this node, by which of its connections, and where it is.
    callers: BTreeMap<Member, (Arc<Hearing>, Vec<String>)>,
    /// Who is being called, and the way to it once it has answered.
    calls: BTreeMap<Member, Option<Arc<Line>>>,
    /// Of whom it was told that it has ended.
    refused: BTreeSet<Member>,
    is_closed: bool,
    failure: Option<String>,
}

impl State {
    fn is_up(&self, member: Member) -> bool {
        self.callers.contains_key(&member) && self.calls.get(&member).is_some_and(Option::is_some)
    }

    fn knows(&self, member: Member) -> bool {
        self.rows.contains_key(&member) || self.callers.contains_key(&member)
    }
}

/// Undoes what it stands for, however that ends.
pub struct Guard<F: FnMut()>(F);

impl<F: FnMut()> Drop for Guard<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

impl Shared {
    pub fn new((me, address): (Member, String), ear: Arc<dyn Ear>, watch: Watch) -> Shared {
        Shared { me, address, watch, ear, news: Notify::new(), state: Mutex::default() }
    }

    pub fn events(&self) -> Vec<Event> {
        let mut state = self.state();
        state.octets = 0;
        std::mem::take(&mut state.events)
    }

    pub fn know(&self, nodes: &[NodeRow]) {
        let lives = |row: &&NodeRow| row.silent_ms < FORGOTTEN;
        let rows = nodes.iter().filter(lives).map(|row| (row.member, row.about.addresses.clone()));
        self.state().rows = rows.collect();
        self.news.notify_one();
    }

    /// Sends samples, or drops them.
    pub fn send(&self, to: Member, samples: &[impl Piece]) {
        let line = self.state().calls.get(&to).cloned().flatten();
        if let Some(line) = line {
            line.say(samples);
        }
    }

    /// Brings a sample to the ear. What that gives back waits to be taken, or is dropped.
    pub fn hear(&self, from: Member, sample: Bytes) {
        let Some(bytes) = self.ear.hear(from, sample) else { return };
        let mut state = self.state();
        if state.octets == 0 || state.octets + bytes.len() <= WAITING {
            state.octets += bytes.len();
            state.events.push(Event::Sample { from, bytes });
            drop(state);
            self.ear.wake();
        }
    }

    /// Hears what has arrived by now.
    pub fn catch_up(&self) {
        self.hearings().iter().for_each(|hearing| hearing.catch_up());
    }

    /// Nobody is heard from now on.
    pub fn close(&self) {
        self.state().is_closed = true;
        self.hearings().iter().for_each(|hearing| hearing.end());
    }

    /// Who reads brings what he read here: the lock is not held while a connection is waited for.
    fn hearings(&self) -> Vec<Arc<Hearing>> {
        self.state().callers.values().map(|(hearing, _)| hearing.clone()).collect()
    }

    /// Nodes that nobody calls yet. They are taken to be called from now on.
    pub fn to_call(&self) -> Vec<Member> {
        let state = &mut *self.state();
        let known = state.rows.keys().chain(state.callers.keys()).copied();
        let new = known.filter(|it| it.node != self.me.node && !state.calls.contains_key(it));
        let new: Vec<_> = new.collect();
        state.calls.extend(new.iter().map(|member| (*member, None)));
        new
    }

    /// Somebody became known, or may have.
    pub async fn news(&self) {
        self.news.notified().await;
    }

    /// Where to call a node; nothing when it is known no longer, and called no longer.
    pub fn addresses_to_call(&self, member: Member) -> Option<Vec<String>> {
        let mut state = self.state();
        if !state.knows(member) {
            state.calls.remove(&member);
            state.refused.remove(&member);
            return None;
        }
        let called = state.callers.get(&member).map(|(_, addresses)| addresses);
        called.or_else(|| state.rows.get(&member)).cloned()
    }

    /// A node has answered. The way to it is there until the guard goes.
    pub fn called(self: &Arc<Self>, member: Member, line: &Arc<Line>) -> Guard<impl FnMut()> {
        self.change(member, |state| {
            state.refused.remove(&member);
            state.calls.insert(member, Some(line.clone()));
        });
        let shared = self.clone();
        Guard(move || shared.change(member, |state| drop(state.calls.insert(member, None))))
    }

    /// A node has called; where it is called back. It is heard until the guard goes, or until it calls
    /// once more.
    pub fn heard(
        self: &Arc<Self>,
        hearing: &Arc<Hearing>,
        addresses: Vec<String>,
    ) -> Guard<impl FnMut()> {
        let member = hearing.from;
        let before = self.state().callers.get(&member).map(|(before, _)| before.clone());
        if let Some(before) = before {
            // The two are never heard at once.
            before.end();
        }
        self.change(member, |state| {
            state.refused.remove(&member);
            state.callers.insert(member, (hearing.clone(), addresses));
        });
        if self.state().is_closed {
            hearing.end();
        }
        self.news.notify_one();
        let (shared, hearing) = (self.clone(), hearing.clone());
        Guard(move || {
            hearing.end();
            shared.change(member, |state| {
                let is_last = |caller: &(Arc<Hearing>, _)| Arc::ptr_eq(&caller.0, &hearing);
                if state.callers.get(&member).is_some_and(is_last) {
                    state.callers.remove(&member);
                }
            });
        })
    }

    /// Nothing listens where the node was. It is told once.
    pub fn refused(&self, member: Member) {
        let mut state = self.state();
        let is_news = !state.callers.contains_key(&member) && state.refused.insert(member);
        if is_news {
            state.events.push(Event::Refused(member));
            drop(state);
            self.ear.wake();
        }
    }

    /// Changes something about a node, and tells whether a link came or went by it.
    fn change(&self, member: Member, change: impl FnOnce(&mut State)) {
        let mut state = self.state();
        let before = state.is_up(member);
        change(&mut state);
        match (before, state.is_up(member)) {
            (false, true) => state.events.push(Event::Up(member)),
            (true, false) => state.events.push(Event::Down(member)),
            _ => return,
        }
        drop(state);
        self.ear.wake();
    }

    pub fn fail(&self, why: String) {
        self.state().failure = Some(why);
        self.ear.wake();
    }

    pub fn failure(&self) -> Option<String> {
        self.state().failure.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
