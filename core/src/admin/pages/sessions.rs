//! Client sessions: listed, looked at, ended, and sent messages.

use askama::Template;
use hyper::Method;
use serde::Deserialize;
use serde_json::json;

use super::form::{Fields, Form};
use super::list::{self, List};
use super::text::Catalogue;
use super::visit::{show, show_refused};
use super::{Frame, Refusal, Route, Text, Visit};
use crate::admin::api::Problem;
use crate::http::{Response, is_canonical};

const PATH: &str = "/sessions";
const FILTERS: &[&str] = &["search", "available", "detached"];

/// A session is named in the query: its resource may hold what no path may.
pub const ROUTES: &[Route] = &[
    Route::new(Method::GET, PATH, |visit| Box::pin(list(visit))),
    Route::new(Method::GET, "/sessions/session", |visit| Box::pin(details(visit))),
    Route::new(Method::POST, "/sessions/disconnect", |visit| Box::pin(disconnect(visit))),
    Route::new(Method::GET, "/sessions/message", |visit| Box::pin(write(visit))),
    Route::new(Method::POST, "/sessions/message", |visit| Box::pin(send(visit))),
];

/// Of a session on another node little more is known than where it is.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Session {
    pub jid: String,
    /// What its node is called, in a cluster.
    pub node: Option<String>,
    user: String,
    pub resource: String,
    pub address: String,
    pub since: String,
    tls: Option<String>,
    cipher: Option<String>,
    mechanism: String,
    pub available: bool,
    priority: i8,
    received: u64,
    sent: u64,
    pub detached: bool,
    idle_seconds: Option<u32>,
    client: Option<String>,
    stream_management: Option<Management>,
}

#[derive(Deserialize)]
struct Management {
    resumable: bool,
    unacknowledged: u32,
}

impl Session {
    /// The query that names it.
    fn query(&self) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("user", &self.user).append_pair("resource", &self.resource).finish()
    }

    pub fn link(&self) -> String {
        format!("/sessions/session?{}", self.query())
    }

    fn end(&self) -> String {
        format!("/sessions/disconnect?{}", self.query())
    }

    /// The same, going on to another page of ours than the list of all.
    pub fn end_from(&self, page: &str) -> String {
        let mut query = form_urlencoded::Serializer::new(self.query());
        format!("/sessions/disconnect?{}", query.append_pair("back", page).finish())
    }

    fn write(&self) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        format!("/sessions/message?{}", query.append_pair("to", &self.jid).finish())
    }

    pub fn is_here(&self) -> bool {
        !self.address.is_empty()
    }

    /// `TLS 1.3` for `TLSv1_3`.
    pub fn encryption(&self) -> Option<String> {
        Some(self.tls.as_ref()?.replace("TLSv", "TLS ").replace('_', "."))
    }

    /// How long nothing came.
    fn idle(&self, language: &Catalogue) -> Option<String> {
        Some(language.span(self.idle_seconds?.into()))
    }
}

#[derive(Template)]
#[template(path = "sessions.html")]
struct Sessions {
    page: Frame,
    list: List<Session>,
    count: u64,
}

impl Sessions {
    fn heads(&self) -> Vec<Text> {
        let always = [
            self.page.t("sessions.session"),
            self.page.t("sessions.state"),
            self.page.t("sessions.priority"),
            self.page.t("sessions.client"),
            self.page.t("sessions.address"),
            self.page.t("sessions.encryption"),
            self.page.t("sessions.since"),
            self.page.t("sessions.idle"),
            self.page.t("sessions.received"),
            self.page.t("sessions.sent"),
        ];
        let node = self.is_clustered().then(|| self.page.t("sessions.node"));
        always.into_iter().chain(node).collect()
    }

    fn is_clustered(&self) -> bool {
        self.list.rows.iter().any(|session| session.node.is_some())
    }
}

#[derive(Template)]
#[template(path = "session.html")]
struct Details {
    page: Frame,
    session: Session,
}

#[derive(Template)]
#[template(path = "session_message.html")]
struct Message {
    page: Frame,
    form: Form,
    styles: [(&'static str, String); 2],
}

#[derive(Deserialize)]
struct Server {
    sessions: u64,
}

#[derive(Deserialize)]
struct Sent {
    sent: u64,
}

async fn list(visit: Visit) -> Result<Response, Refusal> {
    if list::wants_csv(&visit) {
        return list::csv(&visit, &["sessions"], FILTERS).await;
    }
    let list = List::read(&visit, &["sessions"], FILTERS).await?;
    let Server { sessions } = visit.read(&["server"], &[]).await?;
    show(Sessions { page: visit.frame("sessions"), list, count: sessions })
}

/// The segments of the session that the query names.
fn named(visit: &Visit) -> [&str; 3] {
    ["sessions", visit.query.get("user"), visit.query.get("resource")]
}

async fn details(visit: Visit) -> Result<Response, Refusal> {
    let session = visit.read(&named(&visit), &[]).await?;
    show(Details { page: visit.frame("session").below("sessions"), session })
}

async fn disconnect(visit: Visit) -> Result<Response, Refusal> {
    let back = visit.query.find("back").filter(|path| is_canonical(path)).unwrap_or(PATH);
    match visit.change(Method::DELETE, &named(&visit), ()).await {
        // It has ended by itself meanwhile, as was asked for.
        Ok(()) | Err(Problem::NotFound(_)) => visit.done(back, visit.t("sessions.ended")),
        Err(problem) => Err(problem.into()),
    }
}

fn message(visit: &Visit, form: Form) -> Message {
    let styles = [
        ("headline", visit.t("session_message.headline").into()),
        ("chat", visit.t("session_message.chat").into()),
    ];
    Message { page: visit.frame("session_message").below("sessions"), form, styles }
}

async fn write(visit: Visit) -> Result<Response, Refusal> {
    let to = ("to".to_owned(), visit.query.get("to").to_owned());
    show(message(&visit, visit.typed_or(Form::sent(&Fields::new(vec![to])))))
}

async fn send(visit: Visit) -> Result<Response, Refusal> {
    let form = &visit.form;
    let body = json!({
        "to": form.find("to"),
        "subject": form.find("subject"),
        "body": form.get("body"),
        "style": form.find("style").unwrap_or("headline"),
    });
    match visit.change(Method::POST, &["sessions", "message"], body).await {
        Ok(Sent { sent }) => {
            let count = visit.visitor.language.count(sent);
            visit.done(PATH, visit.t("session_message.sent").with("count", count))
        }
        Err(problem) => show_refused(message(&visit, Form::sent(form).refuse_by(&problem))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(resource: &str) -> Session {
        Session {
            jid: format!("romeo@example.org/{resource}"),
            user: "romeo".to_owned(),
            resource: resource.to_owned(),
            tls: Some("TLSv1_3".to_owned()),
            available: true,
            ..Session::default()
        }
    }

    #[test]
    fn any_resource_can_be_named() {
        let link = session("a/b &%é").link();
        assert_eq!(link, "/sessions/session?user=romeo&resource=a%2Fb+%26%25%C3%A9");
    }

    #[test]
    fn the_encryption_has_its_name() {
        assert_eq!(session("x").encryption().as_deref(), Some("TLS 1.3"));
    }
}
