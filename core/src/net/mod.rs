//! Sockets and TLS: accepts connections and moves bytes, nothing more.
//!
//! [`Io`] is the byte channel that every driver holds, in plain text or under TLS. It owns no read
//! buffer while it waits and no write buffer while the peer keeps up.

pub mod io;
pub mod limits;
pub mod listener;
pub mod memory;
pub mod proxy_protocol;
mod scratch;
mod socket;
pub mod tls;

pub use io::Io;
