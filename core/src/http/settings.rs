//! What an administrator may set for the HTTP ports.

use std::time::Duration;

use super::Limits;
use crate::properties::{Declared, Live, Properties, Property};

static CONNECTIONS: Property<usize> = Property::new(
    "http.connections",
    || Limits::DEFAULT.connections,
    "HTTP connections that each port serves at a time; beyond them newcomers wait. Clients of HTTP \
     binding and WebSocket hold one or two each.",
)
.within("16 to 1000000", |count| (16..=1_000_000).contains(count))
.restart();
static HEADER_TIMEOUT: Property<Duration> = Property::new(
    "http.header-timeout",
    || Limits::DEFAULT.header_timeout,
    "How long an HTTP client may take for the head of a request; so long an idle connection is kept, \
     too.",
)
.within("1s to 5m", is_bearable);
static HANDSHAKE_TIMEOUT: Property<Duration> = Property::new(
    "http.handshake-timeout",
    || Limits::DEFAULT.handshake_timeout,
    "How long the TLS handshake of an HTTP client may take.",
)
.within("1s to 5m", is_bearable);

fn is_bearable(time: &Duration) -> bool {
    (Duration::from_secs(1)..=Duration::from_secs(300)).contains(time)
}

/// The properties of this module.
pub static PROPERTIES: [&dyn Declared; 3] = [&CONNECTIONS, &HEADER_TIMEOUT, &HANDSHAKE_TIMEOUT];

/// The current values.
#[derive(Clone, Debug)]
pub struct Settings {
    connections: Live<usize>,
    header_timeout: Live<Duration>,
    handshake_timeout: Live<Duration>,
}

impl Settings {
    pub fn of(properties: &Properties) -> Settings {
        Settings {
            connections: properties.live(&CONNECTIONS),
            header_timeout: properties.live(&HEADER_TIMEOUT),
            handshake_timeout: properties.live(&HANDSHAKE_TIMEOUT),
        }
    }

    /// What a connection that comes now is granted.
    pub fn limits(&self) -> Limits {
        Limits {
            connections: self.connections.get(),
            header_timeout: self.header_timeout.get(),
            handshake_timeout: self.handshake_timeout.get(),
            ..Limits::DEFAULT
        }
    }
}

/// Limits that nobody changes.
impl From<Limits> for Settings {
    fn from(limits: Limits) -> Settings {
        Settings {
            connections: Live::fixed(limits.connections),
            header_timeout: Live::fixed(limits.header_timeout),
            handshake_timeout: Live::fixed(limits.handshake_timeout),
        }
    }
}
