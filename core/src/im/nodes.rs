//! What the other nodes of a cluster must know, and what they tell: changed rosters, stored messages,
//! and the end of a node.

use std::sync::{Arc, Weak};

use futures_util::{StreamExt, stream};
use hashbrown::HashSet;

use super::roster::Key;
use super::subscription::Event;
use super::{Im, offline};
use crate::clock::StanzaId;
use crate::host::{AccountId, HostId};
use crate::jid::Jid;
use crate::router::cluster::Nodes;
use crate::router::{Out, Router};
use crate::session::{Entry, Node, RemoteSession, Shared, ToOverride};
use crate::stanza::{Kind, PresenceType, Stanza};
use crate::storage::StorageError;
use crate::telemetry::Backoff;

/// Rosters that are read at once when a node is gone.
const AT_ONCE: usize = 16;

/// Topic: the roster of an account, by the numbers of host and account.
pub const ROSTER: &str = "roster";
/// Topic: messages of an account wait in the table, by its bare address or as `#` and the numbers of
/// host and account.
pub const OFFLINE: &str = "offline";

impl Im {
    /// Listens to the other nodes.
    pub fn listen(self: &Arc<Self>, nodes: &Nodes) {
        let im = Arc::downgrade(self);
        let with = move |im: &Weak<Im>, then: &dyn Fn(&Arc<Im>)| {
            if let Some(im) = im.upgrade() {
                then(&im);
            }
        };
        let roster = im.clone();
        nodes.listen(ROSTER, move |key| with(&roster, &|im| im.roster_changed(key)));
        nodes.listen(OFFLINE, move |key| with(&im, &|im| im.messages_stored(key)));
    }

    fn nodes(&self) -> Option<Arc<Nodes>> {
        if !self.registry.is_clustered() {
            return None;
        }
        self.router.get().and_then(Weak::upgrade).map(|router: Arc<Router>| router.nodes.clone())
    }

    /// The others may have the roster in memory.
    pub(super) fn tell_roster(&self, key: Key) {
        if let Some(nodes) = self.nodes() {
            nodes.invalidate(ROSTER, &format!("{}/{}", key.host.0, key.account.0));
        }
    }

    /// Nobody here takes what was stored for `owner`; somebody elsewhere may.
    pub(super) fn tell_stored(&self, owner: &Jid) {
        if let Some(nodes) = self.nodes() {
            nodes.invalidate(OFFLINE, owner.bare_str());
        }
    }

    /// To whichever sessions of these accounts other nodes have.
    pub(super) fn tell_others(
        &self,
        accounts: Vec<Jid>,
        to: ToOverride,
        stanza: &Arc<Stanza>,
        out: &mut Out,
    ) {
        if self.registry.is_clustered() {
            out.send_elsewhere(accounts, to, stanza);
        }
    }

    /// Another node has something for whichever sessions of these accounts are here.
    pub fn told(
        self: &Arc<Self>,
        accounts: &[Jid],
        to: ToOverride,
        stanza: Arc<Stanza>,
        out: &mut Out,
    ) {
        for owner in accounts {
            match stanza.head.kind {
                Kind::Iq(_) => self.roster_told(owner, &stanza),
                Kind::Presence(PresenceType::Probe) => self.probe_told(owner, &stanza, out),
                Kind::Presence(kind) => match Event::of(kind) {
                    Some(event) => self.subscription_told(owner, event, &stanza, out),
                    None => {
                        let is_here = |entry: &Entry| {
                            matches!(entry, Entry::Local(_)) && entry.is_available()
                        };
                        out.fan_out(&stanza, to, &self.sessions(owner, is_here));
                    }
                },
                Kind::Message(_) => {}
            }
        }
    }

    fn roster_changed(&self, key: &str) {
        match numbers(key) {
            Some(key) => self.rosters.forget(key),
            None => self.rosters.clear(),
        }
    }

    /// Gives what other nodes stored to sessions of this one. Whoever comes later looks himself.
    fn messages_stored(self: &Arc<Self>, key: &str) {
        if let Ok(owner) = Jid::parse(key) {
            let is_here =
                |entry: &Entry| matches!(entry, Entry::Local(_)) && entry.takes_messages();
            if let Some(Entry::Local(session)) = self.sessions(&owner, is_here).first() {
                self.spool.forget(Key::from(&**session));
                self.flush_later(session);
            }
            return;
        }
        self.spool.forget_all();
        let wanted = key.strip_prefix('#').and_then(numbers);
        let mut takers = Vec::new();
        self.registry.each_local(|session: &Arc<Shared>| {
            let is_wanted = wanted.is_none_or(|wanted| wanted == Key::from(&**session));
            if is_wanted && session.takes_messages() {
                takers.push(session.clone());
            }
        });
        takers.iter().for_each(|session| self.flush_later(session));
    }

    /// From a thread that is nobody's: the caller carries traffic.
    fn flush_later(self: &Arc<Self>, session: &Arc<Shared>) {
        let Some(nodes) = self.nodes() else { return };
        let (im, session, mut out) = (self.clone(), session.clone(), Out::default());
        out.wait(async move {
            im.flush_soon(Key::from(&*session), &session.jid);
            Out::default()
        });
        nodes.later(out);
    }

    /// A client of another node has a message of which a copy may be in the table here.
    pub fn spooled_elsewhere(self: &Arc<Self>, owner: &Jid, id: StanzaId, out: &mut Out) {
        let (Some(host), Some(local)) = (self.hosts.find(owner.domain()), owner.local()) else {
            return;
        };
        self.with_account(host, local, out, move |im, account, _| {
            if let Ok(Some(account)) = account {
                im.remove(Key { host, account }, id);
            }
        });
    }

    /// A run of a node is gone: what it held is given to others, and the contacts of its users learn
    /// that they are unavailable. To do it twice does no harm.
    pub async fn node_gone(self: &Arc<Self>, node: Node, sessions: &[Arc<RemoteSession>]) {
        self.free_held(node).await;
        let available = sessions.iter().filter(|session| session.is_available());
        let tell = |session: Arc<RemoteSession>| async move {
            if let Err(error) = self.session_lost(&session).await {
                tracing::error!(%error, jid = %session.jid, "nobody learns that a session is gone");
            }
        };
        stream::iter(available.cloned()).for_each_concurrent(AT_ONCE, tell).await;
    }

    async fn free_held(self: &Arc<Self>, node: Node) {
        let incarnation = node.incarnation as i64;
        let mut backoff = Backoff::new(offline::ASK_FIRST, offline::ASK_CAP);
        let freed = loop {
            let free = self.db.write(move |tx| {
                Box::pin(async move { offline::store::free_held(tx, node.id, incarnation).await })
            });
            match free.await {
                Ok(freed) => break freed,
                // Nobody else would do it. It may have met a write of that node (a deadlock), too.
                Err(error) if error.is_transient() && !self.tracker.soft().is_cancelled() => {}
                Err(error) => {
                    tracing::error!(%error, ?node, "messages that a lost node held stay held");
                    return;
                }
            }
            let random = u64::from_be_bytes(self.clock.random().bytes());
            tokio::time::sleep(backoff.next_delay(random)).await;
        };
        let Some(nodes) = self.nodes() else { return };
        for Key { host, account } in freed.into_iter().collect::<HashSet<_>>() {
            let key = format!("#{}/{}", host.0, account.0);
            nodes.invalidate(OFFLINE, &key);
            self.messages_stored(&key);
        }
    }

    async fn session_lost(self: &Arc<Self>, session: &RemoteSession) -> Result<(), StorageError> {
        let jid = &session.jid;
        let (Some(host), Some(local)) = (self.hosts.find(jid.domain()), jid.local()) else {
            return Ok(());
        };
        // Its client is back already.
        if self.registry.resource(host, local, session.resource()).is_some_and(|s| s.is_available())
        {
            return Ok(());
        }
        let Some(account) = self.directory.find(host, local).await? else { return Ok(()) };
        let key = Key { host, account };
        let roster = self.roster(key).await?;
        let stanza = Arc::new(Stanza::presence(PresenceType::Unavailable).with_from(jid.clone()));
        self.note_last(key, jid, &stanza);
        let mut out = Out::default();
        self.broadcast(jid, &roster, &stanza, &mut out);
        if let Some(router) = self.router.get().and_then(Weak::upgrade) {
            router.perform(&mut out).await;
        }
        Ok(())
    }
}

/// `1/42`: the numbers of a host and an account.
fn numbers(key: &str) -> Option<Key> {
    let (host, account) = key.split_once('/')?;
    Some(Key { host: HostId(host.parse().ok()?), account: AccountId(account.parse().ok()?) })
}
