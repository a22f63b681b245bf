//! `/users`: the accounts of the domain.

use std::collections::{BTreeSet, HashSet};

use hyper::Method;
use serde::{Deserialize, Serialize};

use super::administrators::{self, keep_one};
use super::call::{check_name, check_text};
use super::sessions::end_sessions;
use super::{Answer, Call, Page, Problem, Route};
use crate::admin::store;
use crate::auth::accounts::AccountError;
use crate::auth::profile::{self, Hit, Listed, Lockout, Profile, Range};
use crate::auth::store::AccountRow;
use crate::clock::Timestamp;
use crate::host::{AccountId, HostId};
use crate::im::Key;
use crate::jid::localpart;
use crate::session::Registry;
use crate::storage::{StorageError, Tx};

pub const ROUTES: &[Route] = &[
    Route::list("/users", COLUMNS, |call| Box::pin(list(call))),
    Route::new(Method::POST, "/users", |call| Box::pin(create(call))),
    Route::new(Method::GET, "/users/{name}", |call| Box::pin(get(call))),
    Route::new(Method::PUT, "/users/{name}", |call| Box::pin(edit(call))),
    Route::new(Method::DELETE, "/users/{name}", |call| Box::pin(delete(call))),
    Route::new(Method::PUT, "/users/{name}/password", |call| Box::pin(set_password(call))),
];

pub(super) const HOST: HostId = HostId::FIRST;
const COLUMNS: &[&str] =
    &["name", "jid", "display_name", "email", "created", "locked", "administrator", "sessions"];
/// Characters of a name or an e-mail address.
const LONGEST: usize = 256;
/// Octets of a localpart (RFC 7622 §3.3).
const LONGEST_NAME: usize = 1023;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct New {
    name: String,
    password: String,
    display_name: Option<String>,
    email: Option<String>,
    #[serde(default)]
    administrator: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Edited {
    display_name: Option<String>,
    email: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewPassword {
    password: String,
}

#[derive(Serialize)]
struct Shown {
    /// For `?after=`.
    #[serde(skip)]
    key: String,
    name: String,
    jid: String,
    display_name: Option<String>,
    email: Option<String>,
    created: String,
    /// Now; a lock-out may also be one that is still to come.
    locked: bool,
    lockout: Option<ShownLockout>,
    administrator: bool,
    /// How many, on all nodes.
    sessions: usize,
    /// In the answer for one user only: when his last session ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_activity: Option<String>,
}

#[derive(Serialize)]
struct ShownLockout {
    from: String,
    until: Option<String>,
    reason: Option<String>,
}

impl From<AccountError> for Problem {
    fn from(error: AccountError) -> Problem {
        match error {
            AccountError::NameTaken => Problem::Conflict(error.to_string()).at("name"),
            AccountError::LastAdministrator => Problem::Conflict(error.to_string()),
            AccountError::NoSuchAccount => Problem::NotFound(error.to_string()),
            AccountError::Name(_) => Problem::Invalid(error.to_string()).at("name"),
            AccountError::Password(_) | AccountError::Short(_) => {
                Problem::Invalid(error.to_string()).at("password")
            }
            AccountError::Elsewhere => Problem::Conflict(error.to_string()).at("password"),
            AccountError::Overloaded(_) | AccountError::Away(_) => {
                Problem::Unavailable(error.to_string())
            }
            AccountError::Storage(error) => error.into(),
        }
    }
}

impl From<&Lockout> for ShownLockout {
    fn from(lockout: &Lockout) -> ShownLockout {
        ShownLockout {
            from: lockout.from.to_string(),
            until: lockout.until.map(|until| until.to_string()),
            reason: lockout.reason.clone(),
        }
    }
}

fn shown(call: &Call, listed: &Listed, administrators: &HashSet<AccountId>) -> Shown {
    let Listed { account, profile } = listed;
    let now = call.api.clock.now();
    let lockout = account.lockout.as_deref().filter(|lockout| !lockout.is_over(now));
    Shown {
        key: account.username.clone(),
        name: account.username.clone(),
        jid: format!("{}@{}", account.username, call.api.about.domain),
        display_name: profile.name.clone(),
        email: profile.email.clone(),
        created: account.created.to_string(),
        locked: account.is_locked(now),
        lockout: lockout.map(ShownLockout::from),
        administrator: administrators.contains(&account.id),
        sessions: call.api.router.registry.count(HOST, &account.username),
        last_activity: None,
    }
}

/// Which users a list holds.
enum Wanted {
    All(Range),
    Administrators(Range),
    LockedOut(Range, Timestamp),
    /// Whose names are these.
    Named(Vec<String>),
    Found {
        prefix: String,
        after: Option<Hit>,
        limit: usize,
    },
}

impl Wanted {
    /// `?search=` finds by each word; together with `?show=` by the user name only.
    fn of(call: &Call, page: &Page) -> Result<Wanted, Problem> {
        let prefix = profile::fold(call.text("search").unwrap_or_default());
        let (after, limit) = (page.after.clone().unwrap_or_default(), page.limit + 1);
        let range = Range { prefix, after, limit };
        match call.find("show").unwrap_or("all") {
            "all" if range.prefix.is_empty() => Ok(Wanted::All(range)),
            "all" => {
                let after = page.after.as_deref().map(read_hit).transpose()?;
                Ok(Wanted::Found { prefix: range.prefix, after, limit })
            }
            "administrators" => Ok(Wanted::Administrators(range)),
            "locked" => Ok(Wanted::LockedOut(range, call.api.clock.now())),
            "online" => Ok(Wanted::Named(online(&call.api.router.registry, &range))),
            _ => {
                let shows = "show is one of all, administrators, locked, online";
                Err(Problem::invalid(shows).at("show"))
            }
        }
    }

    /// The users, each with the key of a page that ends with him.
    async fn read(self, tx: &mut Tx<'_>) -> Result<Vec<(String, Listed)>, StorageError> {
        use profile::store::{by_name, locked, named, search};
        let listed = match self {
            Wanted::All(range) => by_name(tx, HOST, &range).await?,
            Wanted::LockedOut(range, now) => locked(tx, HOST, &range, now).await?,
            Wanted::Administrators(range) => {
                let names = store::administrator_names(tx, HOST, &range).await?;
                named(tx, HOST, &names).await?
            }
            Wanted::Named(names) => named(tx, HOST, &names).await?,
            Wanted::Found { prefix, after, limit } => {
                let found = search(tx, HOST, &prefix, after.as_ref(), limit).await?;
                return Ok(found.into_iter().map(|(hit, user)| (write_hit(&hit), user)).collect());
            }
        };
        Ok(listed.into_iter().map(|user| (user.account.username.clone(), user)).collect())
    }
}

fn write_hit(hit: &Hit) -> String {
    format!("{}-{}", hit.account.0, hit.word)
}

fn read_hit(key: &str) -> Result<Hit, Problem> {
    let hit = key.split_once('-').and_then(|(account, word)| {
        Some(Hit { account: AccountId(account.parse().ok()?), word: word.to_owned() })
    });
    hit.ok_or_else(|| Problem::invalid("after is `next` of the page before").at("after"))
}

/// The first names with a session, kept while all are looked at: memory follows the page.
fn online(registry: &Registry, range: &Range) -> Vec<String> {
    let mut first = BTreeSet::new();
    registry.each_account(HOST, |name| {
        let fits = first.len() < range.limit
            || first.last().is_some_and(|last: &String| name < last.as_str());
        if fits && name > range.after.as_str() && name.starts_with(&range.prefix) {
            first.insert(name.to_owned());
            if first.len() > range.limit {
                first.pop_last();
            }
        }
    });
    first.into_iter().collect()
}

async fn list(call: Call) -> Result<Answer, Problem> {
    let page = call.page()?;
    let wanted = Wanted::of(&call, &page)?;
    let look = call.api.db.read(move |tx| {
        Box::pin(async move {
            let users = wanted.read(tx).await?;
            let administrators = store::administrators(tx).await?;
            Ok((users, administrators, profile::store::total(tx, HOST).await?))
        })
    });
    let (users, administrators, total) = look.await?;
    let administrators = administrators.into_iter().collect();
    let users = users.iter();
    let users =
        users.map(|(key, user)| Shown { key: key.clone(), ..shown(&call, user, &administrators) });
    let mut answer = Answer::page(&page, users.collect(), |user| user.key.clone())?;
    if let Some(body) = &mut answer.body {
        body["total"] = total.into();
    }
    Ok(answer)
}

/// The account that the path names. The name need not be prepared.
pub(super) async fn find(call: &Call) -> Result<AccountRow, Problem> {
    named(call, call.param(0)).await
}

/// The account of a name.
pub(super) async fn named(call: &Call, name: &str) -> Result<AccountRow, Problem> {
    let unknown = || Problem::not_found("user", name);
    let name = localpart(name).map_err(|_| unknown())?;
    let login = call.api.accounts.find(HOST, &name).await?.ok_or_else(unknown)?;
    Ok(login.row.clone())
}

async fn get(call: Call) -> Result<Answer, Problem> {
    let account = find(&call).await?;
    Answer::ok(one(&call, account).await?)
}

async fn one(call: &Call, account: AccountRow) -> Result<Shown, Problem> {
    let id = account.id;
    let look = call.api.db.read(move |tx| {
        Box::pin(async move {
            Ok((profile::store::profile(tx, id).await?, store::administrators(tx).await?))
        })
    });
    let (profile, administrators) = look.await?;
    let last = call.api.router.im.last_presence(Key { host: HOST, account: id }).await;
    let last_activity = last.map(|(ended, _)| ended.to_string());
    let administrators = administrators.into_iter().collect();
    Ok(Shown { last_activity, ..shown(call, &Listed { account, profile }, &administrators) })
}

/// What is left empty is not known.
fn check_profile(name: Option<String>, email: Option<String>) -> Result<Profile, Problem> {
    let typed = |text: Option<String>| text.filter(|text| !text.trim().is_empty());
    let name = typed(name).map(|name| check_text("display_name", &name, LONGEST)).transpose()?;
    let email = typed(email).map(|email| check_text("email", &email, LONGEST)).transpose()?;
    let is_address = |email: &String| email.contains('@') && !email.contains(char::is_whitespace);
    match email.as_ref().is_none_or(is_address) {
        true => Ok(Profile { name, email }),
        false => Err(Problem::invalid("this is no e-mail address").at("email")),
    }
}

async fn create(call: Call) -> Result<Answer, Problem> {
    let New { name, password, display_name, email, administrator } = call.json()?;
    let name = check_name("name", &name, LONGEST_NAME)?;
    let profile = check_profile(display_name, email)?;
    let id = call.api.accounts.create_called(HOST, &name, &password, profile).await?;
    call.note("user.create", &name).await?;
    if administrator {
        administrators::grant(&call, id, name.clone()).await?;
    }
    let account = named(&call, &name).await?;
    Answer::created(one(&call, account).await?)
}

async fn edit(call: Call) -> Result<Answer, Problem> {
    let Edited { display_name, email } = call.json()?;
    let profile = check_profile(display_name, email)?;
    let account = find(&call).await?;
    let (id, name) = (account.id, account.username.clone());
    call.change("user.edit", &account.username, move |tx| {
        Box::pin(
            async move { Ok(profile::store::set_profile(tx, (HOST, id), &name, &profile).await?) },
        )
    })
    .await?;
    Answer::ok(one(&call, account).await?)
}

async fn delete(call: Call) -> Result<Answer, Problem> {
    let AccountRow { id, username, .. } = find(&call).await?;
    call.change("user.delete", &username, move |tx| {
        Box::pin(async move {
            keep_one(tx, id).await?;
            Ok(store::dismiss(tx, id).await?)
        })
    })
    .await?;
    let mut caused = call.api.removal.remove(HOST, &username).await?;
    call.api.router.perform(&mut caused).await;
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
