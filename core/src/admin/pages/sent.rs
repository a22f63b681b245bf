//! What a form sends, files included, with the check that it is one of ours.

use std::convert::Infallible;

use bytes::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderMap};

use super::form::Fields;
use super::{Visitor, origin};
use crate::admin::api::Problem;
use crate::admin::session::Session;

/// A form that was sent.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Sent {
    pub fields: Fields,
    /// Field, name as the browser says, and content.
    pub files: Vec<(String, String, Vec<u8>)>,
}

impl Sent {
    /// Reads either kind of form.
    pub async fn read(headers: &HeaderMap, body: Bytes) -> Result<Sent, Problem> {
        if is_plain(headers) {
            return Ok(Sent { fields: Fields::parse(&body), files: Vec::new() });
        }
        let broken = |error: multer::Error| Problem::Invalid(format!("the form: {error}"));
        let boundary = multer::parse_boundary(kind(headers)).map_err(broken)?;
        let body = futures_util::stream::iter([Ok::<_, Infallible>(body)]);
        let mut parts = multer::Multipart::new(body, boundary);
        let (mut fields, mut files) = (Vec::new(), Vec::new());
        while let Some(part) = parts.next_field().await.map_err(broken)? {
            let name = part.name().unwrap_or_default().to_owned();
            let file = part.file_name().map(str::to_owned);
            let content = part.bytes().await.map_err(broken)?;
            match file {
                Some(file) => files.push((name, file, content.into())),
                None => fields.push((name, String::from_utf8_lossy(&content).into_owned())),
            }
        }
        Ok(Sent { fields: Fields::new(fields), files })
    }

    /// Nothing changes by a request that another site made the browser send.
    pub fn check(
        &self,
        headers: &HeaderMap,
        session: Option<&Session>,
        visitor: &Visitor,
    ) -> Result<(), Problem> {
        let header = headers.get("x-csrf-token").and_then(|token| token.to_str().ok());
        let token = header.unwrap_or_else(|| self.fields.get("csrf"));
        let is_theirs = session.is_some_and(|session| !session.accepts(token));
        match origin::is_ours(headers) && !is_theirs {
            true => Ok(()),
            false => Err(Problem::Invalid(visitor.t("problem.foreign_form").into())),
        }
    }
}

/// A form without files.
pub fn is_plain(headers: &HeaderMap) -> bool {
    kind(headers).starts_with("application/x-www-form-urlencoded")
}

fn kind(headers: &HeaderMap) -> &str {
    headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    async fn read(kind: &'static str, body: &'static str) -> Result<Sent, Problem> {
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(kind))]);
        Sent::read(&headers, body.into()).await
    }

    #[tokio::test]
    async fn both_kinds_of_forms_are_read() {
        let sent = read("application/x-www-form-urlencoded", "csrf=x&name=a+b").await;
        assert_eq!(sent.expect("a form").fields.get("name"), "a b");
        let body = "--b\r\nContent-Disposition: form-data; name=\"name\"\r\n\r\nä\r\n--b\r\n\
                    Content-Disposition: form-data; name=\"file\"; filename=\"../x\"\r\n\r\n\
                    content\r\n--b--\r\n";
        let sent = read("multipart/form-data; boundary=b", body).await.expect("a form");
        assert_eq!(sent.fields.get("name"), "ä");
        let file = ("file".to_owned(), "../x".to_owned(), b"content".to_vec());
        assert_eq!(sent.files, [file]);
    }

    #[tokio::test]
    async fn what_is_no_form_is_refused() {
        assert!(read("text/plain", "csrf=x").await.is_err());
        assert!(read("multipart/form-data", "--b--").await.is_err());
        assert!(read("multipart/form-data; boundary=b", "--b\r\ncut off").await.is_err());
    }
}
