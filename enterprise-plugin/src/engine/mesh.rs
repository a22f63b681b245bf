//! Links between all nodes, each with each: TLS over TCP, both ends proven by the cluster's authority.
//! Every node calls every other one and speaks on the connection that it made; a link is there when both
//! have called. So each way is proven, and no connection has to win over another. What there is no room
//! for is dropped: a node that hangs holds up nobody. They are read on the thread of membership and carrier:
//! between these and a socket no thread has to wake another.

mod call;
mod frame;
mod line;
mod listen;
mod place;
mod shared;
mod tls;

#[cfg(test)]
mod tests;

use std::net::TcpListener;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use hearth_plugin_api::Result;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use super::{Engine, Event, Open, Wake};
use crate::authority::Identity;
use crate::membership::{Member, NodeRow};
use place::Place;
use shared::Shared;
use tls::Ends;

/// A connection on which nothing came for this time is lost, and so is one that takes nothing.
const LEASE: Duration = Duration::from_secs(2);
/// What calls has something to say at least this often.
const KEEP_ALIVE: Duration = Duration::from_millis(500);

/// Opens links for one node.
pub struct Mesh {
    ends: Ends,
    /// As configured: an address with or without port; empty for all addresses.
    wanted: String,
    place: Mutex<Place>,
    /// Where links are served.
    runtime: Handle,
}

/// One node's end.
pub struct MeshNode {
    shared: Arc<Shared>,
    serving: JoinHandle<()>,
}

impl Mesh {
    /// `wanted`: an address, with or without port, at which the other nodes reach this one; empty: all
    /// addresses of the machine.
    pub fn new(identity: &Identity, wanted: &str, runtime: Handle) -> Result<Mesh> {
        let place = Mutex::new(place::choose(wanted)?);
        Ok(Mesh { ends: Ends::new(identity)?, wanted: wanted.to_owned(), place, runtime })
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

    fn open(&self, me: Member, nodes: &[NodeRow], wake: &Wake) -> Result<MeshNode> {
        let (listener, address) = self.listen()?;
        listener.set_nonblocking(true)?;
        let shared = Arc::new(Shared::new(me, address, wake.clone()));
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
    fn send(&self, to: Member, sample: Bytes) {
        self.shared.send(to, &sample);
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
        self.serving.abort();
    }
}

impl Drop for MeshNode {
    fn drop(&mut self) {
        self.close();
    }
}
