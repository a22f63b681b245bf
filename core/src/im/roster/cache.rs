//! Rosters in memory, bounded in bytes.

use std::hash::BuildHasher;
use std::sync::Arc;

use hashbrown::{DefaultHashBuilder, HashMap};
use parking_lot::Mutex;

use super::{Key, Roster};

const SHARDS: usize = 16;

/// Two generations per shard: what is used moves to the young one; when the young one holds half
/// of the bound, the old one is dropped and the young one takes its place.
#[derive(Debug, Default)]
struct Shard {
    young: HashMap<Key, Arc<Roster>>,
    old: HashMap<Key, Arc<Roster>>,
    /// Octets in `young`.
    bytes: usize,
    /// Counts the changes, so that a roster read before one is not kept after it.
    changes: u64,
}

/// The rosters used last.
#[derive(Debug)]
pub struct Cache {
    shards: [Mutex<Shard>; SHARDS],
    hasher: DefaultHashBuilder,
    /// Octets per generation of a shard.
    limit: usize,
}

/// What the cache was like when reading began.
#[derive(Clone, Copy, Debug)]
pub struct Seen(u64);

impl Cache {
    /// `limit`: octets in all.
    pub fn new(limit: usize) -> Cache {
        Cache {
            shards: Default::default(),
            hasher: DefaultHashBuilder::default(),
            limit: limit / SHARDS / 2,
        }
    }

    fn shard(&self, key: Key) -> &Mutex<Shard> {
        &self.shards[(self.hasher.hash_one(key) >> 32) as usize % SHARDS]
    }

    pub fn get(&self, key: Key) -> Option<Arc<Roster>> {
        let mut shard = self.shard(key).lock();
        if let Some(roster) = shard.young.get(&key) {
            return Some(roster.clone());
        }
        let roster = shard.old.remove(&key)?;
        self.insert(&mut shard, key, roster.clone());
        Some(roster)
    }

    /// Taken before a roster is read from the database.
    pub fn look(&self, key: Key) -> Seen {
        Seen(self.shard(key).lock().changes)
    }

    /// Keeps a roster that was read, unless a change was made since `seen`.
    pub fn keep(&self, key: Key, roster: Arc<Roster>, seen: Seen) {
        let mut shard = self.shard(key).lock();
        if shard.changes == seen.0 {
            self.insert(&mut shard, key, roster);
        }
    }

    /// Keeps the outcome of a change. Changes of one account may arrive out of order.
    pub fn change(&self, key: Key, roster: Arc<Roster>) {
        let mut shard = self.shard(key).lock();
        shard.changes += 1;
        let known = shard.young.get(&key).or_else(|| shard.old.get(&key));
        if known.is_none_or(|known| known.version <= roster.version) {
            self.insert(&mut shard, key, roster);
        }
    }

    /// The account is gone.
    pub fn forget(&self, key: Key) {
        let mut shard = self.shard(key).lock();
        shard.changes += 1;
        let young = shard.young.remove(&key).map_or(0, |roster| roster.size());
        shard.bytes = shard.bytes.saturating_sub(young);
        shard.old.remove(&key);
    }

    /// Others may have changed anything.
    pub fn clear(&self) {
        for shard in &self.shards {
            let mut shard = shard.lock();
            *shard = Shard { changes: shard.changes + 1, ..Shard::default() };
        }
    }

    fn insert(&self, shard: &mut Shard, key: Key, roster: Arc<Roster>) {
        shard.bytes += roster.size();
        shard.old.remove(&key);
        if let Some(before) = shard.young.insert(key, roster) {
            shard.bytes = shard.bytes.saturating_sub(before.size());
        }
        if shard.bytes > self.limit {
            shard.old = std::mem::take(&mut shard.young);
            shard.bytes = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::{AccountId, HostId};

    fn key(account: i64) -> Key {
        Key { host: HostId::FIRST, account: AccountId(account) }
    }

    fn roster(version: i64) -> Arc<Roster> {
        Arc::new(Roster::new(version, Vec::new()))
    }

    #[test]
    fn a_roster_read_before_a_change_is_not_kept_after_it() {
        let cache = Cache::new(1 << 20);
        let seen = cache.look(key(1));
        cache.change(key(1), roster(2));
        cache.forget(key(1));
        cache.keep(key(1), roster(1), seen);
        assert!(cache.get(key(1)).is_none());
    }

    #[test]
    fn nothing_known_before_outlives_a_clearing() {
        let cache = Cache::new(1 << 20);
        cache.change(key(1), roster(1));
        let seen = cache.look(key(2));
        cache.clear();
        cache.keep(key(2), roster(1), seen);
        assert!(cache.get(key(1)).is_none() && cache.get(key(2)).is_none());
    }

    #[test]
    fn a_late_change_does_not_replace_a_newer_one() {
        let cache = Cache::new(1 << 20);
        cache.change(key(1), roster(3));
        cache.change(key(1), roster(2));
        assert_eq!(cache.get(key(1)).map(|roster| roster.version), Some(3));
    }

    #[test]
    fn the_cache_is_bounded_and_keeps_what_is_used() {
        let cache = Cache::new(SHARDS * 2 * 1000);
        for account in 0..10_000 {
            cache.change(key(account), roster(1));
            cache.change(key(-1), roster(1));
        }
        let kept = (0..10_000).filter(|account| cache.get(key(*account)).is_some()).count();
        assert!(kept < SHARDS * 2 * (1000 / size_of::<Roster>() + 2), "{kept} kept");
        assert!(cache.get(key(-1)).is_some());
    }
}
