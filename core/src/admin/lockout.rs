//! Whoever sent too many wrong secrets waits before he may try again: an address, or an account for
//! which they were sent.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

use parking_lot::Mutex;

use crate::network::Network;

/// Wrong secrets before an address has to wait.
const ALLOWED: u32 = 10;
/// The first wait; each further failure doubles it.
const FIRST_WAIT: Duration = Duration::from_secs(30);
const LONGEST_WAIT: Duration = Duration::from_secs(3600);
/// As many are remembered; above it those whose wait is over go first.
const REMEMBERED: usize = 4096;

/// Failures per address, or per whatever `Who` is. Times are on the monotonic clock of the caller.
#[derive(Debug)]
pub struct Lockout<Who = Network>(Mutex<HashMap<Who, Failures>>);

impl<Who> Default for Lockout<Who> {
    fn default() -> Lockout<Who> {
        Lockout(Mutex::default())
    }
}

#[derive(Clone, Copy, Debug)]
struct Failures {
    count: u32,
    last: Duration,
}

impl Failures {
    /// When the address may try again.
    fn until(self) -> Duration {
        let over = self.count.saturating_sub(ALLOWED);
        if over == 0 {
            return Duration::ZERO;
        }
        let wait = FIRST_WAIT.saturating_mul(1 << (over - 1).min(16)).min(LONGEST_WAIT);
        self.last + wait
    }

    fn is_forgotten(self, now: Duration) -> bool {
        now >= self.last + LONGEST_WAIT && now >= self.until()
    }
}

impl<Who: Clone + Eq + Hash> Lockout<Who> {
    /// How long he still has to wait; `None`: he may try.
    pub fn wait(&self, who: impl Into<Who>, now: Duration) -> Option<Duration> {
        let failures = self.0.lock().get(&who.into()).copied()?;
        failures.until().checked_sub(now).filter(|wait| !wait.is_zero())
    }

    /// A wrong secret came.
    pub fn failed(&self, who: impl Into<Who>, now: Duration) {
        let mut known = self.0.lock();
        if known.len() >= REMEMBERED {
            known.retain(|_, failures| !failures.is_forgotten(now));
        }
        if known.len() >= REMEMBERED {
            let oldest = known.iter().min_by_key(|(_, failures)| failures.last);
            if let Some(oldest) = oldest.map(|(who, _)| who.clone()) {
                known.remove(&oldest);
            }
        }
        let failures = known.entry(who.into()).or_insert(Failures { count: 0, last: now });
        if failures.is_forgotten(now) {
            failures.count = 0;
        }
        failures.count = failures.count.saturating_add(1);
        failures.last = now;
    }

    /// A right secret came.
    pub fn succeeded(&self, who: impl Into<Who>) {
        self.0.lock().remove(&who.into());
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    const NOW: Duration = Duration::from_secs(1_000_000);

    fn address(text: &str) -> IpAddr {
        text.parse().expect("address")
    }

    fn fail(lockout: &Lockout, from: &str, times: u32) {
        (0..times).for_each(|_| lockout.failed(address(from), NOW));
    }

    #[test]
    fn some_failures_are_allowed() {
        let lockout = Lockout::<Network>::default();
        fail(&lockout, "192.0.2.1", ALLOWED);
        assert_eq!(lockout.wait(address("192.0.2.1"), NOW), None);
        fail(&lockout, "192.0.2.1", 1);
        assert_eq!(lockout.wait(address("192.0.2.1"), NOW), Some(FIRST_WAIT));
        assert_eq!(lockout.wait(address("192.0.2.2"), NOW), None);
        assert_eq!(lockout.wait(address("192.0.2.1"), NOW + FIRST_WAIT), None);
    }

    #[test]
    fn each_further_failure_doubles_the_wait_up_to_a_cap() {
        let lockout = Lockout::<Network>::default();
        fail(&lockout, "192.0.2.1", ALLOWED + 2);
        assert_eq!(lockout.wait(address("192.0.2.1"), NOW), Some(FIRST_WAIT * 2));
        fail(&lockout, "192.0.2.1", 100);
        assert_eq!(lockout.wait(address("192.0.2.1"), NOW), Some(LONGEST_WAIT));
    }

    #[test]
    fn success_and_time_forgive() {
        let lockout = Lockout::<Network>::default();
        fail(&lockout, "192.0.2.1", ALLOWED + 1);
        lockout.succeeded(address("192.0.2.1"));
        assert_eq!(lockout.wait(address("192.0.2.1"), NOW), None);
        fail(&lockout, "192.0.2.1", ALLOWED + 1);
        let later = NOW + LONGEST_WAIT;
        lockout.failed(address("192.0.2.1"), later);
        assert_eq!(lockout.wait(address("192.0.2.1"), later), None);
    }

    #[test]
    fn ipv6_counts_by_network_and_mapped_as_ipv4() {
        let lockout = Lockout::<Network>::default();
        fail(&lockout, "2001:db8::1", ALLOWED + 1);
        assert!(lockout.wait(address("2001:db8::2"), NOW).is_some());
        assert!(lockout.wait(address("2001:db8:0:1::1"), NOW).is_none());
        fail(&lockout, "::ffff:192.0.2.1", ALLOWED + 1);
        assert!(lockout.wait(address("192.0.2.1"), NOW).is_some());
    }

    #[test]
    fn memory_is_bounded() {
        let lockout = Lockout::<Network>::default();
        for n in 0..REMEMBERED as u32 + 10 {
            lockout.failed(IpAddr::V4(n.into()), NOW + Duration::from_millis(n.into()));
        }
        assert_eq!(lockout.0.lock().len(), REMEMBERED);
    }
}
