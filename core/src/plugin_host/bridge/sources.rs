//! Sources of credentials and of users that plugins are.

use std::sync::Arc;
use std::time::Duration;

use hearth_plugin_api::{self as api, AuthCall, DirectoryCall, Error, ErrorKind, Query};
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use super::{Guest, Handler, Hooks};
use crate::auth::profile::Profile;
use crate::auth::providers::{Answer, Credentials, Person, Title, Users, Verified};
use crate::jid::localpart;

/// However long a plugin wants to be waited for.
const LONGEST: Duration = Duration::from_secs(30);

struct Source {
    title: Title,
    what: String,
    deadline: Duration,
    handler: Handler,
}

impl Source {
    fn new(guest: &Guest, what: &str, source: &api::Source, handler: Handler) -> Source {
        Source {
            title: Title {
                name: source.name.clone(),
                plugin: guest.id().to_owned(),
                priority: source.priority,
            },
            what: format!("{what} {}", source.name),
            deadline: Duration::from_millis(source.timeout_ms).min(LONGEST),
            handler,
        }
    }

    fn ask<Q, A>(&self, question: Q) -> impl Future<Output = Result<A, Error>> + Send + use<Q, A>
    where
        Q: serde::Serialize + Send + Sync + 'static,
        A: DeserializeOwned + Send + 'static,
    {
        let (handler, what, deadline) = (self.handler.clone(), self.what.clone(), self.deadline);
        async move { Ok(handler.ask(&what, deadline, (&question, Vec::new())).await?.0) }
    }
}

struct Passwords(Source);

pub(super) fn open_auth(
    guest: &Arc<Guest>,
    source: &api::Source,
    handler: Handler,
    hooks: &mut Hooks,
) {
    let providers = guest.seams.accounts.providers().clone();
    let source = Source::new(guest, "auth", source, handler);
    let source: Arc<dyn Credentials> = Arc::new(Passwords(source));
    providers.add_credentials(source.clone());
    hooks.undo_late(move || providers.remove_credentials(&source));
}

impl Credentials for Passwords {
    fn title(&self) -> &Title {
        &self.0.title
    }

    fn verify(&self, user: &str, password: &Zeroizing<String>) -> Answer<Verified> {
        let (user, password) = (user.to_owned(), password.to_string());
        let asked = self.0.ask(AuthCall::Verify { user, password });
        Box::pin(async move {
            Ok(match asked.await.map_err(told)? {
                api::Verified::Accepted => Verified::Accepted,
                api::Verified::Refused => Verified::Refused,
                api::Verified::Unknown => Verified::Unknown,
            })
        })
    }

    fn set_password(&self, user: &str, password: &Zeroizing<String>) -> Answer<bool> {
        let (user, password) = (user.to_owned(), password.to_string());
        let asked = self.0.ask::<_, serde_json::Value>(AuthCall::SetPassword { user, password });
        Box::pin(async move {
            match asked.await {
                Ok(_) => Ok(true),
                Err(error) if error.kind == ErrorKind::Unsupported => Ok(false),
                Err(error) => Err(told(error)),
            }
        })
    }
}

struct People(Source);

pub(super) fn open_directory(
    guest: &Arc<Guest>,
    source: &api::Source,
    handler: Handler,
    hooks: &mut Hooks,
) {
    let providers = guest.seams.accounts.providers().clone();
    let source = Source::new(guest, "directory", source, handler);
    let source: Arc<dyn Users> = Arc::new(People(source));
    providers.add_users(source.clone());
    hooks.undo_late(move || providers.remove_users(&source));
}

impl Users for People {
    fn title(&self) -> &Title {
        &self.0.title
    }

    fn user(&self, name: &str) -> Answer<Option<Person>> {
        let asked = self.0.ask(DirectoryCall::User { name: name.to_owned() });
        Box::pin(async move {
            let user: Option<api::User> = asked.await.map_err(told)?;
            Ok(user.map(|user| Person {
                profile: Profile { name: filled(user.display_name), email: filled(user.email) },
                disabled: user.disabled,
            }))
        })
    }

    fn groups(&self, search: &str, after: &str, limit: u32) -> Answer<Vec<(String, String)>> {
        let query = Query { search: search.to_owned(), after: after.to_owned(), limit };
        let asked = self.0.ask(DirectoryCall::Groups(query));
        Box::pin(async move {
            let groups: Vec<api::Group> = asked.await.map_err(told)?;
            Ok(groups.into_iter().map(|group| (group.name, group.description)).collect())
        })
    }

    fn members(&self, group: &str) -> Answer<Vec<String>> {
        let asked = self.0.ask(DirectoryCall::Members { group: group.to_owned() });
        Box::pin(async move {
            let names: Vec<String> = match asked.await {
                Ok(names) => names,
                Err(error) if error.kind == ErrorKind::NotFound => Vec::new(),
                Err(error) => return Err(told(error)),
            };
            // What cannot be part of an address is nobody's name here.
            Ok(names.iter().filter_map(|name| Some(localpart(name).ok()?.into_owned())).collect())
        })
    }
}

fn filled(text: String) -> Option<String> {
    Some(text).filter(|text| !text.is_empty())
}

fn told(error: Error) -> String {
    error.message
}
