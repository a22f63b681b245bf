//! The cluster seam: a plugin that carries core's traffic between nodes, and that says in which view
//! and until when this node serves.

mod carrier;
mod convert;
mod flushing;
mod host;
mod watch;

use std::sync::Arc;

use abi_stable::sabi_trait::TD_Opaque;
use abi_stable::std_types::RArc;
use hearth_plugin_api::abi::{ClusterHost_TO, ClusterHostRef, ClusterRef};
use hearth_plugin_api::cluster::ClusterSpec;
use hearth_plugin_api::{Capability, Error, ErrorKind};
use parking_lot::Mutex;

use super::{Guest, Hooks};
use crate::c2s::C2s;
use crate::c2s::drain::Drain;
use crate::storage::lease::Seat;
use carrier::Carrier;
use host::ClusterApi;

/// What a plugin that makes a cluster works on.
pub struct ClusterSeam {
    pub seat: Seat,
    pub drain: Drain,
    pub c2s: Arc<C2s>,
    /// The plugin that leads this node.
    leader: Mutex<Option<String>>,
}

impl ClusterSeam {
    pub fn new(seat: Seat, drain: Drain, c2s: Arc<C2s>) -> ClusterSeam {
        ClusterSeam { seat, drain, c2s, leader: Mutex::default() }
    }
}

/// A plugin's half of the seam, from its registration on.
pub struct Offered {
    spec: ClusterSpec,
    carrier: Arc<Carrier>,
}

/// Takes the plugin's half and gives it ours, which leads the node only once the plugin runs.
pub(super) fn register(
    guest: &Arc<Guest>,
    spec: &str,
    cluster: ClusterRef,
) -> Result<(Offered, ClusterHostRef), Error> {
    guest.manifest.require(Capability::Cluster)?;
    let spec: ClusterSpec = serde_json::from_str(spec)?;
    let carrier = Arc::new(Carrier::new(guest, &spec, cluster));
    let api = ClusterApi { guest: guest.clone(), carrier: Arc::downgrade(&carrier) };
    let host = ClusterHost_TO::from_ptr(RArc::new(api), TD_Opaque);
    Ok((Offered { spec, carrier }, host))
}

/// The plugin runs: it may lead this node. When it has stopped, nobody does.
pub(super) fn open(guest: &Arc<Guest>, offered: &Offered, hooks: &mut Hooks) -> Result<(), Error> {
    let mut leader = guest.seams.cluster.leader.lock();
    if let Some(other) = &*leader {
        let message = format!("the plugin {other} carries the traffic between nodes already");
        return Err(Error::new(ErrorKind::Conflict, message));
    }
    *leader = Some(guest.id().to_owned());
    drop(leader);
    let engine = &offered.spec.name;
    tracing::info!(plugin = guest.id(), engine, "a plugin may lead this node in a cluster");
    let (guest, carrier) = (guest.clone(), offered.carrier.clone());
    carrier.begin();
    let serving = carrier.clone();
    guest.seams.tracker.spawn("cluster outbox", async move { serving.serve().await });
    // Last of all: it leaves the cluster while it stops.
    hooks.undo_last(move || {
        let seam = &guest.seams.cluster;
        carrier.end();
        seam.seat.unled();
        seam.drain.set(0);
        seam.leader.lock().take();
    });
    Ok(())
}

#[cfg(test)]
mod tests;
