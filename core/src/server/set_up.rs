//! Setting a home up: what `hearth setup` and the wizard have in common.

use super::Foundation;
use crate::admin::setup::{self, Outcome, Plan, SetupError};
use crate::config::{Config, Home, Ports};
use crate::net::listener::{ListenError, Listener};

/// Installs or joins as `plan` says, in the database that `config` names. The home is made and
/// locked; [`Config::write`] completes it.
pub async fn set_up(
    home: &Home,
    config: &Config,
    plan: &Plan,
) -> Result<(Foundation, Outcome), SetupError> {
    // The same check as at each start, before anything is written.
    let config = Config::parse(&config.render(), &home.config())?;
    let foundation = Foundation::open(home.clone(), config).await?;
    let Foundation { db, clock, accounts, .. } = &foundation;
    let outcome = setup::install(db, clock, accounts, plan).await?;
    Ok((foundation, outcome))
}

/// Opens every port of the configuration once, so that a first start that must fail does so before
/// anything is made.
pub fn check_ports(config: &Config) -> Result<(), ListenError> {
    let listen = &config.listen;
    let mut opened: Vec<Listener> = Vec::new();
    for (name, port) in config.ports.named() {
        let addresses = match Ports::is_console(name) {
            true => &listen.console_addresses,
            false => &listen.addresses,
        };
        opened.extend(super::bind(addresses, port)?);
    }
    Ok(())
}
