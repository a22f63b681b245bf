//! What happens on this node, told to whoever listens. When nobody does, telling costs one load and
//! a branch.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use serde_json::Value;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    SessionOpened,
    SessionClosed,
    PresenceChanged,
    UserCreated,
    UserDeleted,
    UserPassword,
    RoomCreated,
    RoomDestroyed,
    MessageArchived,
    PluginStarted,
    PluginStopped,
    LeaseChanged,
    ClusterJoined,
    ClusterLeft,
}

impl Kind {
    pub const ALL: [Kind; 14] = [
        Kind::SessionOpened,
        Kind::SessionClosed,
        Kind::PresenceChanged,
        Kind::UserCreated,
        Kind::UserDeleted,
        Kind::UserPassword,
        Kind::RoomCreated,
        Kind::RoomDestroyed,
        Kind::MessageArchived,
        Kind::PluginStarted,
        Kind::PluginStopped,
        Kind::LeaseChanged,
        Kind::ClusterJoined,
        Kind::ClusterLeft,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Kind::SessionOpened => "session.opened",
            Kind::SessionClosed => "session.closed",
            Kind::PresenceChanged => "presence.changed",
            Kind::UserCreated => "user.created",
            Kind::UserDeleted => "user.deleted",
            Kind::UserPassword => "user.password",
            Kind::RoomCreated => "room.created",
            Kind::RoomDestroyed => "room.destroyed",
            Kind::MessageArchived => "message.archived",
            Kind::PluginStarted => "plugin.started",
            Kind::PluginStopped => "plugin.stopped",
            Kind::LeaseChanged => "lease.changed",
            Kind::ClusterJoined => "cluster.joined",
            Kind::ClusterLeft => "cluster.left",
        }
    }

    fn bit(self) -> u32 {
        1 << self as u32
    }
}

/// Whether `wanted`, a kind or a group with a star such as `session.*`, covers the kind `name`.
pub fn covers(wanted: &str, name: &str) -> bool {
    match wanted.strip_suffix('*') {
        Some(group) => name.starts_with(group),
        None => wanted == name,
    }
}

/// Hears of what happens, in the order in which it is told.
pub trait Listener: Send + Sync {
    /// Must not wait: it is called where the thing happens.
    fn hear(&self, kind: Kind, data: &Value);
}

type Listeners = Vec<(u32, Arc<dyn Listener>)>;

/// Who listens on this node.
#[derive(Default)]
pub struct Events {
    /// A bit for each kind that somebody listens to.
    wanted: AtomicU32,
    listeners: ArcSwap<Listeners>,
    changes: Mutex<()>,
}

impl Events {
    pub fn is_wanted(&self, kind: Kind) -> bool {
        self.wanted.load(Ordering::Relaxed) & kind.bit() != 0
    }

    /// Tells those who listen to `kind`; the `data` is made for them only. The fields of each kind
    /// are in `docs/plugins.md`.
    pub fn tell(&self, kind: Kind, data: impl FnOnce() -> Value) {
        if !self.is_wanted(kind) {
            return;
        }
        let data = data();
        for (wanted, listener) in self.listeners.load().iter() {
            if wanted & kind.bit() != 0 {
                listener.hear(kind, &data);
            }
        }
    }

    pub fn add(&self, kinds: &[Kind], listener: Arc<dyn Listener>) {
        let wanted = kinds.iter().fold(0, |bits, kind| bits | kind.bit());
        self.change(|listeners| listeners.push((wanted, listener)));
    }

    pub fn remove(&self, listener: &Arc<dyn Listener>) {
        self.change(|listeners| listeners.retain(|(_, known)| !Arc::ptr_eq(known, listener)));
    }

    fn change(&self, change: impl FnOnce(&mut Listeners)) {
        let _alone = self.changes.lock();
        let mut listeners = Listeners::clone(&self.listeners.load());
        change(&mut listeners);
        let wanted = listeners.iter().fold(0, |bits, (wanted, _)| bits | wanted);
        self.listeners.store(Arc::new(listeners));
        self.wanted.store(wanted, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Ear(Mutex<Vec<(&'static str, Value)>>);

    impl Listener for Ear {
        fn hear(&self, kind: Kind, data: &Value) {
            self.0.lock().push((kind.name(), data.clone()));
        }
    }

    #[test]
    fn each_kind_has_a_bit_of_its_own() {
        let all = Kind::ALL.iter().fold(0_u32, |bits, kind| bits | kind.bit());
        assert_eq!(all.count_ones() as usize, Kind::ALL.len());
    }

    #[test]
    fn a_listener_hears_what_it_wants_in_order() {
        let (events, ear) = (Events::default(), Arc::new(Ear::default()));
        let listener: Arc<dyn Listener> = ear.clone();
        events.add(&[Kind::UserCreated, Kind::UserDeleted], listener.clone());
        for kind in [Kind::UserCreated, Kind::UserPassword, Kind::UserDeleted] {
            events.tell(kind, || "romeo".into());
        }
        let heard = |name| (name, Value::from("romeo"));
        assert_eq!(*ear.0.lock(), [heard("user.created"), heard("user.deleted")]);
        events.remove(&listener);
        events.tell(Kind::UserCreated, || panic!("nobody listens"));
    }

    #[test]
    fn a_star_covers_a_group() {
        for (wanted, name, covered) in [
            ("session.*", "session.opened", true),
            ("session.opened", "session.opened", true),
            ("session.*", "user.created", false),
            ("*", "user.created", true),
            ("session", "session.opened", false),
        ] {
            assert_eq!(covers(wanted, name), covered, "{wanted} {name}");
        }
    }
}
