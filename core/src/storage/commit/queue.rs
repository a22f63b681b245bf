//! The queue of appends, bounded in bytes by asking senders to stop reading.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::{Append, Done, Statement};
use crate::clock::StanzaId;

/// Bytes over which senders are asked to stop. One stanza may overshoot.
const FULL: usize = 16 << 20;

/// Appends in one transaction: beyond it the first would wait without gain.
const BATCH: usize = 1024;

#[derive(Default)]
pub(in crate::storage) struct Queue {
    state: Mutex<State>,
    /// Weight of all that is queued or being committed.
    bytes: AtomicUsize,
    closed: AtomicBool,
    /// Something was queued, or the queue was closed.
    work: Notify,
    /// A batch was resolved, or the flusher has gone.
    room: Notify,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Append>,
    /// The oldest id of the batch that is being committed.
    committing: Option<StanzaId>,
    flushers: usize,
}

/// What one transaction commits, and who is told.
pub(super) struct Batch {
    pub(super) statements: Arc<[Statement]>,
    pub(super) done: Vec<Done>,
    weight: usize,
}

impl Queue {
    pub(in crate::storage) fn push(&self, append: Append) {
        self.bytes.fetch_add(append.weight(), Ordering::AcqRel);
        let mut state = self.state.lock();
        state.waiting.push_back(append);
        let first = state.waiting.len() == 1;
        drop(state);
        if first {
            self.work.notify_one();
        }
    }

    pub(in crate::storage) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Acquire)
    }

    pub(in crate::storage) fn is_full(&self) -> bool {
        self.bytes.load(Ordering::Acquire) >= FULL
    }

    /// Waits until half of the bound is free, so that many senders do not flutter.
    pub(in crate::storage) async fn ready(&self) {
        self.until(|| self.bytes.load(Ordering::Acquire) <= FULL / 2).await;
    }

    /// Waits until all is resolved, or nobody is there to do it.
    pub(in crate::storage) async fn drained(&self) {
        let empty = || self.bytes.load(Ordering::Acquire) == 0;
        self.until(|| empty() || self.state.lock().flushers == 0).await;
    }

    async fn until(&self, condition: impl Fn() -> bool) {
        loop {
            let mut changed = std::pin::pin!(self.room.notified());
            // Registered before the look, so that no change between the two is missed.
            changed.as_mut().enable();
            if condition() {
                return;
            }
            changed.await;
        }
    }

    pub(in crate::storage) fn oldest(&self) -> Option<StanzaId> {
        let state = self.state.lock();
        state.waiting.iter().filter_map(|append| append.id).chain(state.committing).min()
    }

    pub(in crate::storage) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.work.notify_one();
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Waits for something to do; false when the queue is closed and empty.
    pub(super) async fn wait(&self) -> bool {
        loop {
            if !self.state.lock().waiting.is_empty() {
                return true;
            }
            if self.is_closed() {
                return false;
            }
            self.work.notified().await;
        }
    }

    /// The oldest appends, in their order.
    pub(super) fn take(&self) -> Batch {
        let mut state = self.state.lock();
        let count = state.waiting.len().min(BATCH);
        let appends: Vec<Append> = state.waiting.drain(..count).collect();
        state.committing = appends.iter().filter_map(|append| append.id).min();
        drop(state);
        let weight = appends.iter().map(Append::weight).sum();
        let (statements, done): (Vec<_>, Vec<_>) = appends
            .into_iter()
            .map(|append| (Statement { sql: append.statement, params: append.params }, append.done))
            .unzip();
        Batch { statements: statements.into(), done, weight }
    }

    /// A batch was resolved.
    pub(super) fn finished(&self, weight: usize) {
        self.state.lock().committing = None;
        self.bytes.fetch_sub(weight, Ordering::AcqRel);
        self.room.notify_waiters();
    }

    pub(super) fn flusher(&self, count: isize) {
        let mut state = self.state.lock();
        state.flushers = state.flushers.saturating_add_signed(count);
        drop(state);
        self.room.notify_waiters();
    }
}

impl Batch {
    pub(super) fn weight(&self) -> usize {
        self.weight
    }
}
