//! Last presences on their way into the database, so that who asks at once is told the newest.

use std::sync::Arc;

use bytes::Bytes;
use hashbrown::HashMap;
use parking_lot::Mutex;

use crate::clock::Timestamp;
use crate::im::roster::Key;

/// When and with which stanza accounts went whose rows are not committed yet. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Endings(Arc<Mutex<HashMap<Key, (Timestamp, Bytes)>>>);

impl Endings {
    pub fn get(&self, key: Key) -> Option<(Timestamp, Bytes)> {
        self.0.lock().get(&key).cloned()
    }

    pub fn put(&self, key: Key, ended: Timestamp, stanza: Bytes) {
        self.0.lock().insert(key, (ended, stanza));
    }

    /// The row is committed, or never will be. A later one stays.
    pub fn saved(&self, key: Key, ended: Timestamp) {
        let mut endings = self.0.lock();
        if endings.get(&key).is_some_and(|(newest, _)| *newest <= ended) {
            endings.remove(&key);
        }
    }
}
