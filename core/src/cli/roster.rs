//! `hearth user roster`: the contacts of a user, changed in his name.

use clap::{Subcommand, ValueEnum};
use hyper::Method;
use serde_json::{Value, json};

use super::link::{Link, segment};
use super::output::text;
use super::{CliError, Global};

#[derive(Debug, Subcommand)]
pub enum Roster {
    /// List the contacts of a user
    List { user: String },
    /// Add a contact, or change it; what is not given stays as it is
    Set {
        user: String,
        /// The address of the contact
        contact: String,
        #[arg(long)]
        name: Option<String>,
        /// May be given several times
        #[arg(long = "group")]
        groups: Option<Vec<String>>,
        /// Who sees whom; a contact of another server is asked
        #[arg(long)]
        subscription: Option<Subscription>,
    },
    /// Remove a contact, and end the subscriptions
    Remove { user: String, contact: String },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Subscription {
    None,
    To,
    From,
    Both,
}

pub async fn perform(global: &Global, command: Roster) -> Result<(), CliError> {
    let link = global.link().await?;
    match command {
        Roster::List { user } => list(global, &link, &user).await,
        Roster::Set { user, contact, name, groups, subscription } => {
            let path = path(&user, &contact);
            // Absent is what a contact that is new has, too.
            let (_, before) = link.answer(&Method::GET, &path, None).await?;
            let subscription = subscription.and_then(|subscription| {
                Some(subscription.to_possible_value()?.get_name().to_owned())
            });
            let body = json!({
                "name": name.map_or_else(|| before["name"].clone(), Value::from),
                "groups": groups.map_or_else(|| kept(&before["groups"]), Value::from),
                "subscription": subscription,
            });
            let set = link.call(Method::PUT, &path, Some(&body)).await?;
            global.output().value(&set, line)
        }
        Roster::Remove { user, contact } => {
            link.call(Method::DELETE, &path(&user, &contact), None).await?;
            let told = json!({ "jid": contact, "done": "removed" });
            global.output().value(&told, |_| format!("removed {contact}"))
        }
    }
}

fn kept(groups: &Value) -> Value {
    if groups.is_array() { groups.clone() } else { json!([]) }
}

fn path(user: &str, contact: &str) -> String {
    format!("/users/{}/roster/{}", segment(user), segment(contact))
}

fn line(contact: &Value) -> String {
    let groups = contact["groups"].as_array().into_iter().flatten();
    let groups: Vec<_> = groups.filter_map(Value::as_str).collect();
    let asked = if contact["ask"] == true { " (asked)" } else { "" };
    let (jid, name) = (text(contact, "jid"), text(contact, "name"));
    let subscription = format!("{}{asked}", text(contact, "subscription"));
    format!("{jid:<30}  {subscription:<12}  {name:<20}  {}", groups.join(", "))
}

async fn list(global: &Global, link: &Link, user: &str) -> Result<(), CliError> {
    let head = "ADDRESS                         SUBSCRIPTION  NAME                  GROUPS";
    let mut list = global.output().list(head)?;
    link.every(&format!("/users/{}/roster", segment(user)), |contact| list.item(contact, line))
        .await?;
    list.end()
}
