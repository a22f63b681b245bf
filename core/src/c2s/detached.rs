//! A session without a connection (XEP-0198 §5): it goes on collecting, until another connection
//! claims it or its time is over.

use std::collections::VecDeque;
use std::future::poll_fn;

use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use crate::session::{CloseReason, Envelope, Order, Session};

/// What became of a detached session.
pub(super) enum Outcome {
    /// Another connection has it.
    Claimed,
    /// Its time is over, or somebody ended it. What did not fit its queue is beside it.
    Over(Box<Session>, Vec<Envelope>, Option<oneshot::Sender<()>>),
}

/// Waits for as long as the session may be resumed.
pub(super) async fn detached(mut session: Box<Session>) -> Outcome {
    let Some(resumable) = &mut session.resumable else {
        return Outcome::Over(session, Vec::new(), None);
    };
    resumable.asked = false;
    let deadline = Instant::now() + resumable.window;
    let mut inbox = VecDeque::new();
    loop {
        let mailbox = &session.shared.mailbox;
        let taken = timeout_at(deadline, poll_fn(|cx| mailbox.poll(cx, &mut inbox))).await;
        let Ok(taken) = taken else { return Outcome::Over(session, inbox.into(), None) };
        keep(&mut session, &mut inbox);
        session = match obey(session, taken.orders) {
            Obeyed::Stays(session) if inbox.is_empty() => session,
            Obeyed::Stays(session) => return Outcome::Over(session, inbox.into(), None),
            Obeyed::Leaves(session, by) => return Outcome::Over(session, inbox.into(), by),
            Obeyed::Claimed => return Outcome::Claimed,
        };
    }
}

/// What the orders do to a session without a client.
enum Obeyed {
    Stays(Box<Session>),
    Leaves(Box<Session>, Option<oneshot::Sender<()>>),
    Claimed,
}

fn obey(mut session: Box<Session>, orders: impl IntoIterator<Item = Order>) -> Obeyed {
    for order in orders {
        match order {
            Order::Surrender(to) => match to.send(session) {
                Ok(()) => return Obeyed::Claimed,
                // The claimant is gone: the session waits for the next one.
                Err(back) => session = back,
            },
            Order::Replace(by) => return Obeyed::Leaves(session, Some(by)),
            // Nobody is there to be told, and a full queue is kept as it is.
            Order::Acknowledge | Order::Close(CloseReason::Stalled) => {}
            Order::Close(_) => return Obeyed::Leaves(session, None),
        }
    }
    Obeyed::Stays(session)
}

/// Puts what came into the queue of what the client has not acknowledged.
fn keep(session: &mut Session, inbox: &mut VecDeque<Envelope>) {
    let Some(resumable) = &mut session.resumable else { return };
    while let Some(envelope) = inbox.pop_front() {
        let size = envelope.size() as u32;
        if let Err((_, envelope)) = resumable.unacknowledged.push(envelope, size) {
            inbox.push_front(envelope);
            return;
        }
    }
}
