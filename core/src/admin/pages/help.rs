//! The help of each page, which is served by the console itself, and the page that says what went
//! wrong.

use askama::Template;
use hyper::{Method, StatusCode};
use pulldown_cmark::{Event, Options, Parser, html};
use warp::Reply;

use super::visit::{show, show_as};
use super::{Frame, Refusal, Route, Visit};
use crate::admin::api::Problem;
use crate::http::Response;

pub const ROUTES: &[Route] =
    &[Route::new(Method::GET, "/help/{topic}", |visit| Box::pin(async move { get(&visit) }))];

macro_rules! topics {
    ($($id:literal),+ $(,)?) => {
        &[$(($id, include_str!(concat!("../../../../docs/operators/console/", $id, ".md")))),+]
    };
}

const TOPICS: &[(&str, &str)] = topics![
    "archive",
    "audit",
    "certificates",
    "client_connections",
    "dashboard",
    "database",
    "groups",
    "information",
    "introduction",
    "logs",
    "offline",
    "plugin_page",
    "plugins",
    "properties",
    "registration",
    "resource_policy",
    "sessions",
    "tokens",
    "users",
];

#[derive(Template)]
#[template(path = "help.html")]
struct Help {
    page: Frame,
    content: String,
}

#[derive(Template)]
#[template(path = "problem.html")]
struct ProblemPage {
    page: Frame,
    problem: String,
}

pub fn has(topic: &str) -> bool {
    TOPICS.iter().any(|(id, _)| *id == topic)
}

fn get(visit: &Visit) -> Result<Response, Refusal> {
    let found = TOPICS.iter().find(|(id, _)| *id == visit.param(0));
    let (id, text) = found.ok_or_else(|| Problem::not_found("help page", visit.param(0)))?;
    show(Help { page: visit.frame("help").below(id), content: render(text) })
}

/// Our own Markdown as HTML. Tags in it are shown as text.
pub(super) fn render(markdown: &str) -> String {
    let events = Parser::new_ext(markdown, Options::ENABLE_TABLES);
    let events = events.map(|event| match event {
        Event::Html(tag) | Event::InlineHtml(tag) => Event::Text(tag),
        other => other,
    });
    let mut content = String::new();
    html::push_html(&mut content, events);
    content
}

/// A page that says why there is no other.
pub fn problem_page(page: Frame, problem: Problem) -> Response {
    let (status, problem) = (problem.status(), page.said(&problem.to_string()));
    show_as(status, ProblemPage { page, problem })
        .unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
}
