//! What routing causes. Steps write into an [`Out`]; whoever called the router performs it.

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::jid::Jid;
use crate::session::{Entry, Envelope, RosterPush, Shared, ToOverride};
use crate::stanza::Stanza;

/// Something that must wait (for the database, a plugin) before more can be done for the same
/// sender. It holds what it needs and yields what it causes.
pub type Work = Pin<Box<dyn Future<Output = Out> + Send>>;

/// Whom a stanza is for.
#[derive(Clone, Debug)]
pub enum To {
    Session(Entry),
    /// Accounts, by their bare addresses: each other node knows best which of its sessions get it.
    Elsewhere(Arc<Vec<Jid>>),
    /// The sessions that have asked for this roster, on all nodes; the stanza is what other nodes are
    /// told.
    Interested(Arc<RosterPush>),
}

/// The output sink of the router. Reused: empty ones hold no memory worth mention.
#[derive(Default)]
pub struct Out {
    /// Stanzas for sessions, wherever they are, and for other nodes to hand out, in order.
    pub deliveries: Vec<(To, Envelope)>,
    /// Stanzas that the server generated and that are still to be routed, stamped with `from`.
    pub routes: VecDeque<Stanza>,
    /// What was on its way to a session that is gone, in order.
    pub returned: VecDeque<(Option<Arc<Shared>>, Envelope)>,
    /// What must be awaited, in order, before the sender's next stanza.
    pub work: VecDeque<Work>,
}

impl Out {
    /// To one session, as it is.
    pub fn deliver(&mut self, to: &Arc<Shared>, stanza: Arc<Stanza>) {
        self.send(&Entry::Local(to.clone()), Envelope::new(stanza));
    }

    /// To whichever sessions of these accounts other nodes have.
    pub fn send_elsewhere(&mut self, accounts: Vec<Jid>, to: ToOverride, stanza: &Arc<Stanza>) {
        if !accounts.is_empty() {
            let envelope = Envelope { stanza: stanza.clone(), to, duty: None };
            self.deliveries.push((To::Elsewhere(Arc::new(accounts)), envelope));
        }
    }

    /// To one session, wherever it is.
    pub fn send(&mut self, to: &Entry, envelope: Envelope) {
        self.deliveries.push((To::Session(to.clone()), envelope));
    }

    /// One stanza for many sessions; each reads its own address in `to`.
    pub fn fan_out<'a>(
        &mut self,
        stanza: &Arc<Stanza>,
        to: ToOverride,
        recipients: impl IntoIterator<Item = &'a Entry>,
    ) {
        for recipient in recipients {
            self.send(recipient, Envelope { stanza: stanza.clone(), to, duty: None });
        }
    }

    /// A stanza that the server sends on somebody's behalf; `from` and `to` are set.
    pub fn route(&mut self, stanza: Stanza) {
        self.routes.push_back(stanza);
    }

    /// Something to await.
    pub fn wait(&mut self, work: impl Future<Output = Out> + Send + 'static) {
        self.work.push_back(Box::pin(work));
    }

    /// Gives back what a burst took beyond room for `items` of each.
    pub fn shrink_to(&mut self, items: usize) {
        self.deliveries.shrink_to(items);
        self.routes.shrink_to(items);
        self.returned.shrink_to(items);
        self.work.shrink_to(items);
    }

    pub fn is_empty(&self) -> bool {
        self.deliveries.is_empty()
            && self.routes.is_empty()
            && self.returned.is_empty()
            && self.work.is_empty()
    }
}

impl fmt::Debug for Out {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Out")
            .field("deliveries", &self.deliveries.len())
            .field("routes", &self.routes.len())
            .field("work", &self.work.len())
            .finish()
    }
}
