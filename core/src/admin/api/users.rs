//! `/users`: the accounts of the domain.

use std::collections::HashSet;

use hyper::Method;
use serde::{Deserialize, Serialize};

use super::sessions::end_sessions;
use super::{Answer, Call, Page, Problem, Route};
use crate::admin::store;
use crate::auth::accounts::AccountError;
use crate::auth::store::AccountRow;
use crate::host::{AccountId, HostId};
use crate::jid::localpart;

pub const ROUTES: &[Route] = &[
    Route::list("/users", COLUMNS, |call| Box::pin(list(call))),
    Route::new(Method::POST, "/users", |call| Box::pin(create(call))),
    Route::new(Method::GET, "/users/{name}", |call| Box::pin(get(call))),
    Route::new(Method::DELETE, "/users/{name}", |call| Box::pin(delete(call))),
    Route::new(Method::PUT, "/users/{name}/password", |call| Box::pin(set_password(call))),
    Route::new(Method::PUT, "/users/{name}/lock", |call| Box::pin(lock(call))),
    Route::new(Method::DELETE, "/users/{name}/lock", |call| Box::pin(unlock(call))),
    Route::new(Method::PUT, "/users/{name}/administrator", |call| Box::pin(appoint(call))),
    Route::new(Method::DELETE, "/users/{name}/administrator", |call| Box::pin(dismiss(call))),
];

const HOST: HostId = HostId::FIRST;
const COLUMNS: &[&str] = &["name", "jid", "created", "locked", "administrator"];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct New {
    name: String,
    password: String,
    #[serde(default)]
    administrator: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewPassword {
    password: String,
}

#[derive(Serialize)]
struct Shown {
    name: String,
    jid: String,
    created: String,
    locked: bool,
    administrator: bool,
}

impl From<AccountError> for Problem {
    fn from(error: AccountError) -> Problem {
        match error {
            AccountError::NameTaken => Problem::Conflict(error.to_string()),
            AccountError::NoSuchAccount => Problem::NotFound(error.to_string()),
            AccountError::Name(_) | AccountError::Password(_) => {
                Problem::Invalid(error.to_string())
            }
            AccountError::Overloaded(_) => Problem::Unavailable(error.to_string()),
            AccountError::Storage(error) => error.into(),
        }
    }
}

fn shown(call: &Call, row: &AccountRow, administrators: &HashSet<AccountId>) -> Shown {
    Shown {
        name: row.username.clone(),
        jid: format!("{}@{}", row.username, call.api.about.domain),
        created: row.created.to_string(),
        locked: row.disabled || row.locked_until > call.api.clock.now(),
        administrator: administrators.contains(&row.id),
    }
}

/// There are few: reading all is one small query.
async fn administrators(call: &Call) -> Result<HashSet<AccountId>, Problem> {
    let look = call.api.db.read(|tx| Box::pin(store::administrators(tx)));
    Ok(look.await?.into_iter().collect())
}

async fn list(call: Call) -> Result<Answer, Problem> {
    let page = call.page()?;
    let Page { after, limit } = &page;
    let after = after.as_deref().unwrap_or_default();
    let rows = call.api.accounts.list(HOST, after, *limit as u32 + 1).await?;
    let administrators = administrators(&call).await?;
    let users = rows.iter().map(|row| shown(&call, row, &administrators)).collect();
    Answer::page(&page, users, |user| user.name.clone())
}

/// The account that the path names. The name need not be prepared.
async fn find(call: &Call) -> Result<AccountRow, Problem> {
    let unknown = || Problem::not_found("user", call.param(0));
    let name = localpart(call.param(0)).map_err(|_| unknown())?;
    let login = call.api.accounts.find(HOST, &name).await?.ok_or_else(unknown)?;
    Ok(login.row.clone())
}

async fn get(call: Call) -> Result<Answer, Problem> {
    let row = find(&call).await?;
    Answer::ok(shown(&call, &row, &administrators(&call).await?))
}

async fn create(call: Call) -> Result<Answer, Problem> {
    let New { name, password, administrator } = call.json()?;
    let id = call.api.accounts.create(HOST, &name, &password).await?;
    call.note("user.create", &name).await?;
    if administrator {
        grant(&call, id, name.clone()).await?;
    }
    let call = Call { params: vec![name], ..call };
    let row = find(&call).await?;
    Answer::created(shown(&call, &row, &administrators(&call).await?))
}

async fn delete(call: Call) -> Result<Answer, Problem> {
    let AccountRow { id, username, .. } = find(&call).await?;
    let mut caused = call.api.removal.remove(HOST, &username).await?;
    call.api.router.perform(&mut caused).await;
    call.change("user.delete", &username, move |tx| {
        Box::pin(async move { Ok(store::dismiss(tx, id).await?) })
    })
    .await?;
    Answer::done()
}

/// Whoever knew the old password is thrown out.
async fn set_password(call: Call) -> Result<Answer, Problem> {
    let NewPassword { password } = call.json()?;
    let row = find(&call).await?;
    call.api.accounts.set_password(HOST, &row.username, &password).await?;
    call.note("user.password", &row.username).await?;
    end_sessions(&call.api, &row.username);
    Answer::done()
}

async fn lock(call: Call) -> Result<Answer, Problem> {
    let row = find(&call).await?;
    call.api.accounts.set_disabled(HOST, &row.username, true).await?;
    call.note("user.lock", &row.username).await?;
    end_sessions(&call.api, &row.username);
    Answer::done()
}

async fn unlock(call: Call) -> Result<Answer, Problem> {
    let row = find(&call).await?;
    call.api.accounts.set_disabled(HOST, &row.username, false).await?;
    call.note("user.unlock", &row.username).await?;
    Answer::done()
}

async fn grant(call: &Call, id: AccountId, name: String) -> Result<(), Problem> {
    let (now, actor) = (call.api.clock.now(), call.actor.clone());
    call.change("user.appoint", &name, move |tx| {
        Box::pin(async move { Ok(store::appoint(tx, id, &actor, now).await?) })
    })
    .await
}

async fn appoint(call: Call) -> Result<Answer, Problem> {
    let row = find(&call).await?;
    grant(&call, row.id, row.username).await?;
    Answer::done()
}

async fn dismiss(call: Call) -> Result<Answer, Problem> {
    let AccountRow { id, username, .. } = find(&call).await?;
    call.change("user.dismiss", &username, move |tx| {
        Box::pin(async move { Ok(store::dismiss(tx, id).await?) })
    })
    .await?;
    Answer::done()
}
