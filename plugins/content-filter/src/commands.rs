//! The same as the page, for the command line and the API.

use std::sync::Arc;

use hearth_plugin_api::{Command, CommandCall, Registrar, Result, json};

use crate::pattern::{Direction, Part, Pattern};
use crate::rules::{Rules, Sample, Text};
use crate::{Filter, store};

pub fn register(registrar: &Registrar<'_>, filter: &Arc<Filter>) -> Result<()> {
    let object = |properties: json::Value, required: &[&str]| json::json!({ "type": "object", "properties": properties, "required": required });
    let text = json::json!({ "type": "string" });
    let flag = json::json!({ "type": "boolean" });
    let pattern = json::json!({
        "text": text, "regex": flag, "action": text, "notify": flag, "reply": text,
        "part": text, "direction": text, "excluded": text, "disabled": flag,
    });
    let list = Command::new("list", "Lists the patterns and how often each has matched.");
    registrar.command(list.read_only(), filter, Filter::list)?;
    let add = Command::new("add", "Adds a pattern: action is reject, mask or count.");
    registrar.command(add.arguments(object(pattern, &["text"])), filter, Filter::add)?;
    let remove = Command::new("remove", "Removes a pattern by its id.");
    let id = json::json!({ "id": { "type": "integer" } });
    registrar.command(remove.arguments(object(id, &["id"])), filter, Filter::remove)?;
    let test = Command::new("test", "Says what would happen to a text.").read_only();
    let sample = json::json!({ "text": text, "part": text, "direction": text, "sender": text });
    registrar.command(test.arguments(object(sample, &["text"])), filter, Filter::test)
}

impl Filter {
    async fn list(self: Arc<Self>, _: CommandCall) -> Result<json::Value> {
        self.keep_counts().await?;
        let with_figures = |kept: store::Kept| {
            let mut json = kept.pattern.to_json();
            json["hits"] = kept.hits.into();
            json["last_ms"] = kept.last_ms.into();
            json
        };
        Ok(store::all(&self.host).await?.into_iter().map(with_figures).collect())
    }

    async fn add(self: Arc<Self>, call: CommandCall) -> Result<json::Value> {
        let field = |name: &str| match &call.arguments[name] {
            json::Value::String(text) => Some(text.clone()),
            json::Value::Bool(flag) => Some(flag.to_string()),
            _ => None,
        };
        let id = self.save(Pattern::from_fields(field)?).await?;
        Ok(json::json!({ "id": id }))
    }

    async fn remove(self: Arc<Self>, call: CommandCall) -> Result<json::Value> {
        store::delete(&self.host, call.arguments["id"].as_i64().unwrap_or_default()).await?;
        self.compile().await?;
        Ok(json::json!({}))
    }

    async fn test(self: Arc<Self>, call: CommandCall) -> Result<json::Value> {
        let word = |name: &str, default| call.arguments[name].as_str().unwrap_or(default);
        let part = Part::from_word(word("part", "body"))?;
        let direction = Direction::from_word(word("direction", "sent"))?;
        let texts = [Text { part, text: call.text("text")?.to_owned() }];
        let rules = self.rules();
        let judgement = rules.judge(Sample { sender: word("sender", ""), direction }, &texts);
        Ok(json::json!({
            "matched": judgement.matched.iter().map(|pattern| pattern.id).collect::<Vec<_>>(),
            "refused": judgement.refused_by.map(|pattern| &pattern.reply),
            "masked": judgement.masked.as_ref().map(|texts| &texts[0].text),
        }))
    }

    /// Keeps a pattern if all compile together.
    pub async fn save(&self, pattern: Pattern) -> Result<i64> {
        let mut all: Vec<Pattern> =
            store::all(&self.host).await?.into_iter().map(|kept| kept.pattern).collect();
        all.retain(|other| other.id != pattern.id);
        all.push(pattern.clone());
        Rules::compile(all)?;
        let id = store::save(&self.host, &pattern).await?;
        self.compile().await?;
        Ok(id)
    }
}
