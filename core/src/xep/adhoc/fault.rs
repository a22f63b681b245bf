//! Why a request about a command is refused (§4.4).

use crate::ns;
use crate::stanza::{Condition, StanzaError};
use crate::storage::StorageError;
use crate::xml::Element;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    // the client's
    #[error("a command is asked for by an iq of type set, with a node")]
    NotACommand,
    #[error("there is no such action")]
    MalformedAction,
    #[error("this command has one stage: complete or cancel it")]
    BadAction,
    #[error("{0}")]
    BadPayload(String),
    #[error("no such form waits for an answer: execute the command anew")]
    BadSessionId,
    #[error("the form was filled in too late: execute the command anew")]
    SessionExpired,
    #[error("only administrators run commands")]
    Forbidden,
    #[error("there is no such command")]
    Unknown,

    // ours
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl Fault {
    /// The condition of RFC 6120, and the one of the XEP where it has one.
    fn row(&self) -> (Condition, Option<&'static str>) {
        match self {
            Fault::NotACommand => (Condition::BadRequest, None),
            Fault::MalformedAction => (Condition::BadRequest, Some("malformed-action")),
            Fault::BadAction => (Condition::BadRequest, Some("bad-action")),
            Fault::BadPayload(_) => (Condition::BadRequest, Some("bad-payload")),
            Fault::BadSessionId => (Condition::BadRequest, Some("bad-sessionid")),
            Fault::SessionExpired => (Condition::NotAllowed, Some("session-expired")),
            Fault::Forbidden => (Condition::Forbidden, None),
            Fault::Unknown => (Condition::ItemNotFound, None),
            Fault::Storage(_) => (Condition::InternalServerError, None),
        }
    }
}

impl From<Fault> for StanzaError {
    fn from(fault: Fault) -> StanzaError {
        let (condition, specific) = fault.row();
        if let Fault::Storage(error) = &fault {
            tracing::error!(%error, "it is not known who administers the server");
            return condition.into();
        }
        let error = StanzaError::new(condition).with_text(fault.to_string());
        match specific {
            Some(name) => error.with_specific(Element::new(name, ns::COMMANDS).to_bytes()),
            None => error,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_has_the_condition_of_the_table() {
        let mut written = Vec::new();
        StanzaError::from(Fault::SessionExpired).write(&mut written);
        let written = String::from_utf8(written).unwrap();
        assert!(written.starts_with("<error type='cancel'><not-allowed "), "{written}");
        let specific = "<session-expired xmlns='http://jabber.org/protocol/commands'/></error>";
        assert!(written.ends_with(specific), "{written}");
    }
}
