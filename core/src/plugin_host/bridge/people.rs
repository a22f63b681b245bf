//! Users, rosters and sessions as a plugin may read them.

use std::sync::Arc;

use hearth_plugin_api::{Contact, Error, ErrorKind, Group, Query, Session, User};
use serde_json::{Value, json};

use super::Guest;
use super::sql::refused;
use crate::auth::profile::{self, Profile, Range};
use crate::auth::providers::Away;
use crate::auth::store::AccountRow;
use crate::clock::Timestamp;
use crate::host::HostId;
use crate::im::Key;
use crate::jid::localpart;
use crate::services::groups;
use crate::telemetry::process;

const HOST: HostId = HostId::FIRST;
const MOST: u32 = 1000;
/// Accounts that one search looks at.
const LOOKED_AT: usize = 100_000;

fn shown(row: &AccountRow, profile: Option<&Profile>, now: Timestamp) -> User {
    let text = |text: Option<&String>| text.cloned().unwrap_or_default();
    User {
        name: row.username.clone(),
        display_name: text(profile.and_then(|profile| profile.name.as_ref())),
        email: text(profile.and_then(|profile| profile.email.as_ref())),
        disabled: row.is_locked(now),
        created_ms: row.created.0,
    }
}

pub(super) async fn user(guest: &Arc<Guest>, name: &str) -> Result<Option<User>, Error> {
    let Ok(name) = localpart(name) else { return Ok(None) };
    let found = guest.seams.accounts.find(HOST, &name).await.map_err(refused)?;
    Ok(found.map(|login| shown(&login.row, None, guest.seams.clock.now())))
}

pub(super) async fn users(guest: &Arc<Guest>, query: &Query) -> Result<Vec<User>, Error> {
    let limit = query.limit.clamp(1, MOST) as usize;
    let (search, mut after) = (query.search.to_lowercase(), query.after.clone());
    let (mut found, mut looked_at) = (Vec::new(), 0);
    loop {
        let range = Range { prefix: String::new(), after, limit: MOST as usize };
        let page = guest.seams.db.read(move |tx| {
            Box::pin(async move { profile::store::by_name(tx, HOST, &range).await })
        });
        let page = page.await.map_err(refused)?;
        let now = guest.seams.clock.now();
        looked_at += page.len();
        let Some(last) = page.last() else { return Ok(found) };
        after = last.account.username.clone();
        let users = page.iter().map(|user| shown(&user.account, Some(&user.profile), now));
        let holds = |text: &str| text.to_lowercase().contains(&search);
        let matching = users.filter(|user| holds(&user.name) || holds(&user.display_name));
        found.extend(matching.take(limit - found.len()));
        if found.len() == limit || looked_at >= LOOKED_AT {
            return Ok(found);
        }
    }
}

pub(super) async fn groups(guest: &Arc<Guest>, query: Query) -> Result<Vec<Group>, Error> {
    let limit = query.limit.clamp(1, MOST) as usize;
    let asked = query.clone();
    let page = guest.seams.db.read(move |tx| {
        Box::pin(async move {
            groups::store::page(tx, HOST, (&asked.search, &asked.after), limit).await
        })
    });
    let page = page.await.map_err(refused)?;
    let shown = |group: groups::Group| Group { name: group.name, description: group.description };
    let mut all: Vec<Group> = page.into_iter().map(shown).collect();
    let elsewhere = guest.seams.accounts.providers();
    let elsewhere = elsewhere.groups(&query.search, &query.after, limit as u32).await;
    let elsewhere = elsewhere.map_err(away)?;
    all.extend(elsewhere.into_iter().map(|(name, description)| Group { name, description }));
    all.sort_by(|a, b| a.name.cmp(&b.name));
    all.dedup_by(|a, b| a.name == b.name);
    all.truncate(limit);
    Ok(all)
}

fn away(error: Away) -> Error {
    Error::unavailable(error.to_string())
}

pub(super) async fn members(guest: &Arc<Guest>, group: String) -> Result<Vec<String>, Error> {
    match members_of(guest, group.clone()).await {
        // A group of our own goes before one of the same name elsewhere.
        Err(error) if error.kind == ErrorKind::NotFound => {
            let members = guest.seams.accounts.providers().members(&group).await.map_err(away)?;
            if members.is_empty() { Err(error) } else { Ok(members) }
        }
        members => Ok(members?.into_iter().map(|member| member.username).collect()),
    }
}

pub(super) async fn admins(guest: &Arc<Guest>, group: String) -> Result<Vec<String>, Error> {
    let members = members_of(guest, group).await?;
    let admins = members.into_iter().filter(|member| member.administrator);
    Ok(admins.map(|member| member.username).collect())
}

async fn members_of(guest: &Arc<Guest>, group: String) -> Result<Vec<groups::Member>, Error> {
    let name = group.clone();
    let look = guest.seams.db.read(move |tx| {
        Box::pin(async move {
            let Some(group) = groups::store::find(tx, HOST, &name).await? else { return Ok(None) };
            let most = group.members.max(0) as usize;
            Ok(Some(groups::store::members(tx, HOST, group.id, "", most).await?))
        })
    });
    let members = look.await.map_err(refused)?;
    members.ok_or_else(|| Error::not_found(format!("there is no group `{group}`")))
}

pub(super) async fn roster(guest: &Arc<Guest>, user: &str) -> Result<Vec<Contact>, Error> {
    let unknown = || Error::not_found(format!("there is no user `{user}`"));
    let name = localpart(user).map_err(|_| unknown())?;
    let login = guest.seams.accounts.find(HOST, &name).await.map_err(refused)?;
    let account = login.ok_or_else(unknown)?.row.id;
    let key = Key { host: HOST, account };
    let roster = guest.seams.im.roster(key).await.map_err(refused)?;
    let listed = roster.items().iter().filter(|item| item.listed);
    let contact = |item: &std::sync::Arc<crate::im::roster::Item>| Contact {
        jid: item.contact.as_str().to_owned(),
        name: item.name.as_deref().unwrap_or_default().to_owned(),
        subscription: item.state.subscription().to_owned(),
        groups: item.groups.iter().map(|group| group.to_string()).collect(),
    };
    Ok(listed.map(contact).collect())
}

/// The sessions of this node, by address.
pub(super) fn sessions(guest: &Arc<Guest>, user: &str, query: &Query) -> Vec<Session> {
    let node = guest.seams.clock.node();
    let mut found = Vec::new();
    guest.seams.router.registry.each_local(|session| {
        let jid = session.jid.as_str();
        let wanted = (user.is_empty() || session.jid.local() == Some(user))
            && jid > query.after.as_str()
            && jid.contains(&query.search);
        if wanted {
            found.push(Session {
                jid: jid.to_owned(),
                node,
                available: session.is_available(),
                priority: session.priority(),
                since_ms: session.origin().since.0,
                peer: session.origin().peer.to_string(),
            });
        }
    });
    found.sort_by(|a, b| a.jid.cmp(&b.jid));
    found.truncate(query.limit.clamp(1, MOST) as usize);
    found
}

/// Figures of this node.
pub(super) async fn statistics(guest: &Arc<Guest>) -> Value {
    let seams = &guest.seams;
    let uptime = seams.clock.now().since(seams.started);
    // Adding up its memory takes a while for a large process.
    let process = seams.tracker.blocking("figures", process::usage).await.unwrap_or_default();
    json!({
        "sessions": seams.router.registry.local_count(),
        "messages": seams.router.messages.get(),
        "memory_bytes": process.resident,
        "cpu_ms": process.cpu_seconds.map(|seconds| (seconds * 1000.0) as u64),
        "uptime_ms": uptime.as_millis() as u64,
    })
}
