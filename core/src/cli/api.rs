//! `hearth api METHOD PATH`: any call of `/api/v1`.

use clap::Args;
use hyper::Method;
use serde_json::Value;

use super::output::Output;
use super::{CliError, Global};

#[derive(Debug, Args)]
pub struct Call {
    /// GET, POST, PUT or DELETE
    method: String,
    /// The path below /api/v1, with its query: `/users?limit=10`
    path: String,
    /// The body, a JSON text
    #[arg(long, value_name = "JSON")]
    data: Option<String>,
}

pub async fn perform(global: &Global, call: Call) -> Result<(), CliError> {
    let method = call.method.to_ascii_uppercase();
    let method: Method = method.parse().map_err(|_| {
        CliError::usage("not an HTTP method", &call.method, "use GET, POST, PUT or DELETE")
    })?;
    if !call.path.starts_with('/') {
        return Err(CliError::usage("a path begins with a slash", &call.path, "write /users"));
    }
    let path = call.path.strip_prefix("/api/v1").unwrap_or(&call.path);
    let body = call.data.as_deref().map(parse).transpose()?;
    let answer = global.link().await?.call(method, path, body.as_ref()).await?;
    if answer.is_null() {
        return Ok(());
    }
    // People get the same JSON, only laid out.
    Output { json: global.json }.value(&answer, |answer| format!("{answer:#}"))
}

fn parse(data: &str) -> Result<Value, CliError> {
    serde_json::from_str(data).map_err(|error| {
        CliError::usage(format_args!("not JSON: {error}"), "--data", "quote it for the shell")
    })
}
