//! What a plugin does again and again while it runs.

use std::sync::Arc;
use std::time::Duration;

use hearth_plugin_api::{Tick, Timer};

use super::{Guest, Handler};

const SHORTEST: u64 = 100;
/// A run that takes longer is a fault.
const DEADLINE: Duration = Duration::from_secs(300);

pub(super) fn open(guest: &Arc<Guest>, timer: Timer, handler: Handler) {
    let period = Duration::from_millis(timer.every_ms.max(SHORTEST));
    let stop = guest.seams.tracker.soft().clone();
    let guest = guest.clone();
    guest.clone().seams.tracker.spawn("plugin timer", async move {
        let what = format!("timer {}", timer.name);
        let tick = Tick { name: timer.name.clone() };
        loop {
            tokio::select! {
                () = tokio::time::sleep(period) => {}
                () = handler.guard.closed() => return,
                () = stop.cancelled() => return,
            }
            if timer.once_in_cluster && !is_owner(&guest, &tick.name) {
                continue;
            }
            let run = handler.ask::<_, serde_json::Value>(&what, DEADLINE, (&tick, Vec::new()));
            if let Err(error) = run.await {
                let plugin = handler.guard.id();
                tracing::warn!(plugin, timer = tick.name, %error, "a plugin's timer failed");
            }
        }
    });
}

/// Whether it is this node's turn: in a cluster the owner's, alone always; on standby never.
fn is_owner(guest: &Guest, timer: &str) -> bool {
    if !guest.seams.cluster.seat.is_held() {
        return false;
    }
    let nodes = &guest.seams.router.nodes;
    let key = format!("{}/{timer}", guest.id());
    nodes.cluster().owner("plugin-timer", &key).owner == nodes.me()
}
