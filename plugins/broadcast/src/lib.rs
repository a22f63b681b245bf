//! Sends a message to all users, to a group, or to those who are online. README.md says what it does.

mod audience;
mod commands;
mod deliver;
mod page;
mod store;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
mod text;
mod xmpp;

use std::sync::Arc;
use std::time::Duration;

use hearth_plugin_api::{
    Capability, ComponentSpec, Error, ErrorKind, Host, Manifest, Page, Plugin, Property, Registrar,
    Result, Timer, export_plugin, manifest,
};

use store::Draft;

/// Characters of a body, and of a subject.
const LONGEST: usize = 20_000;
/// Broadcasts that may be under way or waiting.
const WAITING: i64 = 20;
/// One batch in each period: what `rate` counts by.
const PERIOD: Duration = Duration::from_secs(1);

struct Broadcast {
    host: Host,
}

impl Plugin for Broadcast {
    fn manifest() -> Manifest {
        let asks = [
            Capability::Components,
            Capability::Route,
            Capability::People,
            Capability::Tables,
            Capability::Console,
            Capability::Commands,
        ];
        manifest!().name("Broadcast").readme(include_str!("../README.md")).asks_for(&asks)
    }

    fn create(host: Host) -> Result<Broadcast> {
        Ok(Broadcast { host })
    }

    fn register(self: &Arc<Self>, registrar: &Registrar<'_>) -> Result<()> {
        registrar.migrations(store::migrations())?;
        registrar
            .property(Property::int("rate", 50, "Messages sent per second.").within(1, 1000))?;
        registrar.property(Property::lines(
            "senders",
            "",
            "Addresses, one per line, that may send broadcasts from their clients. \
             Administrators of a group may always send to it.",
        ))?;
        let timer = Timer::every("deliver", PERIOD).once_in_cluster();
        registrar.timer(timer, self, Broadcast::deliver)?;
        let page = Page::new("send", "Broadcast").translated("de", "Rundnachricht");
        registrar.page(page, self, Broadcast::page)?;
        let component = ComponentSpec::new("broadcast", "Broadcast");
        registrar.component(component, self, Broadcast::stanza)?;
        commands::register(registrar, self)
    }
}

impl Broadcast {
    /// Puts a message on its way. Gives its id and to how many it goes. `Invalid` for a message that
    /// is empty or too long, `NotFound` for an unknown group, `Full` when too many are waiting.
    async fn begin(&self, draft: &Draft) -> Result<(i64, i64)> {
        if draft.body.trim().is_empty() {
            return Err(Error::invalid("the message is empty"));
        }
        if draft.body.chars().count() + draft.subject.chars().count() > LONGEST {
            let message = format!("the message has more than {LONGEST} characters");
            return Err(Error::invalid(message));
        }
        if store::waiting(&self.host).await? >= WAITING {
            let message = format!("{WAITING} broadcasts are waiting: stop one, or try again later");
            return Err(Error::new(ErrorKind::Full, message));
        }
        let total = draft.audience.count(&self.host).await?;
        let id = store::begin(&self.host, draft, total).await?;
        let detail = format!("broadcast {id} to {}: {total} recipients", draft.audience);
        self.host.audit(&draft.actor, "broadcast.send", &detail).await?;
        Ok((id, total))
    }
}

export_plugin!(Broadcast);
