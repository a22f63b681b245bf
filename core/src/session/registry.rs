//! Who is here: the sessions of every account, on this node and on others.

use std::hash::BuildHasher;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use compact_str::CompactString;
use hashbrown::{DefaultHashBuilder, Equivalent, HashMap};
use parking_lot::{Mutex, RwLock};
use smallvec::SmallVec;

use super::Shared;
use super::changes::Changes;
use super::elsewhere::{Losers, Peers};
use super::page::{Page, Window};
pub use super::remote::RemoteSession;
use crate::host::{AccountId, HostId};
use crate::jid::Jid;

const SHARDS: usize = 64;

/// One session of an account.
#[derive(Clone, Debug)]
pub enum Entry {
    Local(Arc<Shared>),
    Remote(Arc<RemoteSession>),
}

impl Entry {
    pub fn resource(&self) -> &str {
        match self {
            Entry::Local(session) => session.resource(),
            Entry::Remote(session) => session.resource(),
        }
    }

    /// The full address.
    pub fn jid(&self) -> &Jid {
        match self {
            Entry::Local(session) => &session.jid,
            Entry::Remote(session) => &session.jid,
        }
    }

    /// Is this session of this node.
    pub fn is(&self, session: &Arc<Shared>) -> bool {
        matches!(self, Entry::Local(own) if Arc::ptr_eq(own, session))
    }

    /// Can be handed stanzas at all.
    pub fn is_open(&self) -> bool {
        match self {
            Entry::Local(session) => !session.mailbox.is_closed(),
            Entry::Remote(session) => session.is_open(),
        }
    }

    pub fn priority(&self) -> i8 {
        match self {
            Entry::Local(session) => session.priority(),
            Entry::Remote(session) => session.priority,
        }
    }

    /// May get what is sent to the bare address (RFC 6121 §8.5.2).
    pub fn takes_messages(&self) -> bool {
        match self {
            Entry::Local(session) => session.takes_messages() && self.is_open(),
            Entry::Remote(session) => {
                session.is_available() && session.priority >= 0 && self.is_open()
            }
        }
    }

    pub fn is_available(&self) -> bool {
        match self {
            Entry::Local(session) => session.is_available(),
            Entry::Remote(session) => session.is_available(),
        }
    }

    /// Gets roster pushes (RFC 6121 §2.1.6).
    pub fn is_interested(&self) -> bool {
        match self {
            Entry::Local(session) => session.is_interested(),
            Entry::Remote(session) => session.is_interested(),
        }
    }

    /// Has a connection.
    pub fn is_connected(&self) -> bool {
        match self {
            Entry::Local(session) => session.is_connected(),
            Entry::Remote(session) => session.is_connected(),
        }
    }
}

/// Sessions of an account, as one look-up hands them out: no lock is held by it.
pub type Entries = SmallVec<[Entry; 2]>;

#[derive(Debug)]
pub(super) struct Account {
    /// Other nodes do not tell it with their sessions.
    pub id: Option<AccountId>,
    pub entries: SmallVec<[Entry; 1]>,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Key(pub HostId, pub CompactString);

#[derive(Hash)]
pub(super) struct KeyRef<'a>(pub HostId, pub &'a str);

impl std::hash::Hash for Key {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        KeyRef(self.0, &self.1).hash(state);
    }
}

impl Equivalent<Key> for KeyRef<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        self.0 == key.0 && self.1 == key.1
    }
}

pub(super) type Shard = RwLock<HashMap<Key, Account>>;

/// All sessions of the server. Lock order: `peers`, one shard at a time, `changes`; nothing else is
/// called under a guard.
#[derive(Debug)]
pub struct Registry {
    pub(super) shards: Box<[Shard]>,
    hasher: DefaultHashBuilder,
    /// XEP-0198: who may be resumed by which id.
    resumable: Mutex<HashMap<CompactString, Arc<Shared>>>,
    next_id: AtomicU64,
    local: AtomicUsize,
    pub(super) changes: Changes,
    pub(super) peers: Mutex<Peers>,
    pub(super) losers: Mutex<Losers>,
}

impl Default for Registry {
    fn default() -> Registry {
        Registry {
            shards: (0..SHARDS).map(|_| Shard::default()).collect(),
            hasher: DefaultHashBuilder::default(),
            resumable: Mutex::default(),
            next_id: AtomicU64::new(1),
            local: AtomicUsize::new(0),
            changes: Changes::default(),
            peers: Mutex::default(),
            losers: Mutex::default(),
        }
    }
}

/// What binding found at the resource.
#[derive(Debug)]
pub enum Bound {
    Free,
    /// The resource was taken; its session is no longer registered and is to be closed.
    Replaced(Entry),
    /// The resource was taken, and its session stays.
    Taken,
}

impl Registry {
    pub(super) fn shard(&self, host: HostId, local: &str) -> &Shard {
        let hash = self.hasher.hash_one(KeyRef(host, local));
        &self.shards[(hash >> 32) as usize % SHARDS]
    }

    /// A number for a new session.
    pub fn next_id(&self) -> u64 {
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }

    /// Sessions on this node.
    pub fn local_count(&self) -> usize {
        self.local.load(Ordering::Relaxed)
    }

    /// Registers a session; one that had the same resource goes.
    pub fn bind(&self, session: &Arc<Shared>) -> Bound {
        self.bind_unless(session, |_| false)
    }

    /// The same, unless `stays` says that the session which has the resource keeps it.
    pub fn bind_unless(&self, session: &Arc<Shared>, stays: impl FnOnce(&Entry) -> bool) -> Bound {
        let local = session.jid.local().unwrap_or_default();
        let mut shard = self.shard(session.host, local).write();
        let account = shard
            .entry(Key(session.host, local.into()))
            .or_insert_with(|| Account { id: None, entries: SmallVec::new() });
        let taken = account.entries.iter().position(|e| e.resource() == session.resource());
        if taken.is_some_and(|at| stays(&account.entries[at])) {
            return Bound::Taken;
        }
        // A recreated account never inherits the sessions of its predecessor.
        account.id = Some(session.account);
        let old = taken.map(|at| account.entries.swap_remove(at));
        account.entries.push(Entry::Local(session.clone()));
        let over = match &old {
            Some(Entry::Local(old)) => {
                self.changes.gone(old);
                None
            }
            Some(Entry::Remote(old)) => Some(old.standing()),
            None => None,
        };
        self.changes.bound(session, over);
        drop(shard);
        if !matches!(old, Some(Entry::Local(_))) {
            self.local.fetch_add(1, Ordering::Relaxed);
        }
        old.map_or(Bound::Free, Bound::Replaced)
    }

    /// Takes a session out. False when another one holds its place already.
    pub fn unbind(&self, session: &Arc<Shared>) -> bool {
        let local = session.jid.local().unwrap_or_default();
        let key = KeyRef(session.host, local);
        let mut shard = self.shard(session.host, local).write();
        let Some(account) = shard.get_mut(&key) else { return false };
        let Some(at) = account.entries.iter().position(|entry| entry.is(session)) else {
            return false;
        };
        account.entries.swap_remove(at);
        if account.entries.is_empty() {
            shard.remove(&key);
        }
        self.changes.gone(session);
        drop(shard);
        self.uncount();
        true
    }

    pub(super) fn uncount(&self) {
        self.local.fetch_sub(1, Ordering::Relaxed);
    }

    /// The session at a full address.
    pub fn resource(&self, host: HostId, local: &str, resource: &str) -> Option<Entry> {
        let shard = self.shard(host, local).read();
        let account = shard.get(&KeyRef(host, local))?;
        account.entries.iter().find(|e| e.resource() == resource).cloned()
    }

    /// What `choose` picks among an account's sessions, and the account's number if this node knows
    /// it; `None` when it has no session at all.
    pub fn select(
        &self,
        host: HostId,
        local: &str,
        choose: impl FnOnce(&[Entry]) -> Entries,
    ) -> Option<(Option<AccountId>, Entries)> {
        let shard = self.shard(host, local).read();
        let account = shard.get(&KeyRef(host, local))?;
        Some((account.id, choose(&account.entries)))
    }

    /// Remembers an account's number until the next session of it comes on another node.
    pub fn identify(&self, host: HostId, local: &str, id: AccountId) {
        let mut shard = self.shard(host, local).write();
        if let Some(account) = shard.get_mut(&KeyRef(host, local)) {
            account.id.get_or_insert(id);
        }
    }

    /// Number of the account's sessions.
    pub fn count(&self, host: HostId, local: &str) -> usize {
        let shard = self.shard(host, local).read();
        shard.get(&KeyRef(host, local)).map_or(0, |account| account.entries.len())
    }

    /// Every session on this node, in no order.
    pub fn each_local(&self, mut visit: impl FnMut(&Arc<Shared>)) {
        for shard in &self.shards {
            for entry in shard.read().values().flat_map(|account| &account.entries) {
                if let Entry::Local(session) = entry {
                    visit(session);
                }
            }
        }
    }

    /// A page of the sessions of all nodes for which `wanted` holds. All accounts are looked at, but
    /// what lies before or behind the page costs a comparison of names only.
    pub fn page(&self, window: Window<'_>, wanted: impl Fn(&Entry) -> bool) -> Vec<Entry> {
        let mut page = Page::new(window);
        for shard in &self.shards {
            let shard = shard.read();
            let covered = shard.iter().filter_map(|(Key(host, name), account)| {
                page.covers(*host, name).then_some(&account.entries)
            });
            for entry in covered.collect::<Vec<_>>().into_iter().flatten() {
                page.offer(entry, &wanted);
            }
        }
        page.into_sessions()
    }

    /// Every account of the host that has a session on some node, in no order.
    pub fn each_account(&self, host: HostId, mut visit: impl FnMut(&str)) {
        for shard in &self.shards {
            shard.read().keys().filter(|key| key.0 == host).for_each(|key| visit(&key.1));
        }
    }

    /// Lets the session be resumed by `token`.
    pub fn allow_resume(&self, token: CompactString, session: Arc<Shared>) {
        self.resumable.lock().insert(token, session);
    }

    /// The session that `token` may resume.
    pub fn resumable(&self, token: &str) -> Option<Arc<Shared>> {
        self.resumable.lock().get(token).cloned()
    }

    pub fn forget_resume(&self, token: &str) {
        self.resumable.lock().remove(token);
    }
}
