//! What a bound client sends, frame by frame.

use std::sync::atomic::Ordering::Relaxed;

use tokio::sync::oneshot;

use super::held::Held;
use super::scratch::Scratch;
use crate::ns;
use crate::router::Out;
use crate::session::{CloseReason, Session};
use crate::stanza::{AddressMemo, Parsed, parse};
use crate::stream::StreamFault;
use crate::stream::sm::{self, Counter, Refusal, Request};
use crate::xml::{Element, Frame, Framer, StreamContext, XmlError};

/// Why a bound stream stops reading and writing for a moment, or for good.
pub(super) enum Event {
    /// What routing caused must be awaited before more is read.
    Wait(Out),
    /// The client closed the stream.
    Closed,
    /// The connection is lost.
    Lost,
    Fault(StreamFault),
    Close(CloseReason),
    /// Another connection bound the same resource.
    Replace(oneshot::Sender<()>),
    /// Another connection resumes the session.
    Surrender(oneshot::Sender<Box<Session>>),
}

/// The reading half of a bound stream.
pub(super) struct Inbound {
    pub framer: Framer,
    pub context: StreamContext,
    pub memo: AddressMemo,
    pub held: Held,
    /// Why the stream ends, once what came before has been waited for.
    pub ending: Option<Box<Event>>,
}

impl Inbound {
    /// Handles the frames in `octets`; when it must stop, the rest is kept for later.
    pub fn read(&mut self, octets: &[u8], scratch: &mut Scratch) -> Option<Event> {
        if let Some(event) = self.ending.take() {
            return Some(*event);
        }
        if octets.is_empty() && self.framer.is_empty() {
            return None;
        }
        if !octets.is_empty() {
            self.held.shared.heard();
        }
        let (mut rest, mut stanzas) = (octets, 0);
        let event = loop {
            match self.next(&mut rest) {
                Ok(None) => break None,
                Ok(Some(parsed)) => {
                    stanzas += 1;
                    let Err(event) = self.handle(parsed, scratch) else { continue };
                    break Some(event);
                }
                Err(event) => break Some(event),
            }
        };
        if event.is_some() {
            self.framer.stash(rest);
        }
        let rates = self.held.c2s.settings.rates();
        let now = tokio::time::Instant::now().into_std();
        scratch.pause = self.held.shared.pace.spend(stanzas, octets.len(), rates, now);
        // Everything that one read brought is delivered together: one lock and one wake-up per
        // recipient. It is delivered, too, when the stream ends right behind it.
        if !self.held.c2s.router.perform_now(&mut scratch.out) {
            return event;
        }
        self.ending = event.map(Box::new);
        Some(Event::Wait(std::mem::take(&mut scratch.out)))
    }

    /// Takes the next frame off the front of `rest`.
    fn next(&mut self, rest: &mut &[u8]) -> Result<Option<Parsed>, Event> {
        let fault = |error: XmlError| Event::Fault(error.into());
        let mut window: &[u8] = rest;
        let parsed = match self.framer.next(&mut window).map_err(fault)? {
            None => None,
            Some(Frame::Element(frame)) => {
                Some(parse(frame, &self.context, &mut self.memo).map_err(fault)?)
            }
            Some(Frame::End) => return Err(Event::Closed),
            Some(Frame::Header(_)) => return Err(Event::Fault(StreamFault::UnexpectedHeader)),
        };
        *rest = &rest[rest.len() - window.len()..];
        Ok(parsed)
    }

    fn handle(&mut self, parsed: Parsed, scratch: &mut Scratch) -> Result<(), Event> {
        match parsed {
            Parsed::Stanza(stanza) => {
                self.held.shared.received.fetch_add(1, Relaxed);
                let (c2s, session) = self.held.parts();
                c2s.router.from_session(session, stanza, &mut scratch.out);
            }
            Parsed::Invalid { stanza, defect } => {
                self.held.shared.received.fetch_add(1, Relaxed);
                self.held.c2s.router.reject(&self.held, stanza, defect, &mut scratch.out);
            }
            Parsed::Element(element) if element.ns == ns::SM => {
                // An acknowledgement covers what was sent before it, also what still waits.
                let settled = self.settle(scratch);
                if let Err(end) = self.stream_management(&element, scratch) {
                    if settled.is_ok() {
                        return Err(end);
                    }
                    self.ending = Some(Box::new(end));
                }
                settled?;
            }
            Parsed::Element(_) => return Err(Event::Fault(StreamFault::UnknownElement)),
        }
        if scratch.out.work.is_empty() { Ok(()) } else { self.settle(scratch) }
    }

    /// The session ends: of what has come, only how far the client acknowledges counts.
    pub fn hear_last(&mut self, mut octets: &[u8]) {
        let mut unsent = Vec::new();
        while let Ok(Some(parsed)) = self.next(&mut octets) {
            let Parsed::Element(element) = parsed else { continue };
            if element.ns == ns::SM
                && let Ok(Request::Answer { h }) = Request::parse(&element)
                && self.acknowledged(h, &mut unsent).is_err()
            {
                return;
            }
        }
    }

    fn settle(&mut self, scratch: &mut Scratch) -> Result<(), Event> {
        if self.held.c2s.router.perform_now(&mut scratch.out) {
            return Err(Event::Wait(std::mem::take(&mut scratch.out)));
        }
        Ok(())
    }

    fn stream_management(&mut self, element: &Element, scratch: &mut Scratch) -> Result<(), Event> {
        let request = match Request::parse(element) {
            Ok(request) => request,
            Err(_) => return Err(Event::Fault(StreamFault::UnknownElement)),
        };
        match request {
            Request::Ack => self.acknowledge(&mut scratch.write),
            Request::Answer { h } => self.acknowledged(h, &mut scratch.write)?,
            Request::Enable { resume, max } => self.enable(resume, max, &mut scratch.write),
            // XEP-0198 §5: only before a resource is bound.
            Request::Resume { .. } => {
                sm::write_failed(Refusal::UnexpectedRequest, None, &mut scratch.write);
            }
        }
        Ok(())
    }

    /// Tells the client how far its stanzas are safe.
    pub fn acknowledge(&self, write: &mut Vec<u8>) {
        if let Some(watermark) = self.held.shared.watermark() {
            sm::write_answer(Counter(watermark.report()), write);
        }
    }

    fn acknowledged(&mut self, h: Counter, write: &mut Vec<u8>) -> Result<(), Event> {
        let (c2s, Session { shared, resumable: Some(resumable), .. }) = self.held.parts() else {
            return Ok(());
        };
        resumable.asked = false;
        let fault = |error: sm::TooHigh| Event::Fault(error.into());
        for envelope in resumable.unacknowledged.acknowledge(h).map_err(fault)? {
            c2s.delivered(shared, &envelope);
        }
        // What was sent after the question was not asked for yet.
        resumable.ask(write);
        Ok(())
    }

    fn enable(&mut self, resume: bool, max: Option<u32>, write: &mut Vec<u8>) {
        // XEP-0198 §3: once per stream.
        if self.held.resumable.is_some() {
            return sm::write_failed(Refusal::UnexpectedRequest, None, write);
        }
        let resumable = self.held.c2s.resumable(&self.held.shared, resume, max);
        self.held.shared.start_management(resumable.token.is_some());
        // A window of 2^32 seconds is as good as any longer one.
        let window = resumable.window.as_secs().try_into().unwrap_or(u32::MAX);
        sm::write_enabled(resumable.token.as_deref().map(|token| (token, window)), write);
        self.held.resumable = Some(Box::new(resumable));
    }
}
