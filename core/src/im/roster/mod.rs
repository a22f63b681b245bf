//! The roster (RFC 6121 §2): who an account's contacts are, asked and changed by `jabber:iq:roster`.

mod cache;
mod item;
mod pushes;
mod request;
pub mod store;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use super::Im;
use crate::clock::Timestamp;
use crate::host::{AccountId, HostId};
use crate::jid::Jid;
use crate::router::Out;
use crate::session::Shared;
use crate::stanza::{Condition, IqType, Kind, Payload, Stanza, StanzaError};
use crate::storage::{StorageError, Tx};

pub use cache::Cache;
pub use item::{Item, Roster};
pub use request::{RosterFault, RosterSet};

/// People who have asked for a subscription and have no answer, per account. They do not count as
/// contacts, so that a flood of requests leaves room for those.
const MAX_REQUESTS: usize = 100;

/// Whose roster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    pub host: HostId,
    pub account: AccountId,
}

impl From<&Shared> for Key {
    fn from(session: &Shared) -> Key {
        Key { host: session.host, account: session.account }
    }
}

/// What is to become of one contact.
#[derive(Debug)]
pub enum Change {
    Keep,
    Put(Item),
    Remove,
}

/// A contact before and after a change that is committed.
#[derive(Debug)]
pub struct Changed {
    pub key: Key,
    /// The roster's version before the change; the same when nothing was changed.
    pub previous: i64,
    /// After the change.
    pub roster: Arc<Roster>,
    pub contact: Jid,
    pub before: Option<Arc<Item>>,
}

impl Changed {
    pub fn after(&self) -> Option<&Arc<Item>> {
        self.roster.item(self.contact.as_str())
    }
}

/// Why a change was not made.
#[derive(Debug, thiserror::Error)]
pub enum AmendError {
    #[error(transparent)]
    Fault(#[from] RosterFault),
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl From<AmendError> for StanzaError {
    fn from(error: AmendError) -> StanzaError {
        match error {
            AmendError::Fault(fault) => fault.into(),
            AmendError::Storage(error) => {
                tracing::error!(%error, "a roster could not be changed");
                Condition::InternalServerError.into()
            }
        }
    }
}

impl Im {
    /// A roster get or set from a session of the account itself.
    pub fn roster_iq(self: &Arc<Self>, session: &Arc<Shared>, stanza: Stanza, out: &mut Out) {
        match stanza.head.kind {
            Kind::Iq(IqType::Get) => self.roster_get(session, stanza, out),
            Kind::Iq(IqType::Set) => self.roster_set(session, stanza, out),
            // The answer to a push.
            _ => {}
        }
    }

    /// RFC 6121 §2.2 and §2.6.3.
    fn roster_get(self: &Arc<Self>, session: &Arc<Shared>, stanza: Stanza, out: &mut Out) {
        let asked = version(&stanza);
        session.roster().ask();
        session.set_interested();
        self.registry.changed(session);
        let session = session.clone();
        self.with_roster(Key::from(&*session), out, move |im, roster, _| {
            let Ok(roster) = roster else {
                let error = stanza.error(&Condition::InternalServerError.into());
                return im.answer_get(&session, None, addressed(&session, error));
            };
            let mut result = stanza.result();
            if asked.is_none_or(|version| version != roster.version) {
                result = result.with_payload(roster.query().clone());
            }
            im.answer_get(&session, Some(roster.version), addressed(&session, Some(result)));
        });
    }

    fn roster_set(self: &Arc<Self>, session: &Arc<Shared>, stanza: Stanza, out: &mut Out) {
        let query = stanza.payload.children().next().map(|query| query.element());
        let set = query.ok_or(RosterFault::ItemCount);
        let set = set.and_then(|query| RosterSet::parse(&query, session.jid.bare_str()));
        let set = match set {
            Ok(set) => set,
            Err(fault) => return answer(session, stanza.error(&fault.into()), out),
        };
        let (im, session) = (self.clone(), session.clone());
        out.wait(async move {
            let owner = session.jid.to_bare();
            match im.set_roster(Key::from(&*session), &owner, set).await {
                Ok(mut out) => {
                    answer(&session, Some(stanza.result()), &mut out);
                    out
                }
                Err(error) => {
                    let mut out = Out::default();
                    answer(&session, stanza.error(&error.into()), &mut out);
                    out
                }
            }
        });
    }

    /// Changes a contact of `owner`, a bare address. What comes back tells the owner's resources
    /// and the contact.
    pub async fn set_roster(
        self: &Arc<Self>,
        key: Key,
        owner: &Jid,
        set: RosterSet,
    ) -> Result<Out, AmendError> {
        let changed = match set {
            RosterSet::Put { contact, name, groups } => {
                let address = contact.clone();
                let put = move |before: Option<&Item>| {
                    let item = before.cloned().unwrap_or_else(|| Item::new(address));
                    // The subscription is none of the client's business (§2.3.2).
                    let item = Item { name, groups, listed: true, ..item };
                    Ok(if before == Some(&item) { Change::Keep } else { Change::Put(item) })
                };
                self.amend(key, contact, put).await?
            }
            RosterSet::Remove { contact } => self.amend(key, contact, remove).await?,
        };
        let mut out = Out::default();
        self.push(owner, &changed, &mut out);
        if let (Some(before), None) = (&changed.before, changed.after()) {
            self.end_subscriptions(owner, before, &mut out);
        }
        Ok(out)
    }

    /// Changes one contact as `decide` says, which sees it as it is. Only changes of other
    /// contacts can come between.
    pub(super) async fn amend<F>(
        self: &Arc<Self>,
        key: Key,
        contact: Jid,
        decide: F,
    ) -> Result<Changed, AmendError>
    where
        F: FnOnce(Option<&Item>) -> Result<Change, RosterFault> + Send + 'static,
    {
        let amendment = Amendment {
            key,
            contact,
            cached: self.rosters.get(key),
            max_items: self.settings.roster_max_items.get(),
            now: self.clock.now(),
        };
        let changed: Result<Changed, AmendError> =
            self.db.try_write(move |tx| Box::pin(amendment.run(tx, decide))).await;
        let changed = changed?;
        self.rosters.change(key, changed.roster.clone());
        self.tell_roster(key);
        Ok(changed)
    }

    /// The roster, from memory at once or else after it was read.
    pub(super) fn with_roster(
        self: &Arc<Self>,
        key: Key,
        out: &mut Out,
        then: impl FnOnce(&Arc<Im>, Result<&Arc<Roster>, StorageError>, &mut Out) + Send + 'static,
    ) {
        if let Some(roster) = self.rosters.get(key) {
            return then(self, Ok(&roster), out);
        }
        let im = self.clone();
        out.wait(async move {
            let mut out = Out::default();
            let roster = im.roster(key).await;
            then(&im, roster.as_ref().map_err(Clone::clone), &mut out);
            out
        });
    }

    /// The account's roster.
    pub async fn roster(&self, key: Key) -> Result<Arc<Roster>, StorageError> {
        if let Some(roster) = self.rosters.get(key) {
            return Ok(roster);
        }
        let seen = self.rosters.look(key);
        let read = self.db.read(move |tx| Box::pin(async move { store::load(tx, key).await }));
        let roster = read.await.inspect_err(|error| {
            tracing::error!(%error, "a roster could not be read");
        })?;
        let roster = Arc::new(roster);
        self.rosters.keep(key, roster.clone(), seen);
        Ok(roster)
    }
}

/// One change of one contact.
struct Amendment {
    key: Key,
    contact: Jid,
    /// Spares reading when it is still the current version.
    cached: Option<Arc<Roster>>,
    max_items: usize,
    now: Timestamp,
}

impl Amendment {
    async fn run<F>(self, tx: &mut Tx<'_>, decide: F) -> Result<Changed, AmendError>
    where
        F: FnOnce(Option<&Item>) -> Result<Change, RosterFault> + Send,
    {
        let Amendment { key, contact, cached, max_items, now } = self;
        let version = store::lock(tx, key).await?;
        let roster = match cached.filter(|roster| roster.version == version) {
            Some(roster) => roster,
            None => Arc::new(store::load(tx, key).await?),
        };
        let (before, previous) = (roster.item(contact.as_str()).cloned(), version);
        let item = match decide(before.as_deref())? {
            Change::Keep => return Ok(Changed { key, previous, roster, contact, before }),
            Change::Put(item) => Some(item),
            Change::Remove => None,
        };
        // Who only asked until now becomes a contact, too.
        if let Some(item) = &item
            && before.as_ref().is_none_or(|before| before.listed != item.listed)
        {
            let max = if item.listed { max_items } else { MAX_REQUESTS };
            let alike = roster.items().iter().filter(|other| other.listed == item.listed);
            if alike.count() >= max {
                return Err(RosterFault::Full.into());
            }
        }
        let row = (&contact, item.as_ref());
        let version = store::save(tx, key, row, version, now).await?;
        let roster = Arc::new(roster.with(version, &contact, item));
        Ok(Changed { key, previous, roster, contact, before })
    }
}

/// The version that the client has, when it is one of ours.
fn version(get: &Stanza) -> Option<i64> {
    let query = get.payload.children().next()?;
    // Most clients send none: no tree for them.
    memchr::memmem::find(query.as_bytes(), b" ver=")?;
    query.element().attr("ver")?.parse().ok()
}

/// RFC 6121 §2.5.
fn remove(before: Option<&Item>) -> Result<Change, RosterFault> {
    match before {
        Some(item) if item.listed => Ok(Change::Remove),
        _ => Err(RosterFault::NoSuchItem),
    }
}

fn iq_set(id: String, payload: Payload) -> Stanza {
    Stanza::iq(IqType::Set, id).with_payload(payload)
}

/// To the session that asked, and nowhere else.
fn answer(session: &Arc<Shared>, answer: Option<Stanza>, out: &mut Out) {
    if let Some(answer) = addressed(session, answer) {
        out.deliver(session, Arc::new(answer));
    }
}

fn addressed(session: &Shared, answer: Option<Stanza>) -> Option<Stanza> {
    let mut answer = answer?;
    answer.head.to = Some(session.jid.clone());
    // RFC 6120 §8.1.2.1: without `from` it comes from the account itself.
    answer.head.from = None;
    Some(answer)
}
