//! One request to a page: who asks for what, and how the page reaches the API.

use std::sync::Arc;

use askama::Template;
use bytes::Bytes;
use hyper::header::{HeaderName, HeaderValue, LOCATION};
use hyper::{Method, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use warp::Reply;

use super::form::{Fields, Form};
use super::frame::Frame;
use super::interrupted::Typed;
use super::text::Text;
use super::{Console, Visitor};
use crate::admin::api::{Answer, Asked, Problem};
use crate::admin::session::Session;
use crate::http::Response;

/// Why a page does not answer as asked.
#[derive(Debug)]
pub enum Refusal {
    /// Shown as a page of its own.
    Problem(Problem),
    SignIn,
    /// The password must be given again first.
    Confirm,
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Refusal {
        Refusal::Problem(problem)
    }
}

/// A request whose route was found and whose sender may do what it does.
#[derive(Clone)]
pub struct Visit {
    pub console: Arc<Console>,
    pub visitor: Visitor,
    /// Always there on a route for administrators.
    pub session: Option<Arc<Session>>,
    pub path: String,
    /// The decoded parts of the path that the route leaves open, in order.
    pub params: Vec<String>,
    pub query: Fields,
    pub form: Fields,
}

impl Visit {
    /// Without anything that a request asks for.
    pub fn bare(
        console: Arc<Console>,
        visitor: Visitor,
        session: Option<Arc<Session>>,
        path: &str,
    ) -> Visit {
        let (path, params) = (path.to_owned(), Vec::new());
        let (query, form) = (Fields::default(), Fields::default());
        Visit { console, visitor, session, path, params, query, form }
    }

    /// An open part of the path; empty when the route has fewer (a bug of its table).
    pub fn param(&self, index: usize) -> &str {
        self.params.get(index).map(String::as_str).unwrap_or_default()
    }

    pub fn t(&self, key: &str) -> Text {
        self.visitor.t(key)
    }

    /// What surrounds the page with this name.
    pub fn frame(&self, id: &'static str) -> Frame {
        let frame = self.console.frame(id, &self.visitor, self.session.as_deref(), &self.path);
        frame.answering(Typed::new(&self.path, &self.form).fields)
    }

    /// Reads from the API: the decoded segments below `/api/v1`, and the query.
    pub async fn read<T: DeserializeOwned>(
        &self,
        segments: &[&str],
        query: &[(&str, &str)],
    ) -> Result<T, Problem> {
        let asked = asked(Method::GET, segments, query, Bytes::new());
        understood(segments, self.perform(asked).await?)
    }

    /// Changes something by the API; `body` is `()` when there is none. What comes back is what the
    /// API answers, `()` when it has nothing to say.
    pub async fn change<T: DeserializeOwned>(
        &self,
        method: Method,
        segments: &[&str],
        body: impl Serialize,
    ) -> Result<T, Problem> {
        let body = serde_json::to_vec(&body).map_err(|error| {
            tracing::error!(%error, path = ?segments, "a page cannot write its call");
            Problem::Internal
        })?;
        let asked = asked(method, segments, &[], body.into());
        understood(segments, self.perform(asked).await?)
    }

    /// The same with a query in place of a body.
    pub async fn change_asking<T: DeserializeOwned>(
        &self,
        method: Method,
        segments: &[&str],
        query: &[(&str, &str)],
    ) -> Result<T, Problem> {
        let asked = asked(method, segments, query, Bytes::new());
        understood(segments, self.perform(asked).await?)
    }

    /// A list of the API as a CSV file.
    pub async fn export(
        &self,
        segments: &[&str],
        query: &[(&str, &str)],
    ) -> Result<Response, Problem> {
        let asked = asked(Method::GET, segments, query, Bytes::new());
        let export = self.console.api.export(self.actor()?, asked).await;
        Ok(export.map_err(|problem| self.visitor.reword(problem))?.into_response())
    }

    /// What the API refuses, it refuses in the reader's language.
    async fn perform(&self, asked: Asked) -> Result<Answer, Problem> {
        let answer = self.console.api.perform(self.actor()?, asked).await;
        answer.map_err(|problem| self.visitor.reword(problem))
    }

    /// How the audit log names who acts.
    fn actor(&self) -> Result<String, Problem> {
        let session = self.session.as_ref().ok_or(Problem::Unauthorized)?;
        Ok(self.console.actor(&session.who.name))
    }

    /// The form of this page: with what was typed before the session had ended, if it had.
    pub fn typed_or(&self, form: Form) -> Form {
        let typed = self.session.as_ref().and_then(|session| session.take_typed(&self.path));
        typed.map_or(form, |typed| Form::sent(&Fields::new(typed)))
    }

    /// Demands that the password was given lately, before a dangerous act and before its form.
    pub fn confirmed(&self) -> Result<(), Refusal> {
        let session = self.session.as_ref().ok_or(Refusal::SignIn)?;
        match self.console.sessions.reauthenticated(session) {
            true => Ok(()),
            false => Err(Refusal::Confirm),
        }
    }

    /// Goes to another page after an act, which says there what was done.
    pub fn done(&self, path: &str, said: impl Into<String>) -> Result<Response, Refusal> {
        if let Some(session) = &self.session {
            session.say(said);
        }
        redirect(path)
    }
}

fn asked(method: Method, segments: &[&str], query: &[(&str, &str)], body: Bytes) -> Asked {
    let segments = segments.iter().map(|segment| (*segment).to_owned()).collect();
    let query = query.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
    Asked { method, segments, query, body }
}

fn understood<T: DeserializeOwned>(segments: &[&str], answer: Answer) -> Result<T, Problem> {
    serde_json::from_value(answer.body.unwrap_or_default()).map_err(|error| {
        tracing::error!(%error, path = ?segments, "a page does not understand the API");
        Problem::Internal
    })
}

/// A page.
pub fn show(page: impl Template) -> Result<Response, Refusal> {
    show_as(StatusCode::OK, page)
}

/// A page whose form was refused.
pub fn show_refused(page: impl Template) -> Result<Response, Refusal> {
    show_as(StatusCode::UNPROCESSABLE_ENTITY, page)
}

pub fn show_as(status: StatusCode, page: impl Template) -> Result<Response, Refusal> {
    let html = page.render().map_err(|error| {
        tracing::error!(%error, "a page cannot be rendered");
        Problem::Internal
    })?;
    Ok(warp::reply::with_status(warp::reply::html(html), status).into_response())
}

/// Sends the browser to a path of ours, by GET.
pub fn redirect(path: &str) -> Result<Response, Refusal> {
    let mut response = StatusCode::SEE_OTHER.into_response();
    response.headers_mut().insert(LOCATION, header(path)?);
    Ok(response)
}

/// The same when htmx has asked: it would put the other page into this one.
pub fn redirect_htmx(path: &str) -> Result<Response, Refusal> {
    let mut response = StatusCode::NO_CONTENT.into_response();
    response.headers_mut().insert(HeaderName::from_static("hx-redirect"), header(path)?);
    Ok(response)
}

fn header(path: &str) -> Result<HeaderValue, Problem> {
    HeaderValue::try_from(path).map_err(|_| Problem::invalid("this path cannot be gone to"))
}
