//! `hearth user`: the accounts.

use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use futures_util::stream::{self, StreamExt, TryStreamExt};
use hyper::{Method, StatusCode};
use serde_json::{Value, json};

use super::link::{Link, is_busy, segment};
use super::output::{Output, text};
use super::password::{self, Source};
use super::roster::{self, Roster};
use super::user_property::{self, UserProperty};
use super::{CliError, Global};
use crate::clock::Random;
use crate::telemetry::Backoff;

/// Calls in flight while many users are made: deriving keys keeps the processors busy.
const AT_ONCE: usize = 16;

#[derive(Debug, Subcommand)]
pub enum User {
    /// Create users
    Add(Add),
    /// List the users
    List {
        /// Whose user name, e-mail address or a word of whose name begins with this
        #[arg(long, default_value = "")]
        search: String,
        #[arg(long, default_value = "all")]
        show: Shown,
    },
    /// Show a user
    Show { name: String },
    /// Set the password of a user
    Password {
        name: String,
        #[command(flatten)]
        source: Source,
    },
    /// Change what a user is called; what is not given stays as it is
    Edit {
        name: String,
        #[arg(long)]
        display_name: Option<String>,
        #[arg(long)]
        email: Option<String>,
    },
    /// Keep users from signing in, and end their sessions
    Lock {
        #[arg(required = true)]
        names: Vec<String>,
        /// From this time on, such as 2030-12-31T18:00:00Z [default: now]
        #[arg(long)]
        from: Option<String>,
        /// Until this time [default: until they are unlocked]
        #[arg(long)]
        until: Option<String>,
        #[arg(long)]
        reason: Option<String>,
    },
    /// Let locked users sign in again
    Unlock { names: Vec<String> },
    /// Let users administer the server
    Appoint {
        #[arg(required = true)]
        names: Vec<String>,
    },
    /// Let administrators be users as others
    Dismiss {
        #[arg(required = true)]
        names: Vec<String>,
    },
    /// See and change the contacts of a user
    #[command(subcommand)]
    Roster(Roster),
    /// See and change what is noted about a user
    #[command(subcommand)]
    Property(UserProperty),
    /// Delete users and all that belongs to them
    Delete {
        #[arg(required = true)]
        names: Vec<String>,
    },
}

/// Which users a list holds.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Shown {
    All,
    Administrators,
    Locked,
    Online,
}

#[derive(Debug, Args)]
pub struct Add {
    #[arg(required_unless_present = "count")]
    names: Vec<String>,
    #[command(flatten)]
    source: Source,
    /// Create this many users, numbered from 0
    #[arg(long, requires = "prefix", conflicts_with = "names")]
    count: Option<u32>,
    /// What the names of numbered users begin with
    #[arg(long, requires = "count")]
    prefix: Option<String>,
    /// Make them administrators
    #[arg(long)]
    admin: bool,
}

impl Add {
    fn names(&self) -> Vec<String> {
        match (self.count, &self.prefix) {
            (Some(count), Some(prefix)) => (0..count).map(|n| format!("{prefix}{n}")).collect(),
            _ => self.names.clone(),
        }
    }
}

pub async fn perform(global: &Global, command: User) -> Result<(), CliError> {
    let output = global.output();
    match command {
        User::Add(add) => self::add(&global.link().await?, output, &add).await,
        User::List { search, show } => list(&global.link().await?, output, &search, show).await,
        User::Show { name } => {
            let user = global.link().await?.call(Method::GET, &path(&name), None).await?;
            output.value(&user, |user| format!("{user:#}"))
        }
        User::Password { name, source } => {
            let (secret, was_given) = password::read_or_generate(&source)?;
            let body = json!({ "password": secret });
            let link = global.link().await?;
            link.call(Method::PUT, &format!("{}/password", path(&name)), Some(&body)).await?;
            tell_password(output, &name, &secret, was_given)
        }
        User::Edit { name, display_name, email } => {
            edit(global, &name, &[("display_name", display_name), ("email", email)]).await
        }
        User::Lock { names, from, until, reason } => {
            let body = json!({ "from": from, "until": until, "reason": reason });
            each(global, &names, (Method::PUT, "/lock", Some(body)), "locked").await
        }
        User::Unlock { names } => {
            each(global, &names, (Method::DELETE, "/lock", None), "unlocked").await
        }
        User::Appoint { names } => {
            each(global, &names, (Method::PUT, "/administrator", None), "appointed").await
        }
        User::Dismiss { names } => {
            each(global, &names, (Method::DELETE, "/administrator", None), "dismissed").await
        }
        User::Roster(command) => roster::perform(global, command).await,
        User::Property(command) => user_property::perform(global, command).await,
        User::Delete { names } => each(global, &names, (Method::DELETE, "", None), "deleted").await,
    }
}

fn path(name: &str) -> String {
    format!("/users/{}", segment(name))
}

/// The same call for each of several users.
async fn each(
    global: &Global,
    names: &[String],
    (method, below, body): (Method, &str, Option<Value>),
    done: &str,
) -> Result<(), CliError> {
    let link = global.link().await?;
    for name in names {
        link.call(method.clone(), &format!("{}{below}", path(name)), body.as_ref()).await?;
        global
            .output()
            .value(&json!({ "name": name, "done": done }), |_| format!("{done} {name}"))?;
    }
    Ok(())
}

/// Only what is given is changed.
async fn edit(
    global: &Global,
    name: &str,
    given: &[(&str, Option<String>)],
) -> Result<(), CliError> {
    let link = global.link().await?;
    let before = link.call(Method::GET, &path(name), None).await?;
    let mut body = json!({});
    for (field, value) in given {
        body[*field] = value.clone().map_or_else(|| before[*field].clone(), Value::from);
    }
    let user = link.call(Method::PUT, &path(name), Some(&body)).await?;
    global.output().value(&user, |user| format!("{user:#}"))
}

async fn list(link: &Link, output: Output, search: &str, show: Shown) -> Result<(), CliError> {
    let show = show.to_possible_value();
    let show = show.as_ref().map_or("all", |show| show.get_name());
    let asked = format!("/users?show={show}&search={}", segment(search));
    let mut list = output.list("NAME                    CREATED")?;
    link.every(&asked, |user| {
        list.item(user, |user| {
            let is = |field: &str, word: &'static str| if user[field] == true { word } else { "" };
            let (locked, admin) =
                (is("locked", "  locked"), is("administrator", "  administrator"));
            format!("{:<22}  {}{admin}{locked}", text(user, "name"), text(user, "created"))
        })
    })
    .await?;
    list.end()
}

async fn add(link: &Link, output: Output, add: &Add) -> Result<(), CliError> {
    let names = add.names();
    let given = password::read(&add.source)?;
    let bar = output.progress(names.len() as u64);
    let made = stream::iter(&names).map(Ok).map_ok(|name| {
        let (given, bar) = (&given, &bar);
        async move {
            let secret = given.clone().unwrap_or_else(password::generate);
            create(link, name, &secret, add.admin).await?;
            bar.inc(1);
            Ok::<_, CliError>((name, secret))
        }
    });
    let mut made = made.try_buffered(AT_ONCE);
    while let Some((name, secret)) = made.try_next().await? {
        tell_password(output, name, &secret, given.is_some())?;
    }
    bar.finish_and_clear();
    Ok(())
}

async fn create(link: &Link, name: &str, secret: &str, is_admin: bool) -> Result<(), CliError> {
    let body = json!({ "name": name, "password": secret, "administrator": is_admin });
    let mut backoff = Backoff::new(Duration::from_millis(20), Duration::from_secs(1));
    let random = Random::system();
    // Deriving keys is bounded on the server: a full queue empties by itself.
    for _ in 0..20 {
        let (status, _) = link.answer(&Method::POST, "/users", Some(&body)).await?;
        match status {
            StatusCode::CREATED => return Ok(()),
            status if is_busy(status) => {
                tokio::time::sleep(backoff.next_delay(u64::from_be_bytes(random.bytes()))).await;
            }
            _ => break,
        }
    }
    link.call(Method::POST, "/users", Some(&body)).await.map(drop)
}

/// A generated password is shown this once.
fn tell_password(
    output: Output,
    name: &str,
    secret: &str,
    was_given: bool,
) -> Result<(), CliError> {
    let mut told: Value = json!({ "name": name });
    if !was_given {
        told["password"] = secret.into();
    }
    output.value(&told, |_| match was_given {
        true => name.to_owned(),
        false => format!("{name}  password: {secret}"),
    })
}
