//! What an administrator may set for client streams.

use crate::properties::{Declared, Live, Properties, Property};
use crate::property_words;
use crate::session::pace::Rates;
use crate::stream::sm::QueueLimits;

property_words! {
    /// Which of two sessions has a resource that both want (RFC 6120 §7.7.2.2).
    pub enum ResourceConflict {
        /// The newer one; the older is closed with `<conflict/>`.
        Replace = "replace",
        /// The older one, as long as it has a connection.
        Refuse = "refuse",
    }
}

pub static RESOURCE_CONFLICT: Property<ResourceConflict> = Property::new(
    "c2s.resource-conflict",
    || ResourceConflict::Replace,
    "What happens when a client asks for a resource that a connected session of the account has: \
     \"replace\" closes the older session, \"refuse\" answers the newer one with an error.",
);
pub static RESUME_SECONDS: Property<u64> = Property::new(
    "c2s.resume-seconds",
    || 300,
    "How long a lost connection may be resumed (XEP-0198), in seconds.",
)
.within("0 to 86400", |seconds| *seconds <= 86_400);
pub static QUEUE_STANZAS: Property<usize> = Property::new(
    "limits.unacknowledged-stanzas",
    || 10_000,
    "Stanzas that a client may leave unacknowledged (XEP-0198).",
)
.within("16 or more", |stanzas| *stanzas >= 16);
pub static QUEUE_KB: Property<usize> = Property::new(
    "limits.unacknowledged-kb",
    || 8192,
    "KiB of stanzas that a client may leave unacknowledged (XEP-0198).",
)
.within("64 or more", |kb| *kb >= 64);
pub static MAILBOX_KB: Property<usize> = Property::new(
    "limits.mailbox-kb",
    || 8192,
    "KiB of stanzas that may wait for a client which reads slowly, before it counts as stalled.",
)
.within("64 or more", |kb| *kb >= 64);
pub static SESSIONS: Property<usize> = Property::new(
    "limits.sessions-per-account",
    || 100,
    "Sessions that one account may have at a time; 0 for any number.",
);
pub static STANZAS_PER_SECOND: Property<u32> = Property::new(
    "limits.stanzas-per-second",
    || 5000,
    "Stanzas that one account may send in a second on average, on each node; ten seconds' worth may \
     come at once. Who sends more is read more slowly. 0 for any number.",
)
.within("at most 1000000", |stanzas| *stanzas <= 1_000_000);
pub static KB_PER_SECOND: Property<u32> = Property::new(
    "limits.kb-per-second",
    || 10_240,
    "KiB that one account may send in a second on average, on each node; ten seconds' worth may \
     come at once. Who sends more is read more slowly. 0 for any number.",
)
.within("at most 1000000", |kb| *kb <= 1_000_000);
pub static UNAUTHENTICATED: Property<u32> = Property::new(
    "limits.unauthenticated-per-address",
    || 200,
    "Connections from one address that have not signed in yet; 0 for any number.",
);
pub static HEADER_SECONDS: Property<u64> = Property::new(
    "limits.header-seconds",
    || 10,
    "How long a connection may take to open its stream, in seconds.",
)
.within("1 to 300", |seconds| (1..=300).contains(seconds));
pub static AUTHENTICATION_SECONDS: Property<u64> = Property::new(
    "limits.authentication-seconds",
    || 30,
    "How long a connection may take to sign in, whatever it sends meanwhile, in seconds.",
)
.within("1 to 300", |seconds| (1..=300).contains(seconds));
pub static IDLE_SECONDS: Property<u32> = Property::new(
    "c2s.idle-seconds",
    || 360,
    "Silence after which a client counts as gone, in seconds; half-way it is asked (XEP-0199). \
     0 for never.",
)
.within("0, or 2 to 86400", |seconds| *seconds == 0 || (2..=86_400).contains(seconds));

/// The properties of this module.
pub static PROPERTIES: [&dyn Declared; 12] = [
    &RESOURCE_CONFLICT,
    &RESUME_SECONDS,
    &QUEUE_STANZAS,
    &QUEUE_KB,
    &MAILBOX_KB,
    &SESSIONS,
    &STANZAS_PER_SECOND,
    &KB_PER_SECOND,
    &UNAUTHENTICATED,
    &HEADER_SECONDS,
    &AUTHENTICATION_SECONDS,
    &IDLE_SECONDS,
];

/// The current values.
#[derive(Clone, Debug)]
pub struct Settings {
    pub resource_conflict: Live<ResourceConflict>,
    pub resume_seconds: Live<u64>,
    pub queue_stanzas: Live<usize>,
    pub queue_kb: Live<usize>,
    pub mailbox_kb: Live<usize>,
    pub sessions: Live<usize>,
    pub stanzas_per_second: Live<u32>,
    pub kb_per_second: Live<u32>,
    pub unauthenticated: Live<u32>,
    pub header_seconds: Live<u64>,
    pub authentication_seconds: Live<u64>,
    pub idle_seconds: Live<u32>,
}

impl Settings {
    pub fn of(properties: &Properties) -> Settings {
        Settings {
            resource_conflict: properties.live(&RESOURCE_CONFLICT),
            resume_seconds: properties.live(&RESUME_SECONDS),
            queue_stanzas: properties.live(&QUEUE_STANZAS),
            queue_kb: properties.live(&QUEUE_KB),
            mailbox_kb: properties.live(&MAILBOX_KB),
            sessions: properties.live(&SESSIONS),
            stanzas_per_second: properties.live(&STANZAS_PER_SECOND),
            kb_per_second: properties.live(&KB_PER_SECOND),
            unauthenticated: properties.live(&UNAUTHENTICATED),
            header_seconds: properties.live(&HEADER_SECONDS),
            authentication_seconds: properties.live(&AUTHENTICATION_SECONDS),
            idle_seconds: properties.live(&IDLE_SECONDS),
        }
    }

    /// How fast an account may send.
    pub fn rates(&self) -> Rates {
        let octets = self.kb_per_second.get().saturating_mul(1024);
        Rates { stanzas: self.stanzas_per_second.get(), octets }
    }

    /// Bounds of what a client may leave unacknowledged.
    pub fn queue(&self) -> QueueLimits {
        QueueLimits { items: self.queue_stanzas.get(), octets: self.queue_kb.get() * 1024 }
    }
}
