//! Offline messages (RFC 6121 §8.5.2.2, XEP-0160), and the spool of the zero-loss contract: one
//! table holds both. A row that a session was given stays until its client has the message, so a
//! crash loses none, and has that session as holder, so none is given twice.

mod policy;
mod spool;
pub mod store;
#[cfg(test)]
mod tests;
mod turn;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use super::roster::Key;
use super::{Im, stored};
use crate::clock::StanzaId;
use crate::host::HostId;
use crate::jid::Jid;
use crate::router::Out;
use crate::session::{Duty, Node, Shared};
use crate::stanza::{Condition, Stanza};
use crate::storage::{Append, Done, StorageError, Value, params};
use crate::telemetry::Backoff;

pub use policy::{Fate, OfflinePolicy, worth};
pub use spool::Spool;

/// How often a database that is away is asked for an account.
pub(super) const ASK_FIRST: Duration = Duration::from_millis(200);
pub(super) const ASK_CAP: Duration = Duration::from_secs(5);

/// A message on its way into the table.
struct Waiting {
    key: Key,
    owner: Jid,
    stanza: Arc<Stanza>,
    duty: Option<Arc<Duty>>,
}

impl Im {
    /// A message for a local account none of whose resources may take it. Its duty is released
    /// when it is committed, or when an error went back.
    pub fn no_recipient(
        self: &Arc<Self>,
        host: HostId,
        stanza: Arc<Stanza>,
        duty: Option<Arc<Duty>>,
        out: &mut Out,
    ) {
        let policy = self.settings.offline_policy.get();
        let fate = match worth(&stanza) {
            Fate::Store => policy.fate(true),
            other => other,
        };
        let owner = stanza.head.to.as_ref().map(Jid::to_bare);
        let (Fate::Store, Some(owner)) = (fate, owner) else {
            return settle(fate, &stanza, duty.as_ref(), out);
        };
        let local = local_of(&owner);
        self.with_account(host, &local, out, move |im, account, out| match (account, duty) {
            (Ok(Some(account)), duty) => {
                let key = Key { host, account };
                im.store(Waiting { key, owner, stanza, duty }, policy, out);
            }
            // Its sender may have been told that it is safe: an archive has it.
            (Err(error), Some(duty)) if error.is_transient() => {
                im.store_later(host, local_of(&owner), stanza, duty);
            }
            // RFC 6121 §8.5.1: no such account. If the database does not answer, an error is
            // better than nothing.
            (Ok(None) | Err(_), duty) => settle(Fate::Bounce, &stanza, duty.as_ref(), out),
        });
    }

    /// The database does not say whose the message is. It waits in memory, as all messages do that
    /// are to be stored meanwhile.
    fn store_later(
        self: &Arc<Self>,
        host: HostId,
        local: String,
        stanza: Arc<Stanza>,
        duty: Arc<Duty>,
    ) {
        let (im, stopping) = (self.clone(), self.tracker.soft().clone());
        let stored = async move {
            let mut backoff = Backoff::new(ASK_FIRST, ASK_CAP);
            let is_away = |found: &Result<_, StorageError>| {
                found.as_ref().is_err_and(StorageError::is_transient)
            };
            while is_away(&im.directory.find(host, &local).await) {
                let random = u64::from_be_bytes(im.clock.random().bytes());
                tokio::time::sleep(backoff.next_delay(random)).await;
            }
            let mut out = Out::default();
            im.no_recipient(host, stanza, Some(duty), &mut out);
            im.perform_late(out);
        };
        self.tracker.spawn("message without account", async move {
            // A server that stops gives up: then it is in an archive, or nothing was promised.
            stopping.run_until_cancelled(stored).await;
        });
    }

    fn store(self: &Arc<Self>, waiting: Waiting, policy: OfflinePolicy, out: &mut Out) {
        let usage = match policy.has_quota() {
            true => self.spool.usage(waiting.key),
            false => Some(0),
        };
        if let Some(usage) = usage {
            return self.store_within(usage, waiting, policy, out);
        }
        let im = self.clone();
        out.wait(async move {
            let (mut out, key) = (Out::default(), waiting.key);
            let read = im.db.read(move |tx| Box::pin(async move { store::usage(tx, key).await }));
            // Without an answer the message is kept: better a little too much than one lost.
            let usage = read.await.inspect(|usage| im.spool.learn(key, *usage)).unwrap_or(0);
            im.store_within(usage, waiting, policy, &mut out);
            out
        });
    }

    fn store_within(
        self: &Arc<Self>,
        usage: u64,
        waiting: Waiting,
        policy: OfflinePolicy,
        out: &mut Out,
    ) {
        let bytes = stored::bytes(&waiting.stanza);
        let size = bytes.len() as u64;
        let fits = usage + size <= self.settings.offline_quota_kb.get() * 1024;
        let fate = policy.fate(fits);
        let Waiting { key, owner, stanza, duty } = waiting;
        if fate != Fate::Store {
            return settle(fate, &stanza, duty.as_ref(), out);
        }
        self.spool.add(key, size);
        let id = duty.as_ref().map_or_else(|| self.clock.stanza_id(), |duty| duty.id);
        let im = self.clone();
        let spooler = duty.as_ref().map_or(0, |duty| duty.spooler()) as i64;
        let (node, incarnation) = self.spool.node();
        let values = params![
            key.host,
            key.account,
            id,
            id.time(),
            size as i64,
            bytes,
            node,
            incarnation,
            spooler,
        ];
        self.append(store::ADD, values, move |outcome| match outcome {
            Ok(()) => {
                if let Some(duty) = &duty {
                    duty.release();
                }
                // Somebody may have come while the message was on its way into the table.
                im.flush_soon(key, &owner);
            }
            // The server stops before the database came back: nothing was promised.
            Err(error) if error.is_transient() || *error == StorageError::Closed => {}
            Err(_) => {
                im.spool.forget(key);
                let mut out = Out::default();
                settle(Fate::Bounce, &stanza, duty.as_ref(), &mut out);
                im.perform_late(out);
            }
        });
    }

    /// With the archive off: these were given to `holder`, whose client has not acknowledged them
    /// for a while. Copies are kept until it does.
    pub fn spool(self: &Arc<Self>, holder: &Arc<Shared>, envelopes: Vec<(Arc<Stanza>, Arc<Duty>)>) {
        let held_by = self.spool.holder(holder);
        for (stanza, duty) in envelopes {
            let bytes = stored::bytes(&stanza);
            duty.spools_for(holder.id);
            let values = params![
                holder.host,
                holder.account,
                duty.id,
                duty.id.time(),
                bytes.len() as i64,
                bytes,
                held_by.node,
                held_by.incarnation,
                held_by.session as i64,
            ];
            let (im, key) = (self.clone(), Key::from(&**holder));
            self.append(store::SPOOL, values, move |outcome| {
                // Without a copy the message is still the holder's, and its sender waits for him.
                // Acknowledged while it was on its way: nobody saw that there would be a row.
                if outcome.is_ok() && duty.set_spooled() {
                    im.remove(key, duty.id);
                }
            });
        }
    }

    /// The session came from another node, and with it these messages.
    pub fn take_over(self: &Arc<Self>, holder: &Shared, ids: Vec<StanzaId>) {
        let held_by = self.spool.holder(holder);
        let (node, incarnation) = (held_by.node, held_by.incarnation);
        for id in &ids {
            let session = held_by.session as i64;
            let values = params![holder.host, holder.account, *id, node, incarnation, session];
            self.append(store::TAKE_OVER, values, |_| {});
        }
        self.spool.claimed(holder.id, ids.into_iter().collect());
    }

    /// The session lives on at `claimant`, which takes its messages over.
    pub fn let_go(self: &Arc<Self>, holder: &Shared, claimant: Node) {
        self.spool.forget_session(holder.id);
        let (im, key, owner) = (self.clone(), Key::from(holder), holder.jid.clone());
        let store::Holder { node, incarnation, session } = self.spool.holder(holder);
        let mine = params![key.host, key.account, node, incarnation, session as i64].to_vec();
        let theirs = params![claimant.id, claimant.incarnation as i64];
        let values = [&mine[..], theirs].concat();
        self.append(store::HAND_OVER, &values, move |outcome| {
            if outcome.is_err() {
                // The claimant's run is over.
                im.free(store::FREE_ALL, &mine, key, owner);
            }
        });
    }

    /// The client of `holder` has the message.
    pub fn spooled_done(self: &Arc<Self>, holder: &Shared, id: StanzaId) {
        let key = Key::from(holder);
        self.remove(key, id);
        if self.spool.settled(holder.id, id) {
            self.flush_soon(key, &holder.jid);
        }
    }

    /// `holder` is gone; another session may have the message.
    pub fn spooled_free(self: &Arc<Self>, holder: &Shared, id: StanzaId) {
        let key = Key::from(holder);
        self.spool.settled(holder.id, id);
        let (node, incarnation) = self.spool.node();
        let values = params![key.host, key.account, id, node, incarnation];
        self.free(store::FREE, values, key, holder.jid.clone());
    }

    /// Frees messages by a statement, and gives them to another session of their owner.
    fn free(self: &Arc<Self>, statement: &'static str, values: &[Value], key: Key, owner: Jid) {
        let im = self.clone();
        self.append(statement, values, move |outcome| {
            if outcome.is_ok() {
                im.flush_soon(key, &owner);
            }
        });
    }

    /// The run `incarnation` of this node begins to serve. Forgets what is known of the tables: others
    /// may have served meanwhile. Resolves when its sessions may hold messages.
    pub async fn begin_run(&self, incarnation: i64) {
        self.rosters.clear();
        self.spool.forget_all();
        self.spool.begin_run(incarnation);
        let (node, incarnation) = self.spool.node();
        let (done, over) = oneshot::channel::<()>();
        self.append(store::BEGIN, params![node, incarnation], move |_| drop(done));
        // It is told by being dropped.
        let _ = over.await;
    }

    /// Frees what earlier runs and other nodes hold; for a node that serves alone.
    pub async fn reclaim(&self) -> Result<(), StorageError> {
        let (node, incarnation) = self.spool.node();
        let freed = self
            .db
            .write(move |tx| Box::pin(async move { store::reclaim(tx, node, incarnation).await }));
        let freed = freed.await?;
        if freed > 0 {
            tracing::info!(freed, "messages of ended sessions wait for their recipients again");
        }
        Ok(())
    }

    /// Resolves when what was put into the account's table before is there, or never will be.
    pub async fn stored(&self, session: &Shared) {
        let (done, over) = oneshot::channel::<()>();
        // Appends are committed in their order; no message has this id.
        let nothing = params![session.host, session.account, StanzaId(0)];
        self.append(store::REMOVE, nothing, move |_| drop(done));
        // It is told by being dropped.
        let _ = over.await;
    }

    pub(super) fn remove(&self, key: Key, id: StanzaId) {
        self.spool.forget(key);
        self.append(store::REMOVE, params![key.host, key.account, id], |_| {});
    }

    /// An append; `done` is called when it is durable, or never will be.
    fn append(
        &self,
        statement: &'static str,
        values: &[Value],
        done: impl FnOnce(Result<(), &StorageError>) + Send + 'static,
    ) {
        let done = Done::Call(Box::new(done));
        self.db.append(Append { statement, params: values.to_vec(), id: None, done });
    }

    /// The session takes messages from now on: gives it what waits.
    pub(super) fn flush(self: &Arc<Self>, session: &Arc<Shared>, out: &mut Out) {
        let (im, session) = (self.clone(), session.clone());
        out.wait(async move {
            im.hand_over(&session).await;
            Out::default()
        });
    }
}

fn local_of(owner: &Jid) -> String {
    owner.local().unwrap_or_default().to_owned()
}

/// What is not stored is over: the sender learns it by an error, or not at all.
fn settle(fate: Fate, stanza: &Stanza, duty: Option<&Arc<Duty>>, out: &mut Out) {
    if fate == Fate::Bounce
        && let Some(error) = stanza.error(&Condition::ServiceUnavailable.into())
    {
        out.route(error);
    }
    if let Some(duty) = duty {
        // Over, not only released: a copy that is on its way into the spool is not kept.
        duty.done();
    }
}
