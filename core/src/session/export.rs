//! A session on its way to another node (XEP-0198 §5, on a node that is not its own): everything that
//! its client, and those who talk to it, rely on. A version octet, then JSON.
//!
//! Of a durable message that the client has not acknowledged the copy in the offline table is part of
//! the session: [`Owed::is_spooled`]. So the sender was told already that it is safe, no
//! acknowledgement has to follow the session around, and if both nodes fail the row is still there.

use std::sync::Arc;
use std::time::Duration;

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

use super::{Directed, Duty, Envelope, Origin, Resumable, RosterView, Session, Shared, ToOverride};
use crate::clock::{StanzaId, Timestamp};
use crate::host::{AccountId, HostId};
use crate::jid::Jid;
use crate::stanza::{AddressMemo, Kind, Parsed, PresenceType, RootNamespace, Stanza, parse};
use crate::stream::sm::{AckQueue, Counter, QueueLimits};
use crate::xml::{ContentNamespace, StreamContext};

/// The first octet.
const VERSION: u8 = 1;

static CLIENT: StreamContext = StreamContext::new(ContentNamespace::Client);

/// Why octets are no session: the other node's fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExportError {
    #[error("the session is of version {0}, which this server does not know")]
    Version(u8),
    #[error("there is nothing")]
    Empty,
    #[error("the session cannot be read: {0}")]
    Malformed(String),
    #[error("the session's {0} is not valid")]
    Invalid(&'static str),
}

/// As it crosses.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    host: i32,
    account: i64,
    jid: String,
    id: String,
    window_seconds: u64,
    /// When the session began.
    since_ms: i64,
    /// Stanzas of the client that are safe.
    handled: u32,
    /// Stanzas that the client has acknowledged, and those that it has not.
    acknowledged: u32,
    owed: Vec<WireOwed>,
    presence: Option<String>,
    priority: i8,
    interested: bool,
    /// Version of the roster that the client has.
    #[serde(default)]
    roster: i64,
    directed: Vec<String>,
    received: u64,
    sent: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireOwed {
    stanza: String,
    /// Of a durable message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    spooled: bool,
}

/// A session as another node gave it away.
#[derive(Clone, Debug)]
pub struct Exported {
    pub host: HostId,
    pub account: AccountId,
    /// The full address.
    pub jid: Jid,
    /// Its XEP-0198 id.
    pub id: CompactString,
    pub window: Duration,
    pub since: Timestamp,
    /// How far the client's stanzas are safe: it sends the rest again.
    pub handled: Counter,
    pub acknowledged: Counter,
    /// What the client has not acknowledged, oldest first.
    pub owed: Vec<Owed>,
    pub presence: Option<Stanza>,
    pub priority: i8,
    pub interested: bool,
    /// Version of the roster that the client has.
    pub roster: i64,
    /// RFC 6121 §4.6: to whom presence was directed.
    pub directed: Vec<Jid>,
    pub received: u64,
    pub sent: u64,
}

/// A stanza that the client has not acknowledged.
#[derive(Clone, Debug)]
pub struct Owed {
    pub stanza: Stanza,
    /// Of a durable message.
    pub id: Option<StanzaId>,
    /// The offline table has a copy, which the session holds.
    pub is_spooled: bool,
}

/// The session as it is now, with `handled` of its client's stanzas safe; `None` for one that cannot
/// be resumed.
pub fn encode(session: &Session, handled: Counter) -> Option<Vec<u8>> {
    // Every slot is named here: what is forgotten does not compile.
    let Session { shared, resumable, directed } = session;
    let Resumable { token, window, unacknowledged, asked: _ } = &**resumable.as_ref()?;
    let presence = shared.presence();
    let wire = Wire {
        host: shared.host.0,
        account: shared.account.0,
        jid: shared.jid.as_str().to_owned(),
        id: token.as_ref()?.to_string(),
        window_seconds: window.as_secs(),
        since_ms: shared.origin().since.0,
        handled: handled.0,
        acknowledged: unacknowledged.acknowledged().0,
        owed: unacknowledged.unacked().map(|envelope| owed(envelope, &shared.jid)).collect(),
        presence: presence.map(|presence| text(&presence, None)),
        priority: shared.priority(),
        interested: shared.is_interested(),
        roster: shared.roster().version(),
        directed: directed
            .iter()
            .flat_map(|directed| &directed.to)
            .map(|jid| jid.as_str().to_owned())
            .collect(),
        received: shared.received.load(std::sync::atomic::Ordering::Relaxed),
        sent: shared.sent.load(std::sync::atomic::Ordering::Relaxed),
    };
    let mut octets = vec![VERSION];
    serde_json::to_writer(&mut octets, &wire).ok()?;
    Some(octets)
}

fn owed(envelope: &Envelope, own: &Jid) -> WireOwed {
    let to = (envelope.to == ToOverride::Own).then_some(own);
    let duty = envelope.duty.as_ref();
    WireOwed {
        stanza: text(&envelope.stanza, to),
        id: duty.map(|duty| duty.id.to_string()),
        spooled: duty.is_some_and(|duty| duty.is_spooled()),
    }
}

fn text(stanza: &Stanza, to: Option<&Jid>) -> String {
    let mut octets = Vec::new();
    stanza.render(to, RootNamespace::Inherited, &mut octets);
    String::from_utf8_lossy(&octets).into_owned()
}

/// Reads what [`encode`] wrote. All of it is checked as if it came from a client.
pub fn decode(octets: &[u8]) -> Result<Exported, ExportError> {
    let (version, json) = octets.split_first().ok_or(ExportError::Empty)?;
    if *version != VERSION {
        return Err(ExportError::Version(*version));
    }
    let wire: Wire =
        serde_json::from_slice(json).map_err(|error| ExportError::Malformed(error.to_string()))?;
    let address = |text: &str, what| Jid::parse(text).map_err(|_| ExportError::Invalid(what));
    let jid = address(&wire.jid, "address")?;
    if jid.local().is_none() || jid.resource().is_none() {
        return Err(ExportError::Invalid("address"));
    }
    let presence = wire.presence.as_deref().map(|text| stanza(text, "presence")).transpose()?;
    let is_available =
        |presence: &Stanza| presence.head.kind == Kind::Presence(PresenceType::Available);
    if !presence.as_ref().is_none_or(is_available) {
        return Err(ExportError::Invalid("presence"));
    }
    Ok(Exported {
        host: HostId(wire.host),
        account: AccountId(wire.account),
        jid,
        id: wire.id.into(),
        window: Duration::from_secs(wire.window_seconds),
        since: Timestamp(wire.since_ms),
        handled: Counter(wire.handled),
        acknowledged: Counter(wire.acknowledged),
        owed: wire.owed.iter().map(read_owed).collect::<Result<_, _>>()?,
        presence,
        priority: wire.priority,
        interested: wire.interested,
        roster: wire.roster,
        directed: wire
            .directed
            .iter()
            .map(|text| address(text, "directed presence"))
            .collect::<Result<_, _>>()?,
        received: wire.received,
        sent: wire.sent,
    })
}

fn read_owed(wire: &WireOwed) -> Result<Owed, ExportError> {
    let id = wire.id.as_deref().map(str::parse).transpose();
    let id: Option<StanzaId> = id.map_err(|_| ExportError::Invalid("stanza id"))?;
    if wire.spooled && id.is_none() {
        return Err(ExportError::Invalid("stanza id"));
    }
    Ok(Owed { stanza: stanza(&wire.stanza, "stanza")?, id, is_spooled: wire.spooled })
}

fn stanza(text: &str, what: &'static str) -> Result<Stanza, ExportError> {
    match parse(text.as_bytes(), &CLIENT, &mut AddressMemo::default()) {
        Ok(Parsed::Stanza(stanza)) => Ok(stanza),
        _ => Err(ExportError::Invalid(what)),
    }
}

impl Exported {
    /// Whether a client may say that it has `h` stanzas.
    pub fn covers(&self, h: Counter) -> bool {
        h.since(self.acknowledged) as usize <= self.owed.len()
    }

    /// Messages whose copies in the offline table the session holds.
    pub fn spooled(&self) -> Vec<StanzaId> {
        let spooled = self.owed.iter().filter(|owed| owed.is_spooled);
        spooled.filter_map(|owed| owed.id).collect()
    }

    /// The session, as number `id` of this node, for whoever registers it.
    pub fn into_session(self, id: u64, origin: Origin, limits: &Limits) -> Session {
        let key = (self.host, self.account);
        let origin = Origin { since: self.since, ..origin };
        let shared = Shared::new(id, key, self.jid, origin, limits.mailbox);
        if let Some(presence) = self.presence {
            shared.set_presence(Some((Arc::new(presence), self.priority)));
        }
        if self.interested {
            shared.set_interested();
            *shared.roster() = RosterView::new(self.roster);
        }
        shared.received.store(self.received, std::sync::atomic::Ordering::Relaxed);
        shared.sent.store(self.sent, std::sync::atomic::Ordering::Relaxed);
        shared.start_management(true);
        if let Some(watermark) = shared.watermark() {
            watermark.go_on_from(self.handled.0);
        }
        let mut resumable = Resumable {
            token: Some(self.id),
            window: self.window,
            unacknowledged: AckQueue::after(self.acknowledged, limits.queue),
            asked: false,
        };
        for owed in self.owed {
            resumable.keep(owed.into_envelope());
        }
        let mut session = Session::new(Arc::new(shared));
        session.resumable = Some(Box::new(resumable));
        if !self.directed.is_empty() {
            session.directed = Some(Box::new(Directed { to: self.directed }));
        }
        session
    }
}

/// What this node allows a session.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Octets of its mailbox.
    pub mailbox: usize,
    pub queue: QueueLimits,
}

impl Owed {
    fn into_envelope(self) -> Envelope {
        let duty = self.id.map(|id| {
            if self.is_spooled {
                return Arc::new(Duty::spooled(id));
            }
            let duty = Duty::new(id, None);
            duty.hold(1);
            Arc::new(duty)
        });
        Envelope { stanza: Arc::new(self.stanza), to: ToOverride::Keep, duty }
    }
}

#[cfg(test)]
#[path = "export_tests.rs"]
mod tests;
