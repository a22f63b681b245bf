//! The groups, properties and sessions of a user.

use askama::Template;
use hyper::Method;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::form::Form;
use super::list::{self, List};
use super::sessions::Session;
use super::user::{User, frame};
use super::visit::{show, show_refused};
use super::{Frame, Refusal, Route, Visit};
use crate::admin::api::Problem;
use crate::http::{Response, encode_segment};

pub const ROUTES: &[Route] = &[
    Route::new(Method::GET, "/users/{name}/groups", |visit| Box::pin(groups(visit))),
    Route::new(Method::POST, "/users/{name}/groups", |visit| Box::pin(join(visit))),
    Route::new(Method::POST, "/users/{name}/groups/{group}/leave", |visit| Box::pin(leave(visit))),
    Route::new(Method::GET, "/users/{name}/properties", |visit| Box::pin(properties(visit))),
    Route::new(Method::POST, "/users/{name}/properties", |visit| Box::pin(set(visit))),
    Route::new(Method::POST, "/users/{name}/properties/{property}/delete", |visit| {
        Box::pin(unset(visit))
    }),
    Route::new(Method::GET, "/users/{name}/sessions", |visit| Box::pin(sessions(visit))),
];

#[derive(Deserialize)]
struct Group {
    name: String,
    description: String,
    administrator: bool,
}

impl Group {
    fn path(&self) -> String {
        format!("/groups/{}", encode_segment(&self.name))
    }

    fn leave(&self, user: &User) -> String {
        format!("{}{}/leave", user.path(), self.path())
    }
}

#[derive(Deserialize)]
struct Property {
    name: String,
    value: String,
}

impl Property {
    fn delete(&self, user: &User) -> String {
        format!("{}/properties/{}/delete", user.path(), encode_segment(&self.name))
    }
}

#[derive(Template)]
#[template(path = "user_groups.html")]
struct Groups {
    page: Frame,
    tab: &'static str,
    user: User,
    list: List<Group>,
    form: Form,
}

#[derive(Template)]
#[template(path = "user_properties.html")]
struct Properties {
    page: Frame,
    tab: &'static str,
    user: User,
    list: List<Property>,
    form: Form,
}

#[derive(Template)]
#[template(path = "user_sessions.html")]
struct Sessions {
    page: Frame,
    tab: &'static str,
    user: User,
    list: List<Session>,
}

impl Sessions {
    /// Where to end one of them, and to come back from.
    fn end(&self, session: &Session) -> String {
        session.end_from(&format!("{}/sessions", self.user.path()))
    }
}

async fn read<T: DeserializeOwned + Send + 'static>(
    visit: &Visit,
    what: &str,
) -> Result<(User, List<T>), Problem> {
    let user = User::read(visit).await?;
    let list = List::read(visit, &["users", &user.name, what], &[]).await?;
    Ok((user, list))
}

async fn csv(visit: &Visit, what: &str) -> Result<Response, Refusal> {
    list::csv(visit, &["users", visit.param(0), what], &[]).await
}

async fn groups_page(visit: &Visit, form: Form) -> Result<Groups, Refusal> {
    let (user, list) = read(visit, "groups").await?;
    Ok(Groups { page: frame(visit), tab: "groups", user, list, form })
}

async fn groups(visit: Visit) -> Result<Response, Refusal> {
    if list::wants_csv(&visit) {
        return csv(&visit, "groups").await;
    }
    show(groups_page(&visit, visit.typed_or(Form::default())).await?)
}

async fn join(visit: Visit) -> Result<Response, Refusal> {
    let form = Form::sent(&visit.form);
    let group = visit.form.get("group").trim();
    let body = json!({ "administrator": visit.form.has("administrator") });
    let path = ["groups", group, "members", visit.param(0)];
    match visit.change::<()>(Method::PUT, &path, body).await {
        Ok(()) => visit.done(&visit.path, visit.t("user.joined").with("group", group)),
        Err(Problem::NotFound(why)) => {
            show_refused(groups_page(&visit, form.refuse("group", why)).await?)
        }
        Err(problem) => show_refused(groups_page(&visit, form.refuse_by(&problem)).await?),
    }
}

async fn leave(visit: Visit) -> Result<Response, Refusal> {
    let (user, group) = (User::read(&visit).await?, visit.param(1));
    let path = ["groups", group, "members", &user.name];
    visit.change::<()>(Method::DELETE, &path, ()).await?;
    let said = visit.t("user.left").with("group", group);
    visit.done(&format!("{}/groups", user.path()), said)
}

async fn properties_page(visit: &Visit, form: Form) -> Result<Properties, Refusal> {
    let (user, list) = read(visit, "properties").await?;
    Ok(Properties { page: frame(visit), tab: "properties", user, list, form })
}

async fn properties(visit: Visit) -> Result<Response, Refusal> {
    if list::wants_csv(&visit) {
        return csv(&visit, "properties").await;
    }
    show(properties_page(&visit, visit.typed_or(Form::default())).await?)
}

async fn set(visit: Visit) -> Result<Response, Refusal> {
    let form = Form::sent(&visit.form);
    let Some(name) = visit.form.find("name") else {
        let refused = form.refuse("name", visit.t("user.property_name_missing"));
        return show_refused(properties_page(&visit, refused).await?);
    };
    let path = ["users", visit.param(0), "properties", name];
    let body = json!({ "value": visit.form.get("value") });
    match visit.change::<Property>(Method::PUT, &path, body).await {
        Ok(_) => visit.done(&visit.path, visit.t("user.saved")),
        Err(problem) => show_refused(properties_page(&visit, form.refuse_by(&problem)).await?),
    }
}

async fn unset(visit: Visit) -> Result<Response, Refusal> {
    let user = User::read(&visit).await?;
    let path = ["users", &user.name, "properties", visit.param(1)];
    visit.change::<()>(Method::DELETE, &path, ()).await?;
    visit.done(&format!("{}/properties", user.path()), visit.t("user.property_deleted"))
}

async fn sessions(visit: Visit) -> Result<Response, Refusal> {
    if list::wants_csv(&visit) {
        return csv(&visit, "sessions").await;
    }
    let (user, list) = read(&visit, "sessions").await?;
    show(Sessions { page: frame(&visit), tab: "sessions", user, list })
}
