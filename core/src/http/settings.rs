//! What an administrator may set for the HTTP ports.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hyper::header::HeaderMap;

use super::{Limits, Peer};
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
static WRITE_TIMEOUT: Property<Duration> = Property::new(
    "http.write-timeout",
    || Limits::DEFAULT.write_timeout,
    "How long an HTTP client may take nothing of its answer before its connection is closed.",
)
.within("1s to 5m", is_bearable);
static HANDSHAKE_TIMEOUT: Property<Duration> = Property::new(
    "http.handshake-timeout",
    || Limits::DEFAULT.handshake_timeout,
    "How long the TLS handshake of an HTTP client may take.",
)
.within("1s to 5m", is_bearable);

static TRUSTED_PROXIES: Property<Vec<String>> = Property::new(
    "http.trusted-proxies",
    Vec::new,
    "Addresses of proxies in front of the HTTP ports, whose X-Forwarded-For and X-Forwarded-Proto \
     are believed. Without them every visitor of a proxy counts as the proxy.",
)
.within("IP addresses", |proxies| proxies.iter().all(|proxy| proxy.parse::<IpAddr>().is_ok()));

fn is_bearable(time: &Duration) -> bool {
    (Duration::from_secs(1)..=Duration::from_secs(300)).contains(time)
}

/// The properties of this module.
pub static PROPERTIES: [&dyn Declared; 5] =
    [&CONNECTIONS, &HEADER_TIMEOUT, &WRITE_TIMEOUT, &HANDSHAKE_TIMEOUT, &TRUSTED_PROXIES];

/// The current values.
#[derive(Clone, Debug)]
pub struct Settings {
    connections: Live<usize>,
    header_timeout: Live<Duration>,
    write_timeout: Live<Duration>,
    handshake_timeout: Live<Duration>,
    trusted_proxies: Live<Vec<String>>,
}

impl Settings {
    pub fn of(properties: &Properties) -> Settings {
        Settings {
            connections: properties.live(&CONNECTIONS),
            header_timeout: properties.live(&HEADER_TIMEOUT),
            write_timeout: properties.live(&WRITE_TIMEOUT),
            handshake_timeout: properties.live(&HANDSHAKE_TIMEOUT),
            trusted_proxies: properties.live(&TRUSTED_PROXIES),
        }
    }

    /// What a connection that comes now is granted.
    pub fn limits(&self) -> Limits {
        Limits {
            connections: self.connections.get(),
            header_timeout: self.header_timeout.get(),
            write_timeout: self.write_timeout.get(),
            handshake_timeout: self.handshake_timeout.get(),
            ..Limits::DEFAULT
        }
    }

    /// Who asks: whoever opened the connection, or the visitor that a trusted proxy forwards.
    pub(super) fn visitor(&self, peer: Peer, headers: &HeaderMap) -> Peer {
        let proxies = self.trusted_proxies.get();
        let is_proxy = |address: IpAddr| {
            proxies.iter().any(|proxy| proxy.parse() == Ok(address.to_canonical()))
        };
        if is_proxy(peer.address.ip()) { forwarded(peer, headers, is_proxy) } else { peer }
    }
}

/// Each proxy appends the address that it sees: the last one that is no proxy's is the visitor's, and
/// what stands before it anybody may have written.
fn forwarded(peer: Peer, headers: &HeaderMap, is_proxy: impl Fn(IpAddr) -> bool) -> Peer {
    let list = |name: &str| -> Vec<&str> {
        let lines = headers.get_all(name).iter().filter_map(|line| line.to_str().ok());
        lines.flat_map(|line| line.split(',')).map(str::trim).collect()
    };
    let hops = list("x-forwarded-for");
    let mut addresses = hops.iter().rev().map(|hop| {
        let socket = hop.parse::<SocketAddr>().map(|socket| socket.ip());
        socket.or_else(|_| hop.parse::<IpAddr>())
    });
    // What cannot be read ends the way back.
    let visitor = addresses.find(|hop| hop.as_ref().map_or(true, |address| !is_proxy(*address)));
    let secure = list("x-forwarded-proto").last().map_or(peer.secure, |proto| *proto == "https");
    match visitor {
        Some(Ok(address)) => Peer { address: SocketAddr::new(address, 0), secure },
        Some(Err(_)) | None => Peer { secure, ..peer },
    }
}

/// Limits that nobody changes.
impl From<Limits> for Settings {
    fn from(limits: Limits) -> Settings {
        Settings {
            connections: Live::fixed(limits.connections),
            header_timeout: Live::fixed(limits.header_timeout),
            write_timeout: Live::fixed(limits.write_timeout),
            handshake_timeout: Live::fixed(limits.handshake_timeout),
            trusted_proxies: Live::fixed(Vec::new()),
        }
    }
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    #[test]
    fn only_trusted_proxies_tell_who_asks() {
        let settings = Settings {
            trusted_proxies: Live::fixed(vec!["127.0.0.1".to_owned(), "10.0.0.2".to_owned()]),
            ..Limits::DEFAULT.into()
        };
        // Who connects, the lines of `X-Forwarded-For`, `X-Forwarded-Proto`, and who asks, encrypted?
        for (from, lines, proto, expected, secure) in [
            ("192.0.2.1", "198.51.100.7", "", "192.0.2.1", false),
            ("127.0.0.1", "", "", "127.0.0.1", false),
            ("127.0.0.1", "198.51.100.7", "", "198.51.100.7", false),
            ("::ffff:127.0.0.1", "198.51.100.7", "", "198.51.100.7", false),
            ("127.0.0.1", "203.0.113.9, 198.51.100.7", "", "198.51.100.7", false),
            ("127.0.0.1", "203.0.113.9\n198.51.100.7, 10.0.0.2", "", "198.51.100.7", false),
            ("127.0.0.1", "198.51.100.7, nonsense", "", "127.0.0.1", false),
            ("127.0.0.1", "[2001:db8::1]:4711", "", "2001:db8::1", false),
            ("127.0.0.1", "2001:db8::1", "https", "2001:db8::1", true),
            ("192.0.2.1", "", "https", "192.0.2.1", false),
        ] {
            let told = lines.lines().map(|line| ("x-forwarded-for", line));
            let proto = Some(("x-forwarded-proto", proto)).filter(|(_, proto)| !proto.is_empty());
            let mut headers = HeaderMap::new();
            for (name, value) in told.chain(proto) {
                headers.append(name, HeaderValue::from_str(value).expect("a value"));
            }
            let from: IpAddr = from.parse().expect("an address");
            let peer = Peer { address: SocketAddr::new(from, 4711), secure: false };
            let visitor = settings.visitor(peer, &headers);
            let address: IpAddr = expected.parse().expect("an address");
            assert_eq!(visitor.address.ip().to_canonical(), address, "{from} {lines}");
            assert_eq!(visitor.secure, secure, "{from} {lines}");
        }
    }
}
