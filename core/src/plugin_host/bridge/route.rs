//! Stanzas that a plugin sends: over a bounded queue, after the current one, tagged with their
//! origin.

use std::sync::Arc;
use std::time::Duration;

use hearth_plugin_api::abi::{StanzaBuf, StanzaRef};
use hearth_plugin_api::{Capability, Error, ErrorKind};
use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::super::guard::Guard;
use super::{Guest, Seams, stanza};
use crate::host::HostId;
use crate::router::{Out, Router};
use crate::stanza::Stanza;

/// Stanzas that may wait.
const QUEUE: usize = 1024;

/// A plugin's way to the router.
pub struct Queue(Sender<Stanza>);

impl Queue {
    pub(super) fn start(seams: &Arc<Seams>, guard: &Arc<Guard>) -> Queue {
        let (queue, waiting) = channel(QUEUE);
        let work = drain(seams.router.clone(), guard.clone(), waiting);
        seams.tracker.spawn("plugin stanzas", work);
        Queue(queue)
    }
}

async fn drain(router: Arc<Router>, guard: Arc<Guard>, mut waiting: Receiver<Stanza>) {
    loop {
        let stanza = tokio::select! {
            stanza = waiting.recv() => stanza,
            () = guard.closed() => None,
        };
        let Some(stanza) = stanza else { return };
        let mut out = Out::default();
        out.route(stanza);
        router.perform(&mut out).await;
    }
}

pub(super) fn route(guest: &Arc<Guest>, sent: &StanzaRef<'_>) -> Result<(), Error> {
    guest.manifest.require(Capability::Route)?;
    let mut buf = stanza::copy(sent);
    if buf.kind == 2 && buf.id.is_empty() {
        buf.id = guest.seams.clock.random().hex().into();
    }
    let mut stanza = stanza::take(buf)?;
    stanza.origin = guest.origin;
    let router = &guest.seams.router;
    let domain = router.hosts.domain(HostId::FIRST);
    if stanza.head.to.is_none() {
        return Err(Error::invalid("a stanza that is sent has a `to`"));
    }
    let from = stanza.head.from.get_or_insert_with(|| domain.clone());
    let own = from.domain() == domain.as_str() || router.guests.domain(from.domain()).is_some();
    if !own {
        return Err(Error::invalid(format!("`{from}` is no address of this server")));
    }
    let full = |_| Error::new(ErrorKind::Full, "too many stanzas wait: send fewer");
    guest.queue.0.try_send(stanza).map_err(full)
}

/// Sends an IQ and waits for its answer: not before this server keeps track of its own requests.
pub(super) async fn ask(guest: &Arc<Guest>, _: StanzaBuf, _: Duration) -> Result<StanzaBuf, Error> {
    guest.manifest.require(Capability::Route)?;
    Err(Error::unsupported("this server does not wait for answers on behalf of plugins yet"))
}
