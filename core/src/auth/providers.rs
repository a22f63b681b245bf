//! Sources of credentials and of users beside the server's own accounts.
//!
//! Sources are asked by their priority; the server's own accounts have 0. The first that knows the
//! user decides. A source that cannot answer lets nobody in: unless another one accepts the password,
//! the sign-in is to be tried again later.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use super::profile::Profile;

/// Questions that one source may have to answer at a time; more sign-ins are to try again later.
const QUESTIONS: usize = 64;

/// What a source says of a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verified {
    Accepted,
    /// It is not the user's; nobody else is asked.
    Refused,
    /// The source does not have this user.
    Unknown,
}

/// A source did not answer. Passes by itself, or the operator mends the source.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the source `{name}` of {kind} cannot be asked: {why}")]
pub struct Away {
    pub name: String,
    /// `credentials` or `users`.
    pub kind: &'static str,
    pub why: String,
}

/// Whose answers these are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Title {
    pub name: String,
    /// The plugin that answers.
    pub plugin: String,
    /// Lower ones are asked first.
    pub priority: i32,
}

/// The answer of a source: an error says why there is none.
pub type Answer<T> = BoxFuture<'static, Result<T, String>>;

/// Checks passwords.
pub trait Credentials: Send + Sync {
    fn title(&self) -> &Title;
    /// Both are prepared.
    fn verify(&self, user: &str, password: &Zeroizing<String>) -> Answer<Verified>;
    /// False when passwords cannot be changed there.
    fn set_password(&self, user: &str, password: &Zeroizing<String>) -> Answer<bool>;
}

/// A user as a source describes him.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    pub profile: Profile,
    /// May not sign in.
    pub disabled: bool,
}

/// Knows users and their groups.
pub trait Users: Send + Sync {
    fn title(&self) -> &Title;
    fn user(&self, name: &str) -> Answer<Option<Person>>;
    /// Names and descriptions, by name, after `after`.
    fn groups(&self, search: &str, after: &str, limit: u32) -> Answer<Vec<(String, String)>>;
    /// Names of users; none when there is no such group.
    fn members(&self, group: &str) -> Answer<Vec<String>>;
}

struct Source<T: ?Sized> {
    asked: Arc<T>,
    room: Semaphore,
    figures: Figures,
}

/// What became of the questions to a source.
#[derive(Default)]
struct Figures {
    answered: AtomicU64,
    failed: AtomicU64,
    last_failure: Mutex<Option<String>>,
}

/// A source as the console and the API show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    pub title: Title,
    /// `credentials` or `users`.
    pub kind: &'static str,
    pub answered: u64,
    pub failed: u64,
    pub last_failure: Option<String>,
}

type Sources<T> = ArcSwap<Vec<Arc<Source<T>>>>;

/// The sources of this node.
#[derive(Default)]
pub struct Providers {
    credentials: Sources<dyn Credentials>,
    users: Sources<dyn Users>,
    changes: Mutex<()>,
}

const CREDENTIALS: &str = "credentials";
const USERS: &str = "users";

impl<T: ?Sized> Source<T> {
    fn new(asked: Arc<T>) -> Arc<Source<T>> {
        let (room, figures) = (Semaphore::new(QUESTIONS), Figures::default());
        Arc::new(Source { asked, room, figures })
    }

    async fn ask<A>(
        &self,
        (title, kind): (&Title, &'static str),
        question: impl FnOnce(&T) -> Answer<A>,
    ) -> Result<A, Away> {
        let answer = match self.room.try_acquire() {
            Ok(_room) => question(&self.asked).await,
            Err(_) => Err("too many questions wait for its answers".to_owned()),
        };
        let figures = &self.figures;
        let counter = if answer.is_ok() { &figures.answered } else { &figures.failed };
        counter.fetch_add(1, Ordering::Relaxed);
        answer.map_err(|why| {
            *figures.last_failure.lock() = Some(why.clone());
            let away = Away { name: title.name.clone(), kind, why };
            tracing::warn!(plugin = title.plugin, %away, "a source does not answer");
            away
        })
    }

    fn shown(&self, title: &Title, kind: &'static str) -> Shown {
        Shown {
            title: title.clone(),
            kind,
            answered: self.figures.answered.load(Ordering::Relaxed),
            failed: self.figures.failed.load(Ordering::Relaxed),
            last_failure: self.figures.last_failure.lock().clone(),
        }
    }
}

impl Providers {
    pub fn add_credentials(&self, source: Arc<dyn Credentials>) {
        let _alone = self.changes.lock();
        let mut all = Vec::clone(&self.credentials.load());
        all.push(Source::new(source));
        all.sort_by_key(|source| source.asked.title().priority);
        self.credentials.store(Arc::new(all));
    }

    pub fn remove_credentials(&self, source: &Arc<dyn Credentials>) {
        let _alone = self.changes.lock();
        let mut all = Vec::clone(&self.credentials.load());
        all.retain(|known| !Arc::ptr_eq(&known.asked, source));
        self.credentials.store(Arc::new(all));
    }

    pub fn add_users(&self, source: Arc<dyn Users>) {
        let _alone = self.changes.lock();
        let mut all = Vec::clone(&self.users.load());
        all.push(Source::new(source));
        all.sort_by_key(|source| source.asked.title().priority);
        self.users.store(Arc::new(all));
    }

    pub fn remove_users(&self, source: &Arc<dyn Users>) {
        let _alone = self.changes.lock();
        let mut all = Vec::clone(&self.users.load());
        all.retain(|known| !Arc::ptr_eq(&known.asked, source));
        self.users.store(Arc::new(all));
    }

    /// Whether passwords are checked elsewhere too: then only mechanisms that send the password can
    /// be offered, because nobody can tell from a name whose keys are here.
    pub fn check_passwords(&self) -> bool {
        !self.credentials.load().is_empty()
    }

    /// All sources in the order in which they are asked.
    pub fn list(&self) -> Vec<Shown> {
        let credentials = self.credentials.load();
        let credentials = credentials.iter().map(|s| s.shown(s.asked.title(), CREDENTIALS));
        let users = self.users.load();
        let users = users.iter().map(|s| s.shown(s.asked.title(), USERS));
        credentials.chain(users).collect()
    }

    /// Asks those sources whose priority `which` picks, until one decides.
    pub(super) async fn verify(
        &self,
        which: impl Fn(i32) -> bool,
        user: &str,
        password: &Zeroizing<String>,
    ) -> Result<Verified, Away> {
        let mut away = None;
        for source in self.credentials.load_full().iter() {
            let title = source.asked.title();
            if !which(title.priority) {
                continue;
            }
            match source.ask((title, CREDENTIALS), |asked| asked.verify(user, password)).await {
                Ok(Verified::Accepted) => return Ok(Verified::Accepted),
                Ok(Verified::Refused) => return away.map_or(Ok(Verified::Refused), Err),
                Ok(Verified::Unknown) => {}
                Err(why) => away = Some(why),
            }
        }
        away.map_or(Ok(Verified::Unknown), Err)
    }

    /// Changes a password at the first source that can. False when none does.
    pub(super) async fn set_password(
        &self,
        user: &str,
        password: &Zeroizing<String>,
    ) -> Result<bool, Away> {
        for source in self.credentials.load_full().iter() {
            let title = (source.asked.title(), CREDENTIALS);
            if source.ask(title, |asked| asked.set_password(user, password)).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// What the first source that knows the user says of him.
    pub async fn user(&self, name: &str) -> Result<Option<Person>, Away> {
        for source in self.users.load_full().iter() {
            let title = (source.asked.title(), USERS);
            if let Some(person) = source.ask(title, |asked| asked.user(name)).await? {
                return Ok(Some(person));
            }
        }
        Ok(None)
    }

    /// Groups of all sources, by name, after `after`.
    pub async fn groups(
        &self,
        search: &str,
        after: &str,
        limit: u32,
    ) -> Result<Vec<(String, String)>, Away> {
        let mut all = Vec::new();
        for source in self.users.load_full().iter() {
            let title = (source.asked.title(), USERS);
            all.extend(source.ask(title, |asked| asked.groups(search, after, limit)).await?);
        }
        all.sort();
        all.dedup_by(|a, b| a.0 == b.0);
        all.truncate(limit as usize);
        Ok(all)
    }

    /// Members of a group, as all sources have it together.
    pub async fn members(&self, group: &str) -> Result<Vec<String>, Away> {
        let mut all = Vec::new();
        for source in self.users.load_full().iter() {
            let title = (source.asked.title(), USERS);
            all.extend(source.ask(title, |asked| asked.members(group)).await?);
        }
        all.sort();
        all.dedup();
        Ok(all)
    }
}

#[cfg(test)]
#[path = "providers_tests.rs"]
pub(super) mod tests;
