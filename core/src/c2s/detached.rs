//! A session without a connection (XEP-0198 §5): it goes on collecting, until another connection
//! claims it or its time is over.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use super::bound::{SPOOL_AFTER, by_order};
use super::held::Held;
use crate::im::Im;
use crate::session::mailbox::Taken;
use crate::session::{CloseReason, Ended, Envelope, Order, Session};

/// What became of a detached session.
pub(super) enum Outcome {
    /// Another connection has it.
    Claimed,
    /// Its time is over, or somebody ended it and may be waiting for that.
    Over(Held, Option<oneshot::Sender<()>>),
}

/// Waits for as long as the session may be resumed.
pub(super) async fn detached(mut session: Held) -> Outcome {
    let Some(resumable) = &mut session.resumable else { return Outcome::Over(session, None) };
    resumable.asked = false;
    let deadline = Instant::now() + resumable.window;
    session.shared.leave();
    session.c2s.router.registry.changed(&session.shared);
    // What waits for a client that is away has waited long enough for an acknowledgement.
    let mut spool = Some(Instant::now());
    let mut inbox = VecDeque::new();
    loop {
        let until = spool.map_or(deadline, |at| at.min(deadline));
        let taken = timeout_at(until, poll_fn(|cx| poll(&session, cx, &mut inbox))).await;
        let Ok(taken) = taken else {
            if until == deadline {
                return Outcome::Over(session, None);
            }
            spool_late(&session.c2s.router.im, &session, &[]);
            // What comes to the mailbox then does not come through here.
            spool = is_full(&session).then(|| Instant::now() + SPOOL_AFTER);
            continue;
        };
        let awaited = keep(&mut session, &mut inbox) || is_full(&session);
        session.show_unacknowledged();
        if awaited && spool.is_none() {
            spool = Some(Instant::now() + SPOOL_AFTER);
        }
        session = match obey(session, taken.orders) {
            Obeyed::Stays(session) => session,
            Obeyed::Leaves(session, by) => return Outcome::Over(session, by),
            Obeyed::Claimed => return Outcome::Claimed,
        };
    }
}

/// Takes from the mailbox while there is room; then it fills, and what is durable goes elsewhere.
fn poll(session: &Session, cx: &mut Context<'_>, inbox: &mut VecDeque<Envelope>) -> Poll<Taken> {
    let mailbox = &session.shared.mailbox;
    if is_full(session) { mailbox.poll_orders(cx) } else { mailbox.poll(cx, inbox, usize::MAX) }
}

/// As much as it may is unacknowledged.
pub(super) fn is_full(session: &Session) -> bool {
    session.resumable.as_ref().is_some_and(|resumable| resumable.unacknowledged.is_full())
}

/// What the orders do to a session without a client.
enum Obeyed {
    Stays(Held),
    Leaves(Held, Option<oneshot::Sender<()>>),
    Claimed,
}

fn obey(mut session: Held, orders: impl IntoIterator<Item = Order>) -> Obeyed {
    for order in orders {
        match order {
            Order::Surrender(to) => match session.surrender(to) {
                Ok(_) => return Obeyed::Claimed,
                // It waits for the next claimant.
                Err(back) => session = back,
            },
            Order::Replace(by) => {
                session.shared.set_ended(Ended::Replaced);
                return Obeyed::Leaves(session, Some(by));
            }
            // Nobody is there to be told, and a full mailbox is kept as it is.
            Order::Acknowledge
            | Order::Close(CloseReason::Stalled | CloseReason::Idle | CloseReason::Drained) => {}
            Order::Close(reason) => {
                session.shared.set_ended(by_order(reason));
                return Obeyed::Leaves(session, None);
            }
        }
    }
    Obeyed::Stays(session)
}

/// Puts what came into the queue of what the client has not acknowledged. True when senders wait
/// for that.
fn keep(session: &mut Session, inbox: &mut VecDeque<Envelope>) -> bool {
    let Some(resumable) = &mut session.resumable else { return false };
    let mut awaited = false;
    for envelope in inbox.drain(..) {
        awaited |= resumable.keep(envelope);
    }
    awaited
}

/// Puts what senders wait for into the offline table: what is `written`, what is not acknowledged
/// and what the mailbox holds as long as the client takes nothing.
pub(super) fn spool_late(im: &Arc<Im>, session: &Session, written: &[Envelope]) {
    let mut late: Vec<_> = written.iter().filter_map(Envelope::start_spool).collect();
    late.extend(session.resumable.iter().flat_map(|resumable| resumable.start_spool()));
    late.extend(session.shared.mailbox.start_spool());
    if !late.is_empty() {
        im.spool(&session.shared, late);
    }
}
