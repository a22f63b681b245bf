//! What is known without asking the table of offline messages.

use std::sync::atomic::{AtomicI64, Ordering};

use hashbrown::{HashMap, HashSet};
use parking_lot::Mutex;

use crate::clock::{Clock, StanzaId};
use crate::im::roster::Key;
use crate::session::Shared;

use super::store::Holder;

/// Accounts whose usage is remembered; beyond it all are forgotten and read again.
const MAX_KNOWN: usize = 10_000;

/// In memory, and only about this node.
#[derive(Debug)]
pub struct Spool {
    node: u32,
    /// Tells this run of the node from those before.
    incarnation: AtomicI64,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// Octets stored per account. Approximate: arrivals are added, removals forget the entry.
    usage: HashMap<Key, u64>,
    /// Messages of the last claim that a session has not acknowledged yet.
    claimed: HashMap<u64, HashSet<StanzaId>>,
    /// Accounts whose messages are being given away, and whether somebody asked for it meanwhile.
    turns: HashMap<Key, bool>,
}

impl Spool {
    pub fn new(clock: &Clock) -> Spool {
        // Without the sign, so that it reads well in the table.
        let incarnation = i64::from_be_bytes(clock.random().bytes()) & i64::MAX;
        let incarnation = AtomicI64::new(incarnation);
        Spool { node: clock.node(), incarnation, inner: Mutex::default() }
    }

    /// Begins another run. What sessions of the one before held is free, unless they are still there.
    pub fn begin_run(&self, incarnation: i64) {
        self.incarnation.store(incarnation, Ordering::Release);
    }

    pub fn node(&self) -> (u32, i64) {
        (self.node, self.incarnation.load(Ordering::Acquire))
    }

    pub fn holder(&self, session: &Shared) -> Holder {
        let (node, incarnation) = self.node();
        Holder { node, incarnation, session: session.id }
    }

    pub fn usage(&self, key: Key) -> Option<u64> {
        self.inner.lock().usage.get(&key).copied()
    }

    /// Notes what the table said.
    pub fn learn(&self, key: Key, usage: u64) {
        let mut inner = self.inner.lock();
        if inner.usage.len() >= MAX_KNOWN {
            inner.usage.clear();
        }
        inner.usage.insert(key, usage);
    }

    pub fn add(&self, key: Key, octets: u64) {
        if let Some(usage) = self.inner.lock().usage.get_mut(&key) {
            *usage += octets;
        }
    }

    pub fn forget(&self, key: Key) {
        self.inner.lock().usage.remove(&key);
    }

    pub fn forget_all(&self) {
        self.inner.lock().usage.clear();
    }

    /// The session was given these.
    pub fn claimed(&self, session: u64, ids: HashSet<StanzaId>) {
        if !ids.is_empty() {
            self.inner.lock().claimed.entry(session).or_default().extend(ids);
        }
    }

    /// The session is done with a message, one way or the other. True when it was the last of its
    /// claim: there may be more to give.
    pub fn settled(&self, session: u64, id: StanzaId) -> bool {
        let mut inner = self.inner.lock();
        let Some(ids) = inner.claimed.get_mut(&session) else { return false };
        let known = ids.remove(&id);
        let last = known && ids.is_empty();
        if ids.is_empty() {
            inner.claimed.remove(&session);
        }
        last
    }

    /// The session is not here any more, and has settled nothing.
    pub fn forget_session(&self, session: u64) {
        self.inner.lock().claimed.remove(&session);
    }

    /// Whether the session still has messages of its last claim.
    pub fn is_busy(&self, session: u64) -> bool {
        self.inner.lock().claimed.contains_key(&session)
    }

    /// Begins to give an account's messages away. False when somebody does already; he is told
    /// at his end.
    pub fn begin(&self, key: Key) -> bool {
        let mut inner = self.inner.lock();
        let is_first = !inner.turns.contains_key(&key);
        inner.turns.insert(key, !is_first);
        is_first
    }

    /// True when somebody began in vain meanwhile.
    pub fn end(&self, key: Key) -> bool {
        self.inner.lock().turns.remove(&key).unwrap_or(false)
    }
}
