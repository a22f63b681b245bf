//! `/properties`: live settings, kept in the database.

use hyper::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answer, Call, Page, Problem, Route};
use crate::properties::{Entry, PropertyError, Scope};

pub const ROUTES: &[Route] = &[
    Route::list("/properties", COLUMNS, |call| Box::pin(list(call))),
    Route::new(Method::GET, "/properties/{name}", |call| Box::pin(get(call))),
    Route::new(Method::PUT, "/properties/{name}", |call| Box::pin(set(call))),
    Route::new(Method::DELETE, "/properties/{name}", |call| Box::pin(reset(call))),
];

const COLUMNS: &[&str] = &["name", "value", "default", "takes", "doc", "scope", "live", "pending"];

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
            PropertyError::Invalid { .. } => Problem::Invalid(error.to_string()),
            PropertyError::Storage(error) => error.into(),
        }
    }
}

fn shown(entry: &Entry) -> Value {
    json!({
        "name": entry.name,
        "value": entry.value,
        "default": entry.default,
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

async fn list(call: Call) -> Result<Answer, Problem> {
    let page = call.page()?;
    let Page { after, limit } = &page;
    let after = after.as_deref().unwrap_or_default();
    let entries = call.api.properties.entries().into_iter().filter(|entry| entry.name > after);
    let items: Vec<_> = entries.take(limit + 1).collect();
    let next = (items.len() > *limit).then(|| items[limit - 1].name);
    let items: Vec<_> = items.iter().take(*limit).map(shown).collect();
    Answer::ok(json!({ "items": items, "next": next }))
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
