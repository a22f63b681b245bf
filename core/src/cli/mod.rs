//! The command line: arguments, one file per subcommand, one line per failure.

mod error;
mod panic;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser};

pub use error::{CliError, Exit};

/// The Hearth XMPP server.
#[derive(Debug, Parser)]
#[command(name = "hearth", version, propagate_version = true)]
struct Cli {
    #[command(flatten)]
    global: Global,
}

/// Options that every subcommand takes.
#[derive(Clone, Debug, Args)]
pub struct Global {
    /// The home folder
    #[arg(
        long,
        global = true,
        env = "HEARTH_HOME",
        value_name = "DIR",
        default_value = "hearth-home"
    )]
    pub home: PathBuf,
    /// Print results as JSON
    #[arg(long, global = true)]
    pub json: bool,
}

/// Reads the arguments, does what they ask for, and says what the process returns.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    panic::install();
    match parse(arguments).and_then(|cli| cli.map_or(Ok(()), perform)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(&error)
        }
    }
}

/// `None` when the arguments asked for help or the version, which are printed here.
fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Option<Cli>, CliError> {
    match Cli::try_parse_from(arguments) {
        Ok(cli) => Ok(Some(cli)),
        Err(error) if !error.use_stderr() => {
            // A closed pipe (`hearth --help | head -1`) is no failure.
            let _ = error.print();
            Ok(None)
        }
        Err(error) => Err(usage(&error)),
    }
}

/// One line instead of clap's page.
fn usage(error: &clap::Error) -> CliError {
    let text = error.render().to_string();
    let what = text.lines().next().unwrap_or_default().trim_start_matches("error: ");
    CliError::usage(what.trim_end_matches(':'), "command line", "see `hearth --help`")
}

fn perform(cli: Cli) -> Result<(), CliError> {
    let _ = cli.global;
    Ok(())
}
