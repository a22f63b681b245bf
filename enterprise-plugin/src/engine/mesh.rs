//! Links between all nodes, each with each: TLS over TCP, both ends proven by the cluster's authority.
//! Every node calls every other one and speaks on the connection that it made; a link is there when both
//! have called. So each way is proven, and no connection has to win over another. What cannot be sent at
//! once is dropped: a node that hangs holds up nobody.

mod call;
mod frame;
mod listen;
mod place;
mod shared;
mod tls;

#[cfg(test)]
mod tests;

use std::net::TcpListener;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use hearth_plugin_api::Result;

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
}

/// One node's end.
pub struct MeshNode {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Mesh {
    /// `wanted`: an address, with or without port, at which the other nodes reach this one; empty: all
    /// addresses of the machine.
    pub fn new(identity: &Identity, wanted: &str) -> Result<Mesh> {
        let place = Mutex::new(place::choose(wanted)?);
        Ok(Mesh { ends: Ends::new(identity)?, wanted: wanted.to_owned(), place })
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
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (own, ends) = (shared.clone(), self.ends.clone());
        let serve = move || {
            let served = runtime.block_on(serve(&own, &ends, listener));
            // Closes all connections.
            drop(runtime);
            if let Err(error) = served {
                own.fail(error.to_string());
            }
        };
        let thread = std::thread::Builder::new().name("hearth-links".to_owned()).spawn(serve)?;
        Ok(MeshNode { shared, thread: Mutex::new(Some(thread)) })
    }
}

/// Listens and calls until it shall close.
async fn serve(shared: &Arc<Shared>, ends: &Ends, listener: TcpListener) -> std::io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    tokio::select! {
        () = listen::listen(shared, ends, &listener) => {}
        () = call::call_all(shared, ends) => {}
        () = shared.closed() => {}
    }
    Ok(())
}

impl Engine for MeshNode {
    fn send(&self, to: Member, sample: Bytes) {
        self.shared.send(to, sample);
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
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        // A panic of the thread has closed everything too.
        thread.map(JoinHandle::join);
    }
}

impl Drop for MeshNode {
    fn drop(&mut self) {
        self.close();
    }
}
