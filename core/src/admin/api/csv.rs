//! Lists as CSV (RFC 4180): page after page, so that memory follows the page.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::stream::{BoxStream, Stream, StreamExt, TryStreamExt, unfold};
use hyper::header::{CONTENT_DISPOSITION, CONTENT_TYPE, HeaderValue};
use parking_lot::Mutex;
use serde_json::Value;
use warp::Reply;

use super::{Answer, Api, Asked, Problem, routes};
use crate::admin::route;
use crate::http::Response;

/// Items that are asked for at once.
const PAGE: usize = 1000;

/// A list on its way out: lines that end in CRLF, the names of the columns first. A page that fails
/// breaks it off, so that nobody takes the half for the whole.
pub struct Export {
    name: String,
    /// Never contended: it makes the stream `Sync`, as a body must be.
    pages: Mutex<BoxStream<'static, Result<Bytes, Problem>>>,
}

impl Api {
    /// The list that `asked` asks for, from its first page to the last. Its filters hold; `after`
    /// and `limit` do not.
    pub async fn export(self: &Arc<Api>, actor: String, asked: Asked) -> Result<Export, Problem> {
        let (route, _) = route::find(routes(), &asked.method, &asked.segments)?;
        let columns = route.columns;
        if columns.is_empty() {
            return Err(Problem::invalid("only lists can be had as CSV"));
        }
        asked.check(route)?;
        let mut query = asked.query.clone();
        query.retain(|(name, _)| !["after", "limit", "format"].contains(&name.as_str()));
        let name = asked.segments.last().cloned().unwrap_or_default();
        let pages = Pages { api: self.clone(), actor, asked: Asked { query, ..asked }, next: None };
        // Fails before anything is sent.
        let (first, rest) = pages.page(columns).await?;
        let rest = unfold(rest, move |rest| async move {
            match rest?.page(columns).await {
                Ok((lines, rest)) => Some((Ok(lines), rest)),
                Err(problem) => Some((Err(problem), None)),
            }
        });
        let start = futures_util::stream::iter([Ok(head(columns)), Ok(first)]);
        Ok(Export { name, pages: Mutex::new(start.chain(rest).boxed()) })
    }
}

impl Export {
    /// A short table that is part of a greater answer: all its `items` are there already.
    pub fn of(name: &str, columns: &[&str], items: &Value) -> Export {
        let all = futures_util::stream::iter([Ok(head(columns)), Ok(lines(columns, items))]);
        Export { name: name.to_owned(), pages: Mutex::new(all.boxed()) }
    }

    /// All of it.
    pub async fn collect(self) -> Result<String, Problem> {
        let lines: Vec<Bytes> = self.try_collect().await?;
        Ok(String::from_utf8_lossy(&lines.concat()).into_owned())
    }

    /// A file to keep, named after the list.
    pub fn into_response(self) -> Response {
        let file = format!("attachment; filename=\"{}.csv\"", self.name);
        let mut response = warp::reply::stream(self).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/csv; charset=utf-8"));
        if let Ok(file) = HeaderValue::from_str(&file) {
            headers.insert(CONTENT_DISPOSITION, file);
        }
        response
    }
}

impl Stream for Export {
    type Item = Result<Bytes, Problem>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().pages.get_mut().poll_next_unpin(cx)
    }
}

/// The pages that are still to be asked for.
struct Pages {
    api: Arc<Api>,
    actor: String,
    asked: Asked,
    next: Option<String>,
}

impl Pages {
    /// The lines of the next page, and what comes after it.
    async fn page(
        mut self,
        columns: &'static [&'static str],
    ) -> Result<(Bytes, Option<Pages>), Problem> {
        let mut asked = self.asked.clone();
        asked.query.push(("limit".to_owned(), PAGE.to_string()));
        asked.query.extend(self.next.take().map(|next| ("after".to_owned(), next)));
        let Answer { body, .. } = self.api.perform(self.actor.clone(), asked).await?;
        let page = body.unwrap_or_default();
        let lines = lines(columns, &page["items"]);
        self.next = page["next"].as_str().map(str::to_owned);
        let more = self.next.is_some();
        Ok((lines, more.then_some(self)))
    }
}

/// The names of the columns.
fn head(columns: &[&str]) -> Bytes {
    row(columns.iter().map(|column| (*column).to_owned())).into()
}

fn lines(columns: &[&str], items: &Value) -> Bytes {
    let items = items.as_array().into_iter().flatten();
    let lines: String = items.map(|item| row(columns.iter().map(|c| cell(&item[*c])))).collect();
    lines.into()
}

/// The text of a value. What a spreadsheet would take for a formula gets a quotation mark before
/// it; a number is none.
fn cell(value: &Value) -> String {
    let text = match value {
        Value::Null => return String::new(),
        Value::Bool(_) | Value::Number(_) => return value.to_string(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join("; "),
        Value::Object(_) => value.to_string(),
    };
    match text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        true => format!("'{text}"),
        false => text,
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// RFC 4180 §2.
fn row(cells: impl Iterator<Item = String>) -> String {
    let quoted = cells.map(|cell| match cell.contains(['"', ',', '\r', '\n']) {
        true => format!("\"{}\"", cell.replace('"', "\"\"")),
        false => cell,
    });
    let mut line = quoted.collect::<Vec<_>>().join(",");
    line.push_str("\r\n");
    line
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn cells_are_no_formulas() {
        let rows = [
            (json!("=1+1"), "'=1+1"),
            (json!("+1"), "'+1"),
            (json!("-1"), "'-1"),
            (json!("@SUM(A1)"), "'@SUM(A1)"),
            (json!("\t=1"), "'\t=1"),
            (json!(["=a", "b"]), "'=a; b"),
            (json!(-1), "-1"),
            (json!(true), "true"),
            (json!(null), ""),
            (json!("a=b"), "a=b"),
        ];
        for (value, text) in rows {
            assert_eq!(cell(&value), text, "{value}");
        }
    }

    #[tokio::test]
    async fn a_table_within_an_answer_has_its_head_and_its_rows() {
        let items = json!([{ "name": "c2s", "port": 5222, "tls": "starttls" }, { "name": "a,b" }]);
        let told = Export::of("listeners", &["name", "port"], &items).collect().await;
        assert_eq!(told.expect("nothing fails"), "name,port\r\nc2s,5222\r\n\"a,b\",\r\n");
        let none = Export::of("listeners", &["name"], &json!([])).collect().await;
        assert_eq!(none.expect("nothing fails"), "name\r\n");
    }

    #[test]
    fn a_row_is_quoted_where_it_must_be() {
        let cells = ["plain", "a,b", "say \"hi\"", "two\nlines", ""];
        let line = row(cells.into_iter().map(str::to_owned));
        assert_eq!(line, "plain,\"a,b\",\"say \"\"hi\"\"\",\"two\nlines\",\r\n");
    }
}
