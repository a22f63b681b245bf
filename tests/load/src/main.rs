//! `hearth-load`: a load generator for any XMPP server. `docs/benchmarks.md` says how to use it.
//!
//! One thread, so that on a small machine the server keeps the rest; no XML tree on the hot path.

mod clock;
mod error;
mod fleet;
mod framer;
mod histogram;
mod iq;
mod lane;
mod link;
mod marker;
mod options;
mod procfs;
mod report;
mod run;
mod scan;
mod scram;
mod session;
mod sm;
mod tally;
mod tls;

use clap::Parser;
use error::{LoadError, Result};
use options::{Cli, Command};
use std::process::ExitCode;

fn main() -> ExitCode {
    match execute(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("hearth-load: {error}");
            ExitCode::FAILURE
        }
    }
}

fn execute(command: Command) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(LoadError::io("starting the runtime"))?;
    tokio::task::LocalSet::new().block_on(&runtime, async {
        match command {
            Command::Register(target) => run::register::run(target).await,
            Command::Login(options) => run::login::run(options).await,
            Command::Idle(options) => run::idle::run(options).await,
            Command::Chat(options) => run::chat::run(options).await,
            Command::Cycle(options) => run::cycle::run(options).await,
            Command::Presence(options) => run::presence::run(options).await,
            Command::Roster(options) => run::roster::run(options).await,
            Command::Muc(options) => run::muc::run(options).await,
            Command::Compare(options) => run::compare::run(&options),
        }
    })
}
