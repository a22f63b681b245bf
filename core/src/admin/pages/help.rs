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
        &[$(Topic {
            id: $id,
            english: include_str!(concat!("../../../../docs/operators/console/", $id, ".md")),
            others: &[
                ("de", include_str!(concat!("../../../../docs/operators/console/de/", $id, ".md"))),
            ],
        }),+]
    };
}

/// What is explained, in every language.
struct Topic {
    id: &'static str,
    english: &'static str,
    others: &'static [(&'static str, &'static str)],
}

impl Topic {
    fn text(&self, language: &str) -> &'static str {
        let own = self.others.iter().find(|(code, _)| *code == language);
        own.map_or(self.english, |(_, text)| text)
    }
}

const TOPICS: &[Topic] = topics![
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
    TOPICS.iter().any(|known| known.id == topic)
}

fn get(visit: &Visit) -> Result<Response, Refusal> {
    let found = TOPICS.iter().find(|topic| topic.id == visit.param(0));
    let topic = found.ok_or_else(|| Problem::not_found("help page", visit.param(0)))?;
    let page = visit.frame("help").below(topic.id);
    show(Help { content: render(topic.text(page.language())), page })
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
    let (status, problem) = (problem.status(), page.sentence(&problem.to_string()));
    show_as(status, ProblemPage { page, problem })
        .unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
}

#[cfg(test)]
mod tests {
    use super::super::text::Catalogue;
    use super::TOPICS;

    #[test]
    fn every_topic_is_explained_in_every_language() {
        let parts = |text: &str| ["\n\n", "\n- ", "\n|"].map(|part| text.matches(part).count());
        for topic in TOPICS {
            for language in Catalogue::all().iter().filter(|language| language.code != "en") {
                let own = topic.text(language.code);
                assert_ne!(own, topic.english, "{} in {}", topic.id, language.code);
                assert_eq!(parts(own), parts(topic.english), "{} in {}", topic.id, language.code);
            }
        }
    }
}
