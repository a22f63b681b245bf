//! `POST /plugins`: a form whose part `file` is the plugin; `accept_unsigned=true` accepts one that
//! nobody trusted has signed. It is streamed to the disk, whatever its size.

use std::time::Duration;

use bytes::{Buf, Bytes};
use futures_util::{StreamExt, TryStreamExt};
use hyper::HeaderMap;
use warp::multipart::{FormData, Part};

use super::{Api, Problem};
use crate::http::Allowance;
use crate::plugin_host::{Consent, Incoming, MAX_UPLOAD, PluginError, Shown};

/// A slow line may need a while for a large file.
pub const ALLOWANCE: Allowance =
    Allowance { body: MAX_UPLOAD as usize + 65536, time: Duration::from_secs(1800) };

/// Octets of a part that is no file.
const FIELD: usize = 128;

/// Whether a form's token is that of the session which sends it.
pub type IsOurs = dyn Fn(&str) -> bool + Send + Sync;

/// Whether the body is a form.
pub(super) fn is_form(headers: &HeaderMap) -> bool {
    let kind = headers.get("content-type").and_then(|kind| kind.to_str().ok());
    kind.is_some_and(|kind| kind.starts_with("multipart/form-data"))
}

/// Installs what the form holds, in the name of `actor`.
/// A browser's form must begin with a token that `is_ours` accepts; who shows a bearer token needs
/// none.
pub async fn install(
    api: &Api,
    actor: String,
    mut form: FormData,
    is_ours: Option<&IsOurs>,
) -> Result<Shown, Problem> {
    let mut staged = None;
    let mut trusted = is_ours.is_none();
    let mut accept_unsigned = false;
    while let Some(part) = form.next().await {
        let part = part.map_err(|error| broken(&error))?;
        match part.name() {
            "csrf" => {
                let token = field(part).await?;
                trusted |= is_ours.is_some_and(|is_ours| is_ours(&String::from_utf8_lossy(&token)));
            }
            _ if !trusted => return Err(Problem::invalid("this form is not one of ours")),
            "file" => staged = Some(receive(api, part).await?),
            "accept_unsigned" => accept_unsigned = matches!(&*field(part).await?, b"true" | b"on"),
            other => {
                let known = "a form has the parts `file` and `accept_unsigned`";
                return Err(Problem::Invalid(format!("{known}, not `{other}`")));
            }
        }
    }
    let missing = || Problem::invalid("the form has no part named `file`").at("file");
    let consent = Consent { actor, accept_unsigned };
    api.plugins.install(staged.ok_or_else(missing)?, consent).await.map_err(told)
}

/// Why a file is not taken, at the part of the form that can be changed. What ails the machine is about
/// none.
fn told(error: PluginError) -> Problem {
    let part = match &error {
        PluginError::Unsigned { .. } => "accept_unsigned",
        _ => "file",
    };
    match Problem::from(error) {
        whole @ (Problem::Unavailable(_) | Problem::Internal) => whole,
        problem => problem.at(part),
    }
}

/// Streams one part to the disk. What it calls itself does not matter.
async fn receive(api: &Api, part: Part) -> Result<crate::plugin_host::Staged, Problem> {
    let mut incoming: Incoming = api.plugins.receive().await.map_err(told)?;
    let mut pieces = std::pin::pin!(part.stream());
    let mut refused = None;
    while let Some(piece) = pieces.try_next().await.map_err(|error| broken(&error))? {
        // Most clients send all of it before they read why it is refused.
        if refused.is_none() {
            refused = incoming.write(piece.chunk()).await.err();
        }
    }
    if let Some(refused) = refused {
        return Err(told(refused));
    }
    incoming.finish().await.map_err(told)
}

async fn field(part: Part) -> Result<Bytes, Problem> {
    let mut value = Vec::new();
    let mut pieces = std::pin::pin!(part.stream());
    while let Some(piece) = pieces.try_next().await.map_err(|error| broken(&error))? {
        value.extend_from_slice(piece.chunk());
        if value.len() > FIELD {
            return Err(Problem::invalid("a part of the form is too long"));
        }
    }
    Ok(value.into())
}

fn broken(error: &warp::Error) -> Problem {
    Problem::Invalid(format!("the upload broke off: {error}"))
}
