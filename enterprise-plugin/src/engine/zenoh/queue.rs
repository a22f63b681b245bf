//! What the engine's threads leave for the one that asks for events.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use super::{Addresses, Event, Wake};
use crate::membership::{Member, NodeRow};

/// Octets of samples that wait; more are dropped, and the lanes bring them again.
const WAITING: usize = 16 * 1024 * 1024;

pub struct Shared {
    pub me: Member,
    wake: Wake,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    events: Vec<Event>,
    octets: usize,
    up: BTreeSet<Member>,
    addresses: Addresses,
    failure: Option<String>,
    is_closed: bool,
}

impl Shared {
    pub fn new(me: Member, wake: Wake) -> Shared {
        Shared { me, wake, state: Mutex::default() }
    }

    pub fn events(&self) -> Vec<Event> {
        let mut state = self.state();
        state.octets = 0;
        std::mem::take(&mut state.events)
    }

    pub fn know(&self, nodes: &[NodeRow]) {
        let addresses = nodes.iter().map(|row| (row.member, row.about.addresses.clone()));
        self.state().addresses = addresses.collect();
    }

    pub fn addresses_of(&self, member: Member) -> Vec<String> {
        self.state().addresses.get(&member).cloned().unwrap_or_default()
    }

    /// Takes a sample, or drops it.
    pub fn sample(&self, from: Member, bytes: Bytes) {
        let mut state = self.state();
        if state.octets + bytes.len() > WAITING {
            return;
        }
        state.octets += bytes.len();
        state.events.push(Event::Sample { from, bytes });
        drop(state);
        (self.wake)();
    }

    pub fn up(&self, member: Member) {
        let mut state = self.state();
        state.up.insert(member);
        state.events.push(Event::Up(member));
        drop(state);
        (self.wake)();
    }

    pub fn down(&self, member: Member) {
        let mut state = self.state();
        if state.up.remove(&member) {
            state.events.push(Event::Down(member));
        }
        drop(state);
        (self.wake)();
    }

    /// Nothing listens there. False: the link is back, or nobody wants to know any more.
    pub fn refused(&self, member: Member) {
        let mut state = self.state();
        if !state.up.contains(&member) && !state.is_closed {
            state.events.push(Event::Refused(member));
        }
        drop(state);
        (self.wake)();
    }

    /// Somebody should look why there is no link to it.
    pub fn is_missed(&self, member: Member) -> bool {
        let state = self.state();
        !state.up.contains(&member) && !state.is_closed
    }

    pub fn fail(&self, why: String) {
        self.state().failure = Some(why);
        (self.wake)();
    }

    pub fn failure(&self) -> Option<String> {
        self.state().failure.clone()
    }

    pub fn close(&self) {
        self.state().is_closed = true;
    }

    pub fn is_closed(&self) -> bool {
        self.state().is_closed
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
