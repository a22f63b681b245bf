//! One user: what he is called, his password, whether he may sign in, and his end.

use askama::Template;
use hyper::Method;
use serde::Deserialize;
use serde_json::json;

use super::form::Form;
use super::visit::{show, show_refused};
use super::{Frame, Refusal, Route, Visit};
use crate::admin::api::Problem;
use crate::http::{Response, encode_segment};

pub const ROUTES: &[Route] = &[
    Route::new(Method::GET, "/users/{name}", |visit| Box::pin(overview(visit))),
    Route::new(Method::POST, "/users/{name}", |visit| Box::pin(edit(visit))),
    Route::new(Method::POST, "/users/{name}/appoint", |visit| Box::pin(appoint(visit))),
    Route::new(Method::POST, "/users/{name}/dismiss", |visit| Box::pin(dismiss(visit))),
    Route::new(Method::GET, "/users/{name}/password", |visit| Box::pin(password(visit))),
    Route::new(Method::POST, "/users/{name}/password", |visit| Box::pin(set_password(visit))),
    Route::new(Method::GET, "/users/{name}/lock", |visit| Box::pin(lock_out(visit))),
    Route::new(Method::POST, "/users/{name}/lock", |visit| Box::pin(lock(visit))),
    Route::new(Method::POST, "/users/{name}/unlock", |visit| Box::pin(unlock(visit))),
    Route::new(Method::GET, "/users/{name}/delete", |visit| Box::pin(ask_to_delete(visit))),
    Route::new(Method::POST, "/users/{name}/delete", |visit| Box::pin(delete(visit))),
];

/// A user as the API shows him.
#[derive(Deserialize)]
pub struct User {
    pub name: String,
    pub jid: String,
    pub display_name: Option<String>,
    pub email: Option<String>,
    pub created: String,
    pub locked: bool,
    pub lockout: Option<Lockout>,
    pub administrator: bool,
    pub sessions: u64,
    pub last_activity: Option<String>,
}

#[derive(Deserialize)]
pub struct Lockout {
    pub from: String,
    pub until: Option<String>,
    pub reason: Option<String>,
}

impl User {
    /// The user that the path names.
    pub async fn read(visit: &Visit) -> Result<User, Problem> {
        visit.read(&["users", visit.param(0)], &[]).await
    }

    pub fn path(&self) -> String {
        format!("/users/{}", encode_segment(&self.name))
    }
}

/// What surrounds the tabs of a user.
pub fn frame(visit: &Visit) -> Frame {
    visit.frame("user").below("users")
}

macro_rules! tab {
    ($name:ident, $template:literal) => {
        #[derive(Template)]
        #[template(path = $template)]
        struct $name {
            page: Frame,
            tab: &'static str,
            user: User,
            form: Form,
        }
    };
}

tab!(Overview, "user_overview.html");
tab!(LockOut, "user_lock.html");
tab!(Delete, "user_delete.html");

async fn overview(visit: Visit) -> Result<Response, Refusal> {
    let user = User::read(&visit).await?;
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let form =
        Form::filled([("display_name", text(&user.display_name)), ("email", text(&user.email))]);
    let form = visit.typed_or(form);
    show(Overview { page: frame(&visit), tab: "overview", user, form })
}

async fn edit(visit: Visit) -> Result<Response, Refusal> {
    let body = json!({
        "display_name": visit.form.find("display_name"),
        "email": visit.form.find("email"),
    });
    match visit.change::<User>(Method::PUT, &["users", visit.param(0)], body).await {
        Ok(user) => visit.done(&user.path(), visit.t("user.saved")),
        Err(problem) => {
            let form = Form::sent(&visit.form).refuse_by(&problem);
            let user = User::read(&visit).await?;
            show_refused(Overview { page: frame(&visit), tab: "overview", user, form })
        }
    }
}

async fn appoint(visit: Visit) -> Result<Response, Refusal> {
    visit.confirmed()?;
    let user = User::read(&visit).await?;
    visit.change::<()>(Method::PUT, &["users", &user.name, "administrator"], json!({})).await?;
    visit.done(&user.path(), visit.t("user.appointed"))
}

async fn dismiss(visit: Visit) -> Result<Response, Refusal> {
    let user = User::read(&visit).await?;
    visit.change::<()>(Method::DELETE, &["users", &user.name, "administrator"], ()).await?;
    visit.done(&user.path(), visit.t("user.dismissed"))
}

#[derive(Template)]
#[template(path = "user_password.html")]
struct Password {
    page: Frame,
    tab: &'static str,
    user: User,
    form: Form,
    /// Characters that it needs.
    shortest: usize,
}

fn password_page(visit: &Visit, user: User, form: Form) -> Password {
    let shortest = visit.console.api.accounts.shortest_password();
    Password { page: frame(visit), tab: "password", user, form, shortest }
}

async fn password(visit: Visit) -> Result<Response, Refusal> {
    let user = User::read(&visit).await?;
    show(password_page(&visit, user, Form::default()))
}

async fn set_password(visit: Visit) -> Result<Response, Refusal> {
    let user = User::read(&visit).await?;
    let form = Form::sent(&visit.form);
    let password = visit.form.get("password");
    let refused = match password == visit.form.get("again") {
        false => form.refuse("again", visit.t("user_new.differs")),
        true => {
            let path = ["users", &user.name, "password"];
            match visit.change::<()>(Method::PUT, &path, json!({ "password": password })).await {
                Ok(()) => return visit.done(&user.path(), visit.t("user.password_set")),
                Err(problem) => form.refuse_by(&problem),
            }
        }
    };
    show_refused(password_page(&visit, user, refused))
}

async fn lock_out(visit: Visit) -> Result<Response, Refusal> {
    let user = User::read(&visit).await?;
    let form = match &user.lockout {
        None => Form::default(),
        Some(Lockout { from, until, reason }) => Form::filled([
            ("from", from.clone()),
            ("until", until.clone().unwrap_or_default()),
            ("reason", reason.clone().unwrap_or_default()),
        ]),
    };
    let form = visit.typed_or(form);
    show(LockOut { page: frame(&visit), tab: "lock", user, form })
}

async fn lock(visit: Visit) -> Result<Response, Refusal> {
    let user = User::read(&visit).await?;
    let time = |name: &str| visit.form.find(name).map(super::form::moment);
    let body = json!({
        "from": time("from"),
        "until": time("until"),
        "reason": visit.form.find("reason"),
    });
    match visit.change::<()>(Method::PUT, &["users", &user.name, "lock"], body).await {
        Ok(()) => visit.done(&format!("{}/lock", user.path()), visit.t("user.locked_out")),
        Err(problem) => {
            let form = Form::sent(&visit.form).refuse_by(&problem);
            show_refused(LockOut { page: frame(&visit), tab: "lock", user, form })
        }
    }
}

async fn unlock(visit: Visit) -> Result<Response, Refusal> {
    let user = User::read(&visit).await?;
    visit.change::<()>(Method::DELETE, &["users", &user.name, "lock"], ()).await?;
    visit.done(&format!("{}/lock", user.path()), visit.t("user.let_in"))
}

async fn ask_to_delete(visit: Visit) -> Result<Response, Refusal> {
    let user = User::read(&visit).await?;
    show(Delete { page: frame(&visit), tab: "delete", user, form: Form::default() })
}

async fn delete(visit: Visit) -> Result<Response, Refusal> {
    let user = User::read(&visit).await?;
    match visit.change::<()>(Method::DELETE, &["users", &user.name], ()).await {
        Ok(()) => visit.done("/users", visit.t("user.deleted").with("name", &user.name)),
        Err(problem) => {
            let form = Form::default().refuse_by(&problem);
            show_refused(Delete { page: frame(&visit), tab: "delete", user, form })
        }
    }
}
