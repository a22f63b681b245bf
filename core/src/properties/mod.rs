//! Live settings: typed, declared beside the feature that reads them, kept in the database.
//!
//! ```ignore
//! pub static STARTTLS: Property<StartTls> =
//!     Property::new("c2s.starttls", || StartTls::Required, "Whether clients must use TLS.");
//! let starttls: Live<StartTls> = properties.live(&STARTTLS); // once
//! if starttls.get() == StartTls::Required { … }              // on the hot path, without a lock
//! ```

mod declare;
mod live;
mod store;
#[cfg(test)]
mod tests;
mod value;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use parking_lot::RwLock;
use tokio::sync::Notify;

use crate::clock::Clock;
use crate::host::HostId;
use crate::storage::{Db, StorageError};
pub use declare::{Declared, Property, Scope};
use live::Slot;
pub use live::{Live, Watched};
pub use store::{Change, MIGRATIONS};
pub use value::{Kind, PropertyValue};

/// How often a node looks whether another one changed a property.
const POLL: Duration = Duration::from_secs(1);

/// How long to leave a database alone that does not let us listen.
const RELISTEN: Duration = Duration::from_secs(10);

/// Why a property was not set. The first two are the administrator's to mend.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PropertyError {
    #[error("there is no property `{name}`{hint}")]
    Unknown { name: String, hint: String },
    #[error("`{value}` is no value of `{name}`: it takes {range}")]
    Invalid { name: &'static str, value: String, range: String },
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Handle on all properties. Clones share them.
#[derive(Clone)]
pub struct Properties(Arc<Inner>);

struct Inner {
    db: Db,
    clock: Clock,
    slots: RwLock<BTreeMap<&'static str, Arc<Slot>>>,
    /// The version of the database's properties that the slots show.
    version: AtomicI64,
}

/// A property as the console, the API and the command line show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub name: &'static str,
    pub value: String,
    pub default: String,
    pub range: String,
    pub kind: Kind,
    pub doc: &'static str,
    pub scope: Scope,
    pub live: bool,
    /// It was changed and takes effect with the next start.
    pub pending: bool,
}

impl Entry {
    /// The feature that reads it: the first word of its name.
    pub fn group(&self) -> &'static str {
        self.name.split_once('.').map_or(self.name, |(group, _)| group)
    }

    pub fn is_changed(&self) -> bool {
        self.value != self.default
    }
}

impl Properties {
    /// Reads the values of all `declared` properties. A stored value that is no longer allowed is
    /// logged and the default used.
    pub async fn load(
        db: Db,
        clock: Clock,
        declared: &[&'static dyn Declared],
    ) -> Result<Properties, StorageError> {
        let slots = RwLock::new(slots(declared));
        let inner = Inner { db, clock, slots, version: AtomicI64::new(-1) };
        let properties = Properties(Arc::new(inner));
        properties.refresh(true).await?;
        Ok(properties)
    }

    /// The current value of `property`, followed from now on. Ask once and keep it.
    pub fn live<T: PropertyValue>(&self, property: &'static Property<T>) -> Live<T> {
        let live = self.find_live(property.name);
        live.expect("server.rs lists every property that the server reads")
    }

    /// The current value of a property that was declared while the server runs.
    pub fn find_live<T: PropertyValue>(&self, name: &str) -> Option<Live<T>> {
        self.0.slots.read().get(name)?.live()
    }

    /// Adds properties while the server runs, with the values that the database has.
    pub async fn declare(&self, added: &[&'static dyn Declared]) -> Result<(), StorageError> {
        let stored = self.0.db.read(|tx| Box::pin(store::read_if_newer(tx, -1))).await?;
        let added = slots(added);
        if let Some((_, rows)) = stored {
            added.values().for_each(|slot| self.take(slot, &rows, true));
        }
        self.0.slots.write().extend(added);
        Ok(())
    }

    /// Takes properties away that were added; their values stay in the database.
    pub fn withdraw(&self, prefix: &str) {
        self.0.slots.write().retain(|name, _| !name.starts_with(prefix));
    }

    /// Sets `name` for all that its scope covers here, on behalf of `actor` (for the history).
    /// Other nodes follow within a second.
    pub async fn set(&self, name: &str, value: &str, actor: &str) -> Result<(), PropertyError> {
        let declared = self.find(name)?.declared;
        declared.check(value)?;
        self.store(declared, Some(value), actor).await
    }

    /// Whether its value is never shown.
    pub fn is_secret(&self, name: &str) -> bool {
        self.find(name).is_ok_and(|slot| slot.declared.is_secret())
    }

    /// Gives `name` its default again.
    pub async fn reset(&self, name: &str, actor: &str) -> Result<(), PropertyError> {
        let declared = self.find(name)?.declared;
        self.store(declared, None, actor).await
    }

    async fn store(
        &self,
        declared: &'static dyn Declared,
        value: Option<&str>,
        actor: &str,
    ) -> Result<(), PropertyError> {
        let change = Change {
            id: 0,
            name: declared.name().to_owned(),
            target: self.target(declared.scope()),
            actor: actor.to_owned(),
            new: value.map(str::to_owned),
            changed: self.0.clock.now(),
            old: None,
        };
        let is_secret = declared.is_secret();
        let set = self
            .0
            .db
            .write(move |tx| Box::pin(async move { store::set(tx, &change, is_secret).await }));
        set.await?;
        self.refresh(false).await?;
        Ok(())
    }

    /// One property as a person sees it.
    pub fn entry(&self, name: &str) -> Result<Entry, PropertyError> {
        self.find(name).map(|slot| slot.entry())
    }

    /// All properties by name.
    pub fn entries(&self) -> Vec<Entry> {
        self.0.slots.read().values().map(|slot| slot.entry()).collect()
    }

    /// Up to `limit` changes of `name` before the change `before`, the newest first.
    pub async fn history(
        &self,
        name: &str,
        before: i64,
        limit: u32,
    ) -> Result<Vec<Change>, PropertyError> {
        let name = self.find(name)?.declared.name();
        let look = self.0.db.read(move |tx| Box::pin(store::history(tx, name, before, limit)));
        Ok(look.await?)
    }

    /// Follows what other nodes change, until it is dropped. The server spawns it once.
    pub async fn follow(self) {
        let told = Notify::new();
        let listen = async {
            loop {
                // Only for speed: whatever is missed here is polled.
                let heard = || told.notify_one();
                let ended = self.0.db.listen(store::CHANNEL, heard).await;
                tracing::debug!(?ended, "changes of properties are polled only");
                tokio::time::sleep(RELISTEN).await;
            }
        };
        let poll = async {
            loop {
                // Either is reason enough to look.
                let _ = tokio::time::timeout(POLL, told.notified()).await;
                if let Err(error) = self.refresh(false).await {
                    tracing::debug!(%error, "properties were not refreshed");
                }
            }
        };
        tokio::join!(listen, poll);
    }

    /// Reads again if the database has another version. At the start all values are taken, later
    /// only those of live properties.
    async fn refresh(&self, start: bool) -> Result<(), StorageError> {
        let known = self.0.version.load(Ordering::Acquire);
        let stored = self.0.db.read(move |tx| Box::pin(store::read_if_newer(tx, known))).await?;
        let Some((version, rows)) = stored else { return Ok(()) };
        for slot in self.0.slots.read().values() {
            self.take(slot, &rows, start);
        }
        self.0.version.store(version, Ordering::Release);
        Ok(())
    }

    fn take(&self, slot: &Slot, rows: &store::Stored, start: bool) {
        let target = self.target(slot.declared.scope());
        let value = rows.get(&(slot.declared.name().to_owned(), target));
        slot.take(value.map(String::as_str), start);
    }

    fn target(&self, scope: Scope) -> i64 {
        match scope {
            Scope::Global => 0,
            Scope::Host => HostId::FIRST.0.into(),
            Scope::Node => self.0.clock.node().into(),
        }
    }

    fn find(&self, name: &str) -> Result<Arc<Slot>, PropertyError> {
        let slots = self.0.slots.read();
        slots.get(name).cloned().ok_or_else(|| {
            let hint = crate::config::did_you_mean(name, slots.keys().copied());
            PropertyError::Unknown { name: name.to_owned(), hint }
        })
    }
}

fn slots(declared: &[&'static dyn Declared]) -> BTreeMap<&'static str, Arc<Slot>> {
    declared.iter().map(|property| (property.name(), Arc::new(Slot::new(*property)))).collect()
}
