//! Errors of the API as RFC 9457 problem details.

use std::time::Duration;

use hyper::StatusCode;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use serde_json::{Value, json};
use warp::Reply;

use crate::http::Response;
use crate::storage::StorageError;

/// Why a call failed, in words for the person who called.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The call itself is wrong.
    #[error("{0}")]
    Invalid(String),
    #[error("this needs a bearer token: create one with `hearth token create`")]
    Unauthorized,
    #[error("{0}")]
    NotFound(String),
    #[error("this path takes {0} only")]
    Method(String),
    #[error("{0}")]
    Conflict(String),
    #[error("{0}")]
    TooLarge(String),
    #[error("too many wrong tokens came from this address: try again in {} s", .0.as_secs())]
    Locked(Duration),
    /// Not now; the text says why.
    #[error("{0}")]
    Unavailable(String),
    /// Any of these, about one field of the body or one parameter of the query.
    #[error("{1}")]
    At(&'static str, Box<Problem>),
    /// A bug or a broken machine: the log has the details.
    #[error("the server could not do it: see its log")]
    Internal,
}

impl Problem {
    pub fn invalid(detail: impl Into<String>) -> Problem {
        Problem::Invalid(detail.into())
    }

    /// Names what it is about, so that a form can show it there.
    pub fn at(self, field: &'static str) -> Problem {
        Problem::At(field, Box::new(self))
    }

    /// What it is about, if that is one thing.
    pub fn field(&self) -> Option<&'static str> {
        match self {
            Problem::At(field, _) => Some(field),
            _ => None,
        }
    }

    /// The same problem in other words.
    pub fn reworded(self, words: &dyn Fn(&str) -> String) -> Problem {
        match self {
            Problem::Invalid(text) => Problem::Invalid(words(&text)),
            Problem::NotFound(text) => Problem::NotFound(words(&text)),
            Problem::Conflict(text) => Problem::Conflict(words(&text)),
            Problem::TooLarge(text) => Problem::TooLarge(words(&text)),
            Problem::Unavailable(text) => Problem::Unavailable(words(&text)),
            Problem::At(field, problem) => Problem::At(field, Box::new(problem.reworded(words))),
            // What a program needs to know; a page puts it into words itself.
            plain @ (Problem::Unauthorized
            | Problem::Method(_)
            | Problem::Locked(_)
            | Problem::Internal) => plain,
        }
    }

    pub fn not_found(what: &str, name: &str) -> Problem {
        Problem::NotFound(format!("there is no {what} `{name}`"))
    }

    pub fn status(&self) -> StatusCode {
        match self {
            Problem::Invalid(_) => StatusCode::BAD_REQUEST,
            Problem::Unauthorized => StatusCode::UNAUTHORIZED,
            Problem::NotFound(_) => StatusCode::NOT_FOUND,
            Problem::Method(_) => StatusCode::METHOD_NOT_ALLOWED,
            Problem::Conflict(_) => StatusCode::CONFLICT,
            Problem::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Problem::Locked(_) => StatusCode::TOO_MANY_REQUESTS,
            Problem::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
            Problem::At(_, problem) => problem.status(),
            Problem::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn header(&self) -> Option<(hyper::header::HeaderName, HeaderValue)> {
        match self {
            Problem::Unauthorized => Some((WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))),
            Problem::Method(allowed) => Some((ALLOW, HeaderValue::from_str(allowed).ok()?)),
            Problem::At(_, problem) => problem.header(),
            Problem::Locked(wait) => Some((RETRY_AFTER, HeaderValue::from(wait.as_secs().max(1)))),
            _ => None,
        }
    }

    /// RFC 9457 §3.1: without a `type` of its own, the title is the status' reason. `field` is an
    /// extension (§3.2).
    pub fn to_json(&self) -> Value {
        let status = self.status();
        let mut told = json!({
            "title": status.canonical_reason(),
            "status": status.as_u16(),
            "detail": self.to_string(),
        });
        if let Some(field) = self.field() {
            told["field"] = field.into();
        }
        told
    }

    pub fn into_response(self) -> Response {
        let body = self.to_json().to_string();
        let mut response = warp::reply::with_status(body, self.status()).into_response();
        let json = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(CONTENT_TYPE, json);
        if let Some((name, value)) = self.header() {
            response.headers_mut().insert(name, value);
        }
        response
    }
}

impl From<StorageError> for Problem {
    fn from(error: StorageError) -> Problem {
        tracing::error!(%error, "an API call failed on the database");
        if error.is_transient() {
            return Problem::Unavailable(
                "the database does not answer: try again later".to_owned(),
            );
        }
        Problem::Internal
    }
}
