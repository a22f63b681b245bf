//! `hearth user property`: what other programs note about a user.

use clap::Subcommand;
use hyper::Method;
use serde_json::json;

use super::link::segment;
use super::output::text;
use super::{CliError, Global};

#[derive(Debug, Subcommand)]
pub enum UserProperty {
    /// List what is noted about a user
    List { user: String },
    /// Note something
    Set { user: String, name: String, value: String },
    /// Delete what is noted
    Delete { user: String, name: String },
}

pub async fn perform(global: &Global, command: UserProperty) -> Result<(), CliError> {
    let (link, output) = (global.link().await?, global.output());
    let path = |user: &str| format!("/users/{}/properties", segment(user));
    let one = |user: &str, name: &str| format!("{}/{}", path(user), segment(name));
    match command {
        UserProperty::List { user } => {
            let mut list = output.list("NAME                    VALUE")?;
            link.every(&path(&user), |property| {
                list.item(property, |property| {
                    format!("{:<22}  {}", text(property, "name"), text(property, "value"))
                })
            })
            .await?;
            list.end()
        }
        UserProperty::Set { user, name, value } => {
            let body = json!({ "value": value });
            let set = link.call(Method::PUT, &one(&user, &name), Some(&body)).await?;
            output.value(&set, |set| format!("{} = {}", text(set, "name"), text(set, "value")))
        }
        UserProperty::Delete { user, name } => {
            link.call(Method::DELETE, &one(&user, &name), None).await?;
            let told = json!({ "name": name, "done": "deleted" });
            output.value(&told, |_| format!("deleted {name}"))
        }
    }
}
