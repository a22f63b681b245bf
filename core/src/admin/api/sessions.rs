//! `/sessions`: who is connected, to this node or to another one of its cluster.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use hyper::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answer, Api, Call, Page, Problem, Route};
use crate::clock::Timestamp;
use crate::host::HostId;
use crate::jid::Jid;
use crate::ns;
use crate::router::Out;
use crate::router::cluster::View;
use crate::session::registry::{Entries, Entry};
use crate::session::{RemoteSession, Shared, ToOverride, Window};
use crate::stanza::{MessageType, Stanza};
use crate::xml::Element;

pub const ROUTES: &[Route] = &[
    Route::list("/sessions", COLUMNS, |call| Box::pin(list(call))),
    Route::new(Method::POST, "/sessions/message", |call| Box::pin(message(call))),
    Route::new(Method::GET, "/sessions/{user}/{resource}", |call| Box::pin(get(call))),
    Route::new(Method::DELETE, "/sessions/{user}/{resource}", |call| Box::pin(disconnect(call))),
    Route::list("/users/{name}/sessions", COLUMNS, |call| Box::pin(of_user(call))),
];

const HOST: HostId = HostId::FIRST;
const COLUMNS: &[&str] = &[
    "jid",
    "node",
    "address",
    "since",
    "tls",
    "cipher",
    "mechanism",
    "client",
    "available",
    "priority",
    "detached",
    "idle_seconds",
    "received",
    "sent",
];
/// Octets of a message's body and subject.
const LONGEST: usize = 64 * 1024;

/// What the nodes of a cluster are called.
struct Names {
    me: Option<String>,
    view: View,
}

impl Names {
    fn of(call: &Call) -> Names {
        let nodes = &call.api.router.nodes;
        let view = nodes.current();
        let name = |node| view.members.iter().find(|m| m.node == node).map(|m| m.name.clone());
        Names { me: name(nodes.me()), view }
    }

    fn shown(&self, session: &Entry) -> Value {
        match session {
            Entry::Local(session) => {
                let mut shown = shown(session);
                if let Some(me) = &self.me {
                    shown["node"] = me.as_str().into();
                }
                shown
            }
            Entry::Remote(session) => self.elsewhere(session),
        }
    }

    /// What this node knows of a session on another one.
    fn elsewhere(&self, session: &RemoteSession) -> Value {
        let member = self.view.members.iter().find(|member| member.node == session.node);
        json!({
            "jid": session.jid.as_str(),
            "user": session.jid.local(),
            "resource": session.resource(),
            "node": member.map(|member| member.name.as_str()),
            "since": Timestamp(session.bound_ms).to_string(),
            "available": session.is_available(),
            "priority": session.priority,
            "detached": !session.is_connected(),
        })
    }
}

fn shown(session: &Shared) -> Value {
    let origin = session.origin();
    let management = session.management();
    json!({
        "jid": session.jid.as_str(),
        "user": session.jid.local(),
        "resource": session.resource(),
        "address": origin.peer.to_string(),
        "since": origin.since.to_string(),
        "tls": origin.tls.map(|tls| tls.version),
        "cipher": origin.tls.map(|tls| tls.cipher),
        "mechanism": origin.mechanism,
        "available": session.is_available(),
        "priority": session.priority(),
        "received": session.received.load(Relaxed),
        "sent": session.sent.load(Relaxed),
        "detached": !session.is_connected(),
        "idle_seconds": session.silence(),
        "client": client(session),
        "stream_management": management.map(|management| json!({
            "resumable": management.resumable,
            "unacknowledged": management.unacknowledged(),
        })),
    })
}

/// What the client calls itself: the node of its capabilities (XEP-0115 §4), mostly its web site.
fn client(session: &Shared) -> Option<String> {
    let presence = session.presence()?;
    let caps = presence.child("c", ns::CAPS)?.element();
    caps.attr("node").map(str::to_owned)
}

/// What `?search=`, `?address=`, `?available=` and `?detached=` ask for.
struct Filter {
    address: Option<String>,
    search: Option<String>,
    available: Option<bool>,
    detached: Option<bool>,
}

impl Filter {
    fn of(call: &Call) -> Result<Filter, Problem> {
        Ok(Filter {
            address: call.text("address").map(str::to_owned),
            search: call.text("search").map(str::to_lowercase),
            available: call.flag("available")?,
            detached: call.flag("detached")?,
        })
    }

    fn admits(&self, session: &Entry) -> bool {
        // Only a session's own node knows its address.
        let address = |part: &String| match session {
            Entry::Local(session) => session.origin().peer.to_string().contains(part.as_str()),
            Entry::Remote(_) => false,
        };
        self.available.is_none_or(|wanted| session.is_available() == wanted)
            && self.detached.is_none_or(|wanted| session.is_connected() != wanted)
            && self.address.as_ref().is_none_or(address)
            && self
                .search
                .as_ref()
                .is_none_or(|text| session.jid().as_str().contains(text) || address(text))
    }
}

async fn list(call: Call) -> Result<Answer, Problem> {
    let (page, filter) = (call.page()?, Filter::of(&call)?);
    let Page { after, limit } = &page;
    let wrong = |_| Problem::invalid("after is the full address of a session");
    let after = after.as_deref().map(Jid::parse).transpose().map_err(wrong)?;
    let after = after.as_ref();
    let window = Window {
        host: HOST,
        prefix: call.text("user").unwrap_or_default(),
        after: (
            after.and_then(|jid| jid.local()).unwrap_or_default(),
            after.and_then(|jid| jid.resource()).unwrap_or_default(),
        ),
        limit: limit + 1,
    };
    let sessions = call.api.router.registry.page(window, |session| filter.admits(session));
    let nodes = Names::of(&call);
    let items: Vec<_> = sessions.iter().map(|session| nodes.shown(session)).collect();
    Answer::page(&page, items, |item| item["jid"].as_str().unwrap_or_default().to_owned())
}

/// A user has few sessions: all are on the first page.
async fn of_user(call: Call) -> Result<Answer, Problem> {
    let name = super::users::find(&call).await?.username;
    let all = |entries: &[Entry]| entries.iter().cloned().collect();
    let found = call.api.router.registry.select(HOST, &name, all);
    let entries: Entries = found.map(|(_, entries)| entries).unwrap_or_default();
    let nodes = Names::of(&call);
    let items = entries.iter().map(|session| nodes.shown(session));
    Answer::ok(json!({ "items": items.collect::<Vec<_>>(), "next": null }))
}

fn find(call: &Call) -> Result<Entry, Problem> {
    let found = call.api.router.registry.resource(HOST, call.param(0), call.param(1));
    let unknown = || format!("{}/{}", call.param(0), call.param(1));
    found.ok_or_else(|| Problem::not_found("session", &unknown()))
}

async fn get(call: Call) -> Result<Answer, Problem> {
    Answer::ok(Names::of(&call).shown(&find(&call)?))
}

async fn disconnect(call: Call) -> Result<Answer, Problem> {
    let session = find(&call)?;
    call.note("session.disconnect", session.jid().as_str()).await?;
    let ended = call.api.router.end_session(&session).await;
    ended.map_err(|error| {
        Problem::Conflict(format!("the session's node did not end it: {error}"))
    })?;
    Answer::done()
}

/// How a client shows a message of the server.
#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Style {
    /// RFC 6121 §5.2.2: an alert that needs no answer.
    #[default]
    Headline,
    Chat,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Message {
    /// A full address, a user's name or address for all his sessions; absent for everybody.
    to: Option<String>,
    subject: Option<String>,
    body: String,
    #[serde(default)]
    style: Style,
}

/// Sends a message of the domain to sessions on all nodes. It is not kept for people who are away.
async fn message(call: Call) -> Result<Answer, Problem> {
    let message: Message = call.json()?;
    if message.body.trim().is_empty() {
        return Err(Problem::invalid("a message has a text").at("body"));
    }
    let text = [Some(&message.body), message.subject.as_ref()];
    if text.into_iter().flatten().any(|t| t.len() > LONGEST) {
        let words = format!("a message has a text of at most {LONGEST} octets");
        return Err(Problem::Invalid(words).at("body"));
    }
    let to = message.to.as_deref().filter(|to| !to.is_empty());
    let recipients = recipients(&call, to)?;
    call.note("session.message", to.unwrap_or("everybody")).await?;
    let sent = recipients.len();
    let stanza = Arc::new(stanza(&call, &message));
    let mut out = Out::default();
    out.fan_out(&stanza, ToOverride::Own, &recipients);
    call.api.router.perform(&mut out).await;
    Answer::ok(json!({ "sent": sent }))
}

fn stanza(call: &Call, message: &Message) -> Stanza {
    let kind = match message.style {
        Style::Headline => MessageType::Headline,
        Style::Chat => MessageType::Chat,
    };
    let router = &call.api.router;
    let mut payload = Vec::new();
    let subject = message.subject.as_deref().filter(|subject| !subject.is_empty());
    for (name, text) in [("subject", subject), ("body", Some(message.body.as_str()))] {
        if let Some(text) = text {
            Element::new(name, ns::CLIENT).with_text(text).write(ns::CLIENT, &mut payload);
        }
    }
    let payload = crate::stanza::Payload::from_canonical(payload);
    Stanza::message(kind)
        .with_from(router.hosts.domain(HOST).clone())
        .with_id(router.clock.random().token())
        .with_payload(payload.expect("the writer writes canonical elements"))
}

/// The sessions that a message is for.
fn recipients(call: &Call, to: Option<&str>) -> Result<Vec<Entry>, Problem> {
    let registry = &call.api.router.registry;
    let mut found = Vec::new();
    let Some(to) = to else {
        registry.each(|session| {
            if session.is_available() {
                found.push(session.clone());
            }
        });
        return Ok(found);
    };
    let nobody =
        |to: &str| Problem::Invalid(format!("there is no session of `{to}` here")).at("to");
    let address =
        if to.contains('@') { to.to_owned() } else { format!("{to}@{}", call.api.about.domain) };
    let jid = Jid::parse(&address).map_err(|_| nobody(to))?;
    let local = jid.local().unwrap_or_default();
    let wanted = |entry: &Entry| jid.resource().is_none_or(|wanted| entry.resource() == wanted);
    let choose = |all: &[Entry]| all.iter().filter(|e| wanted(e)).cloned().collect();
    let entries =
        call.api.router.hosts.find(jid.domain()).and_then(|h| registry.select(h, local, choose));
    found.extend(entries.into_iter().flat_map(|(_, entries)| entries));
    if found.is_empty() { Err(nobody(to)) } else { Ok(found) }
}

/// Ends all sessions of a user, on all nodes.
pub(super) fn end_sessions(api: &Api, username: &str) {
    api.router.nodes.end_sessions(HOST, username);
}
