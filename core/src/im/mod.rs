//! Instant messaging and presence (RFC 6121): roster, subscriptions, presence, and what happens to
//! messages that nobody takes.

mod nodes;
pub mod offline;
pub mod presence;
pub mod roster;
mod stored;
pub mod subscription;
#[cfg(test)]
pub(crate) mod testing;

use std::sync::{Arc, OnceLock, Weak};

use crate::auth::accounts::Accounts;
use crate::clock::Clock;
use crate::events::Events;
use crate::host::{AccountId, HostId};
use crate::jid::Jid;
use crate::properties::{Declared, Live, Properties, Property};
use crate::router::{Guests, Hosts, Out, Router};
use crate::session::registry::Entries;
use crate::session::{Entry, Registry};
use crate::shutdown::Tracker;
use crate::storage::{BoxFuture, Db, Migration, StorageError};

pub use offline::OfflinePolicy;
pub use roster::Key;

/// The tables of this module.
pub const MIGRATIONS: &[Migration] = &[
    Migration::expand("im", 1, "im", include_str!("migrations/0001_im.sql")),
    Migration::expand("im", 2, "holders", "").each(
        include_str!("migrations/0002_holders_sqlite.sql"),
        include_str!("migrations/0002_holders_postgres.sql"),
    ),
];

pub static ROSTER_MAX_ITEMS: Property<usize> =
    Property::new("roster.max-items", || 2000, "Contacts that one account may have.");
pub static ROSTER_CACHE: Property<usize> =
    Property::new("roster.cache-mb", || 32, "Memory for rosters, in MiB.")
        .within("1 to 65536", |mb| (1..=65536).contains(mb))
        .restart();
pub static OFFLINE_POLICY: Property<OfflinePolicy> = Property::new(
    "offline.policy",
    || OfflinePolicy::StoreAndBounce,
    "What becomes of messages for people who are not there. The two with a second word keep the \
     quota: what exceeds it is bounced or dropped.",
);
pub static OFFLINE_QUOTA: Property<u64> = Property::new(
    "offline.quota-kb",
    || 1024,
    "KiB of messages that the policies with a quota keep for one account. Openfire's 100 hold \
     about a day of a busy chat; 1024 hold a holiday.",
)
.within("at most 1048576", |kb| *kb <= 1 << 20);

/// The properties of this module.
pub static PROPERTIES: [&dyn Declared; 4] =
    [&ROSTER_MAX_ITEMS, &ROSTER_CACHE, &OFFLINE_POLICY, &OFFLINE_QUOTA];

/// What an administrator may set.
#[derive(Clone, Debug)]
pub struct Settings {
    pub roster_max_items: Live<usize>,
    pub roster_cache_mb: Live<usize>,
    pub offline_policy: Live<OfflinePolicy>,
    pub offline_quota_kb: Live<u64>,
}

impl Settings {
    pub fn of(properties: &Properties) -> Settings {
        Settings {
            roster_max_items: properties.live(&ROSTER_MAX_ITEMS),
            roster_cache_mb: properties.live(&ROSTER_CACHE),
            offline_policy: properties.live(&OFFLINE_POLICY),
            offline_quota_kb: properties.live(&OFFLINE_QUOTA),
        }
    }
}

/// Finds accounts by name.
pub trait Directory: Send + Sync {
    /// What is known without asking the database; `None`: nothing.
    fn peek(&self, host: HostId, local: &str) -> Option<Option<AccountId>>;

    fn find<'a>(
        &'a self,
        host: HostId,
        local: &'a str,
    ) -> BoxFuture<'a, Result<Option<AccountId>, StorageError>>;
}

impl Directory for Accounts {
    fn peek(&self, host: HostId, local: &str) -> Option<Option<AccountId>> {
        Accounts::peek(self, host, local)
    }

    fn find<'a>(
        &'a self,
        host: HostId,
        local: &'a str,
    ) -> BoxFuture<'a, Result<Option<AccountId>, StorageError>> {
        Box::pin(async move {
            let login = Accounts::find(self, host, local).await?;
            Ok(login.map(|login| login.row.id))
        })
    }
}

/// What this module stands on.
pub struct Parts {
    pub db: Db,
    pub registry: Arc<Registry>,
    pub hosts: Arc<Hosts>,
    pub directory: Arc<dyn Directory>,
    pub clock: Clock,
    pub tracker: Tracker,
    pub settings: Settings,
    pub events: Arc<Events>,
}

/// RFC 6121 for the accounts of this server.
pub struct Im {
    db: Db,
    registry: Arc<Registry>,
    hosts: Arc<Hosts>,
    directory: Arc<dyn Directory>,
    clock: Clock,
    tracker: Tracker,
    settings: Settings,
    events: Arc<Events>,
    rosters: roster::Cache,
    spool: offline::Spool,
    endings: presence::Endings,
    router: OnceLock<Weak<Router>>,
    guests: OnceLock<Arc<Guests>>,
}

impl Im {
    pub fn new(parts: Parts) -> Arc<Im> {
        let Parts { db, registry, hosts, directory, clock, tracker, settings, events } = parts;
        let spool = offline::Spool::new(&clock);
        Arc::new(Im {
            db,
            registry,
            hosts,
            directory,
            clock,
            tracker,
            rosters: roster::Cache::new(settings.roster_cache_mb.get() << 20),
            settings,
            events,
            spool,
            endings: presence::Endings::default(),
            router: OnceLock::new(),
            guests: OnceLock::new(),
        })
    }

    /// Who carries out what is caused while nobody waits for it. The router stands on this module,
    /// so it comes later.
    pub fn set_router(&self, router: &Arc<Router>) {
        self.router.get_or_init(|| Arc::downgrade(router));
        self.guests.get_or_init(|| router.guests.clone());
    }

    /// Carries out what was caused while nobody waited for it.
    fn perform_late(&self, mut out: Out) {
        // Without a router the server is gone.
        let Some(router) = self.router.get().and_then(Weak::upgrade) else { return };
        self.tracker.spawn("late routing", async move { router.perform(&mut out).await });
    }

    /// The account `owner`, a bare address, was deleted: removes its contacts, requests and
    /// messages. What comes back tells the contacts, and is to be routed.
    pub async fn account_removed(&self, key: Key, owner: &Jid) -> Result<Out, StorageError> {
        let roster = self.roster(key).await?;
        let remove = self.db.write(move |tx| {
            Box::pin(async move {
                roster::store::remove_account(tx, key).await?;
                presence::store::remove_account(tx, key).await?;
                offline::store::remove_account(tx, key).await
            })
        });
        remove.await?;
        self.rosters.forget(key);
        self.tell_roster(key);
        self.spool.forget(key);
        let mut out = Out::default();
        for item in roster.items() {
            self.end_subscriptions(owner, item, &mut out);
        }
        Ok(out)
    }

    /// Too much waits to be committed: senders are to be read no further.
    pub fn is_congested(&self) -> bool {
        self.db.append_would_block()
    }

    /// Resolves when it has become less.
    pub fn decongested(&self) -> BoxFuture<'static, ()> {
        let db = self.db.clone();
        Box::pin(async move { db.append_ready().await })
    }

    /// The account's sessions that `wanted` picks, on all nodes.
    fn sessions(&self, owner: &Jid, wanted: impl Fn(&Entry) -> bool) -> Entries {
        let (Some(host), Some(local)) = (self.hosts.find(owner.domain()), owner.local()) else {
            return Entries::new();
        };
        self.select(host, local, wanted).map(|(_, sessions)| sessions).unwrap_or_default()
    }

    /// The same, with the account's number if it is known; `None` when it has no session at all.
    fn select(
        &self,
        host: HostId,
        local: &str,
        wanted: impl Fn(&Entry) -> bool,
    ) -> Option<(Option<AccountId>, Entries)> {
        let choose = |entries: &[Entry]| entries.iter().filter(|e| wanted(e)).cloned().collect();
        self.registry.select(host, local, choose)
    }

    /// Goes on with the account of that name, at once when it is known.
    fn with_account(
        self: &Arc<Self>,
        host: HostId,
        local: &str,
        out: &mut Out,
        then: impl FnOnce(&Arc<Im>, Result<Option<AccountId>, StorageError>, &mut Out) + Send + 'static,
    ) {
        let online = self.registry.select(host, local, |_| Entries::new());
        let known = online.and_then(|(account, _)| account).map(Some);
        if let Some(account) = known.or_else(|| self.directory.peek(host, local)) {
            return then(self, Ok(account), out);
        }
        let (im, local) = (self.clone(), local.to_owned());
        out.wait(async move {
            let mut out = Out::default();
            let account = im.directory.find(host, &local).await;
            let account = account.inspect_err(|error| {
                tracing::error!(%error, "an account could not be looked up");
            });
            then(&im, account, &mut out);
            out
        });
    }
}
