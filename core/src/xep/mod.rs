//! The extensions, one line each. What the server supports, as disco, caps and the documentation
//! tell it, is derived from this list.

use std::sync::Arc;

use crate::auth::accounts::Accounts;
use crate::clock::{Clock, Timestamp};
use crate::host::HostId;
use crate::im::Im;
use crate::router::{Hosts, IqHandler, IqTable, Out, Request, Target};
use crate::services::disco::Disco;
use crate::services::removal::Removal;
use crate::stanza::Stanza;
use crate::stanza::{Condition, StanzaError};
use crate::xml::Element;

pub mod caps;
pub mod delay;
pub mod disco;
pub mod last;
pub mod offline;
pub mod ping;
pub mod register;
pub mod time;
pub mod version;

/// An extension as it declares itself.
#[derive(Debug)]
pub struct Xep {
    pub number: u16,
    pub name: &'static str,
    /// Version of the specification that was followed.
    pub version: &'static str,
    /// What the server announces of it (XEP-0030).
    pub features: &'static [&'static str],
    /// The requests that it answers.
    pub iqs: &'static [Iq],
}

/// One kind of request.
#[derive(Debug)]
pub struct Iq {
    pub namespace: &'static str,
    pub targets: &'static [Target],
    pub handle: fn(&Arc<Services>, &Question<'_>, &mut Out) -> Reply,
}

/// All extensions, by number.
pub static ALL: &[&Xep] = &[
    &last::XEP,
    &disco::XEP,
    &register::XEP,
    &version::XEP,
    &caps::XEP,
    &offline::XEP,
    &ping::XEP,
    &time::XEP,
    &delay::XEP,
];

/// What the server announces: the features of all extensions.
pub fn disco() -> Arc<Disco> {
    Arc::new(Disco::new(ALL.iter().flat_map(|xep| xep.features).copied()))
}

/// What extensions stand on.
pub struct Services {
    pub hosts: Arc<Hosts>,
    pub accounts: Arc<Accounts>,
    pub im: Arc<Im>,
    pub removal: Removal,
    pub registration: register::Registration,
    pub disco: Arc<Disco>,
    pub clock: Clock,
    pub started: Timestamp,
}

/// A request with its payload.
pub struct Question<'a> {
    pub request: &'a Request,
    pub payload: &'a Element,
}

impl Question<'_> {
    pub fn host(&self) -> HostId {
        self.request.host
    }

    pub fn is_get(&self) -> bool {
        self.request.stanza.head.kind == crate::stanza::Kind::Iq(crate::stanza::IqType::Get)
    }
}

/// What a handler answers.
pub enum Reply {
    /// A result without payload.
    Done,
    Result(Element),
    Error(StanzaError),
    /// The handler writes its answer itself, perhaps later.
    Later,
}

impl From<Condition> for Reply {
    fn from(condition: Condition) -> Reply {
        Reply::Error(condition.into())
    }
}

/// Enters all extensions into the router's table.
pub fn register_all(table: &mut IqTable, services: &Arc<Services>) {
    for iq in ALL.iter().flat_map(|xep| xep.iqs) {
        table.register(iq.namespace, iq.targets, Handler { services: services.clone(), iq });
    }
}

struct Handler {
    services: Arc<Services>,
    iq: &'static Iq,
}

impl IqHandler for Handler {
    fn handle(&self, request: Request, out: &mut Out) {
        let Some(payload) = request.stanza.payload.children().next().map(|c| c.element()) else {
            return;
        };
        let question = Question { request: &request, payload: &payload };
        let reply = (self.iq.handle)(&self.services, &question, out);
        answer(&request.stanza, reply, out);
    }
}

/// Sends a reply to the sender of `request`.
pub fn answer(request: &Stanza, reply: Reply, out: &mut Out) {
    match reply {
        Reply::Done => out.route(request.result()),
        Reply::Result(payload) => out.route(request.result().with_child(&payload)),
        Reply::Error(error) => out.routes.extend(request.error(&error)),
        Reply::Later => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_sorted_and_names_each_extension_once() {
        assert!(ALL.windows(2).all(|pair| pair[0].number < pair[1].number));
    }
}
