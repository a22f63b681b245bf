//! `hearth property`: live settings, kept in the database.

use clap::Subcommand;
use hyper::Method;
use serde_json::{Value, json};

use super::link::segment;
use super::output::text;
use super::{CliError, Global};

#[derive(Debug, Subcommand)]
pub enum Property {
    /// List all properties with their values
    List,
    /// Print the value of a property
    Get { name: String },
    /// Set a property
    Set { name: String, value: String },
    /// Give a property its default again
    Reset { name: String },
}

pub async fn perform(global: &Global, command: Property) -> Result<(), CliError> {
    let link = global.link().await?;
    let output = global.output();
    let path = |name: &str| format!("/properties/{}", segment(name));
    let shown = match command {
        Property::List => {
            let mut list = output.list("NAME                              VALUE")?;
            link.every("/properties", |property| list.item(property, line)).await?;
            return list.end();
        }
        Property::Get { name } => {
            let property = link.call(Method::GET, &path(&name), None).await?;
            return output.value(&property, |property| text(property, "value").to_owned());
        }
        Property::Set { name, value } => {
            let body = json!({ "value": value });
            link.call(Method::PUT, &path(&name), Some(&body)).await?
        }
        Property::Reset { name } => link.call(Method::DELETE, &path(&name), None).await?,
    };
    output.value(&shown, |property| {
        let start = if property["pending"] == true { " (from the next start on)" } else { "" };
        format!("{} = {}{start}", text(property, "name"), text(property, "value"))
    })
}

fn line(property: &Value) -> String {
    let changed = if property["value"] == property["default"] { "" } else { "  (changed)" };
    format!("{:<32}  {}{changed}", text(property, "name"), text(property, "value"))
}
