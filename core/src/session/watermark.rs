//! How far a sender's stanzas are safe (XEP-0198 §4 and the zero-loss contract): `h` grows only
//! over stanzas that are handled *and*, where durable, acknowledged or committed.

use std::collections::VecDeque;

use parking_lot::Mutex;

#[derive(Debug, Default)]
struct Inner {
    /// Stanzas received, modulo 2^32.
    received: u32,
    /// Stanzas at the front of the count that are safe: the `h` to report.
    safe: u32,
    /// One entry per stanza after `safe`: true when it is safe.
    window: VecDeque<bool>,
    /// The client asked for an acknowledgement that could not cover all it had sent.
    asked: bool,
}

/// A sender's contiguous watermark.
#[derive(Debug, Default)]
pub struct Watermark(Mutex<Inner>);

impl Watermark {
    /// Counts a stanza that is safe at once.
    pub fn handled(&self) {
        let mut inner = self.0.lock();
        inner.received = inner.received.wrapping_add(1);
        if inner.window.is_empty() {
            inner.safe = inner.received;
        } else {
            inner.window.push_back(true);
        }
    }

    /// Counts a durable stanza and returns the number under which it is settled.
    pub fn wait(&self) -> u32 {
        let mut inner = self.0.lock();
        inner.received = inner.received.wrapping_add(1);
        inner.window.push_back(false);
        inner.received
    }

    /// The stanza that [`Watermark::wait`] numbered `seq` is safe. True when the client is to be
    /// told: it asked, and the answer was short.
    pub fn settle(&self, seq: u32) -> bool {
        let mut inner = self.0.lock();
        let index = seq.wrapping_sub(inner.safe).wrapping_sub(1) as usize;
        let Some(slot) = inner.window.get_mut(index) else { return false };
        *slot = true;
        let before = inner.safe;
        while inner.window.front() == Some(&true) {
            inner.window.pop_front();
            inner.safe = inner.safe.wrapping_add(1);
        }
        if inner.window.is_empty() {
            inner.window = VecDeque::new();
        }
        inner.safe != before && std::mem::take(&mut inner.asked)
    }

    /// The `h` of an `<a/>` now.
    pub fn report(&self) -> u32 {
        let mut inner = self.0.lock();
        inner.asked = inner.safe != inner.received;
        inner.safe
    }

    /// The `h` at a resumption. The client sends again what `h` does not cover, so it is counted
    /// anew; what settles meanwhile settles for the copy.
    pub fn restart(&self) -> u32 {
        let mut inner = self.0.lock();
        inner.received = inner.safe;
        inner.window = VecDeque::new();
        inner.asked = false;
        inner.safe
    }

    /// A session that another node began: its client's first `handled` stanzas are safe.
    pub fn go_on_from(&self, handled: u32) {
        let mut inner = self.0.lock();
        (inner.received, inner.safe) = (handled, handled);
    }

    /// Stanzas received whose safety is still open.
    pub fn open(&self) -> usize {
        self.0.lock().window.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stanzas_that_are_safe_at_once_are_reported_at_once() {
        let watermark = Watermark::default();
        watermark.handled();
        watermark.handled();
        assert_eq!(watermark.report(), 2);
    }

    #[test]
    fn h_stops_before_the_first_open_stanza() {
        let watermark = Watermark::default();
        let first = watermark.wait();
        let second = watermark.wait();
        watermark.handled();
        assert_eq!(watermark.report(), 0);
        assert!(!watermark.settle(second), "the first is still open");
        assert!(watermark.settle(first), "the client asked: tell it");
        assert_eq!(watermark.report(), 3);
    }

    #[test]
    fn settling_twice_changes_nothing() {
        let watermark = Watermark::default();
        let first = watermark.wait();
        let second = watermark.wait();
        watermark.settle(first);
        watermark.settle(first);
        assert_eq!(watermark.report(), 1);
        watermark.settle(second);
        assert_eq!(watermark.report(), 2);
    }

    #[test]
    fn what_comes_again_after_a_resumption_is_counted_once() {
        let watermark = Watermark::default();
        watermark.handled();
        let open = watermark.wait();
        watermark.handled();
        assert_eq!(watermark.restart(), 1);
        assert!(!watermark.settle(open), "nobody counts on it now");
        let again = watermark.wait();
        watermark.handled();
        assert_eq!((again, watermark.report()), (open, 1));
        assert!(watermark.settle(again));
        assert_eq!(watermark.report(), 3);
    }

    #[test]
    fn the_count_wraps() {
        let watermark = Watermark::default();
        {
            let mut inner = watermark.0.lock();
            inner.received = u32::MAX;
            inner.safe = u32::MAX;
        }
        let first = watermark.wait();
        let second = watermark.wait();
        watermark.settle(second);
        watermark.settle(first);
        assert_eq!(watermark.report(), 1);
    }
}
