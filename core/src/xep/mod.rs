//! The extensions, one line each. What the server supports, as disco, caps and the documentation
//! tell it, is derived from this list.

use std::sync::{Arc, Weak};

use crate::auth::accounts::Accounts;
use crate::clock::{Clock, Timestamp};
use crate::host::HostId;
use crate::im::Im;
use crate::router::{Hosts, IqHandler, IqTable, Out, Request, Target};
use crate::services::commands::Commands;
use crate::services::disco::{Added, Disco};
use crate::services::removal::Removal;
use crate::session::Shared;
use crate::stanza::Stanza;
use crate::stanza::{Condition, StanzaError};
use crate::storage::StorageError;
use crate::xml::Element;

pub mod adhoc;
pub mod caps;
pub mod delay;
pub mod disco;
pub mod kit;
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
    &kit::forms::XEP,
    &last::XEP,
    &disco::XEP,
    &adhoc::XEP,
    &register::XEP,
    &version::XEP,
    &caps::XEP,
    &offline::XEP,
    &ping::XEP,
    &time::XEP,
    &delay::XEP,
];

/// What the server announces: the features of all extensions. Its accounts have those that are no
/// requests to the server alone.
pub fn disco() -> Arc<Disco> {
    let features = ALL.iter().flat_map(|xep| xep.features).copied();
    let (of_server, own): (Vec<_>, Vec<_>) = features.partition(|var| is_of_server(var));
    let disco = Disco::new(own);
    for var in of_server {
        let var = var.to_owned();
        disco.add(Added::Feature { var, of_server: true, of_accounts: false });
    }
    Arc::new(disco)
}

fn is_of_server(feature: &str) -> bool {
    let mut iqs = ALL.iter().flat_map(|xep| xep.iqs);
    iqs.any(|iq| iq.namespace == feature && iq.targets == [Target::Server])
}

/// What extensions stand on.
pub struct Services {
    pub hosts: Arc<Hosts>,
    pub accounts: Arc<Accounts>,
    pub im: Arc<Im>,
    pub removal: Removal,
    pub registration: register::Registration,
    pub disco: Arc<Disco>,
    /// Who has them stands on all of this.
    pub commands: Weak<dyn Commands>,
    pub dialogues: adhoc::Dialogues,
    pub clock: Clock,
    pub started: Timestamp,
}

impl Services {
    /// Whether the account of a session administers the server.
    pub async fn is_administrator(&self, session: Option<&Shared>) -> Result<bool, StorageError> {
        match session {
            Some(session) => self.removal.offices.administers(session.account).await,
            None => Ok(false),
        }
    }
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

/// Sends a reply that must be waited for; so does the sender's next stanza.
pub fn answer_later(
    request: &Stanza,
    out: &mut Out,
    reply: impl Future<Output = Reply> + Send + 'static,
) -> Reply {
    let request = request.clone();
    out.wait(async move {
        let mut out = Out::default();
        answer(&request, reply.await, &mut out);
        out
    });
    Reply::Later
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ns;
    use crate::services::disco::Said;

    #[test]
    fn the_list_is_sorted_and_names_each_extension_once() {
        assert!(ALL.windows(2).all(|pair| pair[0].number < pair[1].number));
    }

    #[test]
    fn an_account_does_not_claim_what_only_the_server_answers() {
        let announced = disco().announced();
        let has = |said: &Said, var: &str| said.features.iter().any(|feature| feature == var);
        for var in [ns::COMMANDS, ns::TIME, ns::VERSION] {
            assert!(has(&announced.server, var) && !has(&announced.account, var), "{var}");
        }
        assert!(has(&announced.account, ns::DISCO_INFO));
    }
}
