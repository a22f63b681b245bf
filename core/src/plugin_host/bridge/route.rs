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
use crate::stanza::{IqType, Kind, Stanza};

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

impl Queue {
    fn push(&self, stanza: Stanza) -> Result<(), Error> {
        let full = |_| Error::new(ErrorKind::Full, "too many stanzas wait: send fewer");
        self.0.try_send(stanza).map_err(full)
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
    guest.queue.push(prepared(guest, buf)?)
}

/// A stanza that a plugin may send: from an address of this server, to somebody.
fn prepared(guest: &Arc<Guest>, buf: StanzaBuf) -> Result<Stanza, Error> {
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
    Ok(stanza)
}

/// Sends an IQ, under an id of ours, and waits for its answer.
pub(super) async fn ask(
    guest: &Arc<Guest>,
    mut question: StanzaBuf,
    patience: Duration,
) -> Result<StanzaBuf, Error> {
    guest.manifest.require(Capability::Route)?;
    let (own_id, id) = (question.id.clone(), guest.seams.clock.random().hex());
    question.id = id.as_str().into();
    let stanza = prepared(guest, question)?;
    let head = &stanza.head;
    let (Kind::Iq(IqType::Get | IqType::Set), Some(from), Some(to)) =
        (head.kind, head.from.clone(), head.to.clone())
    else {
        return Err(Error::invalid("only an IQ of type get or set is answered"));
    };
    if from.local().is_some() {
        return Err(Error::invalid("answers to a user's own address are the user's"));
    }
    let guests = guest.seams.router.guests.clone();
    let awaited = guests.asked.register(id, from, to).ok_or_else(|| {
        Error::new(ErrorKind::Full, "too many answers are awaited: ask less at a time")
    })?;
    guest.queue.push(stanza)?;
    let late = |_| Error::new(ErrorKind::Timeout, "no answer came in time");
    let answer = tokio::time::timeout(patience, awaited.answer()).await.map_err(late)?;
    let answer = answer.ok_or_else(|| Error::unavailable("the answer was lost"))?;
    Ok(StanzaBuf { id: own_id, ..stanza::give(&answer) })
}
