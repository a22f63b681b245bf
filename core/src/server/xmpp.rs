//! The streams of clients, on what routes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::{Foundation, Routing};
use crate::auth::accounts::Accounts;
use crate::auth::mechanism::Mechanism;
use crate::auth::password;
use crate::auth::throttle::{LoginThrottle, ThrottleLimits};
use crate::c2s::{self, Arrival, C2s, Frozen, Oracle};
use crate::host::HostId;
use crate::im;
use crate::net::Io;
use crate::net::limits::Unauthenticated;
use crate::net::listener::Listener;
use crate::net::proxy_protocol::{self, Origin};
use crate::net::tls::{Certificates, Service};
use crate::ns;
use crate::properties::Declared;
use crate::router::{Hosts, Router};
use crate::services;
use crate::services::archive;
use crate::session::{CloseReason, Order};
use crate::shutdown::Tracker;
use crate::storage::lease::Seat;
use crate::stream::features::{self, Caps, Limits, StreamFeature};
use crate::stream::{self, Profile, Profiles};
use crate::xep::{self, Services};
use crate::xml::FrameLimits;

/// Connections that may be open at a time, in all; beyond them newcomers wait in the kernel.
const CONNECTIONS: usize = 1 << 20;
/// Failed attempts to sign in or to register on one stream (RFC 6120 §6.4.5).
const MAX_FAILURES: u8 = 5;
/// Time for a load balancer to tell whose connection it forwards.
const PROXY_HEADER: Duration = Duration::from_secs(10);
/// How long the sessions may take to say good-bye when the node stops serving.
const FAREWELL: Duration = Duration::from_secs(8);

/// The properties of these parts.
pub const PROPERTIES: [&[&dyn Declared]; 6] = [
    &password::PROPERTIES,
    &c2s::settings::PROPERTIES,
    &im::PROPERTIES,
    &archive::PROPERTIES,
    &xep::register::PROPERTIES,
    &[&stream::STARTTLS],
];

/// The parts that serve XMPP. They exist on standby too; only the listeners are closed then.
pub struct Xmpp {
    pub router: Arc<Router>,
    pub c2s: Arc<C2s>,
    pending: Arc<Unauthenticated>,
    slots: Arc<Semaphore>,
    /// A load balancer tells whose connections it forwards.
    behind_proxy: bool,
}

impl Xmpp {
    pub fn build(
        foundation: &Foundation,
        routing: &Routing,
        certificates: &Arc<Certificates>,
        seat: &Seat,
    ) -> Xmpp {
        let seat = seat.clone();
        let Foundation { clock, tracker, accounts, properties, .. } = foundation;
        let Routing { router, services, .. } = routing;
        let oracle = Oracle {
            accounts: accounts.clone(),
            throttle: Mutex::new(LoginThrottle::new(ThrottleLimits::default())),
            pre_auth: services.clone(),
            clock: clock.clone(),
        };
        let c2s = Arc::new(C2s {
            oracle,
            tls: certificates.acceptor(Service::Client),
            profiles: profiles(foundation, router.hosts.clone(), services.clone()),
            settings: c2s::Settings::of(properties),
            leaving: Mutex::new(Some(CloseReason::Standby)),
            may_serve: Box::new(move || seat.is_held()),
            tracker: tracker.clone(),
            router: router.clone(),
            frozen: Frozen::default(),
            ending: AtomicUsize::new(0),
        });
        tracker.spawn("idle clients", c2s.clone().watch_idle(tracker.soft().clone()));
        let slots = Arc::new(Semaphore::new(CONNECTIONS));
        let behind_proxy = foundation.config.listen.proxy_protocol;
        let router = router.clone();
        Xmpp { router, c2s, pending: Arc::default(), slots, behind_proxy }
    }

    /// Accepts clients on `listener` until `stop`.
    pub async fn accept(
        self: Arc<Self>,
        listener: Listener,
        direct_tls: bool,
        tracker: Tracker,
        stop: CancellationToken,
    ) {
        let accept = listener.serve(self.slots.clone(), stop, |stream, peer, permit| {
            let admitting = Box::pin(self.clone().admit(stream, peer, direct_tls));
            let c2s = self.c2s.clone();
            tracker.spawn("client", async move {
                if let Some(arrival) = admitting.await {
                    c2s.serve(arrival).await;
                }
                drop(permit);
            });
        });
        accept.await;
    }

    /// Finds out whose connection it is; `None` when it cannot be, or when he has too many.
    async fn admit(
        self: Arc<Self>,
        mut stream: TcpStream,
        mut peer: SocketAddr,
        direct_tls: bool,
    ) -> Option<Box<Arrival>> {
        if self.behind_proxy {
            match proxy_protocol::read(&mut stream, Instant::now() + PROXY_HEADER).await {
                Ok(Origin::Forwarded { source, .. }) => peer = source,
                Ok(Origin::Unknown) => {}
                Err(error) => {
                    tracing::info!(proxy = %peer, %error, "refused a connection");
                    return None;
                }
            }
        }
        let cap = self.c2s.settings.unauthenticated.get();
        let Some(counted) = self.pending.admit(peer.ip(), cap) else {
            tracing::info!(%peer, "too many connections that have not signed in");
            return None;
        };
        Some(Box::new(Arrival { io: Io::plain(stream), peer, direct_tls, counted }))
    }

    /// Serves a client that comes over no listener, and that nobody counts.
    pub async fn serve(&self, io: Io, peer: SocketAddr) {
        let Some(counted) = self.pending.admit(peer.ip(), 0) else { return };
        self.c2s.clone().serve(Box::new(Arrival { io, peer, direct_tls: false, counted })).await;
    }

    /// Lets clients have sessions from now on.
    pub fn connect(&self) {
        *self.c2s.leaving.lock() = None;
    }

    /// Ends all sessions, also those that are just being bound: none is read any further.
    pub fn leave(&self, reason: CloseReason) {
        *self.c2s.leaving.lock() = Some(reason);
        self.router.registry.each_local(|session| {
            session.mailbox.order(Order::Close(reason));
        });
    }

    /// Waits until they are over, and what their clients did not get is stored and committed. A
    /// hard stop ends the wait.
    pub async fn farewell(&self, foundation: &Foundation) {
        let over = async {
            while self.c2s.sessions() > 0 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            foundation.db.appends_done().await;
        };
        let over = foundation.tracker.hard().run_until_cancelled(timeout(FAREWELL, over));
        if over.await.is_some_and(|over| over.is_err()) {
            tracing::warn!(
                "clients or the database are slow: what is left of the sessions ends later"
            );
        }
        // Once this node has left nobody hears it.
        self.router.nodes.tell_last_outcomes();
    }
}

/// Where passwords are checked elsewhere too, only a mechanism that sends them can succeed for
/// everybody; offering the others would tell whose keys are here.
fn mechanisms(accounts: &Accounts) -> Vec<Mechanism> {
    match accounts.providers().check_passwords() {
        true => vec![Mechanism::Plain],
        false => Mechanism::ALL.to_vec(),
    }
}

/// What streams are offered, made anew for each so that settings count at once.
fn profiles(
    foundation: &Foundation,
    hosts: Arc<Hosts>,
    services: Arc<Services>,
) -> Box<dyn Fn() -> Profiles + Send + Sync> {
    let accounts = foundation.accounts.clone();
    let starttls = foundation.properties.live(&stream::STARTTLS);
    let idle = foundation.properties.live(&c2s::settings::IDLE_SECONDS);
    let random = foundation.clock.random().clone();
    let tokens: stream::Tokens = Arc::new(move || random.token());
    let disco = services.disco.clone();
    let standing: Vec<Arc<dyn StreamFeature>> = vec![
        Arc::new(features::STREAM_MANAGEMENT),
        Arc::new(features::ROSTER_VERSIONING),
        Arc::new(features::PRE_APPROVAL),
        Arc::new(Caps {
            node: services::disco::NODE.to_owned(),
            ver: Arc::new(move || disco.announced().server.verification.clone()),
        }),
    ];
    Box::new(move || {
        let mut features = standing.clone();
        features.push(Arc::new(Limits {
            before_authentication: FrameLimits::UNAUTHENTICATED.octets,
            afterwards: FrameLimits::AUTHENTICATED.octets,
            idle_seconds: idle.get(),
        }));
        let registration = services.registration.is_open();
        if registration {
            features.push(Arc::new(features::REGISTER));
        }
        Profiles::new([Arc::new(Profile {
            host: HostId::FIRST,
            domain: hosts.domain(HostId::FIRST).as_str().to_owned(),
            starttls: starttls.get(),
            mechanisms: mechanisms(&accounts),
            features,
            pre_auth: if registration { vec![ns::REGISTER] } else { Vec::new() },
            max_failures: MAX_FAILURES,
            tokens: tokens.clone(),
        })])
    })
}
