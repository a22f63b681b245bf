//! When what was queued for other nodes leaves.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::yield_now;
use tokio::time::{Instant, timeout};

/// After a flush this recently, or when so many octets wait for one, whoever has something to say by now says
/// it before the next one: it is cheaper to send it together. When little is said, to wait would wake another
/// thread in vain.
const BUSY: Duration = Duration::from_micros(200);
const MUCH: usize = 4 * 1024;
/// A message that follows a flush within this time waits for another one, as long as it may linger: at some
/// hundred messages per second each would wake the other node for itself, which costs more than all the
/// rest of its way.
const RECENT: Duration = Duration::from_millis(4);
const LINGER: Duration = Duration::from_millis(3);
/// So many messages wait for no other one.
const COMPANY: usize = 2;

/// Whether what is queued may wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Haste {
    /// It may be one of many questions, each of which waits for the answer to the one before.
    Now,
    /// A message: a person reads it.
    Soon,
    /// An outcome, which goes along.
    None,
}

/// What waits for the next flush.
#[derive(Debug, Default)]
pub struct Flushing {
    octets: AtomicUsize,
    messages: AtomicUsize,
    /// There is something, or there is enough.
    changed: Notify,
}

impl Flushing {
    /// So many octets are queued from now on.
    pub fn queued(&self, octets: usize, haste: Haste) {
        let weight = match haste {
            Haste::Now => COMPANY,
            Haste::Soon => 1,
            Haste::None => 0,
        };
        let before = self.messages.fetch_add(weight, Ordering::AcqRel);
        let is_enough = before < COMPANY && before + weight >= COMPANY;
        let is_first = self.octets.fetch_add(octets.max(1), Ordering::AcqRel) == 0;
        if is_first || is_enough {
            self.changed.notify_one();
        }
    }

    /// Resolves when it is time for a flush: the caller flushes at once. The one before was at `last`.
    pub async fn due(&self, last: Instant) {
        // What it was woken for may have left with the flush before.
        while self.octets.load(Ordering::Acquire) == 0 {
            self.changed.notified().await;
        }
        self.wait(last.elapsed()).await;
        self.messages.store(0, Ordering::Release);
        // What was queued by who did not wake this is seen by the flush.
        self.octets.swap(0, Ordering::AcqRel);
    }

    /// For whatever comes so soon that it is worth it, when the last flush was `ago`.
    async fn wait(&self, ago: Duration) {
        if self.octets.load(Ordering::Acquire) >= MUCH || ago < BUSY {
            yield_now().await;
        } else if ago < RECENT {
            // Without company it goes alone.
            let _ = timeout(LINGER, self.company()).await;
        }
    }

    async fn company(&self) {
        while self.messages.load(Ordering::Acquire) < COMPANY {
            self.changed.notified().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::poll;

    use super::*;

    const RECENTLY: Duration = Duration::from_millis(1);

    /// Whether all of this is flushed at once, or waits, when the last flush was `ago`.
    async fn waits(ago: Duration, queued: &[(usize, Haste)]) -> bool {
        let flushing = Flushing::default();
        queued.iter().for_each(|(octets, haste)| flushing.queued(*octets, *haste));
        let mut wait = std::pin::pin!(flushing.wait(ago));
        poll!(&mut wait).is_pending()
    }

    #[tokio::test]
    async fn what_comes_after_a_pause_leaves_at_once() {
        for haste in [Haste::Now, Haste::Soon, Haste::None] {
            assert!(!waits(RECENT, &[(300, haste)]).await, "{haste:?}");
        }
    }

    #[tokio::test]
    async fn a_message_right_behind_another_one_waits_for_company() {
        assert!(waits(RECENTLY, &[(300, Haste::Soon)]).await);
        assert!(waits(RECENTLY, &[(300, Haste::Soon), (40, Haste::None)]).await, "is no company");
        assert!(!waits(RECENTLY, &[(300, Haste::Soon), (300, Haste::Soon)]).await);
        let flushing = Flushing::default();
        flushing.queued(300, Haste::Soon);
        let mut wait = std::pin::pin!(flushing.wait(RECENTLY));
        assert!(poll!(&mut wait).is_pending());
        flushing.queued(300, Haste::Soon);
        assert!(poll!(&mut wait).is_ready());
    }

    #[tokio::test]
    async fn a_message_goes_without_company_in_the_end() {
        let flushing = Flushing::default();
        flushing.queued(300, Haste::Soon);
        flushing.wait(RECENTLY).await;
    }

    #[tokio::test]
    async fn who_waits_for_an_answer_waits_for_no_company() {
        assert!(!waits(RECENTLY, &[(300, Haste::Now)]).await);
        assert!(!waits(RECENTLY, &[(300, Haste::Soon), (300, Haste::Now)]).await);
    }

    #[tokio::test]
    async fn much_waits_for_a_turn_and_no_longer() {
        for (ago, octets) in [(RECENTLY, MUCH), (Duration::ZERO, 300)] {
            let flushing = Flushing::default();
            flushing.queued(octets, Haste::Soon);
            let mut wait = std::pin::pin!(flushing.wait(ago));
            assert!(poll!(&mut wait).is_pending());
            assert!(poll!(&mut wait).is_ready());
        }
    }

    #[tokio::test]
    async fn what_left_is_not_flushed_again() {
        let flushing = Flushing::default();
        let mut due = std::pin::pin!(flushing.due(Instant::now()));
        assert!(poll!(&mut due).is_pending());
        flushing.queued(300, Haste::Soon);
        flushing.queued(300, Haste::Soon);
        due.await;
        let next = flushing.due(Instant::now());
        assert!(poll!(std::pin::pin!(next)).is_pending());
    }
}
