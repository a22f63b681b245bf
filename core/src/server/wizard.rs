//! The phase before a home is set up: the console's ports serve the wizard and nothing else. When
//! it is done the same process goes on to serve.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot, watch};

use super::set_up::set_up;
use super::{GRACE, LAST, Listeners, ServerError, Start, wall};
use crate::admin::Token;
use crate::admin::setup::{Builder, Plan, SetupError, Wizard};
use crate::clock::Clock;
use crate::config::{Config, ConfigError, Home, OpenPorts, Port, Ports, write_atomically};
use crate::http::{self, Health, Limits, Readiness, Routes};
use crate::net::tls::{CHAIN_FILE, Certificates};
use crate::shutdown::{Asked, Signals, Tracker};
use crate::storage::BoxFuture;
use crate::telemetry::Counter;

/// Where an operator finds the wizard.
pub struct Invitation {
    pub ports: OpenPorts,
    /// This machine's own name.
    pub host: String,
    pub token: Token,
}

/// Serves the wizard on the console's ports of `ports` until the home is set up; `None` when a
/// signal came first. `invite` tells the operator.
pub async fn run(
    home: &Home,
    ports: Ports,
    signals: &mut Signals,
    invite: impl FnOnce(&Invitation),
) -> Result<Option<Start>, ServerError> {
    let config = Config { ports, ..Config::default() };
    let listeners = Listeners::bind(&console_only(&config))?;
    let clock = Clock::system(0);
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let files = WizardFiles { home: home.clone() };
    let certificates =
        Certificates::open(&files.certificates(), ["localhost", &host], wall(&clock))?;
    let (health, opened) = (Health::starting(), watch::Sender::new(None));
    let token = Token::new(clock.random());
    let tracker = Tracker::new(Arc::new(Counter::new()));
    let (built, mut done) = mpsc::channel(1);
    let builder = Box::new(HomeBuilder { home: home.clone(), tracker: tracker.clone(), built });

    let console = Routes::new();
    http::mount_health(&console, health.clone());
    let settings = Limits::DEFAULT.into();
    let (open, accepting) =
        listeners.serve(&certificates, [console.clone(), Routes::new()], &settings, &tracker);
    let own = open.clone();
    let wizard = Wizard {
        home: home.clone(),
        clock: clock.clone(),
        token: token.hash(),
        ports: config.ports,
        own,
        host: host.clone(),
        builder,
        health: health.clone(),
        opened: opened.subscribe(),
    };
    wizard.mount(&console)?;
    // Who finds the file of the ports finds the wizard behind them.
    health.set(Readiness::SettingUp("open the address in the server's log".to_owned()));
    files.write(&token, &open)?;
    invite(&Invitation { ports: open, host, token });

    let foundation = tokio::select! {
        foundation = done.recv() => foundation,
        () = stop_asked(signals) => None,
    };
    health.set(Readiness::Starting);
    Wizard::unmount(&console);
    tracker.soft().cancel();
    for task in accepting {
        // A task that panicked does not accept either.
        let _ = task.await;
    }
    drop(files);
    let Some(foundation) = foundation else {
        tracker.stop(GRACE, LAST).await;
        return Ok(None);
    };
    // The last page shows how the start goes on, on the connection that it came by.
    let end = foundation.tracker.soft().clone();
    foundation.tracker.spawn("last page of the wizard", async move {
        let grace = async { tracker.stop(GRACE * 6, LAST).await };
        end.run_until_cancelled(grace).await;
    });
    Ok(Some(Start { foundation, health, opened }))
}

/// Takes away the answers of a home that is set up: a password may be among them.
pub fn forget(home: &Home) {
    // Mostly there are none.
    let _: io::Result<()> = std::fs::remove_file(home.answers());
}

fn console_only(config: &Config) -> Config {
    let mut config = config.clone();
    (config.ports.http, config.ports.https) = (Port::Off, Port::Off);
    config
}

async fn stop_asked(signals: &mut Signals) {
    while signals.next().await != Asked::Stop {}
}

/// What exists while the wizard runs, and goes with it.
struct WizardFiles {
    home: Home,
}

impl WizardFiles {
    fn write(&self, token: &Token, ports: &OpenPorts) -> Result<(), ConfigError> {
        let path = self.home.setup_token();
        write_atomically(&path, token.reveal().as_bytes(), 0o600)
            .map_err(|source| ConfigError::File { path, source })?;
        ports.write(&self.home.ports())
    }

    /// The operator's certificate when it is there already. Otherwise one for the wizard alone: the
    /// server's will name the domain, which is not known yet.
    fn certificates(&self) -> PathBuf {
        let own = Config::default().certificates(&self.home);
        match own.join(CHAIN_FILE).exists() {
            true => own,
            false => self.temporary(),
        }
    }

    fn temporary(&self) -> PathBuf {
        self.home.run().join("setup-certificate")
    }
}

impl Drop for WizardFiles {
    fn drop(&mut self) {
        // What was never written is gone already.
        let _: io::Result<()> = std::fs::remove_file(self.home.ports());
        let _: io::Result<()> = std::fs::remove_file(self.home.setup_token());
        let _: io::Result<()> = std::fs::remove_dir_all(self.temporary());
    }
}

/// Sets the home up, and hands the foundation to the start.
struct HomeBuilder {
    home: Home,
    tracker: Tracker,
    built: mpsc::Sender<super::Foundation>,
}

impl Builder for HomeBuilder {
    fn build(&self, config: Config, plan: Plan) -> BoxFuture<'static, Result<(), SetupError>> {
        let (home, built) = (self.home.clone(), self.built.clone());
        let (tell, told) = oneshot::channel();
        // A task of its own: a browser that goes away must not stop it half-way.
        self.tracker.spawn("set-up", async move {
            let outcome = build(&home, &config, &plan, built).await;
            // Nobody may be left to be told.
            let _ = tell.send(outcome);
        });
        Box::pin(async move { told.await.unwrap_or(Err(SetupError::BrokenOff)) })
    }
}

async fn build(
    home: &Home,
    config: &Config,
    plan: &Plan,
    built: mpsc::Sender<super::Foundation>,
) -> Result<(), SetupError> {
    let (foundation, _outcome) = set_up(home, config, plan).await?;
    // Last: a home with this file is complete.
    config.write(home)?;
    forget(home);
    // The phase that listens ends only by this.
    let _ = built.send(foundation).await;
    Ok(())
}
