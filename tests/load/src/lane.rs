//! What a sender has to send, filled by other tasks of the same thread.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::task::{Context, Waker};

/// The times at which a sender's messages became due. The tasks of its receivers add to it (closed
/// loop), or the clock does (fixed rate).
#[derive(Default)]
pub struct Lane {
    due: RefCell<VecDeque<u64>>,
    waker: Cell<Option<Waker>>,
    arrived: Cell<u64>,
}

impl Lane {
    /// One more message is due since `now`.
    pub fn grant(&self, now: u64) {
        self.due.borrow_mut().push_back(now);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    /// One copy of a message has arrived; when all `copies` of one have, the next is due.
    pub fn copy_arrived(&self, copies: u64, now: u64) {
        self.arrived.set(self.arrived.get() + 1);
        if self.arrived.get().is_multiple_of(copies) {
            self.grant(now);
        }
    }

    /// Whether something is due; if not, the task is woken when it is.
    pub fn poll_due(&self, cx: &Context<'_>) -> bool {
        let due = !self.due.borrow().is_empty();
        if !due {
            self.waker.set(Some(cx.waker().clone()));
        }
        due
    }

    /// Takes all that is due.
    pub fn take(&self) -> VecDeque<u64> {
        self.due.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_copy_makes_the_next_due() {
        let lane = Lane::default();
        let cx = Context::from_waker(Waker::noop());
        lane.copy_arrived(2, 5);
        assert!(!lane.poll_due(&cx));
        lane.copy_arrived(2, 6);
        assert!(lane.poll_due(&cx));
        assert_eq!(lane.take(), [6]);
        assert!(!lane.poll_due(&cx));
    }
}
