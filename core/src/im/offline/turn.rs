//! Giving an account's messages to one of its sessions. One at a time does it, so that they come in
//! their order and a portion at a time.

use std::sync::Arc;

use super::{Im, store, stored};
use crate::im::roster::Key;
use crate::jid::Jid;
use crate::session::{Duty, Entry, Envelope, Shared, ToOverride};
use crate::storage::StorageError;

/// The right to give an account's messages away, until it is dropped.
struct Turn {
    im: Arc<Im>,
    key: Key,
    is_over: bool,
}

impl Turn {
    /// `None` when somebody has it already, who will look once more.
    fn take(im: &Arc<Im>, key: Key) -> Option<Turn> {
        im.spool.begin(key).then(|| Turn { im: im.clone(), key, is_over: false })
    }

    /// True when there may be more than was seen.
    fn end(mut self) -> bool {
        self.is_over = true;
        self.im.spool.end(self.key)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if !self.is_over {
            self.im.spool.end(self.key);
        }
    }
}

impl Im {
    /// From where nobody can wait: gives what is stored to whoever takes messages of the account.
    pub(in crate::im) fn flush_soon(self: &Arc<Self>, key: Key, owner: &Jid) {
        let takers = self.sessions(owner, Entry::takes_messages).into_iter();
        let here = takers.filter_map(|taker| match taker {
            Entry::Local(session) => Some(session),
            Entry::Remote(_) => None,
        });
        let Some(taker) = here.max_by_key(|session| session.priority()) else {
            // Whoever has come elsewhere by now, or comes later, knows it better than this node.
            return self.tell_stored(owner);
        };
        if self.spool.is_busy(taker.id) {
            return;
        }
        let Some(turn) = Turn::take(self, key) else { return };
        let im = self.clone();
        self.tracker.spawn("offline-flush", async move { im.give(turn, &taker).await });
    }

    /// Gives the oldest messages that wait to the session; the rest follows when it has them.
    pub(super) async fn hand_over(self: &Arc<Self>, session: &Arc<Shared>) {
        if let Some(turn) = Turn::take(self, Key::from(&**session)) {
            self.give(turn, session).await;
        }
    }

    async fn give(self: &Arc<Self>, turn: Turn, session: &Arc<Shared>) {
        let key = turn.key;
        // While it has messages of an earlier portion, the next one waits for their end.
        if !self.spool.is_busy(session.id) {
            match self.claim(key, session).await {
                Ok(messages) => self.put(key, session, messages),
                Err(error) => tracing::error!(%error, "offline messages could not be read"),
            }
        }
        if turn.end() {
            self.flush_soon(key, &session.jid);
        }
    }

    fn put(self: &Arc<Self>, key: Key, session: &Arc<Shared>, messages: Vec<store::Message>) {
        self.spool.claimed(session.id, messages.iter().map(|message| message.id).collect());
        for message in messages {
            let Some(mut stanza) = stored::read(&message.stanza) else {
                tracing::error!(id = %message.id, "an offline message is damaged: removed");
                self.spooled_done(session, message.id);
                continue;
            };
            stanza.append(stored::delay(self.hosts.domain(key.host), message.received));
            let duty = Some(Arc::new(Duty::spooled(message.id)));
            let envelope = Envelope { stanza: Arc::new(stanza), to: ToOverride::Keep, duty };
            if session.mailbox.push(envelope).is_err() {
                self.spooled_free(session, message.id);
            }
        }
    }

    async fn claim(&self, key: Key, session: &Shared) -> Result<Vec<store::Message>, StorageError> {
        let any = self.db.read(move |tx| Box::pin(async move { store::any(tx, key).await }));
        if !any.await? {
            return Ok(Vec::new());
        }
        let holder = self.spool.holder(session);
        let claim =
            self.db.write(move |tx| Box::pin(async move { store::claim(tx, key, holder).await }));
        claim.await
    }
}
