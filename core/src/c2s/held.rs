//! A session in the hands of one task, which ends it or hands it on.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use tokio::sync::oneshot;

use super::C2s;
use crate::session::{Ended, Envelope, Session};

const THERE: &str = "the session is there until it is handed on";

/// Owns a session. When a bug ends the task, the session ends in another one: no ghost stays
/// registered, and what it held goes elsewhere.
pub(super) struct Held {
    pub c2s: Arc<C2s>,
    /// `None` once it was handed on.
    session: Option<Box<Session>>,
    /// Written, but perhaps never sent; only without XEP-0198.
    pub unflushed: Vec<Envelope>,
}

impl Held {
    pub fn new(c2s: &Arc<C2s>, session: Box<Session>) -> Held {
        Held { c2s: c2s.clone(), session: Some(session), unflushed: Vec::new() }
    }

    /// Hands the session on, with what may have to be given to somebody else.
    pub fn release(mut self) -> (Box<Session>, Vec<Envelope>) {
        let session = self.session.take().expect(THERE);
        (session, std::mem::take(&mut self.unflushed))
    }

    /// Hands it to who claims it, and returns what he does not get. If the claimant is gone it stays.
    pub fn surrender(mut self, to: oneshot::Sender<Box<Session>>) -> Result<Vec<Envelope>, Held> {
        let session = self.session.take().expect(THERE);
        match to.send(session) {
            Ok(()) => Ok(std::mem::take(&mut self.unflushed)),
            Err(session) => {
                self.session = Some(session);
                Err(self)
            }
        }
    }

    /// Both, for who changes the session while he asks the server.
    pub fn parts(&mut self) -> (&Arc<C2s>, &mut Session) {
        let session = self.session.as_mut().expect(THERE);
        (&self.c2s, session)
    }
}

impl Deref for Held {
    type Target = Session;

    fn deref(&self) -> &Session {
        self.session.as_ref().expect(THERE)
    }
}

impl DerefMut for Held {
    fn deref_mut(&mut self) -> &mut Session {
        self.parts().1
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let Some(session) = self.session.take() else { return };
        // A task that is dropped without a panic goes with the whole process.
        if std::thread::panicking() {
            tracing::error!(jid = %session.jid(), "a bug ends a session");
            session.shared.set_ended(Ended::Fault);
            let (c2s, unflushed) = (self.c2s.clone(), std::mem::take(&mut self.unflushed));
            self.c2s.tracker.spawn("session after a bug", c2s.end(session, unflushed));
        }
    }
}
