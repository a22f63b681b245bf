//! A request to the wizard, and the page that answers it.

use askama::Template;
use hyper::Method;
use hyper::header::HeaderMap;

use super::answers::Answers;
use super::step::{Step, Steps};
use super::{administrator, database, join, language, prepare_domain, profile, server};
use crate::admin::pages::{Fields, Form, Frame, Refusal, Text, Visitor, show, show_refused};
use crate::http::Response;

/// What a browser sent.
pub struct Asked {
    pub method: Method,
    pub path: String,
    pub query: Fields,
    pub headers: HeaderMap,
    pub form: Fields,
    pub visitor: Visitor,
}

/// A request with a session, and all it takes to answer with a page.
pub struct Guest<'r> {
    pub asked: &'r Asked,
    pub csrf: String,
}

impl Guest<'_> {
    pub fn frame(&self, step: Option<Step>) -> Frame {
        let id = match step {
            Some(Step::Language) => "setup_language",
            Some(Step::Server) => "setup_server",
            Some(Step::Database) => "setup_database",
            Some(Step::Profile) => "setup_profile",
            Some(Step::Administrator) => "setup_administrator",
            Some(Step::Join) => "setup_join",
            None => "setup_done",
        };
        let mut frame = Frame::new(id, &self.asked.visitor, None, &self.asked.path);
        frame.csrf = self.csrf.clone();
        frame
    }
}

/// The page of a step; a form that was refused says so by its status.
pub fn show_page(
    guest: &Guest<'_>,
    answers: &Answers,
    step: Step,
    form: Form,
    tested: Option<Text>,
) -> Result<Response, Refusal> {
    let page = guest.frame(Some(step));
    let steps = Steps::at(answers, Some(step), &page);
    let is_refused = form.is_refused();
    let domain = domain(answers);
    match step {
        Step::Language => shown(is_refused, language::Page { page, form, steps }),
        Step::Server => shown(is_refused, server::Page { page, form, steps }),
        Step::Database => {
            let has_password =
                answers.typed(step).is_some_and(|typed| typed.find("password").is_some());
            shown(is_refused, database::Page { page, form, steps, tested, has_password })
        }
        Step::Profile => shown(is_refused, profile::Page { page, form, steps }),
        Step::Administrator => shown(is_refused, administrator::Page { page, form, steps, domain }),
        Step::Join => {
            let theirs = answers.found().unwrap_or_default().to_owned();
            let typed = Some(domain).filter(|typed| *typed != theirs);
            shown(is_refused, join::Page { page, form, steps, domain: theirs, typed })
        }
    }
}

fn shown(is_refused: bool, page: impl Template) -> Result<Response, Refusal> {
    if is_refused { show_refused(page) } else { show(page) }
}

/// The domain that was typed, as it is kept.
pub fn domain(answers: &Answers) -> String {
    let typed = answers.typed(Step::Server).unwrap_or_default();
    let domain = typed.get("domain").trim();
    prepare_domain(domain).unwrap_or_else(|_| domain.to_owned())
}

/// What stands beside a field while one types.
pub fn state(kind: &str, text: &Text) -> Result<Response, Refusal> {
    #[derive(Template)]
    #[template(source = r#"<span class="state {{ kind }}">{{ text }}</span>"#, ext = "html")]
    struct State<'t> {
        kind: &'t str,
        text: &'t Text,
    }
    show(State { kind, text })
}
