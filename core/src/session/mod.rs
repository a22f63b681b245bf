//! A bound session. [`Shared`] is what the registry and other sessions see of it; [`Session`] is
//! owned by the one task that reads and writes its stream, and moves whole when the stream is
//! resumed by another connection.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicI8, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use parking_lot::{Mutex, MutexGuard};

use crate::clock::Timestamp;
use crate::host::{AccountId, HostId};
use crate::jid::Jid;
use crate::stanza::Stanza;

pub mod acks;
mod changes;
pub mod duty;
mod elsewhere;
mod ended;
pub mod export;
pub mod mailbox;
pub mod pace;
pub mod page;
pub mod registry;
pub mod remote;
pub mod resume;
pub mod roster;
pub mod watermark;

pub use acks::{Ack, Acks, Outcome, Teller, Ticket};
pub use duty::{Duty, Pending};
pub use ended::Ended;
pub use mailbox::{CloseReason, Envelope, Mailbox, Order, ToOverride};
pub use pace::Pace;
pub use page::Window;
pub use registry::{Entry, Registry};
pub use remote::{Delta, Node, RemoteSession};
pub use resume::{Management, Resumable};
pub use roster::{RosterPush, RosterView};
pub use watermark::Watermark;

/// What encrypts a stream.
#[derive(Clone, Copy, Debug)]
pub struct Encryption {
    /// For example `TLSv1_3`.
    pub version: &'static str,
    /// IANA's name of the cipher suite.
    pub cipher: &'static str,
}

/// How a session's stream is carried; for the console and the log.
#[derive(Clone, Copy, Debug)]
pub struct Origin {
    pub peer: SocketAddr,
    pub tls: Option<Encryption>,
    pub mechanism: &'static str,
    /// When the session began; a resumption does not change it.
    pub since: Timestamp,
}

/// The part of a session that others see.
#[derive(Debug)]
pub struct Shared {
    /// Number of the session on this node since its start.
    pub id: u64,
    pub host: HostId,
    pub account: AccountId,
    /// The full address.
    pub jid: Jid,
    pub mailbox: Mailbox,
    changing: Mutex<Changing>,
    priority: AtomicI8,
    available: AtomicBool,
    /// RFC 6121 §2.2: asked for the roster, and so gets roster pushes.
    interested: AtomicBool,
    roster: Mutex<RosterView>,
    ended: ended::Cell,
    management: OnceLock<Box<Management>>,
    pub received: AtomicU64,
    pub sent: AtomicU64,
    /// How fast the account may send; all its sessions that were bound on this node share it.
    pub pace: Arc<Pace>,
    /// Seconds in which nothing came from the client, as far as they were counted; [`AWAY`] without
    /// a connection, [`UNREAD`] while the server does not read.
    silence: AtomicU32,
}

/// What changes now and then, and is more than a number.
#[derive(Debug)]
struct Changing {
    /// RFC 6121 §4.2: the last presence broadcast, while the resource is available.
    presence: Option<Arc<Stanza>>,
    origin: Origin,
}

/// A session that waits for its client to come back.
const AWAY: u32 = u32::MAX;
/// A session whose client may say what it likes: the server does not listen for the moment.
const UNREAD: u32 = u32::MAX - 1;

impl Shared {
    pub fn new(
        id: u64,
        key: (HostId, AccountId),
        jid: Jid,
        origin: Origin,
        limit: usize,
    ) -> Shared {
        Shared {
            id,
            host: key.0,
            account: key.1,
            jid,
            mailbox: Mailbox::new(limit),
            changing: Mutex::new(Changing { presence: None, origin }),
            priority: AtomicI8::new(0),
            available: AtomicBool::new(false),
            interested: AtomicBool::new(false),
            roster: Mutex::default(),
            ended: ended::Cell::default(),
            management: OnceLock::new(),
            received: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            pace: Arc::default(),
            silence: AtomicU32::new(0),
        }
    }

    /// Something came from the client, or it is back.
    pub fn heard(&self) {
        // Mostly it is 0: then the cache line stays shared.
        if self.silence.load(Ordering::Relaxed) != 0 {
            self.silence.store(0, Ordering::Relaxed);
        }
    }

    /// The connection is gone: its silence means nothing.
    pub fn leave(&self) {
        self.silence.store(AWAY, Ordering::Relaxed);
    }

    /// The server reads no further for a while: the silence is its own.
    pub fn stop_reading(&self) {
        if self.silence.load(Ordering::Relaxed) != UNREAD {
            self.silence.store(UNREAD, Ordering::Relaxed);
        }
    }

    /// The server reads again.
    pub fn go_on_reading(&self) {
        if self.silence.load(Ordering::Relaxed) == UNREAD {
            self.heard();
        }
    }

    /// Has a connection.
    pub fn is_connected(&self) -> bool {
        self.silence().is_some()
    }

    /// Counts `seconds` more of silence and returns all of it; `None` when it means nothing.
    pub fn lengthen_silence(&self, seconds: u32) -> Option<u32> {
        let longer = |silence: u32| {
            (silence < UNREAD).then(|| silence.saturating_add(seconds).min(UNREAD - 1))
        };
        let before = self.silence.fetch_update(Ordering::Relaxed, Ordering::Relaxed, longer);
        before.ok().and_then(longer)
    }

    pub fn resource(&self) -> &str {
        self.jid.resource().unwrap_or_default()
    }

    pub fn is_available(&self) -> bool {
        self.available.load(Ordering::Acquire)
    }

    pub fn priority(&self) -> i8 {
        self.priority.load(Ordering::Relaxed)
    }

    /// Available with a priority that is not negative: may get what is sent to the bare address.
    pub fn takes_messages(&self) -> bool {
        self.is_available() && self.priority() >= 0
    }

    /// Sets, or with `None` ends, availability.
    pub fn set_presence(&self, presence: Option<(Arc<Stanza>, i8)>) {
        let mut current = self.changing.lock();
        let (stanza, priority) = match presence {
            Some((stanza, priority)) => (Some(stanza), priority),
            None => (None, 0),
        };
        self.priority.store(priority, Ordering::Relaxed);
        self.available.store(stanza.is_some(), Ordering::Release);
        current.presence = stanza;
    }

    pub fn presence(&self) -> Option<Arc<Stanza>> {
        self.changing.lock().presence.clone()
    }

    /// How the stream is carried, or was when its connection was lost.
    pub fn origin(&self) -> Origin {
        self.changing.lock().origin
    }

    /// Another connection carries the stream from now on.
    pub fn moved(&self, to: Origin) {
        let origin = &mut self.changing.lock().origin;
        *origin = Origin { since: origin.since, ..to };
    }

    /// Seconds in which nothing came from the client, as precise as idle clients are looked after;
    /// `None` without a connection.
    pub fn silence(&self) -> Option<u32> {
        Some(self.silence.load(Ordering::Relaxed)).filter(|silence| *silence != AWAY)
    }

    /// How it ended, or would if it ended now.
    pub fn ended(&self) -> Ended {
        self.ended.get()
    }

    pub fn set_ended(&self, ended: Ended) {
        self.ended.set(ended);
    }

    pub fn is_interested(&self) -> bool {
        self.interested.load(Ordering::Relaxed)
    }

    pub fn set_interested(&self) {
        self.interested.store(true, Ordering::Relaxed);
    }

    /// What the client has of the roster. Who holds it may put into the mailbox.
    pub fn roster(&self) -> MutexGuard<'_, RosterView> {
        self.roster.lock()
    }

    /// The count of what this session sent; there from the moment that it enables XEP-0198.
    pub fn watermark(&self) -> Option<&Watermark> {
        self.management().map(|management| &management.watermark)
    }

    /// What is to be seen of XEP-0198, once it is enabled.
    pub fn management(&self) -> Option<&Management> {
        self.management.get().map(|management| &**management)
    }

    /// Starts counting (XEP-0198 §3: from the stanza after `<enable/>`).
    pub fn start_management(&self, resumable: bool) {
        self.management.get_or_init(|| Box::new(Management::new(resumable)));
    }

    /// The durable stanza counted as `seq` is safe.
    pub fn settle(&self, seq: u32) {
        if let Some(watermark) = self.watermark()
            && watermark.settle(seq)
        {
            self.mailbox.order(Order::Acknowledge);
        }
    }
}

/// Directed presence (RFC 6121 §4.6): who was sent some and must learn of the end.
#[derive(Debug, Default)]
pub struct Directed {
    pub to: Vec<Jid>,
}

/// The part of a session that only its own task touches. Every feature that keeps something per
/// session has a typed slot here.
#[derive(Debug)]
pub struct Session {
    pub shared: Arc<Shared>,
    /// XEP-0198, once enabled.
    pub resumable: Option<Box<Resumable>>,
    pub directed: Option<Box<Directed>>,
}

impl Session {
    pub fn new(shared: Arc<Shared>) -> Session {
        Session { shared, resumable: None, directed: None }
    }

    pub fn jid(&self) -> &Jid {
        &self.shared.jid
    }

    /// Lets others see how much the client has not acknowledged.
    pub fn show_unacknowledged(&self) {
        if let (Some(management), Some(own)) = (self.shared.management(), &self.resumable) {
            management.set_unacknowledged(own.unacknowledged.len());
        }
    }
}
