//! Why a stream ends: the conditions of RFC 6120 §4.9.3, and the faults that lead to them.

use crate::ns;
use crate::xml::XmlError;
use crate::xml::writer::Writer;

use super::sm::TooHigh;

/// RFC 6120 §4.9.3, all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    BadFormat,
    BadNamespacePrefix,
    Conflict,
    ConnectionTimeout,
    HostGone,
    HostUnknown,
    ImproperAddressing,
    InternalServerError,
    InvalidFrom,
    InvalidNamespace,
    InvalidXml,
    NotAuthorized,
    NotWellFormed,
    PolicyViolation,
    RemoteConnectionFailed,
    Reset,
    ResourceConstraint,
    RestrictedXml,
    SeeOtherHost,
    SystemShutdown,
    UndefinedCondition,
    UnsupportedEncoding,
    UnsupportedFeature,
    UnsupportedStanzaType,
    UnsupportedVersion,
}

impl Condition {
    /// Name of the element.
    pub fn name(self) -> &'static str {
        match self {
            Condition::BadFormat => "bad-format",
            Condition::BadNamespacePrefix => "bad-namespace-prefix",
            Condition::Conflict => "conflict",
            Condition::ConnectionTimeout => "connection-timeout",
            Condition::HostGone => "host-gone",
            Condition::HostUnknown => "host-unknown",
            Condition::ImproperAddressing => "improper-addressing",
            Condition::InternalServerError => "internal-server-error",
            Condition::InvalidFrom => "invalid-from",
            Condition::InvalidNamespace => "invalid-namespace",
            Condition::InvalidXml => "invalid-xml",
            Condition::NotAuthorized => "not-authorized",
            Condition::NotWellFormed => "not-well-formed",
            Condition::PolicyViolation => "policy-violation",
            Condition::RemoteConnectionFailed => "remote-connection-failed",
            Condition::Reset => "reset",
            Condition::ResourceConstraint => "resource-constraint",
            Condition::RestrictedXml => "restricted-xml",
            Condition::SeeOtherHost => "see-other-host",
            Condition::SystemShutdown => "system-shutdown",
            Condition::UndefinedCondition => "undefined-condition",
            Condition::UnsupportedEncoding => "unsupported-encoding",
            Condition::UnsupportedFeature => "unsupported-feature",
            Condition::UnsupportedStanzaType => "unsupported-stanza-type",
            Condition::UnsupportedVersion => "unsupported-version",
        }
    }
}

/// Whose doing a fault is; the log level follows from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    /// Answered and counted.
    Peer,
    /// Wanted or suffered by this server: answered, and logged where it happened.
    Local,
    /// Logged with what is needed to find it.
    Bug,
}

/// Why a stream ends with an error. The text goes to the peer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StreamFault {
    #[error("{0}")]
    Xml(#[from] XmlError),
    #[error("the header needs a 'to' that names the service")]
    NoDomain,
    #[error("this server does not serve the domain in the header's 'to'")]
    HostUnknown,
    #[error("the domain of a stream does not change when it is restarted")]
    DomainChanged,
    #[error("the header's 'from' is not the account's address")]
    InvalidFrom,
    #[error("the header's version must be 1.0 or later")]
    UnsupportedVersion,
    #[error("the content namespace does not fit this port")]
    WrongNamespace,
    #[error("a second stream header came where none was due")]
    UnexpectedHeader,
    #[error("authenticate first")]
    NotAuthenticated,
    #[error("bind a resource first")]
    NotBound,
    #[error("this element means nothing here")]
    UnknownElement,
    #[error("nothing may follow <starttls/> before TLS is established")]
    PipelinedStartTls,
    #[error("wait for the answer before sending more")]
    Impatient,
    #[error("too many failed attempts")]
    TooManyAttempts,
    #[error("the time to negotiate the stream is over")]
    TimedOut,
    #[error("nothing was heard from the client for too long")]
    IdleTimeout,
    #[error("{0}")]
    HandledCountTooHigh(#[from] TooHigh),
    #[error("stanzas come faster than this server accepts them")]
    TooFast,
    #[error("another connection has bound this resource")]
    Conflict,
    #[error("the account was removed or disabled")]
    AccountGone,
    #[error("an administrator has closed this connection")]
    ClosedByAdministrator,
    #[error("this server has no room for more")]
    ResourceConstraint,
    #[error("reconnect to another node of this service")]
    SeeOtherHost(String),
    #[error("this server is stopping")]
    SystemShutdown,
    #[error("this node serves no longer: it has left its cluster or its database; connect again")]
    Standby,
    #[error("connect again: another node of this service goes on with the session")]
    Drained,
    #[error("an internal error; the server's log has the details")]
    Internal,
    /// The text is for the log, not for the peer.
    #[error("an internal error; the server's log has the details")]
    Bug(&'static str),
}

impl StreamFault {
    pub fn condition(&self) -> Condition {
        match self {
            StreamFault::Xml(error) => xml_condition(error),
            StreamFault::NoDomain => Condition::ImproperAddressing,
            StreamFault::HostUnknown => Condition::HostUnknown,
            StreamFault::InvalidFrom => Condition::InvalidFrom,
            StreamFault::UnsupportedVersion => Condition::UnsupportedVersion,
            StreamFault::WrongNamespace => Condition::InvalidNamespace,
            StreamFault::UnexpectedHeader => Condition::BadFormat,
            StreamFault::DomainChanged
            | StreamFault::NotAuthenticated
            | StreamFault::NotBound
            | StreamFault::AccountGone => Condition::NotAuthorized,
            StreamFault::UnknownElement => Condition::UnsupportedStanzaType,
            StreamFault::PipelinedStartTls
            | StreamFault::Impatient
            | StreamFault::TooFast
            | StreamFault::TooManyAttempts => Condition::PolicyViolation,
            StreamFault::TimedOut | StreamFault::IdleTimeout => Condition::ConnectionTimeout,
            StreamFault::HandledCountTooHigh(_) => Condition::UndefinedCondition,
            StreamFault::Conflict => Condition::Conflict,
            // RFC 6120 §4.9.3.16: clients open a new stream at once. Their balancer, not we, knows
            // which address leads to another node. So it is for a node that stands by: <system-shutdown/>
            // (§4.9.3.20) would say that the service ends, but other nodes go on with it, and nothing
            // failed that lies beyond this server (<remote-connection-failed/>, §4.9.3.15).
            StreamFault::ClosedByAdministrator | StreamFault::Drained | StreamFault::Standby => {
                Condition::Reset
            }
            StreamFault::ResourceConstraint => Condition::ResourceConstraint,
            StreamFault::SeeOtherHost(_) => Condition::SeeOtherHost,
            StreamFault::SystemShutdown => Condition::SystemShutdown,
            StreamFault::Internal | StreamFault::Bug(_) => Condition::InternalServerError,
        }
    }

    pub fn blame(&self) -> Blame {
        match self {
            StreamFault::Bug(_) => Blame::Bug,
            StreamFault::Conflict
            | StreamFault::AccountGone
            | StreamFault::ClosedByAdministrator
            | StreamFault::ResourceConstraint
            | StreamFault::SeeOtherHost(_)
            | StreamFault::SystemShutdown
            | StreamFault::Standby
            | StreamFault::Drained
            | StreamFault::Internal => Blame::Local,
            _ => Blame::Peer,
        }
    }

    /// Appends `<stream:error/>` (RFC 6120 §4.9.2).
    pub fn render(&self, out: &mut Vec<u8>) {
        let name = self.condition().name();
        let mut writer = Writer::new(out);
        writer.start("stream:error", None).start(name, Some(ns::STREAM_ERRORS));
        if let StreamFault::SeeOtherHost(host) = self {
            writer.text(host);
        }
        writer.end(name);
        writer.start("text", Some(ns::STREAM_ERRORS)).attribute("xml:lang", "en");
        writer.text(&self.to_string()).end("text");
        if let StreamFault::HandledCountTooHigh(error) = self {
            error.write(&mut writer);
        }
        writer.end("stream:error");
    }
}

fn xml_condition(error: &XmlError) -> Condition {
    match error {
        XmlError::NotWellFormed(_) => Condition::NotWellFormed,
        XmlError::RestrictedXml(_) => Condition::RestrictedXml,
        XmlError::InvalidNamespace(_) => Condition::InvalidNamespace,
        XmlError::BadNamespacePrefix(_) => Condition::BadNamespacePrefix,
        XmlError::PolicyViolation(_) => Condition::PolicyViolation,
        XmlError::UnsupportedEncoding(_) => Condition::UnsupportedEncoding,
        XmlError::BadFormat(_) => Condition::BadFormat,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_its_condition_and_reason() {
        let mut text = Vec::new();
        StreamFault::SeeOtherHost("a&b".into()).render(&mut text);
        assert_eq!(
            String::from_utf8(text).unwrap(),
            "<stream:error><see-other-host xmlns='urn:ietf:params:xml:ns:xmpp-streams'>a&amp;b\
             </see-other-host><text xmlns='urn:ietf:params:xml:ns:xmpp-streams' xml:lang='en'>\
             reconnect to another node of this service</text></stream:error>"
        );
    }

    #[test]
    fn conditions_of_the_xml_reader_are_kept() {
        let errors = [
            XmlError::NotWellFormed("x"),
            XmlError::RestrictedXml("x"),
            XmlError::InvalidNamespace("x"),
            XmlError::BadNamespacePrefix("x"),
            XmlError::PolicyViolation("x"),
            XmlError::UnsupportedEncoding("x"),
            XmlError::BadFormat("x"),
        ];
        for error in errors {
            assert_eq!(StreamFault::Xml(error).condition().name(), error.condition());
        }
    }

    #[test]
    fn what_a_bug_says_stays_in_the_log() {
        let mut text = Vec::new();
        StreamFault::Bug("secret detail").render(&mut text);
        let text = String::from_utf8(text).unwrap();
        assert!(text.contains("internal-server-error") && !text.contains("secret"));
    }
}
