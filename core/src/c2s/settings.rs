//! What an administrator may set for client streams.

use crate::properties::{Declared, Live, Properties, Property};
use crate::stream::sm::QueueLimits;

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
pub static UNAUTHENTICATED: Property<u32> = Property::new(
    "limits.unauthenticated-per-address",
    || 200,
    "Connections from one address that have not signed in yet; 0 for any number.",
);

/// The properties of this module.
pub static PROPERTIES: [&dyn Declared; 6] =
    [&RESUME_SECONDS, &QUEUE_STANZAS, &QUEUE_KB, &MAILBOX_KB, &SESSIONS, &UNAUTHENTICATED];

/// The current values.
#[derive(Clone, Debug)]
pub struct Settings {
    pub resume_seconds: Live<u64>,
    pub queue_stanzas: Live<usize>,
    pub queue_kb: Live<usize>,
    pub mailbox_kb: Live<usize>,
    pub sessions: Live<usize>,
    pub unauthenticated: Live<u32>,
}

impl Settings {
    pub fn of(properties: &Properties) -> Settings {
        Settings {
            resume_seconds: properties.live(&RESUME_SECONDS),
            queue_stanzas: properties.live(&QUEUE_STANZAS),
            queue_kb: properties.live(&QUEUE_KB),
            mailbox_kb: properties.live(&MAILBOX_KB),
            sessions: properties.live(&SESSIONS),
            unauthenticated: properties.live(&UNAUTHENTICATED),
        }
    }

    /// Bounds of what a client may leave unacknowledged.
    pub fn queue(&self) -> QueueLimits {
        QueueLimits { items: self.queue_stanzas.get(), octets: self.queue_kb.get() * 1024 }
    }
}
