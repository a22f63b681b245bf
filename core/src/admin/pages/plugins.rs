//! The plugins of this node: listed, shown, installed, switched on and off, deleted.

use askama::Template;
use hyper::Method;
use serde::Deserialize;

use super::form::Form;
use super::list::{self, List};
use super::visit::{show, show_refused};
use super::{Frame, Refusal, Route, Visit};
use crate::admin::api::Problem;
use crate::http::Response;

pub(super) const PATH: &str = "/plugins";

pub const ROUTES: &[Route] = &[
    Route::new(Method::GET, PATH, |visit| Box::pin(list(visit))),
    Route::new(Method::GET, "/plugins/install", |visit| Box::pin(new(visit))),
    Route::new(Method::GET, "/plugins/{id}", |visit| Box::pin(one(visit))),
    Route::new(Method::POST, "/plugins/{id}/do/reload", |visit| Box::pin(act(visit, "reload"))),
    Route::new(Method::POST, "/plugins/{id}/do/enable", |visit| Box::pin(act(visit, "enable"))),
    Route::new(Method::POST, "/plugins/{id}/do/disable", |visit| Box::pin(act(visit, "disable"))),
    Route::new(Method::POST, "/plugins/{id}/do/remove", |visit| Box::pin(remove(visit, "keep"))),
    Route::new(Method::POST, "/plugins/{id}/do/drop", |visit| Box::pin(remove(visit, "drop"))),
];

#[derive(Deserialize)]
pub struct Plugin {
    pub id: String,
    pub name: String,
    version: String,
    author: String,
    description: String,
    api_level: u32,
    capabilities: Vec<String>,
    licence: String,
    readme: String,
    changelog: String,
    sha256: String,
    signature: String,
    state: String,
    pub faults: u64,
    pub report: Option<String>,
    since: String,
    installed_by: String,
}

impl Plugin {
    pub fn runs(&self) -> bool {
        self.state == "running"
    }

    /// The server ended while it started this plugin, and may do so again.
    fn is_quarantined(&self) -> bool {
        self.state == "quarantined"
    }

    /// How its state looks.
    fn look(&self) -> &'static str {
        match &*self.state {
            "running" => "good",
            "faulty" | "quarantined" => "bad",
            _ => "",
        }
    }
}

#[derive(Template)]
#[template(path = "plugins.html")]
struct Plugins {
    page: Frame,
    list: List<Plugin>,
}

#[derive(Template)]
#[template(path = "plugin.html")]
struct One {
    page: Frame,
    plugin: Plugin,
    /// Path and title of its pages.
    pages: Vec<(String, String)>,
    readme: String,
    changelog: String,
}

#[derive(Template)]
#[template(path = "plugin_install.html")]
struct Install {
    page: Frame,
    form: Form,
}

async fn list(visit: Visit) -> Result<Response, Refusal> {
    if list::wants_csv(&visit) {
        return list::csv(&visit, &["plugins"], &[]).await;
    }
    let list = List::read(&visit, &["plugins"], &[]).await?;
    show(Plugins { page: visit.frame("plugins"), list })
}

async fn one(visit: Visit) -> Result<Response, Refusal> {
    let plugin: Plugin = visit.read(&["plugins", visit.param(0)], &[]).await?;
    let [readme, changelog] =
        [&plugin.readme, &plugin.changelog].map(|text| super::help::render(text));
    let entries = visit.console.api.plugins.console_entries(visit.visitor.language.code);
    let own = entries.into_iter().filter(|e| e.plugin == plugin.id && e.tab.is_some() && !e.hidden);
    let pages = own.map(|e| (format!("{PATH}/{}/{}", e.plugin, e.slug), e.title)).collect();
    let page = visit.frame("plugin").below("plugins");
    show(One { page, plugin, pages, readme, changelog })
}

fn install_page(visit: &Visit, form: Form) -> Install {
    Install { page: visit.frame("plugin_install").below("plugins"), form }
}

/// A plugin is code that the server runs: the password is asked for before the form is shown.
async fn new(visit: Visit) -> Result<Response, Refusal> {
    visit.confirmed()?;
    show(install_page(&visit, Form::default()))
}

/// Why an upload was refused, on the page that sent it.
pub(super) fn refused(visit: &Visit, problem: &Problem) -> Result<Response, Refusal> {
    show_refused(install_page(visit, Form::default().refuse_by(problem)))
}

async fn act(visit: Visit, act: &'static str) -> Result<Response, Refusal> {
    let id = visit.param(0);
    let plugin: Plugin = visit.change(Method::POST, &["plugins", id, act], ()).await?;
    let said = match act {
        "reload" => visit.t("plugins.done_reload"),
        "enable" => visit.t("plugins.done_enable"),
        _ => visit.t("plugins.done_disable"),
    };
    visit.done(&format!("{PATH}/{id}"), said.with("name", plugin.name))
}

async fn remove(visit: Visit, data: &'static str) -> Result<Response, Refusal> {
    let id = visit.param(0);
    let query = [("data", data)];
    match visit.change_asking(Method::DELETE, &["plugins", id], &query).await {
        Ok(()) | Err(Problem::NotFound(_)) => visit.done(PATH, visit.t("plugins.removed")),
        Err(problem) => Err(problem.into()),
    }
}
