//! `/users/{name}/properties`: what other programs note about a user, by name.

use hyper::Method;
use serde::Deserialize;
use serde_json::json;

use super::call::check_name;
use super::users::find;
use super::{Answer, Call, Page, Problem, Route};
use crate::auth::profile::store;

pub const ROUTES: &[Route] = &[
    Route::list("/users/{name}/properties", COLUMNS, |call| Box::pin(list(call))),
    Route::new(Method::PUT, "/users/{name}/properties/{property}", |call| Box::pin(set(call))),
    Route::new(Method::DELETE, "/users/{name}/properties/{property}", |call| {
        Box::pin(delete(call))
    }),
];

const COLUMNS: &[&str] = &["name", "value"];
const LONGEST_NAME: usize = 100;
const LONGEST_VALUE: usize = 4000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct New {
    value: String,
}

async fn list(call: Call) -> Result<Answer, Problem> {
    let page = call.page()?;
    let Page { after, limit } = page.clone();
    let (id, after) = (find(&call).await?.id, after.unwrap_or_default());
    let look = call.api.db.read(move |tx| {
        Box::pin(async move { store::properties(tx, id, &after, limit + 1).await })
    });
    let rows = look.await?.into_iter();
    let items = rows.map(|(name, value)| json!({ "name": name, "value": value })).collect();
    Answer::page(&page, items, |item| item["name"].as_str().unwrap_or_default().to_owned())
}

async fn set(call: Call) -> Result<Answer, Problem> {
    let New { value } = call.json()?;
    if value.chars().count() > LONGEST_VALUE {
        let told = format!("a value has up to {LONGEST_VALUE} characters");
        return Err(Problem::Invalid(told).at("value"));
    }
    let name = check_name("name", call.param(1), LONGEST_NAME)?;
    let row = find(&call).await?;
    let shown = json!({ "name": name, "value": value });
    call.change("user.property", &format!("{} {name}", row.username), move |tx| {
        Box::pin(async move { Ok(store::set_property(tx, row.id, &name, &value).await?) })
    })
    .await?;
    Answer::ok(shown)
}

async fn delete(call: Call) -> Result<Answer, Problem> {
    let row = find(&call).await?;
    let name = call.param(1).to_owned();
    call.change("user.property", &format!("{} {name}", row.username), move |tx| {
        Box::pin(async move {
            match store::delete_property(tx, row.id, &name).await? {
                true => Ok(()),
                false => Err(Problem::not_found("property", &name)),
            }
        })
    })
    .await?;
    Answer::done()
}
