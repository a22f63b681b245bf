//! To whom a message goes, in an order in which one can go on after a name.

use std::fmt;

use hearth_plugin_api::{Error, Host, Query, Result};

/// What the server gives at once.
const MOST: u32 = 1000;

/// To whom a message goes. Written as `all`, `online` or `group:<name>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Audience {
    /// All accounts that may sign in.
    All,
    /// Those with an available resource at the time.
    Online,
    /// The members of a group.
    Group(String),
}

/// Some recipients.
#[derive(Debug, PartialEq, Eq)]
pub struct Batch {
    /// Where to go on after a recipient, and his name.
    pub recipients: Vec<(String, String)>,
    /// Where to go on after all of them, those included who were left out.
    pub end: String,
    /// Nobody comes after them.
    pub is_last: bool,
}

impl fmt::Display for Audience {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Audience::All => f.write_str("all"),
            Audience::Online => f.write_str("online"),
            Audience::Group(name) => write!(f, "group:{name}"),
        }
    }
}

impl Audience {
    /// `Invalid`, naming what there is, for anything else.
    pub fn parse(text: &str) -> Result<Audience> {
        match (text, text.strip_prefix("group:")) {
            ("all", _) => Ok(Audience::All),
            ("online", _) => Ok(Audience::Online),
            (_, Some(name)) if !name.is_empty() => Ok(Audience::Group(name.to_owned())),
            _ => Err(Error::invalid(format!("`{text}` is none of all, online, group:<name>"))),
        }
    }

    /// How many there are now. `NotFound` for a group that is not there.
    pub async fn count(&self, host: &Host) -> Result<i64> {
        let (mut total, mut after) = (0, String::new());
        loop {
            let batch = self.after(host, &after, MOST).await?;
            total += batch.recipients.len() as i64;
            if batch.is_last {
                return Ok(total);
            }
            after = batch.end;
        }
    }

    /// At most `limit` recipients after a place.
    pub async fn after(&self, host: &Host, after: &str, limit: u32) -> Result<Batch> {
        match self {
            Audience::All => all(host, after, limit).await,
            Audience::Online => online(host, after, limit).await,
            Audience::Group(group) => members(host, group, after, limit).await,
        }
    }
}

async fn all(host: &Host, after: &str, limit: u32) -> Result<Batch> {
    let users = host.people().users(Query::first(limit).after(after)).await?;
    let end = users.last().map_or_else(|| after.to_owned(), |user| user.name.clone());
    let is_last = users.len() < limit as usize;
    let able = users.into_iter().filter(|user| !user.disabled);
    let recipients = able.map(|user| (user.name.clone(), user.name)).collect();
    Ok(Batch { recipients, end, is_last })
}

/// Sessions come by address: those of one account stand together.
async fn online(host: &Host, after: &str, limit: u32) -> Result<Batch> {
    let sessions = host.people().sessions(Query::first(limit).after(after)).await?;
    let end = sessions.last().map_or_else(|| after.to_owned(), |session| session.jid.clone());
    let is_last = sessions.len() < limit as usize;
    let mut recipients: Vec<(String, String)> = Vec::new();
    let mut last = name_of(after).to_owned();
    for session in sessions.into_iter().filter(|session| session.available) {
        let name = name_of(&session.jid).to_owned();
        if name != last {
            last.clone_from(&name);
            recipients.push((session.jid, name));
        }
    }
    Ok(Batch { recipients, end, is_last })
}

fn name_of(jid: &str) -> &str {
    jid.split('@').next().unwrap_or_default()
}

async fn members(host: &Host, group: &str, after: &str, limit: u32) -> Result<Batch> {
    let mut names = host.people().members(group).await?;
    names.retain(|name| name.as_str() > after);
    names.sort();
    let is_last = names.len() <= limit as usize;
    names.truncate(limit as usize);
    let end = names.last().cloned().unwrap_or_else(|| after.to_owned());
    let recipients = names.into_iter().map(|name| (name.clone(), name)).collect();
    Ok(Batch { recipients, end, is_last })
}
