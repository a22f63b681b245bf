//! The one retry helper: delays that double up to a cap, jittered so that many who failed together
//! do not come back together.

use std::time::Duration;

/// Delays between attempts of one operation. Pure: the caller sleeps, and hands in the randomness.
#[derive(Clone, Debug)]
pub struct Backoff {
    first: Duration,
    cap: Duration,
    attempt: u32,
}

impl Backoff {
    /// Starts at `first` and never waits longer than `cap`.
    pub fn new(first: Duration, cap: Duration) -> Backoff {
        Backoff { first: first.min(cap), cap, attempt: 0 }
    }

    /// The delay before the next attempt: between half of the doubled delay and all of it.
    /// `random` is any evenly distributed number.
    pub fn next_delay(&mut self, random: u64) -> Duration {
        let full = self.first.saturating_mul(1 << self.attempt.min(30)).min(self.cap);
        self.attempt = self.attempt.saturating_add(1);
        let half = full / 2;
        half + half.mul_f64(random as f64 / u64::MAX as f64)
    }

    /// How many delays were handed out since the start or the last success.
    pub fn attempts(&self) -> u32 {
        self.attempt
    }

    /// The operation succeeded: the next failure starts small again.
    pub fn reset(&mut self) {
        self.attempt = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    #[test]
    fn doubles_up_to_the_cap() {
        let mut backoff = Backoff::new(seconds(1), seconds(5));
        let delays: Vec<_> = (0..5).map(|_| backoff.next_delay(u64::MAX)).collect();
        assert_eq!(delays, [1, 2, 4, 5, 5].map(seconds));
    }

    #[test]
    fn jitter_takes_away_at_most_half() {
        let mut backoff = Backoff::new(seconds(4), seconds(4));
        assert_eq!(backoff.next_delay(0), seconds(2));
        assert_eq!(backoff.next_delay(u64::MAX / 2), seconds(3));
        assert_eq!(backoff.next_delay(u64::MAX), seconds(4));
    }

    #[test]
    fn success_starts_over() {
        let mut backoff = Backoff::new(seconds(1), seconds(60));
        backoff.next_delay(0);
        backoff.next_delay(0);
        assert_eq!(backoff.attempts(), 2);
        backoff.reset();
        assert_eq!(backoff.next_delay(u64::MAX), seconds(1));
    }

    #[test]
    fn thousands_of_failures_do_not_overflow() {
        let mut backoff = Backoff::new(seconds(1), seconds(60));
        for _ in 0..5000 {
            assert!(backoff.next_delay(u64::MAX) <= seconds(60));
        }
    }

    #[test]
    fn a_first_delay_above_the_cap_is_cut() {
        assert_eq!(Backoff::new(seconds(9), seconds(2)).next_delay(u64::MAX), seconds(2));
    }
}
