//! Why a call failed.

use abi_stable::std_types::{RErr, ROk};

use crate::abi;

/// What went wrong, for those who decide by it. An unknown code of a newer peer is `Internal`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Whoever reads the message: something is wrong within.
    Internal,
    /// What was given is not allowed.
    Invalid,
    /// There is no such thing.
    NotFound,
    /// Something else came first: a row count that was demanded, a name that is taken.
    Conflict,
    /// The manifest does not ask for this capability.
    Forbidden,
    /// This server, or this plugin, does not know the call.
    Unsupported,
    /// The plugin was stopped; nothing will be answered again.
    Stopped,
    /// A queue is full: later, or never.
    Full,
    /// No answer in time.
    Timeout,
    /// Something outside does not answer: the database, a web service, another node.
    Unavailable,
    /// The plugin panicked.
    Panic,
}

const KINDS: [ErrorKind; 11] = [
    ErrorKind::Internal,
    ErrorKind::Invalid,
    ErrorKind::NotFound,
    ErrorKind::Conflict,
    ErrorKind::Forbidden,
    ErrorKind::Unsupported,
    ErrorKind::Stopped,
    ErrorKind::Full,
    ErrorKind::Timeout,
    ErrorKind::Unavailable,
    ErrorKind::Panic,
];

impl ErrorKind {
    /// The number by which it crosses.
    pub fn code(self) -> u32 {
        self as u32
    }

    /// The kind of a number.
    pub fn from_code(code: u32) -> ErrorKind {
        KINDS.get(code as usize).copied().unwrap_or(ErrorKind::Internal)
    }
}

/// Why a call failed: a kind to decide by and one line for a person.
///
/// ```
/// use hearth_plugin_api::{Error, ErrorKind};
/// fn parse(text: &str) -> hearth_plugin_api::Result<u32> {
///     text.parse().map_err(|_| Error::invalid(format!("`{text}` is no number")))
/// }
/// assert_eq!(parse("x").unwrap_err().kind, ErrorKind::Invalid);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// To decide by.
    pub kind: ErrorKind,
    /// One line: the thing and the remedy.
    pub message: String,
}

/// What fallible calls give.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error of any kind.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Error {
        Error { kind, message: message.into() }
    }

    /// What was given is not allowed.
    pub fn invalid(message: impl Into<String>) -> Error {
        Error::new(ErrorKind::Invalid, message)
    }

    /// There is no such thing.
    pub fn not_found(message: impl Into<String>) -> Error {
        Error::new(ErrorKind::NotFound, message)
    }

    /// Something outside does not answer.
    pub fn unavailable(message: impl Into<String>) -> Error {
        Error::new(ErrorKind::Unavailable, message)
    }

    /// The call is not known here.
    pub fn unsupported(message: impl Into<String>) -> Error {
        Error::new(ErrorKind::Unsupported, message)
    }
}

impl From<String> for Error {
    fn from(message: String) -> Error {
        Error::new(ErrorKind::Internal, message)
    }
}

impl From<&str> for Error {
    fn from(message: &str) -> Error {
        Error::new(ErrorKind::Internal, message)
    }
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Error {
        Error::new(ErrorKind::Internal, error.to_string())
    }
}

impl From<serde_json::Error> for Error {
    fn from(error: serde_json::Error) -> Error {
        Error::invalid(format!("JSON: {error}"))
    }
}

impl From<std::num::ParseIntError> for Error {
    fn from(error: std::num::ParseIntError) -> Error {
        Error::invalid(error.to_string())
    }
}

impl From<abi::Fault> for Error {
    fn from(fault: abi::Fault) -> Error {
        Error::new(ErrorKind::from_code(fault.kind), fault.message.into_string())
    }
}

impl From<Error> for abi::Fault {
    fn from(error: Error) -> abi::Fault {
        abi::Fault { kind: error.kind.code(), message: error.message.into() }
    }
}

/// A plain result as it crosses.
pub fn to_abi<T>(result: Result<T>) -> abi::Res<T> {
    match result {
        Ok(value) => ROk(value),
        Err(error) => RErr(error.into()),
    }
}

/// A result that has crossed.
pub fn from_abi<T>(result: abi::Res<T>) -> Result<T> {
    match result {
        ROk(value) => Ok(value),
        RErr(fault) => Err(fault.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_lead_back_to_their_kinds() {
        for (code, kind) in KINDS.into_iter().enumerate() {
            assert_eq!(kind.code() as usize, code);
            assert_eq!(ErrorKind::from_code(kind.code()), kind);
        }
        assert_eq!(ErrorKind::from_code(4711), ErrorKind::Internal);
    }
}
