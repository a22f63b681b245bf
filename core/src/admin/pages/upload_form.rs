//! The upload of a plugin by the console: a form whose file is streamed, so that it has a mount of
//! its own beside the pages'.

use std::sync::Arc;

use hyper::header::HeaderMap;
use warp::Filter;
use warp::multipart::FormData;

use super::interrupted::{self, Typed};
use super::{Console, Refusal, Visit, Visitor, origin, plugins, serve};
use crate::admin::api::{self, Problem};
use crate::http::{Peer, Response, Routes};

const PATH: &str = "/plugins/upload";
/// The page with the form: who must sign in or choose a language first comes back to it.
const FORM: &str = "/plugins/install";

pub fn mount(mounts: &Routes, console: Arc<Console>) {
    let filter = warp::post()
        .and(warp::path!("plugins" / "upload"))
        .and(warp::header::headers_cloned())
        .and(warp::ext::get::<Peer>())
        .and(warp::multipart::form().max_length(None))
        .then(move |headers: HeaderMap, peer, form| {
            let console = console.clone();
            async move {
                let visitor = Visitor::of(&headers, peer);
                let uploaded = upload(console.clone(), &visitor, &headers, form).await;
                serve::finish(&console, &visitor, FORM, uploaded)
            }
        });
    mounts.mount(PATH, api::UPLOAD, filter.boxed());
}

async fn upload(
    console: Arc<Console>,
    visitor: &Visitor,
    headers: &HeaderMap,
    form: FormData,
) -> Result<Response, Refusal> {
    let session = console.session(headers, visitor.peer).await?;
    let visit = Visit::bare(console.clone(), visitor.clone(), session.clone(), FORM);
    if let Err(refusal) = visit.confirmed() {
        return interrupted::ask(visit, refusal, Typed::lost(FORM));
    }
    let session = session.ok_or(Refusal::SignIn)?;
    if !origin::is_ours(headers) {
        return Err(Problem::Invalid(visit.t("problem.foreign_form").into()).into());
    }
    let actor = console.actor(&session.who.name);
    let is_ours = move |token: &str| session.accepts(token);
    match api::install_upload(&console.api, actor, form, Some(&is_ours)).await {
        Ok(plugin) => {
            let said = visit.t("plugins.installed").with("name", &plugin.manifest.name);
            visit.done(&format!("/plugins/{}", plugin.manifest.id), said)
        }
        Err(problem) => plugins::refused(&visit, &visitor.reword(problem)),
    }
}
