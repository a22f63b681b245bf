//! `/plugins`: what is installed on this node, and which keys sign for it. Uploads are in
//! [`super::upload`].

use hyper::Method;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Answer, Call, Problem, Route};
use crate::plugin_host::signature::PublicKey;
use crate::plugin_host::{Data, PluginError};

pub const ROUTES: &[Route] = &[
    Route::list("/plugins", COLUMNS, |call| Box::pin(list(call))),
    Route::new(Method::POST, "/plugins", |call| Box::pin(not_multipart(call))),
    Route::new(Method::GET, "/plugins/{id}", |call| Box::pin(get(call))),
    Route::new(Method::DELETE, "/plugins/{id}", |call| Box::pin(remove(call))),
    Route::new(Method::POST, "/plugins/{id}/reload", |call| Box::pin(reload(call))),
    Route::new(Method::POST, "/plugins/{id}/enable", |call| Box::pin(enable(call))),
    Route::new(Method::POST, "/plugins/{id}/disable", |call| Box::pin(disable(call))),
    Route::new(Method::POST, "/plugins/{id}/commands/{name}", |call| Box::pin(command(call))),
    Route::new(Method::GET, "/plugin-keys", |call| Box::pin(keys(call))),
    Route::new(Method::POST, "/plugin-keys", |call| Box::pin(trust(call))),
    Route::new(Method::DELETE, "/plugin-keys/{name}", |call| Box::pin(distrust(call))),
];

const COLUMNS: &[&str] = &[
    "id",
    "name",
    "version",
    "author",
    "description",
    "licence",
    "state",
    "faults",
    "report",
    "signature",
    "sha256",
    "since",
    "installed_by",
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewKey {
    name: String,
    /// 32 octets in base64.
    key: String,
}

#[derive(Serialize)]
struct Key {
    name: String,
    key: String,
    added: String,
    added_by: String,
}

impl From<PluginError> for Problem {
    fn from(error: PluginError) -> Problem {
        let told = error.to_string();
        match error {
            PluginError::TooLarge { .. } => Problem::TooLarge(told),
            PluginError::Unknown(_)
            | PluginError::UnknownKey(_)
            | PluginError::NoCommand { .. }
            | PluginError::NoPage { .. } => Problem::NotFound(told),
            PluginError::Unsigned { .. }
            | PluginError::SignatureRequired
            | PluginError::NotRunning { .. }
            | PluginError::Start { .. }
            | PluginError::KeyTaken(_) => Problem::Conflict(told),
            PluginError::Empty
            | PluginError::Load(_)
            | PluginError::Arguments(_)
            | PluginError::Signature(_)
            | PluginError::Probe(_)
            | PluginError::Manifest(_)
            | PluginError::KeyName => Problem::Invalid(told),
            PluginError::Command { .. }
            | PluginError::Page { .. }
            | PluginError::NoServer
            | PluginError::DiskFull
            | PluginError::Disk(_) => Problem::Unavailable(told),
            PluginError::Storage(error) => error.into(),
            PluginError::Bug => Problem::Internal,
        }
    }
}

async fn list(call: Call) -> Result<Answer, Problem> {
    let plugins = call.api.plugins.list().await?;
    let page = call.page()?;
    let after = page.after.clone().unwrap_or_default();
    let rest = plugins.into_iter().filter(|plugin| plugin.manifest.id > after).collect();
    Answer::page(&page, rest, |plugin| plugin.manifest.id.clone())
}

/// The upload has a listener of its own, which is asked when the body is a form.
async fn not_multipart(_: Call) -> Result<Answer, Problem> {
    Err(Problem::invalid("send the plugin as multipart/form-data, in a part named `file`"))
}

async fn get(call: Call) -> Result<Answer, Problem> {
    Answer::ok(call.api.plugins.get(call.param(0)).await?)
}

async fn remove(call: Call) -> Result<Answer, Problem> {
    let data = match call.query.iter().find(|(name, _)| name == "data").map(|(_, v)| v.as_str()) {
        None | Some("keep") => Data::Keep,
        Some("drop") => Data::Drop,
        Some(_) => return Err(Problem::invalid("data is `keep` or `drop`")),
    };
    call.api.plugins.remove(call.param(0), data, &call.actor).await?;
    Answer::done()
}

async fn reload(call: Call) -> Result<Answer, Problem> {
    call.api.plugins.reload(call.param(0), &call.actor).await?;
    get(call).await
}

async fn enable(call: Call) -> Result<Answer, Problem> {
    call.api.plugins.enable(call.param(0), &call.actor).await?;
    get(call).await
}

async fn disable(call: Call) -> Result<Answer, Problem> {
    call.api.plugins.disable(call.param(0), &call.actor).await?;
    get(call).await
}

async fn command(call: Call) -> Result<Answer, Problem> {
    let input: Value = match call.body.is_empty() {
        true => Value::Null,
        false => call.json()?,
    };
    let (id, name) = (call.param(0), call.param(1));
    Answer::ok(call.api.plugins.command(id, name, input, &call.actor).await?)
}

async fn keys(call: Call) -> Result<Answer, Problem> {
    let keys = call.api.plugins.keys().await?;
    let shown = keys.into_iter().map(|row| Key {
        name: row.name,
        key: row.key.to_string(),
        added: row.added.to_string(),
        added_by: row.added_by,
    });
    let page = call.page()?;
    let after = page.after.clone().unwrap_or_default();
    let rest = shown.filter(|key| key.name > after).collect();
    Answer::page(&page, rest, |key| key.name.clone())
}

async fn trust(call: Call) -> Result<Answer, Problem> {
    let NewKey { name, key } = call.json()?;
    let key = PublicKey::parse(&key).map_err(PluginError::from)?;
    call.api.plugins.trust(&name, key, &call.actor).await?;
    Answer::done()
}

async fn distrust(call: Call) -> Result<Answer, Problem> {
    call.api.plugins.distrust(call.param(0), &call.actor).await?;
    Answer::done()
}
