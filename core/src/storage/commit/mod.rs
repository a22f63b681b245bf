//! Appends of the hot path (archive, offline spool): queued without waiting, committed together
//! every few milliseconds, told when they are durable. The zero-loss contract stands on it: an
//! append is never dropped and never called committed before it is.

mod flush;
mod queue;

use std::fmt;
use std::sync::Arc;

use super::{StorageError, Value};
use crate::clock::StanzaId;
pub(super) use queue::Queue;

/// One statement that needs no answer but its commit. It must be idempotent (`ON CONFLICT DO
/// NOTHING`): when a connection breaks during a commit it is run again.
#[derive(Debug)]
pub struct Append {
    pub statement: &'static str,
    pub params: Vec<Value>,
    /// The archive id that becomes visible with it, for [`super::Db::oldest_pending`].
    pub id: Option<StanzaId>,
    pub done: Done,
}

/// Who learns of the commit.
pub enum Done {
    Nobody,
    Call(DoneCall),
    /// A receiver shared by many appends, and the number by which it knows this one.
    Ticket(Arc<dyn Commit>, u64),
}

/// A call that is made once.
pub type DoneCall = Box<dyn FnOnce(Result<(), &StorageError>) + Send>;

/// Receives commit tickets. Called on the committing task: it must not wait.
pub trait Commit: Send + Sync {
    /// The append of `ticket` is durable, or will never be because its statement failed.
    fn resolved(&self, ticket: u64, outcome: Result<(), &StorageError>);
}

impl Done {
    fn resolve(self, outcome: Result<(), &StorageError>) {
        match self {
            Done::Nobody => {}
            Done::Call(done) => done(outcome),
            Done::Ticket(receiver, ticket) => receiver.resolved(ticket, outcome),
        }
    }
}

impl fmt::Debug for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Done::Nobody => "Nobody",
            Done::Call(_) => "Call",
            Done::Ticket(..) => "Ticket",
        })
    }
}

/// An append without its receiver: what a transaction needs.
#[derive(Debug)]
pub(super) struct Statement {
    pub(super) sql: &'static str,
    pub(super) params: Vec<Value>,
}

impl Append {
    /// Octets that it occupies in the queue.
    fn weight(&self) -> usize {
        let values = self.params.len() * size_of::<Value>();
        size_of::<Append>() + values + self.params.iter().map(Value::weight).sum::<usize>()
    }
}
