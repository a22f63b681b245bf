//! From a fresh connection to a bound session: feeds the state machine of [`crate::stream`] and
//! performs what it wants.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::bound::render;
use super::elsewhere::Wanted;
use super::held::Held;
use super::{C2s, Resumed, Settings, note};
use crate::host::HostId;
use crate::net::Io;
use crate::net::tls::TlsInfo;
use crate::session::Session;
use crate::stanza::{AddressMemo, Parsed, parse};
use crate::stream::{Answer, Input, Output, Outputs, Question, StreamFault, StreamState, TlsFacts};
use crate::xml::{ContentNamespace, Frame, FrameLimits, Framer, StreamContext, StreamHeader};

/// How long the last words may take.
const FAREWELL: Duration = Duration::from_secs(2);

/// What a successful negotiation leaves.
pub(super) struct Ready {
    pub io: Io,
    pub framer: Framer,
    pub context: StreamContext,
    pub memo: AddressMemo,
    pub held: Held,
}

/// Why there is no session.
enum Failure {
    /// The stream was closed in order, or the connection is gone.
    Over,
    Fault(StreamFault),
}

impl From<StreamFault> for Failure {
    fn from(fault: StreamFault) -> Failure {
        Failure::Fault(fault)
    }
}

impl From<crate::xml::XmlError> for Failure {
    fn from(error: crate::xml::XmlError) -> Failure {
        Failure::Fault(error.into())
    }
}

impl From<std::io::Error> for Failure {
    fn from(_: std::io::Error) -> Failure {
        Failure::Over
    }
}

/// A frame that needs no buffer any more.
enum Owned {
    Header(StreamHeader),
    Parsed(Parsed),
    End,
}

/// A connection whose stream is being negotiated.
struct Negotiation {
    c2s: Arc<C2s>,
    io: Io,
    peer: SocketAddr,
    framer: Framer,
    context: StreamContext,
    memo: AddressMemo,
    state: StreamState,
    out: Outputs,
    mechanism: &'static str,
    held: Option<Held>,
    /// The first header is in.
    opened: bool,
    begun: Instant,
}

/// What negotiation comes to.
pub(super) enum Negotiated {
    /// A resource is bound or an older session is resumed.
    Ready(Box<Ready>),
    /// The connection ended before.
    Ended,
    /// The connection ended when it had a session already.
    Cut(Box<Held>),
}

/// Negotiates until there is a session or the connection ends.
pub(super) async fn negotiate(c2s: Arc<C2s>, io: Io, peer: SocketAddr) -> Negotiated {
    let facts = io.tls().map(facts);
    let mut negotiation = Negotiation {
        state: StreamState::new(c2s.profiles(), facts),
        io,
        peer,
        framer: Framer::new(FrameLimits::UNAUTHENTICATED),
        context: StreamContext::new(ContentNamespace::Client),
        memo: AddressMemo::default(),
        out: Outputs::new(),
        mechanism: "",
        held: None,
        opened: false,
        begun: Instant::now(),
        c2s,
    };
    match negotiation.run().await {
        Ok(()) => negotiation.ready(),
        Err(failure) => {
            negotiation.fail(failure).await;
            negotiation.held.map_or(Negotiated::Ended, |held| Negotiated::Cut(Box::new(held)))
        }
    }
}

impl Negotiation {
    async fn run(&mut self) -> Result<(), Failure> {
        while !matches!(self.state, StreamState::Bound(_)) {
            let (c2s, deadline) = (self.c2s.clone(), self.deadline());
            let frame = timeout_at(deadline, self.frame());
            let frame = c2s.tracker.soft().run_until_cancelled(frame).await;
            let frame = match frame.ok_or(StreamFault::SystemShutdown)? {
                Ok(frame) => frame?,
                Err(_) => {
                    self.step(Input::Deadline)?;
                    return Err(Failure::Over);
                }
            };
            match frame {
                Owned::Header(header) => {
                    self.opened = true;
                    self.context = header.context();
                    self.step(Input::Header(header))?;
                }
                Owned::Parsed(Parsed::Element(element)) => self.step(Input::Element(element))?,
                Owned::Parsed(Parsed::Stanza(stanza) | Parsed::Invalid { stanza, .. }) => {
                    self.step(Input::Stanza(&stanza))?;
                }
                Owned::End => self.step(Input::End)?,
            }
            // Not under the deadline as a whole: a session that is being bound or claimed must not
            // be dropped half-way. Each part that waits for the peer has the deadline of its own.
            self.perform().await?;
        }
        Ok(())
    }

    /// By when the first header, and then everything, must have happened.
    fn deadline(&self) -> Instant {
        let Settings { header_seconds, authentication_seconds, .. } = &self.c2s.settings;
        let all = authentication_seconds.get();
        let seconds = if self.opened { all } else { all.min(header_seconds.get()) };
        self.begun + Duration::from_secs(seconds)
    }

    /// The next frame, from what is there or from the socket.
    async fn frame(&mut self) -> Result<Owned, Failure> {
        loop {
            match self.framer.next(&mut &[][..])? {
                Some(Frame::Header(tag)) => return Ok(Owned::Header(StreamHeader::parse(tag)?)),
                Some(Frame::Element(element)) => {
                    let parsed = parse(element, &self.context, &mut self.memo)?;
                    return Ok(Owned::Parsed(parsed));
                }
                Some(Frame::End) => return Ok(Owned::End),
                None => {}
            }
            let (io, framer) = (&mut self.io, &mut self.framer);
            let read = poll_fn(|cx| io.poll_read(cx, &mut |octets| framer.stash(octets))).await?;
            if read == 0 {
                return Err(Failure::Over);
            }
        }
    }

    fn step(&mut self, input: Input<'_>) -> Result<(), Failure> {
        let state = std::mem::replace(&mut self.state, StreamState::Closed);
        self.state = state.step(input, &mut self.out)?;
        Ok(())
    }

    /// Performs what the steps want, until the machine waits for the client.
    async fn perform(&mut self) -> Result<(), Failure> {
        loop {
            self.write().await?;
            let actions = std::mem::take(&mut self.out.actions);
            if actions.is_empty() {
                return Ok(());
            }
            for action in actions {
                self.act(action).await?;
            }
        }
    }

    async fn act(&mut self, action: Output) -> Result<(), Failure> {
        match action {
            Output::StartTls => self.start_tls().await?,
            // What came early is read next.
            Output::Restart => drop(self.framer.restart()),
            Output::Ask(question) => {
                let answer = self.answer(question).await?;
                self.step(Input::Answer(answer))?;
            }
            Output::Authenticated(account) => {
                self.mechanism = account.mechanism.name();
                let name = account.jid.local().unwrap_or_default();
                self.c2s.oracle.succeeded(HostId::FIRST, name);
                self.framer.set_limits(FrameLimits::AUTHENTICATED);
                self.io.forget_channel_binding();
            }
            Output::LoginFailed { username } => {
                self.c2s.oracle.failed(self.peer.ip(), HostId::FIRST, &username);
            }
            // The answer to the question brought the session.
            Output::Bind { .. } => {}
            Output::Close => {
                self.io.shutdown(Instant::now() + FAREWELL).await;
                return Err(Failure::Over);
            }
        }
        Ok(())
    }

    async fn answer(&mut self, question: Question) -> Result<Answer, Failure> {
        let (held, answer) = match question {
            Question::Bind { account, jid, .. } => {
                let origin = self.c2s.origin(self.peer, &self.io, self.mechanism);
                match self.c2s.bind(account, jid, origin).await {
                    Ok(held) => {
                        let jid = held.jid().clone();
                        (held, Answer::Bound(jid))
                    }
                    Err(refusal) => return Ok(Answer::BindRefused(refusal)),
                }
            }
            Question::Resume { account, jid, previd, h } => {
                let wanted = Wanted { account, jid: &jid, previd: &previd, h };
                match self.c2s.resume(wanted).await {
                    Ok(Resumed { held, h }) => {
                        let origin = self.c2s.origin(self.peer, &self.io, self.mechanism);
                        held.shared.moved(origin);
                        let jid = held.jid().clone();
                        (held, Answer::Resumed { jid, h })
                    }
                    Err(refused) => return Ok(refused),
                }
            }
            question => {
                let answer = self.c2s.oracle.answer(self.peer.ip(), question);
                let answer = timeout_at(self.deadline(), answer).await;
                return answer.map_err(|_| StreamFault::TimedOut.into());
            }
        };
        self.held = Some(held);
        Ok(answer)
    }

    async fn start_tls(&mut self) -> Result<(), Failure> {
        // RFC 6120 §5.4.3.3: nothing that came before TLS may be taken as if it came under it.
        if !self.framer.is_idle() {
            return Err(StreamFault::PipelinedStartTls.into());
        }
        let deadline = self.deadline();
        if let Err(error) = self.io.accept_tls(&self.c2s.tls, 0, deadline).await {
            tracing::debug!(%error, "STARTTLS failed");
            return Err(Failure::Over);
        }
        self.framer = Framer::new(FrameLimits::UNAUTHENTICATED);
        let facts = self.io.tls().map(facts).ok_or(Failure::Over)?;
        self.step(Input::TlsEstablished(facts))
    }

    async fn write(&mut self) -> Result<(), Failure> {
        if self.out.text.is_empty() {
            return Ok(());
        }
        let text = std::mem::take(&mut self.out.text);
        let deadline = self.deadline();
        let io = &mut self.io;
        // The first call takes all of it; what the kernel refuses is flushed.
        let at_once = poll_fn(|cx| std::task::Poll::Ready(io.poll_write(cx, &text))).await;
        if at_once.is_pending() {
            // Who does not read is not told that his time is over.
            timeout_at(deadline, poll_fn(|cx| io.poll_flush(cx)))
                .await
                .map_err(|_| Failure::Over)??;
        }
        Ok(())
    }

    async fn fail(&mut self, failure: Failure) {
        if let Failure::Fault(fault) = failure {
            note(&self.peer.ip(), &fault);
            self.out.fail(&fault, &self.c2s.profiles());
            // What the kernel does not take at once is sent by the shutdown.
            let (io, text) = (&mut self.io, std::mem::take(&mut self.out.text));
            poll_fn(|cx| std::task::Poll::Ready(io.poll_write(cx, &text).is_ready())).await;
            self.io.shutdown(Instant::now() + FAREWELL).await;
        }
    }

    /// Hands over to the bound stream.
    fn ready(self) -> Negotiated {
        let Some(held) = self.held else { return Negotiated::Ended };
        Negotiated::Ready(Box::new(Ready {
            io: self.io,
            framer: self.framer,
            context: self.context,
            memo: self.memo,
            held,
        }))
    }
}

/// XEP-0198 §5: what the client of a resumed session has not acknowledged, in order, and the
/// question whether it has it now.
pub(super) fn unacknowledged(session: &mut Session) -> Vec<u8> {
    let mut octets = Vec::new();
    for envelope in session.resumable.iter().flat_map(|r| r.unacknowledged.unacked()) {
        render(envelope, session.jid(), &mut octets);
    }
    if let Some(resumable) = &mut session.resumable {
        resumable.ask(&mut octets);
    }
    octets
}

fn facts(info: &TlsInfo) -> TlsFacts {
    let binding = info.channel_binding();
    TlsFacts {
        version: info.version,
        exporter: binding.and_then(|b| b.tls_exporter()).map(Into::into),
        server_end_point: binding.and_then(|b| b.tls_server_end_point()).map(Into::into),
    }
}
