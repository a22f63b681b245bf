//! A bound stream: reads, routes and writes. Everything that need not wait happens within one poll;
//! what a wake-up brought is written with one system call.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, Sleep, sleep};

use super::detached::{is_full, spool_late};
use super::held::Held;
use super::inbound::{Event, Inbound};
use super::note;
use super::scratch::Scratch;
use crate::net::Io;
use crate::session::mailbox::Taken;
use crate::session::{CloseReason, Ended, Envelope, Order, Session, Shared, ToOverride};
use crate::stanza::RootNamespace;
use crate::stanza::Stanza;
use crate::stream::StreamFault;

/// Octets that the socket may owe before more is taken from the mailbox.
const HIGH_WATER: usize = 64 * 1024;
/// Octets that one wake-up takes from the mailbox; then other connections have their turn.
const PORTION: usize = 256 * 1024;
/// Stanzas of one sender whose safety may be open before it is read no further.
const MAX_OPEN: usize = 1024;
/// How long a durable message may be unacknowledged before a copy goes to the offline table, so
/// that its sender need not wait for a slow client.
pub(super) const SPOOL_AFTER: Duration = Duration::from_secs(1);
/// Reads within one poll; then other connections have their turn.
const READS: usize = 4;
/// How long a farewell may take.
const FAREWELL: Duration = Duration::from_secs(2);

/// How a bound stream ended.
pub(super) enum End {
    /// The session is over; whoever replaced it may be waiting for that.
    Over(Held, Option<oneshot::Sender<()>>),
    /// The connection is lost: the session may be resumed.
    Lost(Held),
    /// The session went to another connection; what was written before it counted stanzas did not.
    Surrendered(Arc<Shared>, Vec<Envelope>),
}

/// The connection of a bound session.
pub(super) struct Bound {
    pub io: Io,
    pub inbound: Inbound,
    spool: Option<Pin<Box<Sleep>>>,
    /// While nothing is read, because too much waits to be committed or the account sent faster
    /// than it may: resolves when that is over.
    hindrance: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

/// What the event means for a session that does not survive it.
fn ended(event: &Event) -> Ended {
    match event {
        Event::Closed => Ended::Closed,
        Event::Replace(_) => Ended::Replaced,
        Event::Fault(_) => Ended::Fault,
        Event::Close(reason) => by_order(*reason),
        Event::Lost | Event::Surrender(_) | Event::Wait(_) => Ended::Lost,
    }
}

/// What an order to close means.
pub(super) fn by_order(reason: CloseReason) -> Ended {
    match reason {
        CloseReason::Kicked => Ended::Kicked,
        CloseReason::Shutdown | CloseReason::Standby => Ended::Shutdown,
        CloseReason::Stalled | CloseReason::Idle | CloseReason::Drained => Ended::Lost,
    }
}

impl Bound {
    pub fn new(io: Io, inbound: Inbound) -> Bound {
        Bound { io, inbound, spool: None, hindrance: None }
    }

    /// Serves the stream until something must be awaited, or it ends.
    pub fn next(&mut self) -> impl Future<Output = Event> + '_ {
        poll_fn(|cx| self.poll(cx))
    }

    /// Sends again what a resumed session owes its client.
    pub async fn repeat(&mut self, owed: &[u8]) {
        if !owed.is_empty() {
            send(&mut self.io, owed).await;
            self.spool = Some(Box::pin(sleep(SPOOL_AFTER)));
        }
    }

    /// Says good-bye as the event demands.
    pub async fn end(mut self, event: Event) -> End {
        let mut replaced_by = None;
        let is_ordered = matches!(event, Event::Close(_) | Event::Replace(_));
        let may_return = matches!(event, Event::Close(CloseReason::Idle | CloseReason::Drained));
        self.inbound.held.shared.set_ended(ended(&event));
        let fault = match event {
            Event::Lost | Event::Close(CloseReason::Stalled) => {
                return End::Lost(self.inbound.held);
            }
            Event::Surrender(to) => return self.surrender(to).await,
            Event::Closed | Event::Wait(_) => None,
            Event::Replace(by) => {
                replaced_by = Some(by);
                Some(StreamFault::Conflict)
            }
            Event::Fault(fault) => Some(fault),
            Event::Close(CloseReason::Kicked) => Some(StreamFault::ClosedByAdministrator),
            Event::Close(CloseReason::Shutdown) => Some(StreamFault::SystemShutdown),
            Event::Close(CloseReason::Standby) => Some(StreamFault::Standby),
            Event::Close(CloseReason::Idle) => Some(StreamFault::IdleTimeout),
            Event::Close(CloseReason::Drained) => Some(StreamFault::Drained),
        };
        if let Some(fault) = &fault {
            note(self.inbound.held.jid(), fault);
        }
        if is_ordered {
            self.hear_last().await;
        }
        farewell(&mut self.io, fault.as_ref()).await;
        if may_return {
            return End::Lost(self.inbound.held);
        }
        End::Over(self.inbound.held, replaced_by)
    }

    /// A client may have told already what it has, while this process was stopped perhaps: that is not
    /// brought again.
    async fn hear_last(&mut self) {
        if self.inbound.held.resumable.is_none() {
            return;
        }
        // What was read already comes first.
        self.inbound.hear_last(&[]);
        // The runtime learns of what has just arrived when it looks for it.
        tokio::task::yield_now().await;
        poll_fn(|cx| {
            for _ in 0..READS {
                let inbound = &mut self.inbound;
                let read = self.io.poll_read(cx, &mut |octets| inbound.hear_last(octets));
                if !matches!(read, Poll::Ready(Ok(1..))) {
                    break;
                }
            }
            Poll::Ready(())
        })
        .await;
    }

    async fn surrender(self, to: oneshot::Sender<Box<Session>>) -> End {
        let Bound { mut io, inbound, .. } = self;
        let shared = inbound.held.shared.clone();
        let end = match inbound.held.surrender(to) {
            Ok(unflushed) => End::Surrendered(shared, unflushed),
            // It waits for the next claimant.
            Err(held) => End::Lost(held),
        };
        // The claimant need not wait until this connection, half dead perhaps, is closed.
        farewell(&mut io, Some(&StreamFault::Conflict)).await;
        end
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        Scratch::lend(|scratch| {
            let served = catch_unwind(AssertUnwindSafe(|| {
                let event = self.poll_parts(cx, scratch);
                let event = self.write_out(cx, scratch, event);
                self.inbound.held.show_unacknowledged();
                if event.is_pending() {
                    self.poll_spool(cx);
                }
                event
            }));
            served.unwrap_or_else(|bug| {
                self.rescue(scratch);
                resume_unwind(bug)
            })
        })
    }

    /// A bug ends this connection: what the buffers hold must not go with it.
    fn rescue(&mut self, scratch: &mut Scratch) {
        let Held { c2s, unflushed, .. } = &mut self.inbound.held;
        unflushed.append(&mut scratch.written);
        unflushed.extend(scratch.inbox.drain(..));
        let (router, mut out) = (c2s.router.clone(), std::mem::take(&mut scratch.out));
        c2s.tracker.spawn("routing after a bug", async move { router.perform(&mut out).await });
    }

    /// Reads, then looks into the mailbox: answers to what was read are in it already.
    fn poll_parts(&mut self, cx: &mut Context<'_>, scratch: &mut Scratch) -> Poll<Event> {
        if self.io.pending() > 0
            && let Poll::Ready(Err(_)) = self.io.poll_flush(cx)
        {
            return Poll::Ready(Event::Lost);
        }
        if let Poll::Ready(event) = self.poll_read(cx, scratch) {
            return Poll::Ready(event);
        }
        if let Poll::Ready(event) = self.poll_mailbox(cx, scratch) {
            return Poll::Ready(event);
        }
        Poll::Pending
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, scratch: &mut Scratch) -> Poll<Event> {
        // Its account is gone, or the node must not serve any more: the mailbox has the order, or
        // will have it as soon as anybody has noticed.
        if self.inbound.held.shared.mailbox.is_ending() || !self.may_serve() {
            return Poll::Pending;
        }
        // What an earlier wait left over comes first.
        let event = self.inbound.read(&[], scratch);
        self.slow_down(scratch);
        if let Some(event) = event {
            return Poll::Ready(event);
        }
        for _ in 0..READS {
            if !self.may_read(cx) {
                self.inbound.held.shared.stop_reading();
                return Poll::Pending;
            }
            self.inbound.held.shared.go_on_reading();
            let (inbound, mut event) = (&mut self.inbound, None);
            let read = self.io.poll_read(cx, &mut |octets| match event {
                None => event = inbound.read(octets, scratch),
                Some(_) => inbound.framer.stash(octets),
            });
            self.slow_down(scratch);
            if let Some(event) = event {
                return Poll::Ready(event);
            }
            if !matches!(ready!(read), Ok(1..)) {
                return Poll::Ready(Event::Lost);
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn may_read(&mut self, cx: &mut Context<'_>) -> bool {
        self.is_unhindered(cx) && self.is_within_window()
    }

    /// Reads nothing until what the account has sent is paid for.
    fn slow_down(&mut self, scratch: &mut Scratch) {
        let pause = std::mem::take(&mut scratch.pause);
        if !pause.is_zero() {
            self.hindrance = Some(Box::pin(sleep(pause)));
        }
    }

    /// Whether the database and the account's pace allow more; if not, we are woken when they do.
    fn is_unhindered(&mut self, cx: &mut Context<'_>) -> bool {
        loop {
            let im = &self.inbound.held.c2s.router.im;
            if self.hindrance.is_none() && im.is_congested() {
                self.hindrance = Some(im.decongested());
            }
            let Some(hindrance) = &mut self.hindrance else { return true };
            if hindrance.as_mut().poll(cx).is_pending() {
                return false;
            }
            self.hindrance = None;
        }
    }

    fn is_within_window(&self) -> bool {
        match self.inbound.held.shared.watermark() {
            // Reporting makes the mailbox wake us when more is safe.
            Some(watermark) if watermark.open() >= MAX_OPEN => {
                watermark.report();
                watermark.open() < MAX_OPEN
            }
            _ => true,
        }
    }

    fn poll_mailbox(&mut self, cx: &mut Context<'_>, scratch: &mut Scratch) -> Poll<Event> {
        let mailbox = &self.inbound.held.shared.mailbox;
        let taken = match self.has_room(scratch) {
            true => mailbox.poll(cx, &mut scratch.inbox, PORTION),
            false => mailbox.poll_orders(cx),
        };
        let Taken { envelopes, has_more, orders } = ready!(taken);
        if has_more {
            cx.waker().wake_by_ref();
        }
        self.inbound.held.shared.sent.fetch_add(envelopes as u64, Relaxed);
        let mut event = None;
        while let Some(envelope) = scratch.inbox.pop_front() {
            self.write(envelope, scratch);
        }
        if let Some(resumable) = &mut self.inbound.held.resumable {
            resumable.ask(&mut scratch.write);
        }
        for order in orders {
            let ending = match order {
                Order::Acknowledge => {
                    self.inbound.acknowledge(&mut scratch.write);
                    continue;
                }
                Order::Close(reason) => Event::Close(reason),
                Order::Replace(by) => Event::Replace(by),
                Order::Surrender(to) => Event::Surrender(to),
            };
            event.get_or_insert(ending);
        }
        event.map_or(Poll::Pending, Poll::Ready)
    }

    /// The node's own check: others may have taken over while its process was stopped.
    fn may_serve(&self) -> bool {
        (self.inbound.held.c2s.may_serve)()
    }

    /// A client that reads or acknowledges slowly keeps what is for it in the mailbox, where it is
    /// bounded.
    fn has_room(&self, scratch: &Scratch) -> bool {
        self.may_serve()
            && self.io.pending() + scratch.write.len() < HIGH_WATER
            && !is_full(&self.inbound.held)
    }

    /// Renders one stanza, and keeps it as long as it may have to be given to somebody else.
    fn write(&mut self, envelope: Envelope, scratch: &mut Scratch) {
        render(&envelope, self.inbound.held.jid(), &mut scratch.write);
        match &mut self.inbound.held.resumable {
            None => scratch.written.push(envelope),
            Some(resumable) => {
                if resumable.keep(envelope) && self.spool.is_none() {
                    self.spool = Some(Box::pin(sleep(SPOOL_AFTER)));
                }
            }
        }
    }

    /// Sends what this poll rendered.
    fn write_out(
        &mut self,
        cx: &mut Context<'_>,
        scratch: &mut Scratch,
        event: Poll<Event>,
    ) -> Poll<Event> {
        let written = match scratch.write.is_empty() {
            true => Poll::Ready(Ok(())),
            false => self.io.poll_write(cx, &scratch.write),
        };
        match written {
            Poll::Ready(Ok(())) if self.io.pending() == 0 => self.flushed(scratch),
            // Until the kernel has it, it may have to be given to somebody else.
            _ => self.inbound.held.unflushed.append(&mut scratch.written),
        }
        match event {
            Poll::Pending if matches!(written, Poll::Ready(Err(_))) => Poll::Ready(Event::Lost),
            event => event,
        }
    }

    /// The kernel has everything: for a client without XEP-0198 that counts as delivered.
    fn flushed(&mut self, scratch: &mut Scratch) {
        let held = &mut self.inbound.held;
        let unflushed = std::mem::take(&mut held.unflushed);
        for envelope in unflushed.into_iter().chain(scratch.written.drain(..)) {
            held.c2s.delivered(&held.shared, &envelope);
        }
    }

    /// Puts messages that are acknowledged late into the offline table, and those that the client
    /// is slow to take.
    fn poll_spool(&mut self, cx: &mut Context<'_>) {
        let slow = self.io.pending() > 0 || is_full(&self.inbound.held);
        if slow && self.spool.is_none() {
            self.spool = Some(Box::pin(sleep(SPOOL_AFTER)));
        }
        let Some(timer) = &mut self.spool else { return };
        if timer.as_mut().poll(cx).is_pending() {
            return;
        }
        self.spool = None;
        spool_late(
            &self.inbound.held.c2s.router.im,
            &self.inbound.held,
            &self.inbound.held.unflushed,
        );
    }
}

/// Writes octets without waiting for the kernel.
async fn send(io: &mut Io, octets: &[u8]) {
    poll_fn(|cx| Poll::Ready(io.poll_write(cx, octets).is_ready())).await;
}

/// Ends the stream properly, with an error if there is one.
async fn farewell(io: &mut Io, fault: Option<&StreamFault>) {
    let mut octets = Vec::new();
    if let Some(fault) = fault {
        fault.render(&mut octets);
    }
    octets.extend_from_slice(b"</stream:stream>");
    // What the kernel does not take at once is sent by the shutdown.
    send(io, &octets).await;
    io.shutdown(Instant::now() + FAREWELL).await;
}

/// Appends a stanza as the session at `own` reads it.
pub(super) fn render(envelope: &Envelope, own: &crate::jid::Jid, write: &mut Vec<u8>) {
    let to = match envelope.to {
        ToOverride::Keep => None,
        ToOverride::Own => Some(own),
    };
    let stanza: &Stanza = &envelope.stanza;
    stanza.render(to, RootNamespace::Inherited, write);
}
