//! One call of the API, and its answer.

use std::sync::Arc;

use bytes::Bytes;
use hyper::StatusCode;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{Api, Problem};

/// How many items a page has when nobody says, and at most.
const PAGE: usize = 100;
const LARGEST_PAGE: usize = 1000;

/// A call whose route was found and whose caller may do what it does.
pub struct Call {
    pub api: Arc<Api>,
    /// Who calls, as the audit log names it.
    pub actor: String,
    /// The decoded parts of the path that the route leaves open, in order.
    pub params: Vec<String>,
    pub query: Vec<(String, String)>,
    pub body: Bytes,
}

/// Keyset paging: what comes after a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    pub after: Option<String>,
    pub limit: usize,
}

impl Call {
    /// An open part of the path; empty when the route has fewer (a bug of its table).
    pub fn param(&self, index: usize) -> &str {
        self.params.get(index).map(String::as_str).unwrap_or_default()
    }

    /// The body as a JSON object.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        // Serde would take an array for a struct, field by field.
        if !self.body.trim_ascii_start().starts_with(b"{") {
            return Err(Problem::invalid("the body is not what is needed: a JSON object"));
        }
        serde_json::from_slice(&self.body)
            .map_err(|error| Problem::Invalid(format!("the body is not what is needed: {error}")))
    }

    /// The same, where everything in it may be left out, and so may the body.
    pub fn json_if_any<T: DeserializeOwned + Default>(&self) -> Result<T, Problem> {
        if self.body.is_empty() { Ok(T::default()) } else { self.json() }
    }

    /// A parameter of the query.
    pub fn find(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// A parameter that is a text; without one it might as well be absent.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.find(name).filter(|text| !text.is_empty())
    }

    /// A parameter that is `true` or `false`.
    pub fn flag(&self, name: &str) -> Result<Option<bool>, Problem> {
        let parse = |text: &str| text.parse().map_err(|_| format!("{name} is true or false"));
        self.find(name).map(parse).transpose().map_err(Problem::Invalid)
    }

    /// `?after=` (the last key of the page before) and `?limit=` (1 to 1000).
    pub fn page(&self) -> Result<Page, Problem> {
        Page::of(&self.query)
    }
}

impl Page {
    pub(super) fn of(query: &[(String, String)]) -> Result<Page, Problem> {
        let find = |wanted| query.iter().find(|(name, _)| name == wanted).map(|(_, value)| value);
        let wrong = || Problem::Invalid(format!("limit is 1 to {LARGEST_PAGE}")).at("limit");
        let limit = match find("limit") {
            None => PAGE,
            Some(text) => {
                let limit = text.parse().ok();
                limit.filter(|limit| (1..=LARGEST_PAGE).contains(limit)).ok_or_else(wrong)?
            }
        };
        Ok(Page { after: find("after").filter(|after| !after.is_empty()).cloned(), limit })
    }
}

/// A text that a person has typed, without the space around it: 1 to `longest` characters, none of
/// which is a control character.
pub fn check_text(field: &'static str, text: &str, longest: usize) -> Result<String, Problem> {
    let text = text.trim();
    let fits = !text.is_empty() && text.chars().count() <= longest;
    match fits && !text.contains(char::is_control) {
        true => Ok(text.to_owned()),
        false => Err(Problem::Invalid(format!("this has 1 to {longest} characters")).at(field)),
    }
}

/// The same for a name that is to be part of a path. Paths have one spelling, which leaves some
/// characters out.
pub fn check_name(field: &'static str, name: &str, longest: usize) -> Result<String, Problem> {
    let name = check_text(field, name, longest)?;
    match matches!(&*name, "." | "..") || name.contains(['/', '\\', ';', '%']) {
        true => Err(Problem::invalid("a name holds none of / \\ ; %").at(field)),
        false => Ok(name),
    }
}

/// What a call comes back with.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    pub status: StatusCode,
    /// `None`: no content.
    pub body: Option<Value>,
}

impl Answer {
    pub fn ok(body: impl Serialize) -> Result<Answer, Problem> {
        Answer::with(StatusCode::OK, body)
    }

    pub fn created(body: impl Serialize) -> Result<Answer, Problem> {
        Answer::with(StatusCode::CREATED, body)
    }

    pub fn done() -> Result<Answer, Problem> {
        Ok(Answer { status: StatusCode::NO_CONTENT, body: None })
    }

    /// A page of `items`, which may hold one more than asked for: that tells that there is a next
    /// page. `key` gives what `?after=` takes.
    pub fn page<T: Serialize>(
        page: &Page,
        mut items: Vec<T>,
        key: impl Fn(&T) -> String,
    ) -> Result<Answer, Problem> {
        let more = items.len() > page.limit;
        items.truncate(page.limit);
        let next = items.last().filter(|_| more).map(key);
        Answer::ok(json!({ "items": to_json(items)?, "next": next }))
    }

    fn with(status: StatusCode, body: impl Serialize) -> Result<Answer, Problem> {
        Ok(Answer { status, body: Some(to_json(body)?) })
    }
}

fn to_json(value: impl Serialize) -> Result<Value, Problem> {
    serde_json::to_value(value).map_err(|error| {
        tracing::error!(%error, "an answer of the API cannot be written");
        Problem::Internal
    })
}
