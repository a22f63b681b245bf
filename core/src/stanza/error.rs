//! Stanza errors (RFC 6120 §8.3).

use bytes::Bytes;

use crate::jid::JidError;
use crate::ns;
use crate::xml::clean;
use crate::xml::writer::Writer;

/// What the sender may do about it (RFC 6120 §8.3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorType {
    Auth,
    Cancel,
    Continue,
    Modify,
    Wait,
}

impl ErrorType {
    pub fn as_str(self) -> &'static str {
        match self {
            ErrorType::Auth => "auth",
            ErrorType::Cancel => "cancel",
            ErrorType::Continue => "continue",
            ErrorType::Modify => "modify",
            ErrorType::Wait => "wait",
        }
    }
}

/// The defined conditions of RFC 6120 §8.3.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    BadRequest,
    Conflict,
    FeatureNotImplemented,
    Forbidden,
    Gone,
    InternalServerError,
    ItemNotFound,
    JidMalformed,
    NotAcceptable,
    NotAllowed,
    NotAuthorized,
    PolicyViolation,
    RecipientUnavailable,
    Redirect,
    RegistrationRequired,
    RemoteServerNotFound,
    RemoteServerTimeout,
    ResourceConstraint,
    ServiceUnavailable,
    SubscriptionRequired,
    UndefinedCondition,
    UnexpectedRequest,
}

impl Condition {
    /// Element name, and the type that RFC 6120 recommends.
    fn row(self) -> (&'static str, ErrorType) {
        use ErrorType::{Auth, Cancel, Modify, Wait};
        match self {
            Condition::BadRequest => ("bad-request", Modify),
            Condition::Conflict => ("conflict", Cancel),
            Condition::FeatureNotImplemented => ("feature-not-implemented", Cancel),
            Condition::Forbidden => ("forbidden", Auth),
            Condition::Gone => ("gone", Cancel),
            Condition::InternalServerError => ("internal-server-error", Cancel),
            Condition::ItemNotFound => ("item-not-found", Cancel),
            Condition::JidMalformed => ("jid-malformed", Modify),
            Condition::NotAcceptable => ("not-acceptable", Modify),
            Condition::NotAllowed => ("not-allowed", Cancel),
            Condition::NotAuthorized => ("not-authorized", Auth),
            Condition::PolicyViolation => ("policy-violation", Modify),
            Condition::RecipientUnavailable => ("recipient-unavailable", Wait),
            Condition::Redirect => ("redirect", Modify),
            Condition::RegistrationRequired => ("registration-required", Auth),
            Condition::RemoteServerNotFound => ("remote-server-not-found", Cancel),
            Condition::RemoteServerTimeout => ("remote-server-timeout", Wait),
            Condition::ResourceConstraint => ("resource-constraint", Wait),
            Condition::ServiceUnavailable => ("service-unavailable", Cancel),
            Condition::SubscriptionRequired => ("subscription-required", Auth),
            Condition::UndefinedCondition => ("undefined-condition", Cancel),
            Condition::UnexpectedRequest => ("unexpected-request", Wait),
        }
    }

    /// Name of the element.
    pub fn as_str(self) -> &'static str {
        self.row().0
    }

    pub fn default_type(self) -> ErrorType {
        self.row().1
    }
}

/// What an error stanza says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StanzaError {
    pub condition: Condition,
    pub error_type: ErrorType,
    /// For people, in English.
    pub text: Option<String>,
    /// Content of the condition's element: the new address in gone and redirect.
    pub address: Option<String>,
    /// Application-specific condition, canonical, with its own namespace.
    pub specific: Option<Bytes>,
}

impl StanzaError {
    pub fn new(condition: Condition) -> StanzaError {
        StanzaError {
            condition,
            error_type: condition.default_type(),
            text: None,
            address: None,
            specific: None,
        }
    }

    pub fn with_type(mut self, error_type: ErrorType) -> StanzaError {
        self.error_type = error_type;
        self
    }

    pub fn with_text(mut self, text: impl Into<String>) -> StanzaError {
        self.text = Some(clean(&text.into()).into_owned());
        self
    }

    pub fn with_address(mut self, address: impl Into<String>) -> StanzaError {
        self.address = Some(address.into());
        self
    }

    pub fn with_specific(mut self, canonical: impl Into<Bytes>) -> StanzaError {
        self.specific = Some(canonical.into());
        self
    }

    /// Appends the canonical `<error/>`.
    pub fn write(&self, out: &mut Vec<u8>) {
        let mut writer = Writer::new(out);
        let name = self.condition.as_str();
        writer.start("error", None).attribute("type", self.error_type.as_str());
        writer.start(name, Some(ns::STANZA_ERRORS));
        if let Some(address) = &self.address {
            writer.text(address);
        }
        writer.end(name);
        if let Some(text) = &self.text {
            writer.start("text", Some(ns::STANZA_ERRORS)).attribute("xml:lang", "en");
            writer.text(text).end("text");
        }
        if let Some(specific) = &self.specific {
            writer.raw(specific);
        }
        writer.end("error");
    }
}

impl From<Condition> for StanzaError {
    fn from(condition: Condition) -> StanzaError {
        StanzaError::new(condition)
    }
}

impl From<JidError> for StanzaError {
    fn from(error: JidError) -> StanzaError {
        StanzaError::new(Condition::JidMalformed).with_text(error.to_string())
    }
}

/// Why a well-formed stanza cannot be routed. The peer's fault; the stream goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Defect {
    #[error("the attribute 'to': {0}")]
    To(JidError),
    #[error("the attribute 'from': {0}")]
    From(JidError),
    /// RFC 6120 §8.1.3.
    #[error("an iq needs an id")]
    IqId,
    /// RFC 6120 §8.2.3.
    #[error("the type of an iq is get, set, result or error")]
    IqType,
    /// RFC 6120 §8.2.3: one child in a request, at most one in a result.
    #[error("an iq holds exactly one payload")]
    IqPayload,
    /// RFC 6121 §4.7.1.
    #[error("unknown type of presence")]
    PresenceType,
}

impl From<Defect> for StanzaError {
    fn from(defect: Defect) -> StanzaError {
        match defect {
            Defect::To(_) | Defect::From(_) => StanzaError::new(Condition::JidMalformed),
            _ => StanzaError::new(Condition::BadRequest),
        }
        .with_text(defect.to_string())
    }
}
