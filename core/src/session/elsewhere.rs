//! The registry's part about other nodes: what they tell of their sessions, and what they are told of
//! ours.

use std::sync::Arc;

use hashbrown::{HashMap, HashSet};
use smallvec::SmallVec;
use tokio::sync::oneshot::{self, error::TryRecvError};

use super::changes;
use super::mailbox::Order;
use super::registry::{Account, Entry, Key, KeyRef, Registry};
use super::remote::{Delta, Node, RemoteSession};
use crate::clock::Clock;
use crate::host::HostId;
use crate::jid::Jid;

/// Runs of nodes that are remembered as gone, so that a late word does not bring them back.
const MAX_GONE: usize = 1024;

/// How far the changes of other nodes are known.
#[derive(Debug, Default)]
pub(super) struct Peers {
    /// The number of the change that is wanted next.
    next: HashMap<Node, u64>,
    gone: HashSet<Node>,
}

/// Sessions that lost their resource to another node, as long as they have not ended: that node may
/// ask for it.
#[derive(Debug, Default)]
pub(super) struct Losers(HashMap<u64, oneshot::Receiver<()>>);

impl Losers {
    fn add(&mut self, session: u64, over: oneshot::Receiver<()>) {
        // It is told by being dropped.
        self.0.retain(|_, over| matches!(over.try_recv(), Err(TryRecvError::Empty)));
        self.0.insert(session, over);
    }
}

/// The name of a host.
pub type Domain<'a> = &'a dyn Fn(HostId) -> Option<Jid>;

impl Registry {
    /// This node belongs to a cluster from now on. Its sessions are its first changes.
    pub fn join(&self, me: Node, epoch: i64, clock: Clock) {
        self.changes.start(me, epoch, clock);
        // Whoever is bound meanwhile tells it himself; to tell it twice does no harm.
        for shard in &self.shards {
            for entry in shard.read().values().flat_map(|account| &account.entries) {
                if let Entry::Local(session) = entry {
                    self.changes.changed(session);
                }
            }
        }
    }

    /// What is bound from now on belongs to another view.
    pub fn set_epoch(&self, epoch: i64) {
        self.changes.set_epoch(epoch);
    }

    /// This node is alone again: forgets all others.
    pub fn part(&self) {
        self.changes.stop();
        *self.peers.lock() = Peers::default();
        self.remove_remote(|_| true);
    }

    /// There are, or may be, other nodes.
    pub fn is_clustered(&self) -> bool {
        self.changes.is_on()
    }

    /// The end of a session of this node that lost its resource to another one; `None` when it is
    /// known to nobody any more.
    pub fn loser(&self, session: u64) -> Option<oneshot::Receiver<()>> {
        self.losers.lock().0.remove(&session)
    }

    /// Something about a session of this node changed that others see.
    pub fn changed(&self, session: &Arc<super::Shared>) {
        if !self.changes.is_on() {
            return;
        }
        let local = session.jid.local().unwrap_or_default();
        let shard = self.shard(session.host, local).read();
        let account = shard.get(&KeyRef(session.host, local));
        // Under the lock, so that nothing follows its end.
        if account.is_some_and(|account| account.entries.iter().any(|entry| entry.is(session))) {
            self.changes.changed(session);
        }
    }

    /// Resolves when there is something to tell others.
    pub async fn has_changes(&self) {
        self.changes.wake.notified().await;
    }

    /// What others were not told yet, and the number of its first.
    pub fn take_changes(&self) -> Option<(u64, Vec<Delta>)> {
        self.changes.take()
    }

    /// All sessions of this node, and the number of the last change that is in it. Later ones may be
    /// in it, too: they do no harm when they come again.
    pub fn directory(&self) -> (u64, Vec<Delta>) {
        let seq = self.changes.seq();
        let mut sessions = Vec::with_capacity(self.local_count());
        self.each_local(|session| sessions.push(self.changes.delta(session)));
        (seq, sessions)
    }

    /// Takes the changes `seq`, `seq + 1`, … of another node's sessions and answers the number that is
    /// wanted next. What is known already is passed over; with a gap before it nothing is taken.
    pub fn apply(&self, node: Node, seq: u64, deltas: &[Delta], domain: Domain<'_>) -> u64 {
        let end = seq + deltas.len() as u64;
        let mut peers = self.peers.lock();
        if peers.gone.contains(&node) {
            return end;
        }
        let next = peers.next.entry(node).or_insert(1);
        if seq > *next {
            return *next;
        }
        let known = (*next - seq) as usize;
        for delta in deltas.iter().skip(known) {
            self.take(node, delta, domain);
        }
        *next = end.max(*next);
        *next
    }

    /// Takes all sessions of a node, as of its change `seq`, and answers the number that is wanted
    /// next. What is older than the changes that are known is passed over.
    pub fn replace(&self, node: Node, seq: u64, sessions: &[Delta], domain: Domain<'_>) -> u64 {
        let mut peers = self.peers.lock();
        if peers.gone.contains(&node) {
            return seq + 1;
        }
        if let Some(next) = peers.next.get(&node).filter(|next| **next > seq + 1) {
            return *next;
        }
        let there: HashSet<u64> = sessions.iter().map(|session| session.session).collect();
        self.remove_remote(|session| session.node == node && !there.contains(&session.session));
        for session in sessions {
            self.take(node, session, domain);
        }
        peers.next.insert(node, seq + 1);
        seq + 1
    }

    /// What is known of a node's sessions, in no order, and the number of the change that is wanted next.
    pub fn known(&self, node: Node) -> (u64, Vec<Delta>) {
        // No change comes between.
        let peers = self.peers.lock();
        let mut known = Vec::new();
        for shard in &self.shards {
            for (Key(host, name), account) in shard.read().iter() {
                let of_node = account.entries.iter().filter_map(|entry| match entry {
                    Entry::Remote(session) if session.node == node => Some(session),
                    Entry::Remote(_) | Entry::Local(_) => None,
                });
                known.extend(of_node.map(|session| Delta {
                    gone: false,
                    host: changes::number(*host),
                    account: name.clone(),
                    resource: session.resource().into(),
                    session: session.session,
                    epoch: session.epoch,
                    bound_ms: session.bound_ms,
                    priority: session.priority,
                    flags: session.flags,
                }));
            }
        }
        (peers.next.get(&node).copied().unwrap_or(1), known)
    }

    /// Forgets a run of a node and hands out the sessions that it had.
    pub fn drop_node(&self, node: Node) -> Vec<Arc<RemoteSession>> {
        let mut peers = self.peers.lock();
        peers.next.remove(&node);
        if peers.gone.len() >= MAX_GONE {
            peers.gone.clear();
        }
        peers.gone.insert(node);
        self.remove_remote(|session| session.node == node)
    }

    /// Stanzas for the node's sessions find their way again.
    pub fn reopen(&self, node: Node) {
        self.each(|session| match session {
            Entry::Remote(session) if session.node == node => session.reopen(),
            Entry::Remote(_) | Entry::Local(_) => {}
        });
    }

    /// Every session on all nodes, in no order.
    pub fn each(&self, mut visit: impl FnMut(&Entry)) {
        for shard in &self.shards {
            shard.read().values().flat_map(|account| &account.entries).for_each(&mut visit);
        }
    }

    fn remove_remote(&self, unwanted: impl Fn(&RemoteSession) -> bool) -> Vec<Arc<RemoteSession>> {
        let mut removed = Vec::new();
        for shard in &self.shards {
            shard.write().retain(|_, account| {
                account.entries.retain(|entry| match entry {
                    Entry::Remote(session) if unwanted(session) => {
                        removed.push(session.clone());
                        false
                    }
                    _ => true,
                });
                !account.entries.is_empty()
            });
        }
        removed
    }

    fn take(&self, node: Node, delta: &Delta, domain: Domain<'_>) {
        let host = changes::host(delta.host);
        if delta.gone {
            return self.take_end(node, host, delta);
        }
        self.changes.observe(delta.bound_ms);
        let address = |domain: Jid| {
            Jid::from_parts(Some(&delta.account), domain.as_str(), Some(&delta.resource)).ok()
        };
        let Some(jid) = domain(host).and_then(address) else { return };
        let remote = Arc::new(RemoteSession::new(node, jid, delta));
        let mut shard = self.shard(host, &delta.account).write();
        let account = shard
            .entry(Key(host, delta.account.clone()))
            .or_insert_with(|| Account { id: None, entries: SmallVec::new() });
        if !account.entries.iter().any(|entry| matches!(entry, Entry::Local(_))) {
            // It may have been created anew.
            account.id = None;
        }
        let there = account.entries.iter_mut().find(|e| e.resource() == delta.resource);
        let Some(there) = there else { return account.entries.push(Entry::Remote(remote)) };
        let keeps = match there {
            Entry::Remote(old) if old.node == node && old.session == remote.session => false,
            Entry::Remote(old) => old.standing() > remote.standing(),
            Entry::Local(own) => self.changes.standing(own) > remote.standing(),
        };
        if keeps {
            return;
        }
        if let Entry::Local(loser) = std::mem::replace(there, Entry::Remote(remote)) {
            self.changes.gone(&loser);
            self.uncount();
            drop(shard);
            tracing::info!(jid = %loser.jid, "the resource was bound on another node");
            let (done, over) = oneshot::channel();
            self.losers.lock().add(loser.id, over);
            loser.mailbox.order(Order::Replace(done));
        }
    }

    fn take_end(&self, node: Node, host: HostId, delta: &Delta) {
        let mut shard = self.shard(host, &delta.account).write();
        let key = KeyRef(host, &delta.account);
        let Some(account) = shard.get_mut(&key) else { return };
        let is_it = |e: &Entry| matches!(e, Entry::Remote(s) if s.node == node && s.session == delta.session);
        account.entries.retain(|entry| !is_it(entry));
        if account.entries.is_empty() {
            shard.remove(&key);
        }
    }
}
