//! Slows down who guesses passwords: a token bucket per address and one per account, kept as the
//! time at which the bucket will be full again (the generic cell rate algorithm).

use std::hash::Hash;
use std::net::IpAddr;
use std::time::Duration;

use compact_str::CompactString;

use super::generations::Generations;
use crate::clock::Timestamp;
use crate::host::HostId;
use crate::network::Network;

/// How many failures are borne.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Failures in a row that cost nothing but themselves.
    pub burst: u32,
    /// Time after which one failure is forgiven.
    pub refill: Duration,
}

/// Parameters of a [`LoginThrottle`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ThrottleLimits {
    pub address: Rate,
    /// Far above the address's: else anybody could lock out anybody.
    pub account: Rate,
    /// Addresses and accounts to remember, each.
    pub remembered: usize,
}

impl Default for ThrottleLimits {
    fn default() -> ThrottleLimits {
        ThrottleLimits {
            address: Rate { burst: 20, refill: Duration::from_secs(30) },
            account: Rate { burst: 100, refill: Duration::from_secs(30) },
            remembered: 50_000,
        }
    }
}

/// Too many failures; the peer may try again after this time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many failed logins, wait {} s", .0.as_secs() + 1)]
pub struct Throttled(pub Duration);

/// Failed logins by address and by account.
pub struct LoginThrottle {
    addresses: Buckets<Network>,
    accounts: Buckets<(HostId, CompactString)>,
}

impl LoginThrottle {
    pub fn new(limits: ThrottleLimits) -> LoginThrottle {
        LoginThrottle {
            addresses: Buckets::new(limits.address, limits.remembered),
            accounts: Buckets::new(limits.account, limits.remembered),
        }
    }

    /// Whether an attempt may be made now. Ask before any work is done for it.
    pub fn check(
        &mut self,
        address: IpAddr,
        host: HostId,
        username: &str,
        now: Timestamp,
    ) -> Result<(), Throttled> {
        self.addresses.check(&address.into(), now)?;
        self.accounts.check(&(host, username.into()), now)
    }

    /// Counts a failure.
    pub fn failed(&mut self, address: IpAddr, host: HostId, username: &str, now: Timestamp) {
        self.addresses.charge(address.into(), now);
        self.accounts.charge((host, username.into()), now);
    }

    /// Forgives the account. The address is not forgiven: who has one account would get an
    /// endless number of guesses at others.
    pub fn succeeded(&mut self, host: HostId, username: &str) {
        self.accounts.full_at.remove(&(host, username.into()));
    }
}

struct Buckets<K> {
    rate: Rate,
    full_at: Generations<K, Timestamp>,
}

impl<K: Hash + Eq> Buckets<K> {
    fn new(rate: Rate, remembered: usize) -> Buckets<K> {
        Buckets { rate, full_at: Generations::new(remembered) }
    }

    fn check(&mut self, key: &K, now: Timestamp) -> Result<(), Throttled> {
        let Some(full_at) = self.full_at.get(key) else { return Ok(()) };
        let debt = full_at.since(now);
        // One more failure must fit into the burst.
        let borne = self.rate.refill * self.rate.burst.saturating_sub(1);
        if debt > borne { Err(Throttled(debt - borne)) } else { Ok(()) }
    }

    fn charge(&mut self, key: K, now: Timestamp) {
        let full_at = self.full_at.get(&key).map_or(now, |at| (*at).max(now));
        // Attempts that were already under way must not add up to a lock without end.
        let most = now + self.rate.refill * self.rate.burst;
        self.full_at.insert(key, (full_at + self.rate.refill).min(most));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: HostId = HostId::FIRST;
    const LIMITS: ThrottleLimits = ThrottleLimits {
        address: Rate { burst: 3, refill: Duration::from_secs(10) },
        account: Rate { burst: 5, refill: Duration::from_secs(10) },
        remembered: 100,
    };

    fn address(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    #[test]
    fn an_address_gets_a_burst_and_then_one_per_refill() {
        let mut throttle = LoginThrottle::new(LIMITS);
        let mut now = Timestamp(0);
        for attempt in 0..3 {
            assert_eq!(throttle.check(address(1), HOST, "a", now), Ok(()), "{attempt}");
            throttle.failed(address(1), HOST, "a", now);
        }
        let blocked = Err(Throttled(Duration::from_secs(10)));
        // Whatever the name; another address is free.
        assert_eq!(throttle.check(address(1), HOST, "b", now), blocked);
        assert_eq!(throttle.check(address(2), HOST, "b", now), Ok(()));
        now = now + Duration::from_secs(10);
        assert_eq!(throttle.check(address(1), HOST, "a", now), Ok(()));
        throttle.failed(address(1), HOST, "a", now);
        assert_eq!(throttle.check(address(1), HOST, "a", now), blocked);
    }

    #[test]
    fn an_account_is_guarded_against_many_addresses_until_its_owner_comes() {
        let mut throttle = LoginThrottle::new(LIMITS);
        let now = Timestamp(0);
        for last in 0..5 {
            throttle.failed(address(last), HOST, "juliet", now);
        }
        assert!(throttle.check(address(99), HOST, "juliet", now).is_err());
        throttle.succeeded(HOST, "juliet");
        assert_eq!(throttle.check(address(99), HOST, "juliet", now), Ok(()));
    }

    #[test]
    fn a_flood_of_failures_does_not_lock_without_end() {
        let mut throttle = LoginThrottle::new(LIMITS);
        for _ in 0..1000 {
            throttle.failed(address(1), HOST, "a", Timestamp(0));
        }
        let later = Timestamp(0) + Duration::from_secs(50);
        assert_eq!(throttle.check(address(1), HOST, "a", later), Ok(()));
    }

    #[test]
    fn a_network_of_ipv6_counts_as_one() {
        let mut throttle = LoginThrottle::new(LIMITS);
        let neighbour = |n: u16| IpAddr::from([0x2001, 0xdb8, 0, 1, 0, 0, 0, n]);
        for n in 0..3 {
            throttle.failed(neighbour(n), HOST, "a", Timestamp(0));
        }
        assert!(throttle.check(neighbour(9), HOST, "b", Timestamp(0)).is_err());
    }
}
