//! Failures of the command line: one clear line, and an exit code that scripts can rely on.

use std::fmt::{self, Display};
use std::process::ExitCode;

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
}

/// Why a command failed. Shown as `hearth: <what> (<place>): <remedy>`.
#[derive(Debug, thiserror::Error)]
pub struct CliError {
    pub exit: Exit,
    pub what: String,
    /// The file, address, option or name that it is about.
    pub place: String,
    pub remedy: String,
}

impl CliError {
    pub fn new(
        exit: Exit,
        what: impl Display,
        place: impl Display,
        remedy: impl Display,
    ) -> CliError {
        CliError {
            exit,
            what: what.to_string(),
            place: place.to_string(),
            remedy: remedy.to_string(),
        }
    }

    pub fn usage(what: impl Display, place: impl Display, remedy: impl Display) -> CliError {
        CliError::new(Exit::Usage, what, place, remedy)
    }

    pub fn failure(what: impl Display, place: impl Display, remedy: impl Display) -> CliError {
        CliError::new(Exit::Failure, what, place, remedy)
    }
}

impl Display for CliError {
    /// Always one line, whatever stands in its parts.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = format!("hearth: {} ({}): {}", self.what, self.place, self.remedy);
        f.write_str(&line.replace(|c: char| c.is_control(), " "))
    }
}

impl From<&CliError> for ExitCode {
    fn from(error: &CliError) -> ExitCode {
        ExitCode::from(error.exit as u8)
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
