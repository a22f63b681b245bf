//! `/properties`: live settings, kept in the database.

use hyper::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answer, Call, Problem, Route};
use crate::admin::pages::Catalogue;
use crate::properties::{Change, Entry, Kind, PropertyError, Scope};

pub const ROUTES: &[Route] = &[
    Route::list("/properties", COLUMNS, |call| Box::pin(list(call))),
    Route::new(Method::GET, "/properties/{name}", |call| Box::pin(get(call))),
    Route::new(Method::PUT, "/properties/{name}", |call| Box::pin(set(call))),
    Route::new(Method::DELETE, "/properties/{name}", |call| Box::pin(reset(call))),
    Route::list("/properties/{name}/history", CHANGES, |call| Box::pin(history(call))),
];

const COLUMNS: &[&str] =
    &["name", "group", "value", "default", "takes", "doc", "scope", "live", "pending"];
const CHANGES: &[&str] = &["id", "at", "actor", "node", "from", "to"];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct New {
    /// Numbers and booleans may come as such.
    value: Value,
}

impl From<PropertyError> for Problem {
    fn from(error: PropertyError) -> Problem {
        match error {
            PropertyError::Unknown { .. } => Problem::NotFound(error.to_string()),
            PropertyError::Invalid { .. } => Problem::Invalid(error.to_string()).at("value"),
            PropertyError::Storage(error) => error.into(),
        }
    }
}

fn shown(entry: &Entry) -> Value {
    json!({
        "name": entry.name,
        "group": entry.group(),
        "value": entry.value,
        "default": entry.default,
        "changed": entry.is_changed(),
        "kind": kind(entry.kind),
        "choices": match entry.kind {
            Kind::Choice(words) => words,
            _ => &[],
        },
        "takes": entry.range,
        "doc": entry.doc,
        "scope": match entry.scope {
            Scope::Global => "global",
            Scope::Host => "host",
            Scope::Node => "node",
        },
        "live": entry.live,
        "pending": entry.pending,
    })
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Switch => "switch",
        Kind::Choice(_) => "choice",
        Kind::Number => "number",
        Kind::Duration => "duration",
        Kind::Text => "text",
        Kind::Words => "words",
    }
}

/// What `?search=`, `?group=` and `?changed=` ask for.
struct Filter {
    /// In lower case.
    search: String,
    group: Option<String>,
    changed: Option<bool>,
}

impl Filter {
    fn of(call: &Call) -> Result<Filter, Problem> {
        Ok(Filter {
            search: call.text("search").unwrap_or_default().to_lowercase(),
            group: call.text("group").map(str::to_owned),
            changed: call.flag("changed")?,
        })
    }

    fn admits(&self, entry: &Entry) -> bool {
        let holds = |text: &str| text.to_lowercase().contains(&self.search);
        // Whoever reads the meanings in his language searches them in it.
        let means = || Catalogue::all().iter().any(|language| holds(&language.said(entry.doc)));
        (holds(entry.name) || holds(&entry.value) || means())
            && self.group.as_deref().is_none_or(|group| entry.group() == group)
            && self.changed.is_none_or(|changed| entry.is_changed() == changed)
    }
}

async fn list(call: Call) -> Result<Answer, Problem> {
    let (page, filter) = (call.page()?, Filter::of(&call)?);
    let after = page.after.as_deref().unwrap_or_default();
    let mut entries = call.api.properties.entries();
    entries.retain(|entry| entry.name > after && filter.admits(entry));
    entries.truncate(page.limit + 1);
    let items = entries.iter().map(shown).collect();
    Answer::page(&page, items, |item| item["name"].as_str().unwrap_or_default().to_owned())
}

async fn get(call: Call) -> Result<Answer, Problem> {
    Answer::ok(shown(&call.api.properties.entry(call.param(0))?))
}

async fn set(call: Call) -> Result<Answer, Problem> {
    let value = match call.json::<New>()?.value {
        Value::String(text) => text,
        value @ (Value::Bool(_) | Value::Number(_)) => value.to_string(),
        _ => return Err(Problem::invalid("a value is a text, a number, true or false")),
    };
    call.api.properties.set(call.param(0), &value, &call.actor).await?;
    call.note("property.set", call.param(0)).await?;
    get(call).await
}

async fn reset(call: Call) -> Result<Answer, Problem> {
    call.api.properties.reset(call.param(0), &call.actor).await?;
    call.note("property.reset", call.param(0)).await?;
    get(call).await
}

/// Who changed the property when, from what to what: the newest first. `null` is the default.
async fn history(call: Call) -> Result<Answer, Problem> {
    let page = call.page()?;
    let before = match page.after.as_deref() {
        None => i64::MAX,
        Some(id) => id.parse().map_err(|_| Problem::invalid("after is the id of a change"))?,
    };
    let name = call.param(0);
    let scope = call.api.properties.entry(name)?.scope;
    let changes = call.api.properties.history(name, before, page.limit as u32 + 1).await?;
    let items = changes.iter().map(|change| shown_change(change, scope)).collect();
    Answer::page(&page, items, |item| item["id"].to_string())
}

fn shown_change(change: &Change, scope: Scope) -> Value {
    json!({
        "id": change.id,
        "at": change.changed.to_string(),
        "actor": change.actor,
        "node": (scope == Scope::Node).then_some(change.target),
        "from": change.old,
        "to": change.new,
    })
}
