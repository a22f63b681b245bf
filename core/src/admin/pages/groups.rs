//! Groups of users: listed, created, changed, and their members.

use askama::Template;
use hyper::Method;
use serde::Deserialize;
use serde_json::json;

use super::form::Form;
use super::list::{self, List};
use super::visit::{show, show_refused};
use super::{Frame, Refusal, Route, Visit};
use crate::admin::api::Problem;
use crate::http::{Response, encode_segment};

const PATH: &str = "/groups";
/// Not below the list: there stands whoever is called `new`.
const NEW: &str = "/create/group";

pub const ROUTES: &[Route] = &[
    Route::new(Method::GET, PATH, |visit| Box::pin(list(visit))),
    Route::new(Method::GET, NEW, |visit| {
        Box::pin(async move { show(new(&visit, visit.typed_or(Form::default()))) })
    }),
    Route::new(Method::POST, NEW, |visit| Box::pin(create(visit))),
    Route::new(Method::GET, "/groups/{group}", |visit| Box::pin(get(visit))),
    Route::new(Method::POST, "/groups/{group}", |visit| Box::pin(join(visit))),
    Route::new(Method::GET, "/groups/{group}/edit", |visit| Box::pin(edit(visit))),
    Route::new(Method::POST, "/groups/{group}/edit", |visit| Box::pin(save(visit))),
    Route::new(Method::POST, "/groups/{group}/delete", |visit| Box::pin(delete(visit))),
    Route::new(Method::POST, "/groups/{group}/members/{name}/leave", |visit| {
        Box::pin(leave(visit))
    }),
    Route::new(Method::POST, "/groups/{group}/members/{name}/rank", |visit| Box::pin(rank(visit))),
];

#[derive(Deserialize)]
struct Group {
    name: String,
    description: String,
    members: u64,
    created: String,
}

impl Group {
    async fn read(visit: &Visit) -> Result<Group, Problem> {
        visit.read(&["groups", visit.param(0)], &[]).await
    }

    fn path(&self) -> String {
        format!("/groups/{}", encode_segment(&self.name))
    }
}

#[derive(Deserialize)]
struct Member {
    name: String,
    administrator: bool,
}

impl Member {
    fn path(&self) -> String {
        format!("/users/{}", encode_segment(&self.name))
    }

    fn act(&self, group: &Group, act: &str) -> String {
        format!("{}/members/{}/{act}", group.path(), encode_segment(&self.name))
    }
}

#[derive(Template)]
#[template(path = "groups.html")]
struct Groups {
    page: Frame,
    list: List<Group>,
}

#[derive(Template)]
#[template(path = "group_form.html")]
struct Described {
    page: Frame,
    form: Form,
    /// Where the reader goes who changes his mind.
    back: String,
}

#[derive(Template)]
#[template(path = "group.html")]
struct Members {
    page: Frame,
    group: Group,
    list: List<Member>,
    form: Form,
}

async fn list(visit: Visit) -> Result<Response, Refusal> {
    if list::wants_csv(&visit) {
        return list::csv(&visit, &["groups"], &["search"]).await;
    }
    let list = List::read(&visit, &["groups"], &["search"]).await?;
    show(Groups { page: visit.frame("groups"), list })
}

fn new(visit: &Visit, form: Form) -> Described {
    Described { page: visit.frame("group_new").below("groups"), form, back: PATH.to_owned() }
}

/// What the form says about a group.
async fn put(visit: &Visit, method: Method, path: &[&str]) -> Result<Group, Problem> {
    let (name, description) = (visit.form.get("name"), visit.form.get("description"));
    visit.change(method, path, json!({ "name": name, "description": description })).await
}

async fn create(visit: Visit) -> Result<Response, Refusal> {
    match put(&visit, Method::POST, &["groups"]).await {
        Ok(group) => visit.done(&group.path(), visit.t("group_new.created")),
        Err(problem) => {
            let form = Form::sent(&visit.form).refuse_by(&problem);
            show_refused(new(&visit, form))
        }
    }
}

async fn page(visit: &Visit, form: Form) -> Result<Members, Refusal> {
    let group = Group::read(visit).await?;
    let list = List::read(visit, &["groups", &group.name, "members"], &[]).await?;
    Ok(Members { page: visit.frame("group").below("groups"), group, list, form })
}

async fn get(visit: Visit) -> Result<Response, Refusal> {
    if list::wants_csv(&visit) {
        return list::csv(&visit, &["groups", visit.param(0), "members"], &[]).await;
    }
    show(page(&visit, visit.typed_or(Form::default())).await?)
}

async fn join(visit: Visit) -> Result<Response, Refusal> {
    let group = Group::read(&visit).await?;
    let name = visit.form.get("name").trim();
    let body = json!({ "administrator": visit.form.has("administrator") });
    match visit.change::<()>(Method::PUT, &["groups", &group.name, "members", name], body).await {
        Ok(()) => visit.done(&group.path(), visit.t("group.joined").with("name", name)),
        Err(problem) => {
            let form = Form::sent(&visit.form);
            let form = match problem {
                Problem::NotFound(why) => form.refuse("name", why),
                other => form.refuse_by(&other),
            };
            show_refused(page(&visit, form).await?)
        }
    }
}

async fn edit(visit: Visit) -> Result<Response, Refusal> {
    let group = Group::read(&visit).await?;
    let back = group.path();
    let form = Form::filled([("name", group.name), ("description", group.description)]);
    let form = visit.typed_or(form);
    show(Described { page: visit.frame("group_edit").below("groups"), form, back })
}

async fn save(visit: Visit) -> Result<Response, Refusal> {
    let group = Group::read(&visit).await?;
    match put(&visit, Method::PUT, &["groups", &group.name]).await {
        Ok(group) => visit.done(&group.path(), visit.t("group.saved")),
        Err(problem) => {
            let form = Form::sent(&visit.form).refuse_by(&problem);
            let page = visit.frame("group_edit").below("groups");
            show_refused(Described { page, form, back: group.path() })
        }
    }
}

async fn delete(visit: Visit) -> Result<Response, Refusal> {
    visit.change::<()>(Method::DELETE, &["groups", visit.param(0)], ()).await?;
    visit.done(PATH, visit.t("group.deleted").with("name", visit.param(0)))
}

async fn leave(visit: Visit) -> Result<Response, Refusal> {
    let (group, name) = (Group::read(&visit).await?, visit.param(1));
    visit.change::<()>(Method::DELETE, &["groups", &group.name, "members", name], ()).await?;
    visit.done(&group.path(), visit.t("group.left").with("name", name))
}

/// Makes a member an administrator of the group, or no longer.
async fn rank(visit: Visit) -> Result<Response, Refusal> {
    let (group, name) = (Group::read(&visit).await?, visit.param(1));
    let body = json!({ "administrator": visit.form.has("administrator") });
    visit.change::<()>(Method::PUT, &["groups", &group.name, "members", name], body).await?;
    visit.done(&group.path(), visit.t("group.saved"))
}
