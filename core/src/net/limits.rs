//! How many connections an address may have, and how fast anything may come.
//!
//! Time is a parameter. Memory is bounded by the connections that are open, or by a given number of
//! addresses.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::network::Network;

/// Counts the connections per network that are not authenticated yet (ATTACKS: connection hoarding).
#[derive(Default)]
pub struct Unauthenticated {
    counts: Mutex<HashMap<Network, u32>>,
}

/// One counted connection; dropped when it ends or authenticates.
pub struct Counted {
    /// `None` where nothing is counted.
    table: Option<(Arc<Unauthenticated>, Network)>,
}

impl Unauthenticated {
    /// Counts a connection from `address`; `None` if `cap` are there already. A `cap` of 0 is off.
    pub fn admit(self: &Arc<Self>, address: IpAddr, cap: u32) -> Option<Counted> {
        if cap == 0 {
            return Some(Counted { table: None });
        }
        let network = Network::from(address);
        let mut counts = self.counts.lock();
        let count = counts.entry(network).or_insert(0);
        if *count >= cap {
            return None;
        }
        *count += 1;
        Some(Counted { table: Some((self.clone(), network)) })
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let Some((table, network)) = &self.table else { return };
        let mut counts = table.counts.lock();
        if let Some(count) = counts.get_mut(network) {
            *count -= 1;
            if *count == 0 {
                counts.remove(network);
            }
        }
    }
}

const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// A permitted rate: `per_second` units on average, `burst` units at once. A `per_second` of 0 is off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    pub per_second: u32,
    pub burst: u32,
}

impl Rate {
    fn cost(self, units: u32) -> Duration {
        // One division, as each message is counted; the product of any u32 fits.
        Duration::from_nanos(u64::from(units) * NANOS_PER_SECOND / u64::from(self.per_second))
    }
}

/// A token bucket, kept as the moment at which it will be full again. The rate is given at each call,
/// so that a changed setting counts at once.
#[derive(Clone, Copy, Debug)]
pub struct TokenBucket {
    full_at: Instant,
}

impl TokenBucket {
    /// A full bucket.
    pub fn new(now: Instant) -> TokenBucket {
        TokenBucket { full_at: now }
    }

    /// Takes `units` if they are there. Otherwise takes nothing and returns how long until they are
    /// (never, if `units` is more than the burst).
    pub fn try_take(&mut self, units: u32, rate: Rate, now: Instant) -> Result<(), Duration> {
        if rate.per_second == 0 {
            return Ok(());
        }
        let full_at = self.full_at.max(now) + rate.cost(units);
        let too_early = (full_at - now).saturating_sub(rate.cost(rate.burst));
        if too_early > Duration::ZERO {
            return Err(too_early);
        }
        self.full_at = full_at;
        Ok(())
    }

    /// Takes `units` that were used already, going into debt if need be. Returns the pause until the
    /// debt is paid: the caller reads nothing before.
    pub fn spend(&mut self, units: u32, rate: Rate, now: Instant) -> Duration {
        if rate.per_second == 0 {
            return Duration::ZERO;
        }
        self.full_at = self.full_at.max(now) + rate.cost(units);
        (self.full_at - now).saturating_sub(rate.cost(rate.burst))
    }

    fn is_full(&self, now: Instant) -> bool {
        self.full_at <= now
    }
}

/// A rate per network, for at most `capacity` networks that are not at rest.
pub struct NetworkRates {
    capacity: usize,
    buckets: Mutex<Buckets>,
}

struct Buckets {
    own: HashMap<Network, TokenBucket>,
    /// Shared by those who find the table full.
    common: TokenBucket,
}

impl NetworkRates {
    /// An empty table.
    pub fn new(capacity: usize, now: Instant) -> NetworkRates {
        let buckets = Buckets { own: HashMap::new(), common: TokenBucket::new(now) };
        NetworkRates { capacity, buckets: Mutex::new(buckets) }
    }

    /// [`TokenBucket::try_take`] from the bucket of `address`.
    pub fn try_take(
        &self,
        address: IpAddr,
        units: u32,
        rate: Rate,
        now: Instant,
    ) -> Result<(), Duration> {
        let mut buckets = self.buckets.lock();
        buckets.of(address.into(), self.capacity, now).try_take(units, rate, now)
    }
}

impl Buckets {
    fn of(&mut self, network: Network, capacity: usize, now: Instant) -> &mut TokenBucket {
        if self.own.len() >= capacity && !self.own.contains_key(&network) {
            self.make_room(now);
            if self.own.len() >= capacity {
                return &mut self.common;
            }
        }
        self.own.entry(network).or_insert_with(|| TokenBucket::new(now))
    }

    /// A full bucket says no more than none. While nothing is at rest the whole table is searched in
    /// vain at most once per unit that the common bucket has left to give.
    fn make_room(&mut self, now: Instant) {
        if self.common.is_full(now) {
            self.own.retain(|_, bucket| !bucket.is_full(now));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEN: Rate = Rate { per_second: 10, burst: 20 };

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn start() -> Instant {
        tokio::time::Instant::now().into_std()
    }

    #[test]
    fn a_network_has_no_more_than_its_cap() {
        let table = Arc::new(Unauthenticated::default());
        let romeo = address("192.0.2.1");
        let first = table.admit(romeo, 2).unwrap();
        let _second = table.admit(address("::ffff:192.0.2.1"), 2).unwrap();
        assert!(table.admit(romeo, 2).is_none());
        assert!(table.admit(address("192.0.2.2"), 2).is_some());
        drop(first);
        assert!(table.admit(romeo, 2).is_some());
    }

    #[test]
    fn an_ipv6_network_is_one() {
        let table = Arc::new(Unauthenticated::default());
        let _one = table.admit(address("2001:db8::1"), 1).unwrap();
        assert!(table.admit(address("2001:db8::2"), 1).is_none());
        assert!(table.admit(address("2001:db8:0:1::1"), 1).is_some());
    }

    #[test]
    fn nothing_is_kept_for_who_left_or_is_not_counted() {
        let table = Arc::new(Unauthenticated::default());
        drop(table.admit(address("192.0.2.1"), 1));
        let _uncounted = table.admit(address("192.0.2.1"), 0).unwrap();
        assert!(table.counts.lock().is_empty());
    }

    #[test]
    fn a_bucket_gives_its_burst_and_then_its_rate() {
        let now = start();
        let mut bucket = TokenBucket::new(now);
        assert_eq!(bucket.try_take(20, TEN, now), Ok(()));
        assert_eq!(bucket.try_take(1, TEN, now), Err(Duration::from_millis(100)));
        assert_eq!(bucket.try_take(1, TEN, now + Duration::from_millis(100)), Ok(()));
        let rested = now + Duration::from_secs(3600);
        assert_eq!(bucket.try_take(20, TEN, rested), Ok(()));
        assert!(bucket.try_take(1, TEN, rested).is_err());
    }

    #[test]
    fn a_debt_is_paid_by_waiting() {
        let now = start();
        let mut bucket = TokenBucket::new(now);
        assert_eq!(bucket.spend(20, TEN, now), Duration::ZERO);
        assert_eq!(bucket.spend(30, TEN, now), Duration::from_secs(3));
        assert_eq!(bucket.spend(0, TEN, now + Duration::from_secs(3)), Duration::ZERO);
    }

    #[test]
    fn a_rate_of_zero_is_no_limit() {
        let now = start();
        let off = Rate { per_second: 0, burst: 0 };
        let mut bucket = TokenBucket::new(now);
        assert_eq!(bucket.try_take(u32::MAX, off, now), Ok(()));
        assert_eq!(bucket.spend(u32::MAX, off, now), Duration::ZERO);
    }

    #[test]
    fn the_table_of_rates_is_bounded_and_forgets_who_is_at_rest() {
        let now = start();
        let one = Rate { per_second: 1, burst: 1 };
        let rates = NetworkRates::new(2, now);
        for host in 1..=2u32 {
            rates.try_take(IpAddr::V4(host.into()), 1, one, now).unwrap();
        }
        assert!(
            rates.try_take(IpAddr::V4(3.into()), 1, one, now).is_ok(),
            "from the common bucket"
        );
        assert!(rates.try_take(IpAddr::V4(4.into()), 1, one, now).is_err(), "which is shared");
        let rested = now + Duration::from_secs(2);
        assert!(rates.try_take(IpAddr::V4(4.into()), 1, one, rested).is_ok());
        assert_eq!(rates.buckets.lock().own.len(), 1);
    }
}
