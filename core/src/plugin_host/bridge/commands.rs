//! Commands: a name, JSON in, JSON out.

use std::sync::Arc;
use std::time::Duration;

use hearth_plugin_api::{Command, CommandCall, Error, ErrorKind};
use serde::Serialize;
use serde_json::Value;

use super::super::{PluginError, PluginHost};
use super::Handler;
use crate::admin::audit;
use crate::router::Out;
use crate::services::commands::{self, Call, CommandError, Told};

/// Between the id of a plugin and the name of its command; neither can hold it.
const NODE: char = '/';
const LONGEST: Duration = Duration::from_secs(600);

/// The commands of a running plugin.
#[derive(Default)]
pub struct Commands(Vec<(Command, Handler)>);

/// A command as the console and the API show it.
#[derive(Clone, Debug, Serialize)]
pub struct Shown {
    pub name: String,
    pub description: String,
    /// JSON Schema.
    pub arguments: Value,
}

impl Commands {
    pub(super) fn add(&mut self, command: Command, handler: Handler) {
        self.0.push((command, handler));
    }

    fn find(&self, name: &str) -> Option<(Command, Handler)> {
        self.0.iter().find(|(command, _)| command.name == name).cloned()
    }

    fn names(&self) -> String {
        let names: Vec<_> = self.0.iter().map(|(command, _)| command.name.as_str()).collect();
        if names.is_empty() { "none".to_owned() } else { names.join(", ") }
    }
}

impl PluginHost {
    /// What a running plugin can be told to do.
    pub fn commands(&self, id: &str) -> Vec<Shown> {
        let Some(instance) = self.running(id) else { return Vec::new() };
        let shown = |(command, _): &(Command, Handler)| Shown {
            name: command.name.clone(),
            description: command.description.clone(),
            arguments: command.arguments.clone(),
        };
        instance.hooks.commands.0.iter().map(shown).collect()
    }

    /// Runs a command in the name of `actor`.
    pub async fn command(
        &self,
        id: &str,
        name: &str,
        arguments: Value,
        actor: &str,
    ) -> Result<Value, PluginError> {
        self.server()?;
        let Some(instance) = self.running(id) else {
            let state = self.row(id).await?.standing.name();
            return Err(PluginError::NotRunning { id: id.to_owned(), state });
        };
        let commands = &instance.hooks.commands;
        let Some((command, handler)) = commands.find(name) else {
            let (command, known) = (name.to_owned(), commands.names());
            return Err(PluginError::NoCommand { id: id.to_owned(), command, known });
        };
        let arguments =
            if arguments.is_null() { Value::Object(Default::default()) } else { arguments };
        check(&command.arguments, &arguments).map_err(PluginError::Arguments)?;
        let call = CommandCall { v: 1, name: name.to_owned(), arguments, actor: actor.to_owned() };
        let deadline = Duration::from_millis(command.timeout_ms).min(LONGEST);
        let what = format!("command {name}");
        let answer = handler.ask(&what, deadline, (&call, Vec::new())).await;
        let (answer, _) = answer.map_err(|error| failed(id, &error))?;
        if !command.read_only {
            self.note_command(actor, format!("{id} {name}")).await?;
        }
        Ok(answer)
    }

    async fn call_by_client(&self, call: Call) -> Result<Value, CommandError> {
        let Call { node, arguments, actor } = call;
        let (id, name) = node.split_once(NODE).ok_or(CommandError::Unknown)?;
        self.command(id, name, arguments, &actor).await.map_err(|error| match error {
            PluginError::Unknown(_)
            | PluginError::NotRunning { .. }
            | PluginError::NoCommand { .. } => CommandError::Unknown,
            PluginError::Arguments(why) => CommandError::Arguments(why),
            error => CommandError::Failed(error.to_string()),
        })
    }

    async fn note_command(&self, actor: &str, target: String) -> Result<(), PluginError> {
        let (clock, actor) = (self.clock.clone(), actor.to_owned());
        let note = self.db.write(move |tx| {
            Box::pin(
                async move { audit::note(tx, &clock, &actor, "plugin.command", &target).await },
            )
        });
        Ok(note.await?)
    }
}

impl commands::Commands for PluginHost {
    fn list(&self) -> Vec<commands::Command> {
        let mut all = Vec::new();
        for (id, instance) in &*self.running.read() {
            all.extend(instance.hooks.commands.0.iter().map(|(command, _)| commands::Command {
                node: format!("{id}{NODE}{}", command.name),
                title: format!("{id} {}", command.name),
                description: command.description.clone(),
                arguments: command.arguments.clone(),
            }));
        }
        all
    }

    fn run(self: Arc<Self>, call: Call, told: Told) {
        // Without a server there is nobody to be told.
        let Ok(seams) = self.server().cloned() else { return };
        let router = seams.router.clone();
        seams.tracker.spawn("ad-hoc command", async move {
            let mut out = Out::default();
            out.route(told(self.call_by_client(call).await));
            router.perform(&mut out).await;
        });
    }
}

fn failed(id: &str, error: &Error) -> PluginError {
    let (id, why) = (id.to_owned(), error.message.clone());
    match error.kind {
        ErrorKind::Invalid | ErrorKind::NotFound | ErrorKind::Conflict => {
            PluginError::Arguments(why)
        }
        _ => PluginError::Command { id, why },
    }
}

/// `required` and the simple types of a JSON Schema; the rest is the plugin's to check.
fn check(schema: &Value, arguments: &Value) -> Result<(), String> {
    let Some(given) = arguments.as_object() else {
        return Err("the arguments must be a JSON object".to_owned());
    };
    for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if !given.contains_key(name) {
            return Err(format!("the argument `{name}` is missing"));
        }
    }
    let properties = schema["properties"].as_object();
    for (name, value) in given {
        let wanted = properties.and_then(|properties| properties.get(name)?["type"].as_str());
        if let Some(wanted) = wanted.filter(|wanted| !is_type(value, wanted)) {
            return Err(format!("the argument `{name}` must be of type {wanted}"));
        }
    }
    Ok(())
}

fn is_type(value: &Value, wanted: &str) -> bool {
    match wanted {
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn arguments_are_held_to_the_schema() {
        let schema = json!({
            "type": "object",
            "required": ["text"],
            "properties": { "text": { "type": "string" }, "count": { "type": "integer" } },
        });
        assert_eq!(check(&schema, &json!({ "text": "a", "count": 2, "more": null })), Ok(()));
        for bad in
            [json!({}), json!({ "text": 1 }), json!({ "text": "a", "count": 1.5 }), json!([])]
        {
            assert!(check(&schema, &bad).is_err(), "{bad}");
        }
    }
}
