//! Eclipse Zenoh, peer to peer, in the narrow way that does not stall: samples are dropped rather than
//! waited for, they are put by a thread of the link's own, each key names the incarnation of both ends,
//! and there is one liveliness token per node. Links are TLS with both ends proven by the cluster's
//! authority.

mod config;
mod one_thread;
mod queue;
mod thread;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use bytes::Bytes;
use hearth_plugin_api::{Error, Result};

use super::{Engine, Event, Open, Wake};
use crate::authority::Identity;
use crate::membership::{Member, NodeRow};
use config::Settings;
use queue::Shared;

/// Where a node listens unless something else is configured, if nobody else does.
const PORT: u16 = 7447;
/// Samples that wait for the thread; the lanes have less under way.
const WAITING: usize = 256;

/// Opens links for one node.
pub struct Zenoh {
    identity: Identity,
    /// As configured: an address with or without port; empty for all addresses.
    wanted: String,
    place: Mutex<Place>,
}

/// Where a node listens, and where the others reach it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    listen: SocketAddr,
    advertised: String,
}

/// One node's end.
pub struct Link {
    orders: SyncSender<Order>,
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

enum Order {
    Put(Member, Bytes),
    /// There is no link to it any more.
    Forget(Member),
    Close,
}

impl Zenoh {
    /// `wanted`: an address, with or without port, at which the other nodes reach this one; empty: all
    /// addresses of the machine.
    pub fn new(identity: Identity, wanted: &str) -> Result<Zenoh> {
        // The engine asks for the process's provider; there is only this one.
        let _ = rustls::crypto::ring::default_provider().install_default();
        one_thread::ensure();
        let place = Mutex::new(place(wanted)?);
        Ok(Zenoh { identity, wanted: wanted.to_owned(), place })
    }

    fn place(&self) -> MutexGuard<'_, Place> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open for Zenoh {
    type Engine = Link;

    fn addresses(&self) -> Vec<String> {
        vec![self.place().advertised.clone()]
    }

    fn open(&self, me: Member, nodes: &[NodeRow], wake: &Wake) -> Result<Link> {
        let listen = {
            let mut place = self.place();
            if TcpListener::bind(place.listen).is_err() {
                // Somebody else took the port meanwhile.
                *place = self::place(&self.wanted)?;
            }
            place.listen
        };
        let others = nodes.iter().filter(|row| row.member.node != me.node);
        let connect = others.flat_map(|row| row.about.addresses.clone()).collect();
        let settings = Settings { identity: &self.identity, listen, connect };
        let config = settings.config().map_err(|error| Error::from(error.to_string()))?;
        let (orders, queue) = sync_channel(WAITING);
        let shared = Arc::new(Shared::new(me, wake.clone()));
        shared.know(nodes);
        let parts = (shared.clone(), orders.clone());
        let thread = std::thread::Builder::new()
            .name("hearth-links".to_owned())
            .spawn(move || thread::run(config, parts, queue))?;
        Ok(Link { orders, shared, thread: Mutex::new(Some(thread)) })
    }
}

impl Engine for Link {
    fn send(&self, to: Member, sample: Bytes) {
        // Full: the lane sends it again.
        let _ = self.orders.try_send(Order::Put(to, sample));
    }

    fn events(&self) -> Vec<Event> {
        self.shared.events()
    }

    fn know(&self, nodes: &[NodeRow]) {
        self.shared.know(nodes);
    }

    fn failure(&self) -> Option<String> {
        self.shared.failure()
    }

    fn close(&self) {
        self.shared.close();
        let _ = self.orders.try_send(Order::Close);
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        // A panic of the thread has ended the link too.
        thread.map(JoinHandle::join);
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.close();
    }
}

/// Where to listen. Without a configured port: the usual one if it is free, otherwise one that the system
/// chooses.
fn place(wanted: &str) -> Result<Place> {
    let wanted = wanted.trim();
    let (address, port) = match (wanted.parse::<SocketAddr>(), wanted.parse::<IpAddr>()) {
        (Ok(both), _) => (both.ip(), Some(both.port())),
        (_, Ok(address)) => (address, None),
        _ if wanted.is_empty() => (Ipv4Addr::UNSPECIFIED.into(), None),
        _ => {
            let message = format!(
                "`{wanted}` is no address to listen at: set `plugin.enterprise.listen` to an address such \
                 as 10.0.0.5 or 10.0.0.5:7447"
            );
            return Err(Error::invalid(message));
        }
    };
    let free = |port| TcpListener::bind((address, port)).and_then(|socket| socket.local_addr());
    let listen = match port {
        Some(port) => free(port),
        None => free(PORT).or_else(|_| free(0)),
    };
    let listen = listen.map_err(|error| {
        Error::unavailable(format!("the other nodes cannot reach this one at {wanted}: {error}"))
    })?;
    let seen = if address.is_unspecified() { own_address() } else { address };
    Ok(Place { listen, advertised: SocketAddr::new(seen, listen.port()).to_string() })
}

/// The address from which this machine would reach others; nothing is sent for that.
fn own_address() -> IpAddr {
    let ask = || -> std::io::Result<IpAddr> {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        // RFC 5737: an address for documentation.
        socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9))?;
        Ok(socket.local_addr()?.ip())
    };
    ask().ok().filter(|address| !address.is_unspecified()).unwrap_or(Ipv4Addr::LOCALHOST.into())
}

/// Addresses by member.
type Addresses = BTreeMap<Member, Vec<String>>;
