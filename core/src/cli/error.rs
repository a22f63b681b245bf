//! Failures of the command line: one clear line, and an exit code that scripts can rely on.

use std::fmt::Display;
use std::process::ExitCode;

use crate::admin::setup::SetupError;
use crate::auth::accounts::AccountError;
use crate::config::ConfigError;
use crate::properties::PropertyError;
use crate::server::ServerError;
use crate::storage::StorageError;
use crate::telemetry::log::LogError;

/// Exit codes, documented in `docs/operators/cli.md`. Numbers never change their meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// What was asked for could not be done.
    Failure = 1,
    /// The command line itself is wrong.
    Usage = 2,
    /// `hearth.toml`, the environment, the home folder or a certificate.
    Configuration = 3,
    /// The database cannot be reached, is damaged, full or of another version.
    Database = 4,
    /// A port cannot be opened.
    Listen = 5,
    /// Another process works on this home.
    AlreadyRunning = 6,
    /// The running server cannot be reached, or does not accept the token.
    Api = 7,
    /// The file is no plugin that this server can load.
    Refused = 8,
}

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
#[error("{line}")]
pub struct CliError {
    pub exit: Exit,
    line: String,
}

impl CliError {
    /// Shown as `hearth: <what> (<place>): <remedy>`. The place is the file, address, option or
    /// name that it is about.
    pub fn new(
        exit: Exit,
        what: impl Display,
        place: impl Display,
        remedy: impl Display,
    ) -> CliError {
        CliError::told(exit, format_args!("{what} ({place}): {remedy}"))
    }

    pub fn usage(what: impl Display, place: impl Display, remedy: impl Display) -> CliError {
        CliError::new(Exit::Usage, what, place, remedy)
    }

    pub fn failure(what: impl Display, place: impl Display, remedy: impl Display) -> CliError {
        CliError::new(Exit::Failure, what, place, remedy)
    }

    /// An error that names the thing and the remedy itself. Always one line, whatever is in it.
    pub fn told(exit: Exit, error: impl Display) -> CliError {
        let line = format!("hearth: {error}");
        CliError { exit, line: line.replace(|c: char| c.is_control(), " ") }
    }
}

impl From<&CliError> for ExitCode {
    fn from(error: &CliError) -> ExitCode {
        ExitCode::from(error.exit as u8)
    }
}

impl From<ConfigError> for CliError {
    fn from(error: ConfigError) -> CliError {
        let exit = match error {
            ConfigError::InUse { .. } => Exit::AlreadyRunning,
            _ => Exit::Configuration,
        };
        CliError::told(exit, error)
    }
}

impl From<StorageError> for CliError {
    fn from(error: StorageError) -> CliError {
        CliError::told(Exit::Database, error)
    }
}

impl From<LogError> for CliError {
    fn from(error: LogError) -> CliError {
        CliError::told(Exit::Configuration, error)
    }
}

impl From<ServerError> for CliError {
    fn from(error: ServerError) -> CliError {
        match error {
            ServerError::Config(error) => error.into(),
            ServerError::Storage(error) => error.into(),
            ServerError::Listen(error) => CliError::told(Exit::Listen, error),
            ServerError::Certificate(_) | ServerError::NotSetUp => {
                CliError::told(Exit::Configuration, error)
            }
            ServerError::Signals(_) => CliError::told(Exit::Failure, error),
        }
    }
}

impl From<SetupError> for CliError {
    fn from(error: SetupError) -> CliError {
        match error {
            SetupError::Storage(error) | SetupError::Account(AccountError::Storage(error)) => {
                error.into()
            }
            SetupError::Config(error) => error.into(),
            SetupError::BrokenOff => CliError::told(Exit::Failure, error),
            SetupError::NoDomain | SetupError::Domain { .. } | SetupError::Account(_) => {
                CliError::told(Exit::Usage, error)
            }
            SetupError::OtherDomain { .. }
            | SetupError::Taken(_)
            | SetupError::NothingToJoin
            | SetupError::NoAdministrator => CliError::told(Exit::Configuration, error),
        }
    }
}

impl From<PropertyError> for CliError {
    fn from(error: PropertyError) -> CliError {
        match error {
            PropertyError::Storage(error) => error.into(),
            PropertyError::Unknown { .. } | PropertyError::Invalid { .. } => {
                CliError::told(Exit::Usage, error)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_one_line_of_three_parts() {
        let error = CliError::failure("no such\nuser", "romeo", "see `hearth user list`");
        assert_eq!(error.to_string(), "hearth: no such user (romeo): see `hearth user list`");
    }
}
