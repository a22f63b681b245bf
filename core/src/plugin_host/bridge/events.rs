//! What happens on the server, told to a plugin: one event after another, by a task of its own. An
//! event that finds too many waiting is dropped and counted; nobody waits for a plugin's ears.

use std::sync::Arc;
use std::time::Duration;

use hearth_plugin_api::Event;
use serde_json::{Value, json};
use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::{Guest, Handler, Hooks};
use crate::events::{Kind, Listener, covers};

/// Events that may wait.
const QUEUE: usize = 4096;
/// To hear one event.
const DEADLINE: Duration = Duration::from_secs(30);
/// Counts, by plugin, what found no room.
const DROPPED: &str = "hearth_plugin_events_dropped_total";
const PROPERTY: &str = "property.changed";

/// Hears for a plugin.
pub struct Ear {
    guest: Arc<Guest>,
    queue: Sender<Event>,
    wanted: Vec<Kind>,
}

pub(super) fn open(guest: &Arc<Guest>, kinds: &[String], handler: Handler, hooks: &mut Hooks) {
    let (queue, waiting) = channel(QUEUE);
    guest.seams.tracker.spawn("plugin events", hear(handler, waiting));
    let wants = |name: &str| kinds.iter().any(|wanted| covers(wanted, name));
    let wanted: Vec<Kind> = Kind::ALL.into_iter().filter(|kind| wants(kind.name())).collect();
    let ear = Arc::new(Ear { guest: guest.clone(), queue, wanted });
    for unknown in kinds.iter().filter(|wanted| !is_known(wanted)) {
        tracing::warn!(plugin = guest.id(), kind = unknown, "no event of this kind ever comes");
    }
    if wants(PROPERTY) {
        follow_properties(&ear);
    }
    let (events, listener): (_, Arc<dyn Listener>) = (guest.seams.events.clone(), ear.clone());
    events.add(&ear.wanted, listener.clone());
    hooks.ears.push(ear);
    hooks.undo(move || events.remove(&listener));
}

/// The data of an event about a plugin.
pub fn plugin(id: &str, version: &str) -> Value {
    json!({ "id": id, "version": version })
}

fn is_known(wanted: &str) -> bool {
    let mut names = Kind::ALL.iter().map(|kind| kind.name()).chain([PROPERTY]);
    names.any(|name| covers(wanted, name))
}

impl Ear {
    /// Tells of a plugin that runs already.
    pub fn introduce(&self, id: &str, version: &str) {
        if self.wanted.contains(&Kind::PluginStarted) {
            self.hear(Kind::PluginStarted, &plugin(id, version));
        }
    }

    fn tell(&self, kind: &str, data: Value) {
        let clock = &self.guest.seams.clock;
        let (at_ms, node) = (clock.now().0, clock.node());
        let event = Event { v: 1, kind: kind.to_owned(), at_ms, node, data };
        // A closed queue is the plugin's end, which loses nothing that it could still hear.
        if let Err(tokio::sync::mpsc::error::TrySendError::Full(_)) = self.queue.try_send(event) {
            let labels = vec![("plugin".to_owned(), self.guest.id().to_owned())];
            self.guest.seams.metrics.add_made(DROPPED.to_owned(), labels, 1);
        }
    }
}

impl Listener for Ear {
    fn hear(&self, kind: Kind, data: &Value) {
        self.tell(kind.name(), data.clone());
    }
}

async fn hear(handler: Handler, mut waiting: Receiver<Event>) {
    loop {
        let event = tokio::select! {
            event = waiting.recv() => event,
            () = handler.guard.closed() => None,
        };
        let Some(event) = event else { return };
        let heard = handler.ask::<_, Value>("event", DEADLINE, (&event, Vec::new())).await;
        if let Err(error) = heard {
            let plugin = handler.guard.id();
            tracing::warn!(plugin, kind = event.kind, %error, "a plugin did not take an event");
        }
    }
}

/// Tells of each change of the plugin's own properties.
fn follow_properties(ear: &Arc<Ear>) {
    for followed in ear.guest.properties.followed() {
        let (ear, guard) = (ear.clone(), ear.guest.guard.clone());
        let mut changes = followed.live.changes();
        ear.guest.clone().seams.tracker.spawn("plugin property", async move {
            loop {
                tokio::select! {
                    changed = changes.changed() => if changed.is_err() { return },
                    () = guard.closed() => return,
                }
                let mut data = json!({ "name": followed.name });
                if !followed.is_secret {
                    data["value"] = followed.live.get().into();
                }
                ear.tell(PROPERTY, data);
            }
        });
    }
}
