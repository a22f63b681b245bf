//! The key-value store.

use std::sync::Arc;

use hearth_plugin_api::wire::Found;
use hearth_plugin_api::{Error, Query};

use super::super::store;
use super::Guest;
use super::host::{Answer, json};
use super::sql::refused;

const LONGEST_KEY: usize = 255;
const LARGEST_VALUE: usize = 1 << 20;
const MOST_KEYS: u32 = 1000;

fn check(key: &str, value: &[u8]) -> Result<(), Error> {
    if key.is_empty() || key.len() > LONGEST_KEY {
        return Err(Error::invalid("a key has 1 to 255 octets"));
    }
    match value.len() > LARGEST_VALUE {
        true => Err(Error::invalid("a value has at most 1 MiB")),
        false => Ok(()),
    }
}

pub(super) async fn get(guest: &Arc<Guest>, key: String) -> Answer {
    let id = guest.id().to_owned();
    let look =
        guest.seams.db.read(move |tx| Box::pin(async move { store::value(tx, &id, &key).await }));
    let value = look.await.map_err(refused)?;
    let found = serde_json::to_value(Found { found: value.is_some() })?;
    Ok((found, value.unwrap_or_default()))
}

pub(super) async fn set(guest: &Arc<Guest>, key: String, value: Vec<u8>) -> Answer {
    check(&key, &value)?;
    let id = guest.id().to_owned();
    let put = guest
        .seams
        .db
        .write(move |tx| Box::pin(async move { store::put_value(tx, &id, &key, value).await }));
    json(put.await.map_err(refused)?)
}

/// The new value stands behind the expected one.
pub(super) async fn swap(
    guest: &Arc<Guest>,
    key: String,
    expected: Option<u64>,
    mut body: Vec<u8>,
) -> Answer {
    let length = usize::try_from(expected.unwrap_or(0)).unwrap_or(usize::MAX);
    if length > body.len() {
        return Err(Error::invalid("the expected value is not whole"));
    }
    let value = body.split_off(length);
    check(&key, &value)?;
    let (id, expected) = (guest.id().to_owned(), expected.map(|_| body));
    let swap = guest.seams.db.write(move |tx| {
        Box::pin(async move { store::swap_value(tx, (&id, &key), expected, value).await })
    });
    json(Found { found: swap.await.map_err(refused)? })
}

pub(super) async fn delete(guest: &Arc<Guest>, key: String) -> Answer {
    let id = guest.id().to_owned();
    let delete = guest
        .seams
        .db
        .write(move |tx| Box::pin(async move { store::delete_value(tx, &id, &key).await }));
    json(Found { found: delete.await.map_err(refused)? })
}

pub(super) async fn keys(guest: &Arc<Guest>, query: Query) -> Answer {
    let id = guest.id().to_owned();
    let limit = query.limit.clamp(1, MOST_KEYS);
    let look = guest.seams.db.read(move |tx| {
        Box::pin(async move { store::names(tx, &id, (&query.search, &query.after), limit).await })
    });
    json(look.await.map_err(refused)?)
}
