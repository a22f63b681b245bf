//! IQ requests that the server answers itself (RFC 6121 §8.5.1, RFC 6120 §8.2.3), by namespace.

use std::sync::Arc;

use hashbrown::HashMap;

use super::{Out, Router};
use crate::host::HostId;
use crate::ns;
use crate::session::{Entry, Envelope, Shared};
use crate::stanza::Condition;
use crate::stanza::{IqType, Kind, Stanza};

/// On whose behalf the server answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// The server itself.
    Server,
    /// The sender's own account: its bare address, or no `to` at all.
    Own,
    /// Another local account.
    Account,
}

/// A request that reached the server.
#[derive(Debug)]
pub struct Request {
    pub host: HostId,
    pub target: Target,
    /// `from` and `to` are set.
    pub stanza: Stanza,
    /// The session that asked, when it is one of ours.
    pub session: Option<Arc<Shared>>,
}

/// Answers the requests of one namespace.
pub trait IqHandler: Send + Sync {
    /// Writes the answer, made by [`Stanza::result`] or [`Stanza::error`], to `out.route`.
    fn handle(&self, request: Request, out: &mut Out);
}

impl<F: Fn(Request, &mut Out) + Send + Sync> IqHandler for F {
    fn handle(&self, request: Request, out: &mut Out) {
        self(request, out);
    }
}

/// Who answers what.
#[derive(Default)]
pub struct IqTable {
    handlers: HashMap<(Target, &'static str), Arc<dyn IqHandler>>,
}

impl IqTable {
    pub fn register(
        &mut self,
        namespace: &'static str,
        targets: &[Target],
        handler: impl IqHandler + 'static,
    ) {
        let handler: Arc<dyn IqHandler> = Arc::new(handler);
        for target in targets {
            self.handlers.insert((*target, namespace), handler.clone());
        }
    }

    fn find(&self, target: Target, namespace: &str) -> Option<&Arc<dyn IqHandler>> {
        self.handlers.get(&BorrowedKey(target, namespace))
    }
}

#[derive(Hash)]
struct BorrowedKey<'a>(Target, &'a str);

impl hashbrown::Equivalent<(Target, &'static str)> for BorrowedKey<'_> {
    fn equivalent(&self, key: &(Target, &'static str)) -> bool {
        self.0 == key.0 && self.1 == key.1
    }
}

impl Router {
    /// An IQ for the server or for an account as a whole.
    pub(super) fn iq_to_server(&self, request: Request, out: &mut Out) {
        match request.stanza.head.kind {
            Kind::Iq(IqType::Get | IqType::Set) => {}
            // An answer to nothing: RFC 6120 §8.2.3 lets us ignore it.
            _ => return,
        }
        let payload = request.stanza.payload.children().next();
        let namespace = payload.and_then(|payload| payload.ns).unwrap_or(ns::CLIENT);
        match self.iqs.find(request.target, namespace).cloned() {
            Some(handler) => handler.handle(request, out),
            None => self.iq_to_guest(namespace.to_owned(), request, out),
        }
    }

    fn iq_to_guest(&self, namespace: String, request: Request, out: &mut Out) {
        // What is asked of one's own account may be offered to accounts in general.
        let own = (request.target == Target::Own).then_some(Target::Account);
        let targets = [Some(request.target), own];
        let find = |target| self.guests.iq(target, &namespace);
        match targets.into_iter().flatten().find_map(find) {
            Some(handler) => handler.handle(request, out),
            None => self.refuse(&request.stanza, Condition::ServiceUnavailable, out),
        }
    }

    /// An IQ for one resource (RFC 6121 §8.5.3.1, §8.5.3.2.3).
    pub(super) fn iq_to_resource(&self, entry: Option<Entry>, stanza: Stanza, out: &mut Out) {
        match entry {
            Some(entry) => out.send(&entry, Envelope::new(Arc::new(stanza))),
            None => self.refuse(&stanza, Condition::ServiceUnavailable, out),
        }
    }
}
