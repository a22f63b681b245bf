//! `/users/{name}/roster`: the contacts of a user, changed in his name.

use hyper::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::users::{HOST, find};
use super::{Answer, Call, Page, Problem, Route};
use crate::im::Key;
use crate::im::roster::{AmendError, Item, RosterFault, RosterSet};
use crate::jid::Jid;
use crate::services::behalf::{Behalf, Owner, Wanted};

pub const ROUTES: &[Route] = &[
    Route::list("/users/{name}/roster", COLUMNS, |call| Box::pin(list(call))),
    Route::new(Method::GET, "/users/{name}/roster/{contact}", |call| Box::pin(get(call))),
    Route::new(Method::PUT, "/users/{name}/roster/{contact}", |call| Box::pin(put(call))),
    Route::new(Method::DELETE, "/users/{name}/roster/{contact}", |call| Box::pin(delete(call))),
];

const COLUMNS: &[&str] = &["jid", "name", "groups", "subscription", "ask", "approved"];

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Subscription {
    None,
    To,
    From,
    Both,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct New {
    name: Option<String>,
    #[serde(default)]
    groups: Vec<String>,
    /// Absent: it stays as it is.
    subscription: Option<Subscription>,
}

impl From<AmendError> for Problem {
    fn from(error: AmendError) -> Problem {
        match error {
            AmendError::Fault(fault) => fault.into(),
            AmendError::Storage(error) => error.into(),
        }
    }
}

impl From<RosterFault> for Problem {
    fn from(fault: RosterFault) -> Problem {
        use RosterFault::*;
        let told = fault.to_string();
        match fault {
            NoSuchItem => Problem::NotFound(told),
            Full => Problem::Conflict(told),
            Address | Resource | OwnAddress | ItemCount => Problem::Invalid(told).at("contact"),
            NameTooLong => Problem::Invalid(told).at("name"),
            DuplicateGroup | EmptyGroup | TooManyGroups => Problem::Invalid(told).at("groups"),
        }
    }
}

fn shown(item: &Item) -> Value {
    json!({
        "jid": item.contact.as_str(),
        "name": item.name.as_deref(),
        "groups": item.groups.iter().map(|group| group.as_str()).collect::<Vec<_>>(),
        "subscription": item.state.subscription(),
        "ask": item.state.pending_out(),
        "approved": item.approved,
    })
}

async fn list(call: Call) -> Result<Answer, Problem> {
    let page = call.page()?;
    let Page { after, limit } = &page;
    let key = Key { host: HOST, account: find(&call).await?.id };
    let roster = call.api.router.im.roster(key).await?;
    let after = after.as_deref().unwrap_or_default();
    let listed = roster.items().iter().filter(|item| item.listed && item.contact.as_str() > after);
    let items = listed.take(limit + 1).map(|item| shown(item)).collect();
    Answer::page(&page, items, |item| item["jid"].as_str().unwrap_or_default().to_owned())
}

/// The user and the contact that the path names.
async fn behalf(call: &Call) -> Result<Behalf, Problem> {
    let row = find(call).await?;
    let router = call.api.router.clone();
    let domain = router.hosts.domain(HOST).as_str();
    let address = |told: &str| Problem::invalid(told).at("contact");
    let contact = Jid::parse(call.param(1)).map_err(|error| address(&error.to_string()))?;
    let account = match contact.local().filter(|_| contact.domain() == domain) {
        Some(local) => call.api.accounts.find(HOST, local).await?,
        None => None,
    };
    let account = account.map(|login| Key { host: HOST, account: login.row.id });
    let jid = Jid::from_parts(Some(&row.username), domain, None);
    let jid = jid.map_err(|error| address(&error.to_string()))?;
    let owner = Owner { key: Key { host: HOST, account: row.id }, jid };
    Ok(Behalf { router, owner, contact, account })
}

async fn item(behalf: &Behalf) -> Result<Value, Problem> {
    let roster = behalf.router.im.roster(behalf.owner.key).await?;
    let item = roster.item(behalf.contact.as_str()).filter(|item| item.listed);
    item.map(|item| shown(item))
        .ok_or_else(|| Problem::not_found("contact", behalf.contact.as_str()))
}

async fn get(call: Call) -> Result<Answer, Problem> {
    Answer::ok(item(&behalf(&call).await?).await?)
}

async fn put(call: Call) -> Result<Answer, Problem> {
    let New { name, groups, subscription } = call.json()?;
    let behalf = behalf(&call).await?;
    let (owner, contact) = (&behalf.owner.jid, &behalf.contact);
    let is_ours = contact.domain() == owner.domain();
    if subscription.is_some() && is_ours && behalf.account.is_none() {
        return Err(Problem::Invalid(format!("there is no user `{contact}`")).at("contact"));
    }
    let groups = groups.iter().map(|group| group.trim().into());
    let set = RosterSet::put(contact.clone(), owner.as_str(), name.as_deref(), groups)?;
    behalf.set(set).await?;
    let wanted = subscription.map(|subscription| match subscription {
        Subscription::None => Wanted { to: false, from: false },
        Subscription::To => Wanted { to: true, from: false },
        Subscription::From => Wanted { to: false, from: true },
        Subscription::Both => Wanted { to: true, from: true },
    });
    if let Some(wanted) = wanted {
        behalf.subscribe(wanted).await?;
    }
    call.note("roster.edit", &format!("{} {contact}", call.param(0))).await?;
    Answer::ok(item(&behalf).await?)
}

async fn delete(call: Call) -> Result<Answer, Problem> {
    let behalf = behalf(&call).await?;
    let contact = behalf.contact.clone();
    behalf.set(RosterSet::Remove { contact }).await?;
    call.note("roster.delete", &format!("{} {}", call.param(0), behalf.contact)).await?;
    Answer::done()
}
