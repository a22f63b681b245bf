//! Clients: one task per connection, from accept to the end of its session.

use std::collections::VecDeque;
use std::fmt::Display;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use compact_str::CompactString;
use parking_lot::Mutex;
use serde_json::json;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};

use crate::events::Kind as Happened;
use crate::host::{AccountId, HostId};
use crate::jid::Jid;
use crate::net::Io;
use crate::net::limits::Counted;
use crate::net::tls::TlsAcceptor;
use crate::router::{Out, Router};
use crate::session::duty::is_durable;
use crate::session::registry::Bound as Place;
use crate::session::{
    CloseReason, Encryption, Entry, Envelope, Order, Origin, Pace, Resumable, Session, Shared,
    resume,
};
use crate::shutdown::Tracker;
use crate::stream::sm::{AckQueue, Counter, Refusal};
use crate::stream::{Answer, BindRefusal, Blame, Profiles, StreamFault};

mod bound;
mod detached;
pub mod drain;
mod elsewhere;
mod held;
mod idle;
mod inbound;
mod moving;
mod negotiate;
mod oracle;
mod scratch;
pub mod settings;
#[cfg(test)]
mod tests;

use bound::{Bound, End};
use detached::{Outcome, detached};
use elsewhere::Wanted;
use held::Held;
use inbound::{Event, Inbound};
pub use moving::Frozen;
use moving::surrendered;
use negotiate::Negotiated;
pub use oracle::Oracle;
pub use settings::{ResourceConflict, Settings};

/// How long a session that is replaced or claimed may take to let go.
const HANDOVER: Duration = Duration::from_secs(5);
/// How long a resumption waits until what the client sent before is safe, and the end of a session
/// until what it held is.
const SETTLING: Duration = Duration::from_secs(3);
/// Time for a direct TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// A session that a new connection has claimed.
struct Resumed {
    held: Held,
    /// How far the client's stanzas are safe: it sends the rest again.
    h: Counter,
}

/// A connection that has just come.
pub struct Arrival {
    pub io: Io,
    /// The client's address, also behind a load balancer.
    pub peer: SocketAddr,
    /// TLS comes before the stream.
    pub direct_tls: bool,
    /// Given back as soon as the client has signed in.
    pub counted: Counted,
}

/// Everything that a client's connection needs.
pub struct C2s {
    pub router: Arc<Router>,
    pub oracle: Oracle,
    pub tls: TlsAcceptor,
    /// What hosts offer; asked for each connection, so that settings count at once.
    pub profiles: Box<dyn Fn() -> Profiles + Send + Sync>,
    pub settings: Settings,
    /// Sessions that nobody finds any more, but whose stanzas are still on their way elsewhere.
    pub ending: AtomicUsize,
    /// Why the node does not serve: who is bound now is told so at once.
    pub leaving: Mutex<Option<CloseReason>>,
    /// Whether the node may act at this moment. Asked at each wake-up.
    pub may_serve: Box<dyn Fn() -> bool + Send + Sync>,
    /// Sessions that other nodes are about to take.
    pub frozen: Frozen,
    /// Ends negotiations when the server stops.
    pub tracker: Tracker,
}

impl C2s {
    /// Serves one connection until its session is over or has moved to another connection.
    /// What a phase needs is boxed, and goes with it: a connection that waits is one small task.
    pub async fn serve(self: Arc<Self>, arrival: Box<Arrival>) {
        let mut bound = match Box::pin(self.clone().open(arrival)).await {
            Ok(bound) => bound,
            Err(None) => return,
            Err(Some(held)) => return Box::pin(self.lost(held)).await,
        };
        let event = loop {
            match bound.next().await {
                Event::Wait(mut out) => {
                    bound.inbound.held.shared.stop_reading();
                    let router = self.router.clone();
                    Box::pin(async move { router.perform(&mut out).await }).await;
                }
                event => break event,
            }
        };
        Box::pin(self.close(bound, event)).await;
    }

    /// From the TLS handshake to the bound session. A connection that is cut when it had a session
    /// already leaves that behind.
    async fn open(self: Arc<Self>, arrival: Box<Arrival>) -> Result<Box<Bound>, Option<Box<Held>>> {
        let Arrival { mut io, peer, direct_tls, counted } = *arrival;
        if direct_tls
            && let Err(error) = io.accept_tls(&self.tls, 0, Instant::now() + HANDSHAKE).await
        {
            tracing::debug!(%error, "TLS handshake failed");
            return Err(None);
        }
        let negotiation = negotiate::negotiate(self.clone(), io, peer).await;
        drop(counted);
        let mut ready = match negotiation {
            Negotiated::Ready(ready) => *ready,
            Negotiated::Ended => return Err(None),
            Negotiated::Cut(held) => return Err(Some(held)),
        };
        let again = negotiate::unacknowledged(&mut ready.held);
        let inbound = Inbound {
            framer: ready.framer,
            context: ready.context,
            memo: ready.memo,
            held: ready.held,
            ending: None,
        };
        let mut bound = Box::new(Bound::new(ready.io, inbound));
        bound.repeat(&again).await;
        Ok(bound)
    }

    async fn close(self: Arc<Self>, bound: Box<Bound>, event: Event) {
        match bound.end(event).await {
            End::Surrendered(shared, unflushed) => self.reroute(&shared, unflushed).await,
            End::Over(held, replaced_by) => {
                self.over(held).await;
                drop(replaced_by);
            }
            End::Lost(held) => self.lost(Box::new(held)).await,
        }
    }

    async fn lost(self: Arc<Self>, mut held: Box<Held>) {
        let may_resume = held.resumable.as_ref().is_some_and(|r| r.token.is_some());
        if !may_resume {
            return self.over(*held).await;
        }
        let unflushed = std::mem::take(&mut held.unflushed);
        self.reroute(&held.shared, unflushed).await;
        match detached(*held).await {
            Outcome::Claimed => {}
            Outcome::Over(held, replaced_by) => {
                self.over(held).await;
                drop(replaced_by);
            }
        }
    }

    async fn over(self: Arc<Self>, held: Held) {
        let (session, unflushed) = held.release();
        self.end(session, unflushed).await;
    }

    /// Finds another home for stanzas that were lost with a connection whose session goes on.
    async fn reroute(&self, shared: &Arc<Shared>, lost: Vec<Envelope>) {
        let mut out = Out::default();
        for envelope in lost {
            self.router.undelivered(Some(shared), envelope, &mut out);
        }
        self.router.perform(&mut out).await;
    }

    /// Ends a session for good: nobody finds it any more, its contacts learn of it, and what its
    /// client did not get goes elsewhere.
    async fn end(self: Arc<Self>, mut session: Box<Session>, written: Vec<Envelope>) {
        let shared = session.shared.clone();
        let resumable = session.resumable.take();
        let token = resumable.as_ref().and_then(|r| r.token.clone());
        let _ending = Ending::begin(&self, &shared, token);
        self.tell(Happened::SessionClosed, &session);
        let mut out = Out::default();
        self.router.im.session_ended(&mut session, &mut out);
        let queued = resumable.into_iter().flat_map(|r| r.unacknowledged.into_unacked());
        let mut is_kept = false;
        for envelope in written.into_iter().chain(queued).chain(shared.mailbox.close()) {
            is_kept |= is_durable(&envelope.stanza);
            self.router.undelivered(Some(&shared), envelope, &mut out);
        }
        self.router.perform(&mut out).await;
        if is_kept {
            // Who comes instead of this session is given the oldest first.
            let _ = timeout(SETTLING, self.router.im.stored(&shared)).await;
        }
    }

    fn tell(&self, kind: Happened, session: &Session) {
        self.router.events.tell(kind, || {
            let peer = session.shared.origin().peer.to_string();
            let mut data = json!({ "jid": session.jid().as_str(), "peer": peer });
            if kind == Happened::SessionClosed {
                data["reason"] = session.shared.ended().name().into();
            }
            data
        });
    }

    /// Sessions that are there, or not yet wholly gone.
    pub fn sessions(&self) -> usize {
        self.router.registry.local_count() + self.ending.load(Ordering::Acquire)
    }

    /// A client has the stanza.
    fn delivered(&self, session: &Shared, envelope: &Envelope) {
        if let Some(duty) = &envelope.duty
            && duty.done()
        {
            self.router.im.spooled_done(session, duty.id);
        }
    }

    /// Registers a new session. An older one with the same address keeps it if the settings say
    /// so; otherwise it is closed first, and its contacts learn of its end before they learn of
    /// the new one.
    async fn bind(
        self: &Arc<Self>,
        account: AccountId,
        jid: Jid,
        origin: Origin,
    ) -> Result<Held, BindRefusal> {
        let registry = &self.router.registry;
        let host = self.router.hosts.find(jid.domain()).unwrap_or(HostId::FIRST);
        let local = jid.local().unwrap_or_default();
        let most = self.settings.sessions.get();
        let resource = jid.resource().unwrap_or_default();
        let is_new = || registry.resource(host, local, resource).is_none();
        if most > 0 && registry.count(host, local) >= most && is_new() {
            return Err(BindRefusal::ResourceConstraint);
        }
        let id = registry.next_id();
        let mailbox = self.settings.mailbox_kb.get() * 1024;
        let pace = Pace::of(registry, host, local, account);
        let mut shared = Shared::new(id, (host, account), jid, origin, mailbox);
        shared.pace = pace;
        let shared = Arc::new(shared);
        let refuses = self.settings.resource_conflict.get() == ResourceConflict::Refuse;
        let stays = |old: &Entry| match old {
            // A client that lost its connection has no other way back to its resource.
            Entry::Local(old) => refuses && old.is_connected(),
            Entry::Remote(old) => refuses && old.is_connected(),
        };
        let place = registry.bind_unless(&shared, stays);
        if matches!(place, Place::Taken) {
            return Err(BindRefusal::Conflict);
        }
        // Read after the session is registered: whoever ends all sessions either finds it or has
        // set this before.
        if let Some(reason) = *self.leaving.lock() {
            shared.mailbox.order(Order::Close(reason));
        }
        let held = Held::new(self, Box::new(Session::new(shared)));
        match place {
            Place::Replaced(Entry::Local(old)) => {
                let (done, over) = oneshot::channel();
                old.mailbox.order(Order::Replace(done));
                // It answers by dropping its end, when everything is done.
                let _ = timeout(HANDOVER, over).await;
            }
            Place::Replaced(Entry::Remote(old)) => self.router.nodes.replaced(&old).await,
            Place::Free | Place::Taken => {}
        }
        self.tell(Happened::SessionOpened, &held);
        match self.still_allowed(&held).await {
            Ok(()) => Ok(held),
            Err(refusal) => {
                self.clone().over(held).await;
                Err(refusal)
            }
        }
    }

    /// Whether the account was neither removed nor disabled during the login. Looked at after the
    /// session is registered: whoever does that ends all sessions which he finds afterwards.
    async fn still_allowed(&self, session: &Session) -> Result<(), BindRefusal> {
        let Shared { host, account, jid, .. } = &*session.shared;
        let name = jid.local().unwrap_or_default();
        match self.oracle.accounts.is_active(*host, name, *account).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(BindRefusal::NotAllowed),
            Err(error) => {
                tracing::error!(%jid, %error, "an account could not be looked up");
                Err(BindRefusal::InternalServerError)
            }
        }
    }

    /// Claims the session of `previd`, wherever it is, and takes off what the client has by now.
    async fn resume(self: &Arc<Self>, wanted: Wanted<'_>) -> Result<Resumed, Answer> {
        let refused = |refusal| Answer::ResumeRefused { refusal, h: None };
        let Wanted { account, previd, h, .. } = wanted;
        let Some(shared) = self.router.registry.resumable(previd) else {
            return self.fetch(wanted).await.ok_or(refused(Refusal::ItemNotFound));
        };
        // Somebody else's session is as unknown as one that never was.
        if shared.account != account {
            return Err(refused(Refusal::ItemNotFound));
        }
        let claimed = surrendered(&shared).await;
        let mut held = Held::new(self, claimed.ok_or(refused(Refusal::ItemNotFound))?);
        let Some(resumable) = &mut held.resumable else {
            return Err(refused(Refusal::ItemNotFound));
        };
        let acknowledged = resumable.unacknowledged.acknowledge(h);
        let acknowledged = acknowledged.map(|taken| taken.collect::<Vec<_>>());
        match acknowledged {
            Ok(taken) => taken.iter().for_each(|envelope| self.delivered(&shared, envelope)),
            Err(error) => {
                tracing::debug!(jid = %shared.jid, %error, "resumption with a wrong count");
                self.clone().over(held).await;
                return Err(refused(Refusal::ItemNotFound));
            }
        }
        let h = settled(&shared).await;
        if !self.wake(&mut held) {
            // Presence and roster pushes have passed it by: its client must begin anew.
            self.clone().over(held).await;
            return Err(Answer::ResumeRefused { refusal: Refusal::ItemNotFound, h: Some(h) });
        }
        Ok(Resumed { held, h })
    }

    /// Makes a session ready for its new connection. False when it does not have everything that
    /// came for it.
    fn wake(&self, session: &mut Session) -> bool {
        let Session { shared, resumable: Some(resumable), .. } = session else { return false };
        shared.heard();
        self.router.registry.changed(shared);
        resumable.asked = false;
        let mut waiting = VecDeque::new();
        let is_whole = shared.mailbox.catch_up(&mut waiting);
        for envelope in waiting {
            resumable.keep(envelope);
        }
        is_whole
    }

    /// The XEP-0198 part of a session that enables it.
    fn resumable(&self, session: &Arc<Shared>, resume: bool, max: Option<u32>) -> Resumable {
        let registry = &self.router.registry;
        let most = self.settings.resume_seconds.get();
        let id = || resume::id(self.router.nodes.me(), &self.router.clock.random().token());
        let token = (resume && most > 0).then(id);
        if let Some(token) = &token {
            registry.allow_resume(CompactString::clone(token), session.clone());
        }
        let window = Duration::from_secs(max.map_or(most, |max| most.min(max.into())));
        let unacknowledged = AckQueue::new(self.settings.queue());
        Resumable { token, window, unacknowledged, asked: false }
    }

    fn origin(&self, peer: SocketAddr, io: &Io, mechanism: &'static str) -> Origin {
        Origin {
            peer,
            tls: io.tls().map(|tls| Encryption { version: tls.version, cipher: tls.cipher_suite }),
            mechanism,
            since: self.router.clock.now(),
        }
    }

    fn profiles(&self) -> Profiles {
        (self.profiles)()
    }
}

/// The count for `<resumed/>`. What is not safe yet will come again: so it waits a moment for that,
/// and forgets what it must not count twice.
async fn settled(shared: &Shared) -> Counter {
    let Some(watermark) = shared.watermark() else { return Counter(0) };
    let deadline = Instant::now() + SETTLING;
    while watermark.open() > 0 && Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Counter(watermark.restart())
}

/// Notes why a stream is ended: what clients do wrong is everyday, a bug is not.
fn note(who: &dyn Display, fault: &StreamFault) {
    match fault.blame() {
        Blame::Bug => tracing::error!(%who, ?fault, "a bug ends a stream"),
        Blame::Peer | Blame::Local => tracing::debug!(%who, %fault, "stream ended"),
    }
}

/// A session while it ends, however that goes: counted until nothing of it is left.
struct Ending<'c> {
    c2s: &'c C2s,
    shared: &'c Shared,
    token: Option<CompactString>,
}

impl<'c> Ending<'c> {
    fn begin(c2s: &'c C2s, shared: &'c Arc<Shared>, token: Option<CompactString>) -> Ending<'c> {
        c2s.ending.fetch_add(1, Ordering::AcqRel);
        c2s.router.registry.unbind(shared);
        Ending { c2s, shared, token }
    }
}

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        // Who claims the session until now waits, so that what he binds instead finds everything.
        if let Some(token) = &self.token {
            self.c2s.router.registry.forget_resume(token);
        }
        self.shared.mailbox.end();
        self.c2s.ending.fetch_sub(1, Ordering::AcqRel);
    }
}
