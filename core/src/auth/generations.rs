//! A map of bounded size that forgets what was not used for longest, in constant time: entries are
//! young or old; when the young half is full it becomes the old half, and the old half is dropped.

use std::hash::Hash;

use hashbrown::HashMap;

pub struct Generations<K, V> {
    young: HashMap<K, V>,
    old: HashMap<K, V>,
    /// Entries of one half.
    half: usize,
}

impl<K: Hash + Eq, V> Generations<K, V> {
    /// Holds at most `capacity` entries, and the last `capacity / 2` used ones for certain.
    pub fn new(capacity: usize) -> Generations<K, V> {
        Generations { young: HashMap::new(), old: HashMap::new(), half: (capacity / 2).max(1) }
    }

    /// The value, which counts as used.
    pub fn get(&mut self, key: &K) -> Option<&mut V> {
        if let Some((key, value)) = self.old.remove_entry(key) {
            self.insert(key, value);
        }
        self.young.get_mut(key)
    }

    pub fn insert(&mut self, key: K, value: V) {
        self.old.remove(&key);
        if self.young.len() >= self.half && !self.young.contains_key(&key) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, value);
    }

    pub fn remove(&mut self, key: &K) {
        self.young.remove(key);
        self.old.remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_stays_and_the_size_is_bounded() {
        let mut map = Generations::new(10);
        for key in 0..100 {
            map.insert(key, key * 2);
            // Asked for all the time, so never dropped.
            assert_eq!(map.get(&0), Some(&mut 0));
            assert!(map.young.len() + map.old.len() <= 10);
        }
        assert_eq!(map.get(&50), None);
        assert_eq!(map.get(&99), Some(&mut 198));
        map.remove(&99);
        assert_eq!(map.get(&99), None);
    }
}
