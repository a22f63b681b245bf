//! Resource binding (RFC 6120 §7), and resumption instead of it (XEP-0198 §5).

use super::header::Link;
use super::sm::{self, Counter, Refusal, Request};
use super::{Account, Asking, Bound, Outputs, Pending, Question, StreamFault, StreamState};
use crate::jid::Jid;
use crate::ns;
use crate::stanza::{IqType, Kind, Stanza};
use crate::xml::Element;

/// Features are offered to an authenticated account without a resource.
pub struct Authenticated {
    pub(super) link: Link,
    pub(super) account: Account,
}

/// The oracle decides on a resource.
pub(super) struct PendingBind {
    state: Authenticated,
    /// Id of the IQ.
    id: String,
}

/// The oracle looks for a session to resume.
pub(super) struct PendingResume {
    state: Authenticated,
    previd: String,
}

/// Why a resource cannot be bound (RFC 6120 §7.6.2, §7.7.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BindRefusal {
    /// The request or the resource in it is malformed.
    BadRequest,
    /// The resource is in use, and the host's policy keeps the older session.
    Conflict,
    /// The account has as many sessions as it may have.
    ResourceConstraint,
    /// The account may not connect any more.
    NotAllowed,
    InternalServerError,
}

impl BindRefusal {
    fn type_and_condition(self) -> (&'static str, &'static str) {
        match self {
            BindRefusal::BadRequest => ("modify", "bad-request"),
            BindRefusal::Conflict => ("cancel", "conflict"),
            BindRefusal::ResourceConstraint => ("wait", "resource-constraint"),
            BindRefusal::NotAllowed => ("cancel", "not-allowed"),
            BindRefusal::InternalServerError => ("wait", "internal-server-error"),
        }
    }
}

/// The payload of an IQ request, if the stanza is one.
pub(super) fn iq_payload(stanza: &Stanza) -> Option<Element> {
    let Kind::Iq(IqType::Get | IqType::Set) = stanza.head.kind else { return None };
    stanza.payload.children().next().map(|child| child.element())
}

impl Authenticated {
    /// RFC 6120 §7.1: before a resource is bound, nothing but the request for one.
    pub(super) fn stanza(
        mut self,
        stanza: &Stanza,
        out: &mut Outputs,
    ) -> Result<StreamState, StreamFault> {
        let payload = iq_payload(stanza).ok_or(StreamFault::NotBound)?;
        if !payload.is("bind", ns::BIND) || stanza.head.kind != Kind::Iq(IqType::Set) {
            return Err(StreamFault::NotBound);
        }
        let id = stanza.head.id.as_deref().unwrap_or_default().to_owned();
        let wanted = payload.child("resource", ns::BIND).map(|resource| resource.text());
        let wanted = wanted.filter(|resource| !resource.is_empty());
        let jid = match &wanted {
            Some(resource) => self.account.jid.with_resource(resource),
            None => self.account.jid.with_resource(&(self.link.profile.tokens)()),
        };
        let Ok(jid) = jid else {
            write_refusal(&id, BindRefusal::BadRequest, out);
            self.link.count_failure()?;
            return Ok(StreamState::Authenticated(Box::new(self)));
        };
        let question =
            Question::Bind { account: self.account.id, jid, generated: wanted.is_none() };
        Ok(Asking::ask(question, Pending::Bind(PendingBind { state: self, id }), out))
    }

    pub(super) fn element(
        mut self,
        element: &Element,
        out: &mut Outputs,
    ) -> Result<StreamState, StreamFault> {
        if element.ns != ns::SM {
            return Err(StreamFault::UnknownElement);
        }
        let (previd, h) = match Request::parse(element) {
            Ok(Request::Resume { previd, h }) => (previd, h),
            // XEP-0198 §3: enabled only after a resource is bound.
            _ => {
                sm::write_failed(Refusal::UnexpectedRequest, None, &mut out.text);
                self.link.count_failure()?;
                return Ok(StreamState::Authenticated(Box::new(self)));
            }
        };
        let (account, jid) = (self.account.id, self.account.jid.clone());
        let question = Question::Resume { account, jid, previd: previd.clone(), h };
        Ok(Asking::ask(question, Pending::Resume(PendingResume { state: self, previd }), out))
    }

    fn into_bound(self, jid: Jid, resumed: bool, out: &mut Outputs) -> StreamState {
        let bound = Bound {
            host: self.link.profile.host,
            account: self.account,
            jid,
            lang: self.link.lang,
            tls: self.link.tls.map(|facts| facts.version),
            resumed,
        };
        out.bound(&bound);
        StreamState::Bound(Box::new(bound))
    }
}

impl PendingBind {
    pub(super) fn bound(self, jid: Jid, out: &mut Outputs) -> StreamState {
        let mut writer = out.writer();
        writer.start("iq", None).attribute("type", "result").attribute("id", &self.id);
        writer.start("bind", Some(ns::BIND));
        writer.start("jid", None).text(jid.as_str()).end("jid");
        writer.end("bind").end("iq");
        self.state.into_bound(jid, false, out)
    }

    pub(super) fn refused(
        mut self,
        refusal: BindRefusal,
        out: &mut Outputs,
    ) -> Result<StreamState, StreamFault> {
        write_refusal(&self.id, refusal, out);
        self.state.link.count_failure()?;
        Ok(StreamState::Authenticated(Box::new(self.state)))
    }
}

impl PendingResume {
    pub(super) fn resumed(self, jid: Jid, h: Counter, out: &mut Outputs) -> StreamState {
        sm::write_resumed(&self.previd, h, &mut out.text);
        self.state.into_bound(jid, true, out)
    }

    /// XEP-0198 §5: the stream stays, and a resource may be bound.
    pub(super) fn refused(
        mut self,
        refusal: Refusal,
        h: Option<Counter>,
        out: &mut Outputs,
    ) -> Result<StreamState, StreamFault> {
        sm::write_failed(refusal, h, &mut out.text);
        self.state.link.count_failure()?;
        Ok(StreamState::Authenticated(Box::new(self.state)))
    }
}

fn write_refusal(id: &str, refusal: BindRefusal, out: &mut Outputs) {
    let (kind, condition) = refusal.type_and_condition();
    let mut writer = out.writer();
    writer.start("iq", None).attribute("type", "error").attribute("id", id);
    writer.start("error", None).attribute("type", kind);
    writer.start(condition, Some(ns::STANZA_ERRORS)).end(condition);
    writer.end("error").end("iq");
}
