//! What Hearth Enterprise is, with the upload box, until a plugin brings the tab of that name.

use askama::Template;
use hyper::Method;

use super::form::Form;
use super::frame::{Item, Tab};
use super::plugins::Plugin;
use super::visit::{redirect, show};
use super::{Frame, Refusal, Route, Visit};
use crate::http::Response;

/// The tab, until a plugin brings one of this name.
pub const TAB: Tab =
    Tab { id: "enterprise", items: &[Item { id: "introduction", path: "/enterprise" }] };

pub const ROUTES: &[Route] =
    &[Route::new(Method::GET, "/enterprise", |visit| Box::pin(introduce(visit)))];

#[derive(Template)]
#[template(path = "introduction.html")]
struct Introduction {
    page: Frame,
    form: Form,
    /// The password was given lately, as an upload demands.
    is_confirmed: bool,
    /// The plugin is there, but does not run.
    idle: Option<Plugin>,
}

async fn introduce(visit: Visit) -> Result<Response, Refusal> {
    let page = visit.frame("introduction");
    if let Some(tab) = page.brought(TAB.id) {
        return redirect(&tab.path);
    }
    let idle = visit.read(&["plugins", TAB.id], &[]).await.ok();
    let is_confirmed = visit.confirmed().is_ok();
    show(Introduction { page, form: Form::default(), is_confirmed, idle })
}
