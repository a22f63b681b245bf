//! `/tokens`: bearer tokens of the API.

use std::time::Duration;

use hyper::Method;
use serde::{Deserialize, Serialize};

use super::{Answer, Call, Page, Problem, Route};
use crate::admin::store::{self, TokenRow};
use crate::admin::token::Token;
use crate::storage::StorageError;

pub const ROUTES: &[Route] = &[
    Route::list("/tokens", COLUMNS, |call| Box::pin(list(call))),
    Route::new(Method::POST, "/tokens", |call| Box::pin(create(call))),
    Route::new(Method::DELETE, "/tokens/{id}", |call| Box::pin(revoke(call))),
];

const COLUMNS: &[&str] = &["id", "name", "created", "created_by", "expires", "last_used"];

const LONGEST_NAME: usize = 64;
const LONGEST_DAYS: u32 = 36_500;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct New {
    name: String,
    /// Days until it expires; absent: never.
    days: Option<u32>,
}

#[derive(Serialize)]
struct Shown {
    id: String,
    name: String,
    created: String,
    created_by: String,
    expires: Option<String>,
    last_used: Option<String>,
    /// In the answer to its creation only.
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
}

impl From<TokenRow> for Shown {
    fn from(row: TokenRow) -> Shown {
        Shown {
            id: row.id,
            name: row.name,
            created: row.created.to_string(),
            created_by: row.created_by,
            expires: row.expires.map(|at| at.to_string()),
            last_used: row.last_used.map(|at| at.to_string()),
            token: None,
        }
    }
}

async fn list(call: Call) -> Result<Answer, Problem> {
    let page = call.page()?;
    let Page { after, limit } = page.clone();
    let after = after.unwrap_or_default();
    let look = call
        .api
        .db
        .read(move |tx| Box::pin(async move { store::tokens(tx, &after, limit + 1).await }));
    let rows = look.await?;
    let shown: Vec<_> = rows.into_iter().map(Shown::from).collect();
    Answer::page(&page, shown, |token| token.id.clone())
}

async fn create(call: Call) -> Result<Answer, Problem> {
    let New { name, days } = call.json()?;
    if name.is_empty() || name.chars().count() > LONGEST_NAME || name.contains(char::is_control) {
        let told = format!("a token's name has 1 to {LONGEST_NAME} characters");
        return Err(Problem::Invalid(told).at("name"));
    }
    if days.is_some_and(|days| !(1..=LONGEST_DAYS).contains(&days)) {
        return Err(Problem::Invalid(format!("1 to {LONGEST_DAYS} days")).at("days"));
    }
    let clock = &call.api.clock;
    let token = Token::new(clock.random());
    let now = clock.now();
    let row = TokenRow {
        id: clock.random().hex(),
        name: name.clone(),
        created: now,
        created_by: call.actor.clone(),
        expires: days.map(|days| now + Duration::from_secs(u64::from(days) * 86_400)),
        last_used: None,
    };
    let (hash, new) = (token.hash(), row.clone());
    call.change("token.create", &name.clone(), move |tx| {
        Box::pin(async move {
            store::insert_token(tx, &new, &hash.0).await.map_err(|error| taken(error, &name))
        })
    })
    .await?;
    let token = Some(token.reveal().to_owned());
    Answer::created(Shown { token, ..Shown::from(row) })
}

fn taken(error: StorageError, name: &str) -> Problem {
    match error.is_constraint() {
        true => Problem::Conflict(format!(
            "there is a token `{name}` already: revoke it, or choose another name"
        ))
        .at("name"),
        false => error.into(),
    }
}

async fn revoke(call: Call) -> Result<Answer, Problem> {
    let id = call.param(0).to_owned();
    call.change("token.revoke", &id.clone(), move |tx| {
        Box::pin(async move {
            match store::delete_token(tx, &id).await? {
                true => Ok(()),
                false => Err(Problem::not_found("token", &id)),
            }
        })
    })
    .await?;
    Answer::done()
}
