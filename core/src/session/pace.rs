//! How fast an account may send. Who is faster is read later; nothing is refused.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::{Entry, Registry};
use crate::host::{AccountId, HostId};
use crate::net::limits::{Rate, TokenBucket};

/// Seconds of the rate that may come at once: a client that was away has much to say.
const BURST_SECONDS: u32 = 10;

/// What an account may send in a second on average, in stanzas and in octets; 0 for any number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rates {
    pub stanzas: u32,
    pub octets: u32,
}

/// What an account has sent of late.
#[derive(Debug)]
pub struct Pace {
    /// Of stanzas, and of octets.
    buckets: Mutex<[TokenBucket; 2]>,
}

impl Default for Pace {
    fn default() -> Pace {
        let now = tokio::time::Instant::now().into_std();
        Pace { buckets: Mutex::new([TokenBucket::new(now); 2]) }
    }
}

impl Pace {
    /// The one of the account's other sessions on this node, or a new one.
    pub fn of(registry: &Registry, host: HostId, local: &str, account: AccountId) -> Arc<Pace> {
        let local_one = |entries: &[Entry]| {
            entries
                .iter()
                .find(|entry| matches!(entry, Entry::Local(_)))
                .cloned()
                .into_iter()
                .collect()
        };
        let found = registry.select(host, local, local_one);
        match found.as_ref().and_then(|(id, entries)| Some((*id, entries.first()?))) {
            Some((Some(id), Entry::Local(other))) if id == account => other.pace.clone(),
            _ => Arc::default(),
        }
    }

    /// Counts what was read already. Returns the pause until it is paid for.
    pub fn spend(&self, stanzas: u32, octets: usize, rates: Rates, now: Instant) -> Duration {
        let [of_stanzas, of_octets] = &mut *self.buckets.lock();
        let octets = u32::try_from(octets).unwrap_or(u32::MAX);
        let pause = of_stanzas.spend(stanzas, rate(rates.stanzas), now);
        pause.max(of_octets.spend(octets, rate(rates.octets), now))
    }
}

fn rate(per_second: u32) -> Rate {
    Rate { per_second, burst: per_second.saturating_mul(BURST_SECONDS) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATES: Rates = Rates { stanzas: 2, octets: 1000 };

    #[test]
    fn a_burst_is_free_and_what_exceeds_it_is_paid_in_time() {
        let (pace, now) = (Pace::default(), Instant::now());
        assert_eq!(pace.spend(20, 100, RATES, now), Duration::ZERO);
        assert_eq!(pace.spend(3, 100, RATES, now), Duration::from_millis(1500));
        assert_eq!(pace.spend(0, 10_800, RATES, now), Duration::from_millis(1500));
        assert_eq!(pace.spend(0, 1000, RATES, now), Duration::from_secs(2));
        assert_eq!(pace.spend(0, 0, RATES, now + Duration::from_secs(2)), Duration::ZERO);
    }

    #[test]
    fn without_rates_nothing_is_counted() {
        let (pace, now) = (Pace::default(), Instant::now());
        let off = Rates { stanzas: 0, octets: 0 };
        assert_eq!(pace.spend(u32::MAX, usize::MAX, off, now), Duration::ZERO);
        assert_eq!(pace.spend(1, 1, RATES, now), Duration::ZERO);
        let only_octets = Rates { stanzas: 0, ..RATES };
        assert_eq!(pace.spend(u32::MAX, 1, only_octets, now), Duration::ZERO);
    }
}
