//! The HTTP listeners: the console's (9090, 9091) and the public ones (7070, 7443).
//!
//! A part mounts a filter under a path prefix of one of the two [`Routes`]; the listeners look the
//! prefix up, so that a mount may come and go while the server runs. Before a route is looked for,
//! the path must be canonical: what the route sees is what was authorised.

mod connection;
mod health;
mod listener;
mod path;
mod routes;
mod settings;

#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::time::Duration;

pub use health::{Health, Readiness, mount as mount_health};
pub use listener::{Door, Plain, Server};
pub use path::{decode as decode_segment, encode as encode_segment, is_canonical};
pub use routes::{Allowance, Routes, respond};
pub use settings::{PROPERTIES, Settings};
pub use warp::reply::Response;

/// The body of a request; reading more than its mount allows is an error.
pub type Body = http_body_util::Limited<hyper::body::Incoming>;
pub type Request = hyper::Request<Body>;

/// Who asks. Each request carries it as an extension.
#[derive(Clone, Copy, Debug)]
pub struct Peer {
    pub address: SocketAddr,
    /// Whether the request came through TLS.
    pub secure: bool,
}

impl Peer {
    /// From this machine: what it sends does not cross a network.
    pub fn is_local(&self) -> bool {
        self.address.ip().to_canonical().is_loopback()
    }
}

/// What one listener grants before it knows who asks.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of the head of a request, and so of one read buffer.
    pub header_bytes: usize,
    pub headers: usize,
    /// From the first byte of a connection, or of the next request, to the end of its head.
    pub header_timeout: Duration,
    /// How long a client may take nothing of what is sent to it.
    pub write_timeout: Duration,
    pub handshake_timeout: Duration,
    pub connections: usize,
}

impl Limits {
    /// Those of a server that says nothing else.
    pub const DEFAULT: Limits = Limits {
        header_bytes: 16 * 1024,
        headers: 64,
        header_timeout: Duration::from_secs(10),
        write_timeout: Duration::from_secs(60),
        handshake_timeout: Duration::from_secs(10),
        connections: 1024,
    };
}
