//! The same as the page, for the command line and the API.

use std::sync::Arc;

use hearth_plugin_api::{Command, CommandCall, Error, Registrar, Result, json, xml};

use crate::Broadcast;
use crate::audience::Audience;
use crate::store::{self, Draft, Sending};

pub fn register(registrar: &Registrar<'_>, broadcast: &Arc<Broadcast>) -> Result<()> {
    let text = json::json!({ "type": "string" });
    let lines = json::json!({ "type": "string", "contentMediaType": "text/plain" });
    let id = json::json!({ "id": { "type": "integer" } });
    let one = json::json!({ "type": "object", "properties": id, "required": ["id"] });
    let draft = json::json!({ "to": text, "body": lines, "subject": text, "type": text });
    let draft = json::json!({ "type": "object", "properties": draft, "required": ["to", "body"] });
    let send = "Sends a message: `to` is all, online or group:<name>, `type` normal or headline.";
    registrar.command(Command::new("send", send).arguments(draft), broadcast, Broadcast::run)?;
    let status = Command::new("status", "Says how far a broadcast has come.").read_only();
    registrar.command(status.arguments(one.clone()), broadcast, Broadcast::status)?;
    let list = Command::new("list", "Lists the newest broadcasts.").read_only();
    registrar.command(list, broadcast, Broadcast::list)?;
    let stop = Command::new("stop", "Ends a broadcast before its time.");
    registrar.command(stop.arguments(one), broadcast, Broadcast::stop_one)
}

impl Broadcast {
    async fn run(self: Arc<Self>, call: CommandCall) -> Result<json::Value> {
        let draft = Draft {
            actor: call.actor.clone(),
            audience: Audience::parse(call.text("to")?)?,
            headline: is_headline(call.arguments["type"].as_str().unwrap_or("normal"))?,
            subject: call.arguments["subject"].as_str().unwrap_or_default().to_owned(),
            body: call.text("body")?.to_owned(),
        };
        let (id, recipients) = self.begin(&draft).await?;
        Ok(json::json!({ "id": id, "recipients": recipients }))
    }

    async fn status(self: Arc<Self>, call: CommandCall) -> Result<json::Value> {
        let found = store::find(&self.host, id(&call)).await?;
        found.map(to_json).ok_or_else(|| Error::not_found("there is no such broadcast"))
    }

    async fn list(self: Arc<Self>, _: CommandCall) -> Result<json::Value> {
        Ok(store::before(&self.host, i64::MAX, 100).await?.into_iter().map(to_json).collect())
    }

    async fn stop_one(self: Arc<Self>, call: CommandCall) -> Result<json::Value> {
        store::stop(&self.host, id(&call)).await?;
        Ok(json::json!({}))
    }
}

/// `Invalid` for anything but the two.
pub fn is_headline(type_: &str) -> Result<bool> {
    match type_ {
        "headline" => Ok(true),
        "normal" => Ok(false),
        _ => Err(Error::invalid(format!("`{type_}` is none of normal, headline"))),
    }
}

fn id(call: &CommandCall) -> i64 {
    call.arguments["id"].as_i64().unwrap_or_default()
}

fn to_json(sending: Sending) -> json::Value {
    json::json!({
        "id": sending.id,
        "created": xml::timestamp(sending.created_ms),
        "actor": sending.draft.actor,
        "to": sending.draft.audience.to_string(),
        "subject": sending.draft.subject,
        "state": sending.state,
        "reason": sending.reason,
        "recipients": sending.total,
        "sent": sending.sent,
        "failed": sending.failed,
    })
}
