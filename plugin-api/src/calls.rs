//! What the server asks a plugin's handlers, and what they answer.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Something that happened.
///
/// Kinds and the fields of `data` are in `docs/plugins.md`; both only ever grow. `session.opened`,
/// `session.closed`, `presence.changed`, `user.created`, `user.deleted`, `user.password`,
/// `room.created`, `room.destroyed`, `message.archived`, `plugin.started`, `plugin.stopped`,
/// `property.changed`, `lease.changed`, `cluster.joined`, `cluster.left`.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Version of this JSON: 1.
    pub v: u32,
    /// What happened.
    pub kind: String,
    /// Milliseconds since 1970.
    pub at_ms: i64,
    /// Number of the node where it happened.
    #[serde(default)]
    pub node: u32,
    /// What depends on the kind.
    #[serde(default)]
    pub data: Value,
}

impl Event {
    /// A text of `data`; empty when it is not there.
    pub fn text(&self, field: &str) -> &str {
        self.data[field].as_str().unwrap_or_default()
    }
}

/// A question to a source of credentials.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "call", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum AuthCall {
    /// Answer: [`Verified`].
    Verify {
        /// Local part of the address, prepared (RFC 7622).
        user: String,
        /// As the client sent it under TLS.
        password: String,
    },
    /// Answer: nothing. `Unsupported` when passwords cannot be changed there.
    SetPassword {
        /// Local part of the address.
        user: String,
        /// The new one.
        password: String,
    },
}

/// What a source says of a password.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verified {
    /// It is the user's. The account is created here at its first sign-in.
    Accepted,
    /// It is not; nobody else is asked.
    Refused,
    /// The source does not have this user: the next one is asked.
    Unknown,
}

/// A question to a source of users and groups.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "call", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum DirectoryCall {
    /// Answer: [`User`] or null.
    User {
        /// Local part of the address.
        name: String,
    },
    /// Answer: a list of [`User`], by name.
    Users(Query),
    /// Answer: a list of [`Group`], by name, without members.
    Groups(Query),
    /// Answer: a list of names of users.
    Members {
        /// Name of the group.
        group: String,
    },
}

/// A part of a list that is ordered by name.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct Query {
    /// Only names and display names with this in it, whatever the case; empty for all.
    #[serde(default)]
    pub search: String,
    /// Only what comes after this name; empty for the beginning.
    #[serde(default)]
    pub after: String,
    /// At most so many, 1 to 1000.
    pub limit: u32,
}

impl Query {
    /// The first `limit` entries.
    pub fn first(limit: u32) -> Query {
        Query { limit, ..Query::default() }
    }

    /// The next ones after `name`.
    pub fn after(mut self, name: &str) -> Query {
        self.after = name.to_owned();
        self
    }
}

/// A user.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct User {
    /// Local part of the address.
    pub name: String,
    /// For people; may be empty.
    #[serde(default)]
    pub display_name: String,
    /// May be empty.
    #[serde(default)]
    pub email: String,
    /// May not sign in.
    #[serde(default)]
    pub disabled: bool,
    /// Milliseconds since 1970; 0 when not known.
    #[serde(default)]
    pub created_ms: i64,
}

/// A group of users.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct Group {
    /// Unique.
    pub name: String,
    /// For people; may be empty.
    #[serde(default)]
    pub description: String,
}

/// A contact of a roster (RFC 6121 §2).
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct Contact {
    /// Bare address.
    pub jid: String,
    /// May be empty.
    #[serde(default)]
    pub name: String,
    /// `none`, `to`, `from` or `both`.
    pub subscription: String,
    /// Names of roster groups.
    #[serde(default)]
    pub groups: Vec<String>,
}

/// A bound resource.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct Session {
    /// Full address.
    pub jid: String,
    /// Number of the node that has it.
    #[serde(default)]
    pub node: u32,
    /// Has sent available presence.
    #[serde(default)]
    pub available: bool,
    /// Of its presence.
    #[serde(default)]
    pub priority: i8,
    /// Milliseconds since 1970; 0 when another node has it.
    #[serde(default)]
    pub since_ms: i64,
    /// Address and port of its client; empty when another node has it.
    #[serde(default)]
    pub peer: String,
}

/// An HTTP request, to an endpoint or from the plugin.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct HttpRequest {
    /// `GET`, `POST`, …
    pub method: String,
    /// To an endpoint: what follows its path, beginning with a slash or empty, without query. From the
    /// plugin: the whole `http:` or `https:` address.
    pub url: String,
    /// Decoded; of no meaning from the plugin.
    #[serde(default)]
    pub query: Vec<(String, String)>,
    /// Names in lower case. Cookies and `authorization` are not handed to endpoints of the console.
    #[serde(default)]
    pub headers: Vec<(String, String)>,
    /// Address of the client; empty from the plugin.
    #[serde(default)]
    pub peer: String,
    /// From the plugin: milliseconds until the answer must be there; 0 for 30 seconds.
    #[serde(default)]
    pub timeout_ms: u64,
    /// Crosses beside the JSON.
    #[serde(skip)]
    pub body: Vec<u8>,
}

impl HttpRequest {
    /// A request with this method.
    pub fn new(method: &str, url: &str) -> HttpRequest {
        let (method, url) = (method.to_owned(), url.to_owned());
        HttpRequest { method, url, ..HttpRequest::default() }
    }

    /// A `GET`.
    pub fn get(url: &str) -> HttpRequest {
        HttpRequest::new("GET", url)
    }

    /// A `POST` of JSON.
    pub fn post_json(url: &str, json: &Value) -> HttpRequest {
        let mut request = HttpRequest::new("POST", url).header("content-type", "application/json");
        request.body = json.to_string().into_bytes();
        request
    }

    /// The same with a header.
    pub fn header(mut self, name: &str, value: &str) -> HttpRequest {
        self.headers.push((name.to_ascii_lowercase(), value.to_owned()));
        self
    }
}

/// An HTTP response, of an endpoint or to the plugin.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct HttpResponse {
    /// 200, 404, …
    pub status: u16,
    /// Names in lower case.
    #[serde(default)]
    pub headers: Vec<(String, String)>,
    /// Crosses beside the JSON.
    #[serde(skip)]
    pub body: Vec<u8>,
}

impl HttpResponse {
    /// A body of this media type.
    pub fn new(status: u16, media_type: &str, body: impl Into<Vec<u8>>) -> HttpResponse {
        let headers = vec![("content-type".to_owned(), media_type.to_owned())];
        HttpResponse { status, headers, body: body.into() }
    }

    /// 200 with JSON.
    pub fn json(json: &Value) -> HttpResponse {
        HttpResponse::new(200, "application/json", json.to_string())
    }

    /// The body as JSON.
    pub fn to_json(&self) -> crate::Result<Value> {
        Ok(serde_json::from_slice(&self.body)?)
    }
}

/// A request for a page of the console.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct PageRequest {
    /// Version of this JSON: 1.
    pub v: u32,
    /// `GET` or `POST`.
    pub method: String,
    /// What follows the page's own path, without slash at the beginning; mostly empty.
    #[serde(default)]
    pub path: String,
    /// The page's own path, for links and forms: `/plugins/<id>/<slug>`.
    pub base: String,
    /// Decoded.
    #[serde(default)]
    pub query: Vec<(String, String)>,
    /// Decoded fields of a form, without the server's token.
    #[serde(default)]
    pub form: Vec<(String, String)>,
    /// Files of a form; what is in them crosses beside the JSON, one after another.
    #[serde(default)]
    pub files: Vec<FormFile>,
    /// Who signed in.
    pub admin: String,
    /// Language tag.
    #[serde(default)]
    pub language: String,
    /// The hidden field that each form must have, as HTML.
    #[serde(default)]
    pub token: String,
    /// Only the fragment is wanted (htmx), the layout is there.
    #[serde(default)]
    pub partial: bool,
}

/// A file of a form.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct FormFile {
    /// Name of the field.
    pub field: String,
    /// As the browser says; never use it as a path.
    pub name: String,
    /// Octets.
    pub size: u64,
    /// What is in it.
    #[serde(skip)]
    pub content: Vec<u8>,
}

impl PageRequest {
    /// Value of a field of the form; empty when it is not there.
    pub fn field(&self, name: &str) -> &str {
        lookup(&self.form, name)
    }

    /// Value of a parameter of the query; empty when it is not there.
    pub fn param(&self, name: &str) -> &str {
        lookup(&self.query, name)
    }

    /// Whether a form was sent.
    pub fn is_post(&self) -> bool {
        self.method == "POST"
    }

    /// A file of the form.
    pub fn file(&self, field: &str) -> Option<&FormFile> {
        self.files.iter().find(|file| file.field == field)
    }

    /// `<form …>` that posts to `path` below this page, with the field that the server checks.
    pub fn open_form(&self, path: &str) -> String {
        let mut action = self.base.clone();
        if !path.is_empty() {
            action = format!("{action}/{path}");
        }
        let action = crate::xml::escaped(&action);
        format!(
            "<form method='post' enctype='multipart/form-data' action='{action}'>{}",
            self.token
        )
    }

    /// Gives each file its part of what crossed beside the JSON.
    pub(crate) fn take_files(&mut self, mut body: Vec<u8>) {
        for file in &mut self.files {
            let rest = body.split_off((file.size as usize).min(body.len()));
            file.content = std::mem::replace(&mut body, rest);
        }
    }
}

fn lookup<'v>(pairs: &'v [(String, String)], name: &str) -> &'v str {
    pairs.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str()).unwrap_or_default()
}

/// What a page shows.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct PageResponse {
    /// Version of this JSON: 1.
    pub v: u32,
    /// 200, 404, …
    pub status: u16,
    /// Title of the page; empty for the registered one.
    #[serde(default)]
    pub title: String,
    /// Go there instead: a path that begins with the page's own. After a form was sent.
    #[serde(default)]
    pub location: Option<String>,
    /// One line above the page, also after `location`.
    #[serde(default)]
    pub notice: Option<PageNotice>,
    /// Not a fragment but a document of this type, sent as it is: JSON, CSV, SVG. The server refuses
    /// HTML and scripts.
    #[serde(default)]
    pub media_type: Option<String>,
    /// Name under which a browser saves the document.
    #[serde(default)]
    pub file_name: Option<String>,
    /// HTML without `<html>` and scripts, or the document. Crosses beside the JSON.
    #[serde(skip)]
    pub body: Vec<u8>,
}

/// One line above a page.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PageNotice {
    /// How it looks.
    pub level: NoticeLevel,
    /// Plain text.
    pub text: String,
}

/// How urgent a notice is.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NoticeLevel {
    /// Something worked.
    Info,
    /// Something needs attention.
    Warning,
    /// Something does not work.
    Error,
}

impl PageResponse {
    /// A fragment of HTML. Escape what comes from outside: [`crate::xml::escaped`].
    pub fn html(body: impl Into<String>) -> PageResponse {
        PageResponse { v: 1, status: 200, body: body.into().into(), ..PageResponse::default() }
    }

    /// A document that is sent as it is.
    pub fn document(media_type: &str, body: impl Into<Vec<u8>>) -> PageResponse {
        let media_type = Some(media_type.to_owned());
        PageResponse { v: 1, status: 200, media_type, body: body.into(), ..Default::default() }
    }

    /// To another path below the page, after a form was sent.
    pub fn redirect(location: &str) -> PageResponse {
        let location = Some(location.to_owned());
        PageResponse { v: 1, status: 303, location, ..PageResponse::default() }
    }

    /// 404.
    pub fn not_found() -> PageResponse {
        PageResponse { status: 404, ..PageResponse::html("<p>There is no such page.</p>") }
    }

    /// The same with another title.
    pub fn title(mut self, title: &str) -> PageResponse {
        self.title = title.to_owned();
        self
    }

    /// The same with a line above the page.
    pub fn notice(mut self, level: NoticeLevel, text: &str) -> PageResponse {
        self.notice = Some(PageNotice { level, text: text.to_owned() });
        self
    }
}

/// A call of a command. The answer is any JSON.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CommandCall {
    /// Version of this JSON: 1.
    pub v: u32,
    /// Name of the command.
    pub name: String,
    /// An object.
    #[serde(default)]
    pub arguments: Value,
    /// Who calls: an administrator's name or `local` for the command line on this machine.
    pub actor: String,
}

impl CommandCall {
    /// A text among the arguments; `Invalid` when it is not there.
    pub fn text(&self, name: &str) -> crate::Result<&str> {
        let missing = || crate::Error::invalid(format!("the argument `{name}` is missing"));
        self.arguments[name].as_str().ok_or_else(missing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_get_their_parts() {
        let file =
            |field: &str, size| FormFile { field: field.into(), size, ..FormFile::default() };
        let mut request =
            PageRequest { files: vec![file("a", 2), file("b", 3)], ..PageRequest::default() };
        request.take_files(b"xxyyy".to_vec());
        assert_eq!(request.file("a").unwrap().content, b"xx");
        assert_eq!(request.file("b").unwrap().content, b"yyy");
    }
}
