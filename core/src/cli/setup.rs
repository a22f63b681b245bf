//! `hearth setup`: makes a home folder and sets its database up, or joins the installation in it.

use std::fs;
use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::password;
use super::{CliError, Exit, Global};
use crate::admin::setup::{Kind, Outcome, Plan};
use crate::clock::Random;
use crate::config::{Config, Environment, Home, Ports};
use crate::server::set_up;

/// The name of the first administrator.
const ADMINISTRATOR: &str = "admin";

#[derive(Debug, Args)]
pub struct Setup {
    /// The XMPP domain [env: HEARTH_DOMAIN]; may be left out when joining
    #[arg(long)]
    domain: Option<String>,
    /// sqlite, sqlite:FILE or postgres://user:password@host/name [env: HEARTH_DATABASE_URL]
    #[arg(long, value_name = "URL")]
    database: Option<String>,
    /// A file whose first line is the password of the user `admin`; `-` reads standard input
    /// [env: HEARTH_ADMIN_PASSWORD, the password itself; default: a random one, printed once]
    #[arg(long, value_name = "FILE")]
    admin_password_file: Option<PathBuf>,
    /// Let the system pick every port; run/ports.json has them while the server runs
    #[arg(long)]
    ephemeral_ports: bool,
    /// Set a property; may be given several times
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = assignment)]
    properties: Vec<(String, String)>,
}

fn assignment(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write it as NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// What a new home shall be.
#[derive(Default)]
pub struct Wanted {
    pub domain: Option<String>,
    pub database: Option<String>,
    pub password: Option<String>,
    pub ports: Ports,
    pub properties: Vec<(String, String)>,
}

impl From<Environment> for Wanted {
    fn from(environment: Environment) -> Wanted {
        Wanted {
            domain: environment.domain,
            database: environment.database_url,
            password: environment.admin_password,
            ..Wanted::default()
        }
    }
}

pub async fn perform(global: &Global, arguments: Setup) -> Result<(), CliError> {
    let environment = Wanted::from(Environment::read()?);
    let file = arguments.admin_password_file.as_deref().map(password::read_file).transpose()?;
    let wanted = Wanted {
        domain: arguments.domain.or(environment.domain),
        database: arguments.database.or(environment.database),
        password: file.or(environment.password),
        ports: if arguments.ephemeral_ports { Ports::ephemeral() } else { Ports::default() },
        properties: arguments.properties,
    };
    set_up(global, wanted).await
}

/// Sets the home up and says what was done. A failure leaves nothing of a home that it made.
pub async fn set_up(global: &Global, wanted: Wanted) -> Result<(), CliError> {
    let home = global.home();
    if home.config().exists() {
        return Err(CliError::new(
            Exit::Configuration,
            "this home is set up already",
            home.path().display(),
            "choose another one with --home, or start it with `hearth run`",
        ));
    }
    let is_new = !home.path().exists();
    let done = write(global, &home, wanted).await;
    if done.is_err() && is_new {
        // The error that stopped it is the one to tell.
        let _ = fs::remove_dir_all(home.path());
    }
    done
}

async fn write(global: &Global, home: &Home, wanted: Wanted) -> Result<(), CliError> {
    home.create()?;
    let _lock = home.lock()?;
    let mut config = Config::new(&Random::system());
    if let Some(url) = wanted.database {
        config.database.url = url;
    }
    config.ports = wanted.ports;
    let was_given = wanted.password.is_some();
    let plan = Plan {
        domain: wanted.domain,
        administrator: ADMINISTRATOR.to_owned(),
        password: wanted.password.unwrap_or_else(password::generate),
        kind: Kind::Either,
    };
    let (foundation, outcome) = set_up::set_up(home, &config, &plan).await?;
    for (name, value) in &wanted.properties {
        foundation.properties.set(name, value, "set-up").await?;
    }
    // Last: a home with this file is complete.
    config.write(home)?;
    tell(global, &plan, &outcome, was_given)
}

fn tell(global: &Global, plan: &Plan, outcome: &Outcome, was_given: bool) -> Result<(), CliError> {
    let home = global.home.display();
    let (Outcome::Installed(domain) | Outcome::Joined(domain)) = outcome;
    let is_joined = matches!(outcome, Outcome::Joined(_));
    let mut told = json!({ "home": global.home, "domain": domain, "joined": is_joined });
    let is_shown = !is_joined && !was_given;
    if is_shown {
        told["administrator"] = plan.administrator.as_str().into();
        told["password"] = plan.password.as_str().into();
    }
    global.output().value(&told, |_| match (is_joined, is_shown) {
        (true, _) => format!("{home} has joined the installation of {domain}"),
        (false, false) => format!("{home} is set up for {domain}"),
        (false, true) => format!(
            "{home} is set up for {domain}\n\n    administrator: {}\n    password:      {}   (shown only this once)\n",
            plan.administrator, plan.password
        ),
    })
}
