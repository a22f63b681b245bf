//! The contacts of a user.

use askama::Template;
use hyper::Method;
use serde::Deserialize;
use serde_json::json;

use super::form::Form;
use super::list::{self, List};
use super::user::{User, frame};
use super::visit::{show, show_refused};
use super::{Frame, Refusal, Route, Text, Visit};
use crate::admin::api::Problem;
use crate::http::{Response, encode_segment};

pub const ROUTES: &[Route] = &[
    Route::new(Method::GET, "/users/{name}/roster", |visit| Box::pin(list(visit))),
    Route::new(Method::POST, "/users/{name}/roster", |visit| Box::pin(add(visit))),
    Route::new(Method::GET, "/users/{name}/roster/{contact}", |visit| Box::pin(get(visit))),
    Route::new(Method::POST, "/users/{name}/roster/{contact}", |visit| Box::pin(edit(visit))),
    Route::new(Method::POST, "/users/{name}/roster/{contact}/remove", |visit| {
        Box::pin(remove(visit))
    }),
];

#[derive(Deserialize)]
struct Contact {
    jid: String,
    name: Option<String>,
    groups: Vec<String>,
    subscription: String,
    ask: bool,
}

impl Contact {
    fn path(&self, user: &User) -> String {
        format!("{}/roster/{}", user.path(), encode_segment(&self.jid))
    }

    /// As the form takes it.
    fn groups(&self) -> String {
        self.groups.join(", ")
    }

    fn subscription(&self, page: &Frame) -> Text {
        let texts = subscriptions(page).into_iter().find(|(value, _)| *value == self.subscription);
        texts.map(|(_, text)| text).unwrap_or_default()
    }
}

/// Who sees whom.
fn subscriptions(page: &Frame) -> [(&'static str, Text); 4] {
    [
        ("both", page.t("roster.both")),
        ("to", page.t("roster.to")),
        ("from", page.t("roster.from")),
        ("none", page.t("roster.nobody")),
    ]
}

#[derive(Template)]
#[template(path = "user_roster.html")]
struct Roster {
    page: Frame,
    tab: &'static str,
    user: User,
    list: List<Contact>,
    form: Form,
}

#[derive(Template)]
#[template(path = "user_contact.html")]
struct Edit {
    page: Frame,
    tab: &'static str,
    user: User,
    contact: Contact,
    form: Form,
}

impl Roster {
    fn subscriptions(&self) -> [(&'static str, Text); 4] {
        subscriptions(&self.page)
    }
}

impl Edit {
    fn subscriptions(&self) -> [(&'static str, Text); 4] {
        subscriptions(&self.page)
    }
}

async fn roster(visit: &Visit, form: Form) -> Result<Roster, Refusal> {
    let user = User::read(visit).await?;
    let list = List::read(visit, &["users", &user.name, "roster"], &[]).await?;
    Ok(Roster { page: frame(visit), tab: "roster", user, list, form })
}

async fn list(visit: Visit) -> Result<Response, Refusal> {
    if list::wants_csv(&visit) {
        return list::csv(&visit, &["users", visit.param(0), "roster"], &[]).await;
    }
    let form = visit.typed_or(Form::filled([("subscription", "both".to_owned())]));
    show(roster(&visit, form).await?)
}

/// Puts what the form says into the roster.
async fn put(visit: &Visit, contact: &str) -> Result<Contact, Problem> {
    let groups = visit.form.get("groups").split(',').map(str::trim).filter(|name| !name.is_empty());
    let body = json!({
        "name": visit.form.find("name"),
        "groups": groups.collect::<Vec<_>>(),
        "subscription": visit.form.find("subscription"),
    });
    visit.change(Method::PUT, &["users", visit.param(0), "roster", contact], body).await
}

/// What was typed, or the address of the user whose name it is. A domain, such as that of a gateway,
/// has a dot.
async fn address(visit: &Visit, typed: &str) -> Result<String, Problem> {
    if typed.is_empty() || typed.contains(['@', '/']) {
        return Ok(typed.to_owned());
    }
    match visit.read::<User>(&["users", typed], &[]).await {
        Ok(user) => Ok(user.jid),
        Err(Problem::NotFound(_)) if typed.contains(['.', ':']) => Ok(typed.to_owned()),
        Err(problem) => Err(problem.at("contact")),
    }
}

async fn add(visit: Visit) -> Result<Response, Refusal> {
    let added = match address(&visit, visit.form.get("contact").trim()).await {
        Ok(contact) => put(&visit, &contact).await,
        Err(problem) => Err(problem),
    };
    match added {
        Ok(_) => visit.done(&visit.path, visit.t("roster.added")),
        Err(problem) => {
            let form = Form::sent(&visit.form).refuse_by(&problem);
            show_refused(roster(&visit, form).await?)
        }
    }
}

async fn one(visit: &Visit) -> Result<(User, Contact), Problem> {
    let user = User::read(visit).await?;
    let contact = visit.read(&["users", &user.name, "roster", visit.param(1)], &[]).await?;
    Ok((user, contact))
}

async fn get(visit: Visit) -> Result<Response, Refusal> {
    let (user, contact) = one(&visit).await?;
    let form = Form::filled([
        ("name", contact.name.clone().unwrap_or_default()),
        ("groups", contact.groups()),
        ("subscription", contact.subscription.clone()),
    ]);
    let form = visit.typed_or(form);
    show(Edit { page: frame(&visit), tab: "roster", user, contact, form })
}

async fn edit(visit: Visit) -> Result<Response, Refusal> {
    let (user, contact) = one(&visit).await?;
    match put(&visit, &contact.jid).await {
        Ok(_) => visit.done(&format!("{}/roster", user.path()), visit.t("roster.changed")),
        Err(problem) => {
            let form = Form::sent(&visit.form).refuse_by(&problem);
            show_refused(Edit { page: frame(&visit), tab: "roster", user, contact, form })
        }
    }
}

async fn remove(visit: Visit) -> Result<Response, Refusal> {
    let (user, contact) = one(&visit).await?;
    let path = ["users", &user.name, "roster", &contact.jid];
    visit.change::<()>(Method::DELETE, &path, ()).await?;
    visit.done(&format!("{}/roster", user.path()), visit.t("roster.removed"))
}
