//! Plugins: shared libraries that strangers wrote, loaded into the running server.
//!
//! An upload meets the files in this order: `incoming` brings it to the disk, `install` looks at its
//! octets, `trust` asks whether anybody answers for it, `probe` loads it in a child process, `install`
//! gives it its final name, `lifecycle` starts it, `guard` stands before every call into it. Only
//! `plugin_host` knows the plugin ABI; only `bridge` names both its types and core's.

pub mod bridge;
mod error;
mod guard;
mod incoming;
mod install;
mod lifecycle;
pub mod manifest;
mod parking;
pub mod probe;
mod show;
pub mod signature;
mod store;
mod trust;

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::RwLock;

pub use error::PluginError;
pub use incoming::{Incoming, Staged};
pub use install::Consent;
pub use lifecycle::Data;
pub use show::{Shown, State};
pub use store::MIGRATIONS;

use crate::clock::Clock;
use crate::config::Home;
use crate::properties::{Declared, Live, Properties, Property};
use crate::shutdown::Tracker;
use crate::storage::Db;

pub static MAX_SIZE: Property<u64> = Property::new(
    "plugins.max_size",
    || 128,
    "Size of the largest plugin file that may be uploaded, in MiB.",
)
.within("1 to 1024", |mib| (1..=MAX_UPLOAD >> 20).contains(mib));

pub static REQUIRE_SIGNATURE: Property<bool> = Property::new(
    "plugins.require_signature",
    || false,
    "Whether only plugins are installed that carry the signature of a trusted key. Otherwise an \
     administrator may accept an unsigned one.",
);

pub static MAX_FAULTS: Property<u32> = Property::new(
    "plugins.max_faults",
    || 10,
    "Faults (panics, calls that take too long) after which a plugin is disabled.",
)
.within("1 or more", |faults| *faults >= 1);

pub static PROPERTIES: [&dyn Declared; 3] = [&MAX_SIZE, &REQUIRE_SIGNATURE, &MAX_FAULTS];

/// Octets beyond which no upload is read, whatever the property says.
pub const MAX_UPLOAD: u64 = 1 << 30;

/// The settings that plugins stand under.
struct Settings {
    max_size: Live<u64>,
    require_signature: Live<bool>,
    max_faults: Live<u32>,
}

/// The plugins of this node.
pub struct PluginHost {
    home: Home,
    db: Db,
    clock: Clock,
    tracker: Tracker,
    settings: Settings,
    /// One change of what is installed and runs at a time.
    changes: tokio::sync::Mutex<()>,
    running: RwLock<BTreeMap<String, Arc<lifecycle::Instance>>>,
    /// What plugins work on; absent when the command line works without a server.
    seams: std::sync::OnceLock<Arc<bridge::Seams>>,
}

/// What the host stands on.
pub struct Parts<'p> {
    pub home: &'p Home,
    pub db: &'p Db,
    pub clock: &'p Clock,
    pub tracker: &'p Tracker,
    pub properties: &'p Properties,
}

impl PluginHost {
    /// A host that installs and lists, and runs nothing before [`PluginHost::start`].
    pub fn new(parts: &Parts<'_>) -> Arc<PluginHost> {
        let Parts { home, db, clock, tracker, properties } = *parts;
        Arc::new(PluginHost {
            home: home.clone(),
            db: db.clone(),
            clock: clock.clone(),
            tracker: tracker.clone(),
            settings: Settings {
                max_size: properties.live(&MAX_SIZE),
                require_signature: properties.live(&REQUIRE_SIGNATURE),
                max_faults: properties.live(&MAX_FAULTS),
            },
            changes: tokio::sync::Mutex::default(),
            running: RwLock::default(),
            seams: std::sync::OnceLock::new(),
        })
    }

    /// The running instance of a plugin.
    fn running(&self, id: &str) -> Option<Arc<lifecycle::Instance>> {
        self.running.read().get(id).cloned()
    }

    /// Begins to receive a file.
    pub async fn receive(&self) -> Result<Incoming, PluginError> {
        let limit = self.settings.max_size.get() << 20;
        Incoming::create(&self.home, self.clock.random(), limit).await
    }
}
