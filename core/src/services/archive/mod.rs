//! The message archive: what is kept, for both sides of a conversation. Questions to it are
//! XEP-0313's.

pub mod store;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use bytes::Bytes;
use serde_json::json;

use crate::clock::StanzaId;
use crate::events::{Events, Kind};
use crate::host::{AccountId, HostId};
use crate::jid::Jid;
use crate::properties::{Declared, Live, Property};
use crate::session::Duty;
use crate::stanza::{RootNamespace, Stanza};
use crate::storage::{Append, Commit, Db, Done, Migration, StorageError, params};

/// The tables of this module.
pub const MIGRATIONS: &[Migration] =
    &[Migration::expand("archive", 1, "archive", include_str!("migrations/0001_archive.sql"))];

pub static ENABLED: Property<bool> = Property::new(
    "archive.enabled",
    || false,
    "Whether a copy of every message is kept for both sides, for clients to read later.",
);

/// The properties of this module.
pub static PROPERTIES: [&dyn Declared; 1] = [&ENABLED];

/// Keeps messages when `archive.enabled` says so.
pub struct Archive {
    db: Db,
    enabled: Live<bool>,
    events: Arc<Events>,
}

impl Archive {
    /// `enabled` follows [`ENABLED`].
    pub fn new(db: Db, enabled: Live<bool>, events: &Arc<Events>) -> Arc<Archive> {
        Arc::new(Archive { db, enabled, events: events.clone() })
    }

    pub fn is_enabled(&self) -> bool {
        self.enabled.get()
    }

    /// Puts a message into an account's archive under `id`, without waiting. `outgoing`: the
    /// account sent it. The duty is released when it is committed.
    pub fn keep(
        &self,
        (host, account): (HostId, AccountId),
        id: StanzaId,
        outgoing: bool,
        stanza: &Stanza,
        duty: Option<&Arc<Duty>>,
    ) {
        let peer = if outgoing { &stanza.head.to } else { &stanza.head.from };
        let peer = peer.as_ref().map_or("", |peer| peer.bare_str());
        let mut bytes = Vec::new();
        stanza.render(None, RootNamespace::Inherited, &mut bytes);
        let params = params![host, account, id, peer, outgoing, Bytes::from(bytes)].to_vec();
        let done = match self.events.is_wanted(Kind::MessageArchived) {
            true => self.telling(id, outgoing, stanza, duty.cloned()),
            false => duty.map_or(Done::Nobody, |duty| Done::Ticket(duty.clone(), 0)),
        };
        self.db.append(Append { statement: store::KEEP, params, id: Some(id), done });
    }

    /// Releases the duty and tells of the message, once it is committed.
    fn telling(
        &self,
        id: StanzaId,
        outgoing: bool,
        stanza: &Stanza,
        duty: Option<Arc<Duty>>,
    ) -> Done {
        let bare = |jid: &Option<Jid>| jid.as_ref().map_or("", |jid| jid.bare_str()).to_owned();
        let (from, to) = (bare(&stanza.head.from), bare(&stanza.head.to));
        let (account, with) = if outgoing { (from, to) } else { (to, from) };
        let (events, id) = (self.events.clone(), id.to_string());
        Done::Call(Box::new(move |outcome| {
            if let Some(duty) = duty {
                duty.resolved(0, outcome);
            }
            if outcome.is_ok() {
                events.tell(
                    Kind::MessageArchived,
                    || json!({ "account": account, "with": with, "id": id, "outgoing": outgoing }),
                );
            }
        }))
    }

    /// Removes the archive of an account that is deleted.
    pub async fn account_removed(
        &self,
        host: HostId,
        account: AccountId,
    ) -> Result<(), StorageError> {
        let remove = self.db.write(move |tx| {
            Box::pin(async move { store::remove_account(tx, host, account).await })
        });
        remove.await
    }
}

impl Commit for Duty {
    fn resolved(&self, _ticket: u64, outcome: Result<(), &StorageError>) {
        if outcome.is_ok() {
            self.release();
        }
    }
}
