//! `/groups`: groups of users.

use hyper::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::call::{check_name, check_text};
use super::users::{self, HOST};
use super::{Answer, Call, Page, Problem, Route};
use crate::services::groups::{Group, GroupId, Member, store};
use crate::storage::StorageError;

pub const ROUTES: &[Route] = &[
    Route::list("/groups", COLUMNS, |call| Box::pin(list(call))),
    Route::new(Method::POST, "/groups", |call| Box::pin(create(call))),
    Route::new(Method::GET, "/groups/{group}", |call| Box::pin(get(call))),
    Route::new(Method::PUT, "/groups/{group}", |call| Box::pin(edit(call))),
    Route::new(Method::DELETE, "/groups/{group}", |call| Box::pin(delete(call))),
    Route::list("/groups/{group}/members", MEMBERS, |call| Box::pin(members(call))),
    Route::new(Method::PUT, "/groups/{group}/members/{name}", |call| Box::pin(put(call))),
    Route::new(Method::DELETE, "/groups/{group}/members/{name}", |call| Box::pin(leave(call))),
    Route::list("/users/{name}/groups", OF_USER, |call| Box::pin(of_user(call))),
];

const COLUMNS: &[&str] = &["name", "description", "members", "created"];
const MEMBERS: &[&str] = &["name", "administrator"];
const OF_USER: &[&str] = &["name", "description", "administrator"];
const LONGEST_NAME: usize = 100;
const LONGEST_DESCRIPTION: usize = 1000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct New {
    name: String,
    #[serde(default)]
    description: String,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct NewMember {
    #[serde(default)]
    administrator: bool,
}

impl New {
    fn check(self) -> Result<New, Problem> {
        let name = check_name("name", &self.name, LONGEST_NAME)?;
        let description = match self.description.trim() {
            "" => String::new(),
            text => check_text("description", text, LONGEST_DESCRIPTION)?,
        };
        Ok(New { name, description })
    }
}

fn shown(group: &Group) -> Value {
    json!({
        "name": group.name,
        "description": group.description,
        "members": group.members,
        "created": group.created.to_string(),
    })
}

fn taken(name: &str) -> Problem {
    Problem::Conflict(format!("there is a group `{name}` already")).at("name")
}

fn name(item: &Value) -> String {
    item["name"].as_str().unwrap_or_default().to_owned()
}

async fn list(call: Call) -> Result<Answer, Problem> {
    let page = call.page()?;
    let Page { after, limit } = page.clone();
    let (prefix, after) =
        (call.text("search").unwrap_or_default().to_owned(), after.unwrap_or_default());
    let look = call.api.db.read(move |tx| {
        Box::pin(async move { store::page(tx, HOST, (&prefix, &after), limit + 1).await })
    });
    Answer::page(&page, look.await?.iter().map(shown).collect(), name)
}

/// The group that the path names.
async fn find(call: &Call) -> Result<Group, Problem> {
    named(call, call.param(0)).await
}

async fn named(call: &Call, name: &str) -> Result<Group, Problem> {
    let asked = name.to_owned();
    let look =
        call.api.db.read(move |tx| Box::pin(async move { store::find(tx, HOST, &asked).await }));
    look.await?.ok_or_else(|| Problem::not_found("group", name))
}

async fn get(call: Call) -> Result<Answer, Problem> {
    Answer::ok(shown(&find(&call).await?))
}

async fn create(call: Call) -> Result<Answer, Problem> {
    let New { name, description } = call.json::<New>()?.check()?;
    let (now, new) = (call.api.clock.now(), name.clone());
    call.change("group.create", &name, move |tx| {
        Box::pin(async move {
            let id = store::create(tx, HOST, &new, &description, now).await?;
            id.map(|_: GroupId| ()).ok_or_else(|| taken(&new))
        })
    })
    .await?;
    Answer::created(shown(&named(&call, &name).await?))
}

async fn edit(call: Call) -> Result<Answer, Problem> {
    let New { name, description } = call.json::<New>()?.check()?;
    let group = find(&call).await?;
    let (id, new) = (group.id, name.clone());
    call.change("group.edit", &group.name, move |tx| {
        Box::pin(async move {
            let edited = store::edit(tx, id, &new, &description).await;
            edited.map_err(|error: StorageError| match error.is_constraint() {
                true => taken(&new),
                false => error.into(),
            })
        })
    })
    .await?;
    Answer::ok(shown(&named(&call, &name).await?))
}

async fn delete(call: Call) -> Result<Answer, Problem> {
    let Group { id, name, .. } = find(&call).await?;
    call.change("group.delete", &name, move |tx| {
        Box::pin(async move { Ok(store::delete(tx, HOST, id).await?) })
    })
    .await?;
    Answer::done()
}

async fn members(call: Call) -> Result<Answer, Problem> {
    let page = call.page()?;
    let Page { after, limit } = page.clone();
    let (id, after) = (find(&call).await?.id, after.unwrap_or_default());
    let look = call.api.db.read(move |tx| {
        Box::pin(async move { store::members(tx, HOST, id, &after, limit + 1).await })
    });
    let shown =
        |member: &Member| json!({ "name": member.username, "administrator": member.administrator });
    Answer::page(&page, look.await?.iter().map(shown).collect(), name)
}

async fn put(call: Call) -> Result<Answer, Problem> {
    let NewMember { administrator } = call.json_if_any()?;
    let group = find(&call).await?;
    let user = users::named(&call, call.param(1)).await?;
    let (id, member) =
        (group.id, Member { username: user.username, account: user.id, administrator });
    let target = format!("{} {}", group.name, member.username);
    call.change("group.member", &target, move |tx| {
        Box::pin(async move { Ok(store::put_member(tx, HOST, id, &member).await?) })
    })
    .await?;
    Answer::done()
}

async fn leave(call: Call) -> Result<Answer, Problem> {
    let group = find(&call).await?;
    let user = users::named(&call, call.param(1)).await?;
    call.change("group.leave", &format!("{} {}", group.name, user.username), move |tx| {
        Box::pin(async move {
            match store::delete_member(tx, HOST, group.id, user.id).await? {
                true => Ok(()),
                false => Err(Problem::not_found("member", &user.username)),
            }
        })
    })
    .await?;
    Answer::done()
}

async fn of_user(call: Call) -> Result<Answer, Problem> {
    let page = call.page()?;
    let Page { after, limit } = page.clone();
    let (id, after) = (users::find(&call).await?.id, after.unwrap_or_default());
    let look = call.api.db.read(move |tx| {
        Box::pin(async move { store::of_account(tx, HOST, id, &after, limit + 1).await })
    });
    let shown = |(group, administrator): &(Group, bool)| {
        let Group { name, description, .. } = group;
        json!({ "name": name, "description": description, "administrator": administrator })
    };
    Answer::page(&page, look.await?.iter().map(shown).collect(), name)
}
