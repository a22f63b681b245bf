//! The numbered changes of this node's sessions, for the other nodes of a cluster. While there is no
//! cluster a change costs one load.

use std::sync::atomic::{AtomicBool, Ordering};

use compact_str::CompactString;
use hashbrown::HashMap;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::Shared;
use super::remote::{Delta, Node, Standing};
use crate::clock::Clock;
use crate::host::HostId;

/// What is to be told, and when sessions were bound.
#[derive(Debug, Default)]
pub(super) struct Changes {
    is_on: AtomicBool,
    log: Mutex<Log>,
    /// There is something to tell.
    pub(super) wake: Notify,
}

#[derive(Debug, Default)]
struct Log {
    told: Option<Told>,
    /// Number of the last change.
    seq: u64,
    /// The last ones, which nobody was told yet.
    waiting: Vec<Delta>,
    /// The epoch and the time at which sessions were bound, by their number.
    bound: HashMap<u64, (i64, i64)>,
}

/// As whom this node tells.
#[derive(Debug)]
struct Told {
    me: Node,
    epoch: i64,
    clock: Clock,
}

impl Changes {
    pub fn is_on(&self) -> bool {
        self.is_on.load(Ordering::Acquire)
    }

    /// Numbers begin at 1 again.
    pub fn start(&self, me: Node, epoch: i64, clock: Clock) {
        *self.log.lock() = Log { told: Some(Told { me, epoch, clock }), ..Log::default() };
        self.is_on.store(true, Ordering::SeqCst);
    }

    pub fn stop(&self) {
        self.is_on.store(false, Ordering::SeqCst);
        *self.log.lock() = Log::default();
    }

    /// What is bound from now on belongs to another view.
    pub fn set_epoch(&self, epoch: i64) {
        if let Some(told) = &mut self.log.lock().told {
            told.epoch = epoch;
        }
    }

    /// A session was bound, in place of one on another node if there was one, which it outranks: that one may
    /// be in the next view already, or its node's clock ahead. Called under the lock of its shard, as the two
    /// below.
    pub fn bound(&self, session: &Shared, over: Option<Standing>) {
        if !self.is_on() {
            return;
        }
        let mut log = self.log.lock();
        let Some(told) = &log.told else { return };
        let (epoch, now) = (told.epoch, told.clock.stanza_id().time().0);
        let stamp = over.map_or((epoch, now), |over| {
            (epoch.max(over.epoch), now.max(over.bound_ms.saturating_add(1)))
        });
        log.bound.insert(session.id, stamp);
        log.push(session);
        drop(log);
        self.wake.notify_one();
    }

    pub fn changed(&self, session: &Shared) {
        if self.is_on() {
            self.log.lock().push(session);
            self.wake.notify_one();
        }
    }

    pub fn gone(&self, session: &Shared) {
        if !self.is_on() {
            return;
        }
        let mut log = self.log.lock();
        let mut delta = log.delta(session);
        delta.gone = true;
        log.bound.remove(&session.id);
        log.seq += 1;
        log.waiting.push(delta);
        drop(log);
        self.wake.notify_one();
    }

    pub fn standing(&self, session: &Shared) -> Standing {
        self.log.lock().standing(session)
    }

    pub fn delta(&self, session: &Shared) -> Delta {
        self.log.lock().delta(session)
    }

    /// Number of the last change.
    pub fn seq(&self) -> u64 {
        self.log.lock().seq
    }

    /// What nobody was told yet, with the number of the first.
    pub fn take(&self) -> Option<(u64, Vec<Delta>)> {
        let mut log = self.log.lock();
        let deltas = std::mem::take(&mut log.waiting);
        (!deltas.is_empty()).then(|| (log.seq + 1 - deltas.len() as u64, deltas))
    }

    /// A binding elsewhere was heard of: this node's clock is not to be behind.
    pub fn observe(&self, bound_ms: i64) {
        if let Some(told) = &self.log.lock().told {
            let time = crate::clock::Timestamp(bound_ms);
            told.clock.observe(crate::clock::StanzaId::first_at(time));
        }
    }
}

impl Log {
    fn push(&mut self, session: &Shared) {
        if self.told.is_some() {
            let delta = self.delta(session);
            self.seq += 1;
            self.waiting.push(delta);
        }
    }

    fn standing(&self, session: &Shared) -> Standing {
        // Who was bound before there was a cluster came before everybody else.
        let before = || (0, session.origin().since.0);
        let (epoch, bound_ms) = self.bound.get(&session.id).copied().unwrap_or_else(before);
        let node = self.told.as_ref().map(|told| told.me).unwrap_or_default();
        Standing { epoch, bound_ms, node }
    }

    fn delta(&self, session: &Shared) -> Delta {
        let Standing { epoch, bound_ms, .. } = self.standing(session);
        let flags = [
            (session.is_available(), Delta::AVAILABLE),
            (!session.is_connected(), Delta::DETACHED),
            (session.is_interested(), Delta::INTERESTED),
        ];
        Delta {
            gone: false,
            host: number(session.host),
            account: session.jid.local().unwrap_or_default().into(),
            resource: CompactString::from(session.resource()),
            session: session.id,
            epoch,
            bound_ms,
            priority: session.priority(),
            flags: flags.iter().filter(|(is, _)| *is).fold(0, |flags, (_, flag)| flags | flag),
        }
    }
}

/// Nodes count hosts from 0.
pub(super) fn number(host: HostId) -> u32 {
    (host.0 - HostId::FIRST.0) as u32
}

/// The host of a node's number.
pub(super) fn host(number: u32) -> HostId {
    HostId(HostId::FIRST.0.saturating_add_unsigned(number))
}
