//! `hearth run`: serves until a signal ends it, after the set-up wizard when the home is new.

use std::fs;

use clap::Args;

use super::setup::{self, Wanted};
use super::{CliError, Exit, Global};
use crate::clock::Random;
use crate::config::{Config, Environment, Home, LogFormat, Port, Ports};
use crate::net::listener::ListenError;
use crate::server::set_up::check_ports;
use crate::server::wizard::{self, Invitation};
use crate::server::{self, Foundation, ServerError, Start};
use crate::shutdown::Signals;
use crate::telemetry::log::{self, DEFAULT_LEVELS, Format};

/// What counts until there is a hearth.toml.
#[derive(Debug, Default, Args)]
pub struct Run {
    /// At a first start: the console's port, the next one being its port for TLS [default: 9090]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..65535))]
    console_port: Option<u16>,
    /// At a first start: let the system pick every port; run/ports.json has them
    #[arg(long, conflicts_with = "console_port")]
    ephemeral_ports: bool,
}

impl Run {
    fn ports(&self) -> Ports {
        if self.ephemeral_ports {
            return Ports::ephemeral();
        }
        let mut ports = Ports::default();
        if let Some(port) = self.console_port {
            (ports.console, ports.console_tls) = (Port::Number(port), Port::Number(port + 1));
        }
        ports
    }
}

pub async fn perform(global: &Global, run: Run) -> Result<(), CliError> {
    let home = global.home();
    let environment = Environment::read()?;
    if !home.config().exists() && environment.is_unattended() {
        let ports = run.ports();
        check_ports(&Config { ports: ports.clone(), ..Config::default() }).map_err(taken)?;
        let domain = environment.domain.clone().unwrap_or_else(|| "localhost".to_owned());
        let wanted = Wanted { domain: Some(domain), ports, ..Wanted::from(environment.clone()) };
        setup::set_up(global, wanted).await?;
    }
    let mut signals = Signals::listen().map_err(ServerError::Signals)?;
    let is_new = !home.path().exists();
    home.create()?;
    let lock = home.lock()?;
    let start = match home.config().exists() {
        true => Start::new(open(home, &environment).await?),
        false => {
            log::init(Format::Human, DEFAULT_LEVELS)?;
            let started = wizard::run(&home, run.ports(), &mut signals, invite).await;
            if started.is_err() && is_new {
                // The error that stopped it is the one to tell.
                let _ = fs::remove_dir_all(home.path());
            }
            match started.map_err(first_start)? {
                Some(start) => start,
                None => return Ok(()),
            }
        }
    };
    Ok(server::run(start, signals, lock).await?)
}

async fn open(home: Home, environment: &Environment) -> Result<Foundation, CliError> {
    wizard::forget(&home);
    let config = Config::load(&home, environment, &Random::system())?;
    let format = match config.log.format {
        LogFormat::Text => Format::Human,
        LogFormat::Json => Format::Json,
    };
    log::init(format, &config.log.filter)?;
    Ok(Foundation::open(home, config).await?)
}

fn first_start(error: ServerError) -> CliError {
    match error {
        ServerError::Listen(error) => taken(error),
        other => other.into(),
    }
}

/// There is no hearth.toml yet in which another port could be chosen.
fn taken(error: ListenError) -> CliError {
    let ListenError::InUse { address } = error else { return CliError::told(Exit::Listen, error) };
    let remedy = "stop the program that has it (`ss -ltnp` shows which), or choose others: \
                  `hearth run --console-port N` moves the console, `hearth setup` writes a \
                  hearth.toml with all ports";
    let what = format!("port {} is already in use", address.port());
    CliError::new(Exit::Listen, what, address.ip(), remedy)
}

/// Tells where the wizard is, apart from the lines of the log.
fn invite(Invitation { ports, host, token }: &Invitation) {
    let token = token.reveal();
    let mut text =
        String::from("\nThis server is not set up yet. Open its set-up wizard in a browser:\n\n");
    if let Some(port) = ports.console {
        text += &format!("    http://localhost:{port}/setup?token={token}   (on this machine)\n");
    }
    if let Some(port) = ports.console_tls {
        let note = "(from elsewhere; the certificate is self-signed)";
        text += &format!("    https://{host}:{port}/setup?token={token}   {note}\n");
    }
    eprintln!("{text}");
}
