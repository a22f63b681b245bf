//! Links between all nodes, each with each: TLS over TCP, both ends proven by the cluster's authority.
//! Every node calls every other one and speaks on the connection that it made; a link is there when both
//! have called. So each way is proven, and no connection has to win over another. What there is no room
//! for is dropped: a node that hangs holds up nobody. The server's threads read them and route what they read,
//! and whoever has something to say writes it: between a stanza and a socket no thread has to wake another.

mod call;
mod frame;
mod hearing;
mod line;
mod listen;
mod place;
mod shared;
mod tls;

#[cfg(test)]
mod tests;

use std::net::TcpListener;
use std::os::fd::BorrowedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hearth_plugin_api::Result;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use super::{Ear, Engine, Event, Open, Piece};
use crate::authority::Identity;
use crate::membership::{Member, NodeRow};
pub use hearing::Hearing;
use place::Place;
use shared::Shared;
use tls::Ends;

/// A connection on which nothing came for this time is lost, and so is one that takes nothing.
const LEASE: Duration = Duration::from_secs(2);
/// What calls has something to say at least this often.
const KEEP_ALIVE: Duration = Duration::from_millis(500);

/// Has a connection read whenever something has arrived on it, until it is over. `Unsupported` by a
/// server that does not do that: then it is read here.
pub type Watch = Arc<dyn Fn(BorrowedFd<'_>, &Arc<Hearing>) -> Result<()> + Send + Sync>;

/// Opens links for one node.
pub struct Mesh {
    ends: Ends,
    /// As configured: an address with or without port; empty for all addresses.
    wanted: String,
    place: Mutex<Place>,
    /// Where links are made and kept.
    runtime: Handle,
    watch: Watch,
}

/// One node's end.
pub struct MeshNode {
    shared: Arc<Shared>,
    serving: JoinHandle<()>,
}

impl Mesh {
    /// `wanted`: an address, with or without port, at which the other nodes reach this one; empty: all
    /// addresses of the machine.
    pub fn new(
        identity: &Identity,
        wanted: &str,
        (runtime, watch): (Handle, Watch),
    ) -> Result<Mesh> {
        let (ends, place) = (Ends::new(identity)?, Mutex::new(place::choose(wanted)?));
        Ok(Mesh { ends, wanted: wanted.to_owned(), place, runtime, watch })
    }

    fn place(&self) -> MutexGuard<'_, Place> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where it was before, if that is free still.
    fn listen(&self) -> Result<(TcpListener, String)> {
        let mut place = self.place();
        if let Ok(listener) = TcpListener::bind(place.listen) {
            return Ok((listener, place.advertised.clone()));
        }
        *place = place::choose(&self.wanted)?;
        Ok((TcpListener::bind(place.listen)?, place.advertised.clone()))
    }
}

impl Open for Mesh {
    type Engine = MeshNode;

    fn addresses(&self) -> Vec<String> {
        vec![self.place().advertised.clone()]
    }

    fn open(&self, me: Member, nodes: &[NodeRow], ear: &Arc<dyn Ear>) -> Result<MeshNode> {
        let (listener, address) = self.listen()?;
        listener.set_nonblocking(true)?;
        let shared = Arc::new(Shared::new((me, address), ear.clone(), self.watch.clone()));
        shared.know(nodes);
        let serving = self.runtime.spawn(serve(shared.clone(), self.ends.clone(), listener));
        Ok(MeshNode { shared, serving })
    }
}

/// Listens and calls until it is ended, and all connections with it.
async fn serve(shared: Arc<Shared>, ends: Ends, listener: TcpListener) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return shared.fail(error.to_string()),
    };
    tokio::join!(listen::listen(&shared, &ends, &listener), call::call_all(&shared, &ends));
}

impl Engine for MeshNode {
    fn send(&self, to: Member, samples: &[impl Piece]) {
        self.shared.send(to, samples);
    }

    fn events(&self) -> Vec<Event> {
        self.shared.events()
    }

    fn catch_up(&self) {
        self.shared.catch_up();
    }

    fn know(&self, nodes: &[NodeRow]) {
        self.shared.know(nodes);
    }

    fn failure(&self) -> Option<String> {
        self.shared.failure()
    }

    fn close(&self) {
        self.serving.abort();
        self.shared.close();
    }
}

impl Drop for MeshNode {
    fn drop(&mut self) {
        self.close();
    }
}
