//! `hearth token`: bearer tokens of the API.

use clap::Subcommand;
use hyper::Method;
use serde_json::json;

use super::link::{Link, segment};
use super::output::{Output, text};
use super::{CliError, Global};
use crate::clock::Random;

#[derive(Debug, Subcommand)]
pub enum Token {
    /// Create a token and print it; it is shown this once
    Create {
        /// A name that says who uses it [default: `cli-` and a random number]
        name: Option<String>,
        /// Days until it expires [default: never]
        #[arg(long)]
        days: Option<u32>,
    },
    /// List the tokens
    List,
    /// Revoke a token
    Revoke {
        /// Its id, as `hearth token list` shows it
        id: String,
    },
}

pub async fn perform(global: &Global, command: Token) -> Result<(), CliError> {
    let link = global.link().await?;
    let output = global.output();
    match command {
        Token::Create { name, days } => {
            // Repeating the command must work: a name is given only once.
            let name = name.unwrap_or_else(|| format!("cli-{}", &Random::system().hex()[..8]));
            create(&link, output, &name, days).await
        }
        Token::List => list(&link, output).await,
        Token::Revoke { id } => {
            link.call(Method::DELETE, &format!("/tokens/{}", segment(&id)), None).await?;
            output.value(&json!({ "revoked": id }), |_| format!("revoked {id}"))
        }
    }
}

/// Prints the token alone, for scripts.
async fn create(
    link: &Link,
    output: Output,
    name: &str,
    days: Option<u32>,
) -> Result<(), CliError> {
    let mut body = json!({ "name": name });
    if let Some(days) = days {
        body["days"] = days.into();
    }
    let made = link.call(Method::POST, "/tokens", Some(&body)).await?;
    output.value(&made, |made| text(made, "token").to_owned())
}

async fn list(link: &Link, output: Output) -> Result<(), CliError> {
    let mut list = output.list("ID                                NAME              EXPIRES")?;
    link.every("/tokens", |token| {
        list.item(token, |token| {
            let expires = token["expires"].as_str().unwrap_or("never");
            format!("{}  {:<16}  {expires}", text(token, "id"), text(token, "name"))
        })
    })
    .await?;
    list.end()
}
