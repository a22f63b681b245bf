//! `hearth group`: groups of users.

use clap::Subcommand;
use hyper::Method;
use serde_json::{Value, json};

use super::link::{Link, segment};
use super::output::text;
use super::{CliError, Global};

#[derive(Debug, Subcommand)]
pub enum Group {
    /// Create a group
    Add {
        name: String,
        #[arg(long, default_value = "")]
        description: String,
    },
    /// List the groups
    List {
        /// Whose names begin with this
        #[arg(long, default_value = "")]
        search: String,
    },
    /// Show a group
    Show { name: String },
    /// Give a group another name or description
    Edit {
        name: String,
        #[arg(long)]
        rename: Option<String>,
        #[arg(long)]
        description: Option<String>,
    },
    /// Delete groups; their members stay users
    Delete {
        #[arg(required = true)]
        names: Vec<String>,
    },
    /// List the members of a group
    Members { group: String },
    /// Take users into a group
    Join {
        group: String,
        #[arg(required = true)]
        users: Vec<String>,
        /// As administrators of the group
        #[arg(long)]
        admin: bool,
    },
    /// Take users out of a group
    Leave {
        group: String,
        #[arg(required = true)]
        users: Vec<String>,
    },
}

pub async fn perform(global: &Global, command: Group) -> Result<(), CliError> {
    let link = global.link().await?;
    match command {
        Group::Add { name, description } => {
            let body = json!({ "name": name, "description": description });
            show(global, &link.call(Method::POST, "/groups", Some(&body)).await?)
        }
        Group::List { search } => {
            let mut list = global.output().list("NAME                    MEMBERS  DESCRIPTION")?;
            link.every(&format!("/groups?search={}", segment(&search)), |group| {
                list.item(group, |group| {
                    let (name, description) = (text(group, "name"), text(group, "description"));
                    format!("{name:<22}  {:>7}  {description}", group["members"])
                })
            })
            .await?;
            list.end()
        }
        Group::Show { name } => show(global, &link.call(Method::GET, &path(&name), None).await?),
        Group::Edit { name, rename, description } => {
            let before = link.call(Method::GET, &path(&name), None).await?;
            let body = json!({
                "name": rename.unwrap_or_else(|| name.clone()),
                "description": description.unwrap_or_else(|| text(&before, "description").into()),
            });
            show(global, &link.call(Method::PUT, &path(&name), Some(&body)).await?)
        }
        Group::Delete { names } => {
            for name in &names {
                link.call(Method::DELETE, &path(name), None).await?;
                done(global, name, "deleted")?;
            }
            Ok(())
        }
        Group::Members { group } => members(global, &link, &group).await,
        Group::Join { group, users, admin } => {
            let body = json!({ "administrator": admin });
            for user in &users {
                link.call(Method::PUT, &member(&group, user), Some(&body)).await?;
                done(global, user, "joined")?;
            }
            Ok(())
        }
        Group::Leave { group, users } => {
            for user in &users {
                link.call(Method::DELETE, &member(&group, user), None).await?;
                done(global, user, "left")?;
            }
            Ok(())
        }
    }
}

fn path(name: &str) -> String {
    format!("/groups/{}", segment(name))
}

fn member(group: &str, user: &str) -> String {
    format!("{}/members/{}", path(group), segment(user))
}

fn show(global: &Global, group: &Value) -> Result<(), CliError> {
    global.output().value(group, |group| format!("{group:#}"))
}

fn done(global: &Global, name: &str, done: &str) -> Result<(), CliError> {
    global.output().value(&json!({ "name": name, "done": done }), |_| format!("{done} {name}"))
}

async fn members(global: &Global, link: &Link, group: &str) -> Result<(), CliError> {
    let mut list = global.output().list("NAME")?;
    link.every(&format!("{}/members", path(group)), |member| {
        list.item(member, |member| {
            let admin = if member["administrator"] == true { "  administrator" } else { "" };
            format!("{}{admin}", text(member, "name"))
        })
    })
    .await?;
    list.end()
}
