//! Lists: paged by key, searched, and written out as CSV.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Refusal, Visit};
use crate::admin::api::{Export, Problem};
use crate::http::Response;

/// How many rows a page shows.
const ROWS: &str = "50";

/// A page of a list, as the API answers.
#[derive(Deserialize)]
struct Items<T> {
    items: Vec<T>,
    next: Option<String>,
}

/// A list as it is shown: `parts/list.html` takes it.
pub struct List<T> {
    pub rows: Vec<T>,
    path: String,
    /// What was searched and filtered for.
    asked: Vec<(&'static str, String)>,
    after: Option<String>,
    next: Option<String>,
}

impl<T: DeserializeOwned> List<T> {
    /// Reads the page that the query asks for. `filters` are the parameters that the API takes, under
    /// the same names in the page's query.
    pub async fn read(
        visit: &Visit,
        segments: &[&str],
        filters: &[&'static str],
    ) -> Result<List<T>, Problem> {
        let asked = asked(visit, filters);
        let after = visit.query.find("after").map(str::to_owned);
        let mut query: Vec<_> = asked.iter().map(|(name, value)| (*name, value.as_str())).collect();
        query.push(("limit", ROWS));
        query.extend(after.as_deref().map(|after| ("after", after)));
        let Items { items, next } = visit.read(segments, &query).await?;
        Ok(List { rows: items, path: visit.path.clone(), asked, after, next })
    }
}

impl<T> List<T> {
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Whether the list is empty because of what was searched for.
    pub fn is_filtered(&self) -> bool {
        !self.asked.is_empty()
    }

    pub fn value(&self, name: &str) -> &str {
        let found = self.asked.iter().find(|(own, _)| *own == name);
        found.map(|(_, value)| value.as_str()).unwrap_or_default()
    }

    pub fn path(&self) -> &str {
        &self.path
    }

    /// The beginning of the list, unless this is it.
    pub fn first(&self) -> Option<String> {
        self.after.as_ref().map(|_| self.link(None))
    }

    pub fn next(&self) -> Option<String> {
        self.next.as_deref().map(|next| self.link(Some(("after", next))))
    }

    pub fn csv(&self) -> String {
        self.link(Some(("format", "csv")))
    }

    fn link(&self, more: Option<(&str, &str)>) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(self.asked.iter()).extend_pairs(more);
        match query.finish() {
            query if query.is_empty() => self.path.clone(),
            query => format!("{}?{query}", self.path),
        }
    }
}

fn asked(visit: &Visit, filters: &[&'static str]) -> Vec<(&'static str, String)> {
    let asked = filters.iter().filter_map(|name| Some((*name, visit.query.find(name)?.to_owned())));
    asked.collect()
}

/// Whether the list is wanted as a file.
pub fn wants_csv(visit: &Visit) -> bool {
    visit.query.get("format") == "csv"
}

/// The whole list as a file, with the columns that the API gives it.
pub async fn csv(
    visit: &Visit,
    segments: &[&str],
    filters: &[&'static str],
) -> Result<Response, Refusal> {
    let asked = asked(visit, filters);
    let query = asked.iter().map(|(name, value)| (*name, value.as_str())).collect::<Vec<_>>();
    Ok(visit.export(segments, &query).await?)
}

/// A table within an answer of the API as a file: `at` is the JSON Pointer (RFC 6901) of its rows, whose
/// last segment names the file.
pub async fn csv_within(
    visit: &Visit,
    segments: &[&str],
    at: &str,
    columns: &[&str],
) -> Result<Response, Refusal> {
    let answer: Value = visit.read(segments, &[]).await?;
    let name = at.rsplit('/').next().unwrap_or_default();
    let rows = answer.pointer(at).unwrap_or(&Value::Null);
    Ok(Export::of(name, columns, rows).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_keep_what_was_searched_for() {
        let list = List::<()> {
            rows: vec![],
            path: "/users".to_owned(),
            asked: vec![("search", "a&b".to_owned())],
            after: Some("x".to_owned()),
            next: Some("y z".to_owned()),
        };
        assert_eq!(list.first().as_deref(), Some("/users?search=a%26b"));
        assert_eq!(list.next().as_deref(), Some("/users?search=a%26b&after=y+z"));
        assert_eq!(list.csv(), "/users?search=a%26b&format=csv");
    }
}
