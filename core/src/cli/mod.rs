//! The command line: arguments, one file per subcommand, one line per failure.

mod api;
mod backup;
mod client;
mod error;
mod group;
mod link;
mod output;
mod panic;
mod password;
mod plugin;
mod plugin_new;
mod property;
mod restore;
mod roster;
mod run;
mod setup;
#[cfg(test)]
mod tests;
mod token;
mod upload;
mod user;
mod user_property;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{Args, Parser, Subcommand};

pub use error::{CliError, Exit};

use crate::config::Home;
use output::Output;

/// The Hearth XMPP server. Without a command it serves ./hearth-home, after the set-up wizard when that is
/// new.
#[derive(Debug, Parser)]
#[command(name = "hearth", version, propagate_version = true)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve in the foreground, logging to standard error (the default)
    Run(run::Run),
    /// Set up a home folder and its database, or join the installation in that database
    Setup(setup::Setup),
    /// Create, list and change the users
    #[command(subcommand)]
    User(user::User),
    /// Create, list and change groups of users
    #[command(subcommand)]
    Group(group::Group),
    /// Read and change the live settings
    #[command(subcommand)]
    Property(property::Property),
    /// Create, list and revoke tokens of the API
    #[command(subcommand)]
    Token(token::Token),
    /// Install, list and change the plugins of this node, or make one
    #[command(subcommand)]
    Plugin(plugin::Plugin),
    /// Call the API
    Api(api::Call),
    /// Write everything in the database to a file
    Backup(backup::Backup),
    /// Put a backup back, in place of everything in the database
    Restore(restore::Restore),
}

/// Options that every command takes.
#[derive(Clone, Debug, Args)]
struct Global {
    /// The home folder
    #[arg(
        long,
        global = true,
        env = "HEARTH_HOME",
        value_name = "DIR",
        default_value = "hearth-home"
    )]
    home: PathBuf,
    /// Print results as JSON
    #[arg(long, global = true)]
    json: bool,
    /// Act under this token of the API instead of as the local administrator
    #[arg(long, global = true, env = "HEARTH_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    token: Option<String>,
}

impl Global {
    fn home(&self) -> Home {
        Home::new(&self.home)
    }

    fn output(&self) -> Output {
        Output { json: self.json }
    }
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
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        return CliError::usage("a subcommand is missing", "command line", "see `hearth --help`");
    }
    let text = error.render().to_string();
    let told = text.split("\n\n").next().unwrap_or_default().trim_start_matches("error: ");
    let what = told.split_whitespace().collect::<Vec<_>>().join(" ");
    CliError::usage(what, "command line", "see `hearth --help`")
}

fn perform(Cli { global, command }: Cli) -> Result<(), CliError> {
    let command = command.unwrap_or_else(|| Command::Run(run::Run::default()));
    let runtime = match command {
        Command::Run(_) => tokio::runtime::Builder::new_multi_thread(),
        _ => tokio::runtime::Builder::new_current_thread(),
    };
    let runtime = { runtime }.enable_all().build().map_err(|error| {
        CliError::failure(error, "threads", "raise the limits of processes and open files")
    })?;
    runtime.block_on(async {
        match command {
            Command::Run(command) => run::perform(&global, command).await,
            Command::Setup(command) => setup::perform(&global, command).await,
            Command::User(command) => user::perform(&global, command).await,
            Command::Group(command) => group::perform(&global, command).await,
            Command::Property(command) => property::perform(&global, command).await,
            Command::Token(command) => token::perform(&global, command).await,
            Command::Plugin(command) => plugin::perform(&global, command).await,
            Command::Api(command) => api::perform(&global, command).await,
            Command::Backup(command) => backup::perform(&global, command).await,
            Command::Restore(command) => restore::perform(&global, command).await,
        }
    })
}
