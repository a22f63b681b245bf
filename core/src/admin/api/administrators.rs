//! `/users/{name}/administrator`: who may administer the server. There is always one.

use hyper::Method;

use super::users::find;
use super::{Answer, Call, Problem, Route};
use crate::admin::store;
use crate::auth::accounts::AccountError;
use crate::auth::store::AccountRow;
use crate::host::AccountId;
use crate::storage::Tx;

pub const ROUTES: &[Route] = &[
    Route::new(Method::PUT, "/users/{name}/administrator", |call| Box::pin(appoint(call))),
    Route::new(Method::DELETE, "/users/{name}/administrator", |call| Box::pin(dismiss(call))),
];

async fn appoint(call: Call) -> Result<Answer, Problem> {
    let row = find(&call).await?;
    grant(&call, row.id, row.username).await?;
    Answer::done()
}

pub(super) async fn grant(call: &Call, id: AccountId, name: String) -> Result<(), Problem> {
    let (now, actor) = (call.api.clock.now(), call.actor.clone());
    call.change("user.appoint", &name, move |tx| {
        Box::pin(async move { Ok(store::appoint(tx, id, &actor, now).await?) })
    })
    .await
}

async fn dismiss(call: Call) -> Result<Answer, Problem> {
    let AccountRow { id, username, .. } = find(&call).await?;
    call.change("user.dismiss", &username, move |tx| {
        Box::pin(async move {
            keep_one(tx, id).await?;
            Ok(store::dismiss(tx, id).await?)
        })
    })
    .await?;
    Answer::done()
}

/// Refuses what would leave nobody who can administer the server.
pub(super) async fn keep_one(tx: &mut Tx<'_>, account: AccountId) -> Result<(), Problem> {
    match store::is_last_administrator(tx, account).await? {
        true => Err(AccountError::LastAdministrator.into()),
        false => Ok(()),
    }
}
