//! `hearth run`: serves until a signal ends it.

use super::setup::{self, Wanted};
use super::{CliError, Global};
use crate::clock::Random;
use crate::config::{Config, Environment, LogFormat};
use crate::server::{self, Foundation};
use crate::telemetry::log::{self, Format};

pub async fn perform(global: &Global) -> Result<(), CliError> {
    let home = global.home();
    let environment = Environment::read()?;
    if !home.config().exists() {
        // A first start without set-up: what the environment says, else a server to try out.
        let domain = environment.domain.clone().unwrap_or_else(|| "localhost".to_owned());
        let wanted = Wanted { domain: Some(domain), ..Wanted::from(&environment) };
        setup::set_up(global, wanted).await?;
    }
    home.create()?;
    let lock = home.lock()?;
    let config = Config::load(&home, &environment, &Random::system())?;
    let format = match config.log.format {
        LogFormat::Text => Format::Human,
        LogFormat::Json => Format::Json,
    };
    log::init(format, &config.log.filter)?;
    let foundation = Foundation::open(home, config).await?;
    Ok(server::run(foundation, lock).await?)
}
