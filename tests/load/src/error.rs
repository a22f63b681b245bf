//! What can go wrong, by blame: the system, the server, or how the tool was called.

use std::io;

/// Why a run or one of its connections failed.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// A system call failed; `doing` says during what.
    #[error("{doing}: {source}")]
    Io { doing: String, source: io::Error },
    /// The server ended the stream or sent a stream error.
    #[error("the server closed the stream: {0}")]
    StreamClosed(String),
    /// The server refused a request that should have worked.
    #[error("{request} refused: {answer}")]
    Refused { request: &'static str, answer: String },
    /// The server does not offer what the run was told to use.
    #[error("the server does not offer {0}; change its configuration or the option")]
    NotOffered(String),
    /// The server's bytes are not what the protocol says.
    #[error("unexpected answer from the server: {0}")]
    Protocol(String),
    /// A step did not finish in time.
    #[error("{0} took longer than the time-out (see --timeout)")]
    Timeout(&'static str),
    /// The run was asked for something that cannot be done.
    #[error("{0}")]
    Usage(String),
    /// The run finished, but its result breaks what `--strict` demands.
    #[error("strict: {0}")]
    Strict(String),
}

impl LoadError {
    /// Wraps an I/O error with the words for what was being done.
    pub fn io(doing: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let doing = doing.into();
        move |source| Self::Io { doing, source }
    }

    /// A refusal that shows at most the first 300 bytes of the server's answer.
    pub fn refused(request: &'static str, answer: &[u8]) -> Self {
        let shown = &answer[..answer.len().min(300)];
        Self::Refused { request, answer: String::from_utf8_lossy(shown).into_owned() }
    }
}

/// The result of everything in this crate.
pub type Result<T> = std::result::Result<T, LoadError>;
