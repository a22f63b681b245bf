//! Users: listed, searched and created.

use askama::Template;
use hyper::Method;
use serde::Deserialize;
use serde_json::json;

use super::form::Form;
use super::list::{self, List};
use super::user::User;
use super::visit::{show, show_refused};
use super::{Frame, Refusal, Route, Text, Visit};
use crate::http::Response;

const PATH: &str = "/users";
/// Not below the list: there stands whoever is called `new`.
const NEW: &str = "/create/user";
/// As the API takes them.
const FILTERS: &[&str] = &["search", "show"];

pub const ROUTES: &[Route] = &[
    Route::new(Method::GET, PATH, |visit| Box::pin(list(visit))),
    Route::new(Method::GET, NEW, |visit| {
        Box::pin(async move { show(new(&visit, visit.typed_or(Form::default()))) })
    }),
    Route::new(Method::POST, NEW, |visit| Box::pin(create(visit))),
];

#[derive(Deserialize)]
struct Count {
    total: u64,
}

#[derive(Template)]
#[template(path = "users.html")]
struct Users {
    page: Frame,
    list: List<User>,
    /// All users, whatever the search.
    total: u64,
}

impl Users {
    /// Which users may be shown: the value and its text.
    fn kinds(&self) -> [(&'static str, Text); 4] {
        [
            ("", self.page.t("users.all")),
            ("administrators", self.page.t("users.administrators")),
            ("locked", self.page.t("users.locked_out")),
            ("online", self.page.t("users.online")),
        ]
    }

    fn shows(&self, kind: &str) -> bool {
        self.list.value("show") == kind
    }
}

#[derive(Template)]
#[template(path = "user_new.html")]
struct New {
    page: Frame,
    form: Form,
    /// Characters that a password needs.
    shortest: usize,
}

async fn list(visit: Visit) -> Result<Response, Refusal> {
    if list::wants_csv(&visit) {
        return list::csv(&visit, &["users"], FILTERS).await;
    }
    let list = List::read(&visit, &["users"], FILTERS).await?;
    let Count { total } = visit.read(&["users"], &[("limit", "1")]).await?;
    show(Users { page: visit.frame("users"), list, total })
}

fn new(visit: &Visit, form: Form) -> New {
    let shortest = visit.console.api.accounts.shortest_password();
    New { page: visit.frame("user_new").below("users"), form, shortest }
}

async fn create(visit: Visit) -> Result<Response, Refusal> {
    if visit.form.has("administrator") {
        visit.confirmed()?;
    }
    let sent = Form::sent(&visit.form);
    if visit.form.get("password") != visit.form.get("again") {
        let refused = sent.refuse("again", visit.t("user_new.differs"));
        return show_refused(new(&visit, refused));
    }
    let body = json!({
        "name": visit.form.get("name"),
        "password": visit.form.get("password"),
        "display_name": visit.form.find("display_name"),
        "email": visit.form.find("email"),
        "administrator": visit.form.has("administrator"),
    });
    match visit.change::<User>(Method::POST, &["users"], body).await {
        Ok(user) => {
            let said = visit.t("user_new.created").with("name", &user.name);
            visit.done(&user.path(), said)
        }
        Err(problem) => show_refused(new(&visit, sent.refuse_by(&problem))),
    }
}
