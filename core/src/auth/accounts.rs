//! The accounts of this server: made, changed, listed, and asked at each login.

use std::num::NonZeroU32;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use compact_str::CompactString;
use parking_lot::Mutex;

use super::Standing;
use super::credentials::{Credentials, DEFAULT_ITERATIONS, ScramKeys};
use super::derive::{Derivation, Overloaded};
use super::generations::Generations;
use super::mechanism::Hash;
use super::plain::{PlainError, prepare_password};
use super::profile::{Lockout, Profile};
use super::providers::{Away, Providers, Verified};
use super::store::{self, AccountRow};
use crate::clock::{Clock, Timestamp};
use crate::events::{Events, Kind};
use crate::host::{AccountId, HostId};
use crate::jid::{JidError, localpart};
use crate::properties::Live;
use crate::storage::{Db, StorageError};

/// What another node or a tool changed in the database is noticed after this time.
const CACHE_FRESH: Duration = Duration::from_secs(30);
/// The same for names that have no account.
const UNKNOWN_FRESH: Duration = Duration::from_secs(5);
/// Accounts to remember, and as many names without; an account takes some 500 octets.
const CACHE_SIZE: usize = 2_000;

/// Why an account cannot be made, changed or asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AccountError {
    /// The caller's.
    #[error("the name is taken; choose another one")]
    NameTaken,
    /// The caller's.
    #[error("there is no such account")]
    NoSuchAccount,
    /// The caller's.
    #[error("this is the last administrator: appoint another user before")]
    LastAdministrator,
    /// The caller's.
    #[error("not a user name: {0}")]
    Name(#[from] JidError),
    /// The caller's.
    #[error("{0}")]
    Password(#[from] PlainError),
    /// The caller's.
    #[error("the password is too short: it needs {0} characters or more")]
    Short(usize),
    /// Passes by itself.
    #[error("{0}; try again later")]
    Overloaded(#[from] Overloaded),
    /// Passes by itself, or is the operator's.
    #[error("{0}")]
    Away(#[from] Away),
    /// The caller's.
    #[error("the password of this account is kept elsewhere, and cannot be changed from here")]
    Elsewhere,
    /// The operator's.
    #[error("{0}")]
    Storage(#[from] StorageError),
}

/// An account with its keys, as a login needs it.
#[derive(Clone)]
pub struct Login {
    pub row: AccountRow,
    pub credentials: Credentials,
}

impl Login {
    fn standing(&self, now: Timestamp) -> Standing {
        match self.row.is_locked(now) {
            true => Standing::Disabled,
            false => Standing::Active(self.row.id),
        }
    }
}

type Key = (HostId, CompactString);

/// Handle on all accounts; shared behind an `Arc`.
pub struct Accounts {
    db: Db,
    clock: Clock,
    derivation: Derivation,
    secret: [u8; 32],
    iterations: NonZeroU32,
    cache: Mutex<Cache>,
    events: Arc<Events>,
    /// Told of every change.
    listener: OnceLock<Listener>,
    providers: Arc<Providers>,
    /// Characters that a new password needs.
    shortest: Live<usize>,
}

/// Told the host and the prepared name of an account.
type Listener = Box<dyn Fn(HostId, &str) + Send + Sync>;

struct Cache {
    logins: Generations<Key, (Timestamp, Arc<Login>)>,
    /// Names without account are remembered too, else the time of an answer would tell them
    /// apart; in a place of their own, where a flood of them displaces nobody.
    unknown: Generations<Key, Timestamp>,
    /// Counts changes, so that what was read before one is not kept after it.
    changes: u64,
}

impl Cache {
    fn empty(changes: u64) -> Cache {
        let (logins, unknown) = (Generations::new(CACHE_SIZE), Generations::new(CACHE_SIZE));
        Cache { logins, unknown, changes }
    }

    /// What is remembered of a name: its account, or that it has none.
    fn get(&mut self, key: &Key, now: Timestamp) -> Option<Option<Arc<Login>>> {
        match self.logins.get(key) {
            Some((read, login)) if now.since(*read) < CACHE_FRESH => Some(Some(login.clone())),
            _ => {
                self.unknown.get(key).filter(|read| now.since(**read) < UNKNOWN_FRESH).map(|_| None)
            }
        }
    }

    fn insert(&mut self, key: Key, login: Option<Arc<Login>>, now: Timestamp) {
        match login {
            Some(login) => self.logins.insert(key, (now, login)),
            None => self.unknown.insert(key, now),
        }
    }

    fn forget(&mut self, key: &Key) {
        self.changes += 1;
        self.logins.remove(key);
        self.unknown.remove(key);
    }
}

impl Accounts {
    /// Reads the installation's secret, and makes it at the first start.
    pub async fn open(
        db: Db,
        clock: Clock,
        derivation: Derivation,
    ) -> Result<Accounts, StorageError> {
        let fresh = clock.random().bytes();
        let secret = db.write(move |tx| Box::pin(store::secret(tx, fresh))).await?;
        Ok(Accounts {
            db,
            clock,
            derivation,
            secret,
            iterations: DEFAULT_ITERATIONS,
            cache: Mutex::new(Cache::empty(0)),
            events: Arc::default(),
            listener: OnceLock::new(),
            providers: Arc::default(),
            shortest: Live::fixed(1),
        })
    }

    /// Who else knows users and passwords.
    pub fn providers(&self) -> &Arc<Providers> {
        &self.providers
    }

    /// The same, which tells `events` who comes and goes.
    pub fn telling(self, events: &Arc<Events>) -> Accounts {
        Accounts { events: events.clone(), ..self }
    }

    /// The same, which takes no new password that is shorter.
    pub fn demanding(self, shortest: Live<usize>) -> Accounts {
        Accounts { shortest, ..self }
    }

    /// Characters that a new password needs.
    pub fn shortest_password(&self) -> usize {
        self.shortest.get()
    }

    /// Forgets what is remembered of a name that was changed, and tells of it.
    fn changed<T, E>(&self, kind: Kind, key: &Key, outcome: Result<T, E>) -> Result<T, E> {
        self.forget(key);
        if outcome.is_ok() {
            self.events.tell(kind, || serde_json::json!({ "name": key.1.as_str() }));
        }
        outcome
    }

    /// Makes an account. Neither name nor password need be prepared.
    pub async fn create(
        &self,
        host: HostId,
        username: &str,
        password: &str,
    ) -> Result<AccountId, AccountError> {
        self.create_called(host, username, password, Profile::default()).await
    }

    /// The same with a profile.
    pub async fn create_called(
        &self,
        host: HostId,
        username: &str,
        password: &str,
        profile: Profile,
    ) -> Result<AccountId, AccountError> {
        let key = key(host, username)?;
        // Whom a directory knows is there, though his account may not be made yet.
        if self.providers.user(&key.1).await?.is_some() {
            return Err(AccountError::NameTaken);
        }
        let credentials = self.derive(password).await?;
        let (name, now) = (key.1.clone(), self.clock.now());
        let created = self.db.try_write(move |tx| {
            Box::pin(async move {
                let id = store::create(tx, host, &name, &profile, now).await?;
                let id = id.ok_or(AccountError::NameTaken)?;
                store::set_credentials(tx, id, &credentials).await?;
                Ok(id)
            })
        });
        self.changed(Kind::UserCreated, &key, created.await)
    }

    /// Deletes an account; its id and what belongs to it is never given to another one.
    pub async fn delete(&self, host: HostId, username: &str) -> Result<AccountId, AccountError> {
        let key = key(host, username)?;
        let (name, now) = (key.1.clone(), self.clock.now());
        let deleted = self
            .db
            .write(move |tx| Box::pin(async move { store::delete(tx, host, &name, now).await }))
            .await;
        let deleted = deleted.map_err(AccountError::from);
        let deleted = deleted.and_then(|id| id.ok_or(AccountError::NoSuchAccount));
        self.changed(Kind::UserDeleted, &key, deleted)
    }

    /// Replaces the password. Existing sessions are the caller's concern.
    pub async fn set_password(
        &self,
        host: HostId,
        username: &str,
        password: &str,
    ) -> Result<AccountId, AccountError> {
        let key = key(host, username)?;
        if let Some(account) = self.set_elsewhere(&key, password).await? {
            return self.changed(Kind::UserPassword, &key, Ok(account));
        }
        let credentials = self.derive(password).await?;
        let name = key.1.clone();
        let replaced = self.db.try_write(move |tx| {
            Box::pin(async move {
                let row = store::find(tx, host, &name).await?;
                let id = row.ok_or(AccountError::NoSuchAccount)?.id;
                store::set_credentials(tx, id, &credentials).await?;
                Ok(id)
            })
        });
        self.changed(Kind::UserPassword, &key, replaced.await)
    }

    /// Replaces a password at the wish of the prepared user himself. What was kept elsewhere does not
    /// come here while its source is out of service: an administrator may bring it, not the user.
    pub async fn set_own_password(
        &self,
        host: HostId,
        username: &str,
        password: &str,
    ) -> Result<AccountId, AccountError> {
        let login = self.find(host, username).await?.ok_or(AccountError::NoSuchAccount)?;
        if login.credentials.for_password().is_none() && !self.providers.check_passwords() {
            return Err(AccountError::Elsewhere);
        }
        self.set_password(host, username, password).await
    }

    /// Refuses logins as `lockout` says, or with `None` no longer. Existing sessions are the
    /// caller's concern.
    pub async fn set_lockout(
        &self,
        host: HostId,
        username: &str,
        lockout: Option<Lockout>,
    ) -> Result<(), AccountError> {
        let key = key(host, username)?;
        let name = key.1.clone();
        let changed = self.db.write(move |tx| {
            Box::pin(async move { store::set_lockout(tx, host, &name, lockout.as_ref()).await })
        });
        self.finish_change(&key, changed.await)
    }

    fn finish_change(
        &self,
        key: &Key,
        changed: Result<bool, StorageError>,
    ) -> Result<(), AccountError> {
        self.forget(key);
        if changed? { Ok(()) } else { Err(AccountError::NoSuchAccount) }
    }

    /// The account of a prepared name, whether it may log in or not.
    pub async fn find(
        &self,
        host: HostId,
        username: &str,
    ) -> Result<Option<Arc<Login>>, StorageError> {
        let key: Key = (host, username.into());
        let now = self.clock.now();
        let changes = {
            let mut cache = self.cache.lock();
            if let Some(remembered) = cache.get(&key, now) {
                return Ok(remembered);
            }
            cache.changes
        };
        let name = key.1.clone();
        let login = match self.read(host, name).await? {
            None => self.adopt(&key).await?,
            known => known,
        };
        let mut cache = self.cache.lock();
        if cache.changes == changes {
            cache.insert(key, login.clone(), now);
        }
        Ok(login)
    }

    async fn read(
        &self,
        host: HostId,
        name: CompactString,
    ) -> Result<Option<Arc<Login>>, StorageError> {
        let look =
            self.db.read(move |tx| Box::pin(async move { store::login(tx, host, &name).await }));
        Ok(look.await?.map(|(row, credentials)| Arc::new(Login { row, credentials })))
    }

    /// What is remembered of a prepared name: `None` when the database must be asked.
    pub fn peek(&self, host: HostId, username: &str) -> Option<Option<AccountId>> {
        let remembered = self.cache.lock().get(&(host, username.into()), self.clock.now())?;
        Some(remembered.map(|login| login.row.id))
    }

    pub async fn exists(&self, host: HostId, username: &str) -> Result<bool, StorageError> {
        Ok(self.find(host, username).await?.is_some())
    }

    /// Whether `account` still has the prepared name and may be logged in.
    pub async fn is_active(
        &self,
        host: HostId,
        username: &str,
        account: AccountId,
    ) -> Result<bool, StorageError> {
        let login = self.find(host, username).await?;
        let standing = login.map(|login| login.standing(self.clock.now()));
        Ok(standing == Some(Standing::Active(account)))
    }

    /// The keys to authenticate a prepared name by. An unknown name gets fake ones that stay the
    /// same, so that nobody learns from the answer which names exist.
    pub async fn scram_keys(
        &self,
        host: HostId,
        username: &str,
        hash: Hash,
    ) -> Result<(ScramKeys, Standing), StorageError> {
        let login = self.find(host, username).await?;
        let known = login.as_ref().and_then(|login| Some((login, login.credentials.get(hash)?)));
        // Made in either case, so that both take the same time.
        let fake = ScramKeys::fake(hash, &self.secret, username, self.iterations);
        Ok(match known {
            Some((login, keys)) => (keys.clone(), login.standing(self.clock.now())),
            None => (fake, Standing::Unknown),
        })
    }

    /// Checks a prepared password. An unknown name costs as much time as a known one, unless other
    /// sources are asked.
    pub async fn verify_password(
        &self,
        host: HostId,
        username: &str,
        password: zeroize::Zeroizing<String>,
    ) -> Result<Standing, AccountError> {
        let before = self.providers.verify(|priority| priority < 0, username, &password).await;
        let before = match before {
            Ok(Verified::Unknown) => None,
            Ok(decided) => return self.decided(host, username, decided).await,
            // Somebody else may accept it.
            Err(away) => Some(away),
        };
        let login = self.find(host, username).await?;
        let keys = login.as_ref().and_then(|login| login.credentials.for_password().cloned());
        let is_ours = keys.is_some();
        let keys = keys.unwrap_or_else(|| {
            ScramKeys::fake(Hash::Sha256, &self.secret, username, self.iterations)
        });
        let given = password.clone();
        let is_right = self.derivation.run(move || keys.verify(&given)).await?;
        let refused = || before.map_or(Ok(Standing::Unknown), |away| Err(away.into()));
        match login {
            Some(login) if is_right && is_ours => return Ok(login.standing(self.clock.now())),
            _ if is_ours => return refused(),
            _ => {}
        }
        match self.providers.verify(|priority| priority >= 0, username, &password).await? {
            Verified::Accepted => self.decided(host, username, Verified::Accepted).await,
            Verified::Refused | Verified::Unknown => refused(),
        }
    }

    /// The verdict of another source.
    async fn decided(
        &self,
        host: HostId,
        username: &str,
        verdict: Verified,
    ) -> Result<Standing, AccountError> {
        if verdict != Verified::Accepted {
            return Ok(Standing::Unknown);
        }
        // A directory may lock out whom a source of passwords, or an account of old, would let in.
        let person = self.providers.user(username).await?;
        if person.as_ref().is_some_and(|person| person.disabled) {
            return Ok(Standing::Disabled);
        }
        let login = match self.find(host, username).await? {
            Some(login) => Some(login),
            None => {
                let profile = person.map(|person| person.profile).unwrap_or_default();
                self.make(&(host, username.into()), profile).await?
            }
        };
        Ok(login.map_or(Standing::Unknown, |login| login.standing(self.clock.now())))
    }

    /// The account of a user whom another source knows is made when he is first looked for.
    async fn adopt(&self, key: &Key) -> Result<Option<Arc<Login>>, StorageError> {
        match self.providers.user(&key.1).await {
            Ok(Some(person)) if !person.disabled => self.make(key, person.profile).await,
            // A source that is away was logged: whom nobody else knows is not there for now.
            _ => Ok(None),
        }
    }

    /// Makes an account whose password is kept elsewhere.
    async fn make(&self, key: &Key, profile: Profile) -> Result<Option<Arc<Login>>, StorageError> {
        let (host, name, now) = (key.0, key.1.clone(), self.clock.now());
        let make = self.db.write(move |tx| {
            Box::pin(async move {
                // Somebody else may have been faster.
                let made = store::create(tx, host, &name, &profile, now).await?;
                let found = store::login(tx, host, &name).await?;
                Ok((made.is_some(), found))
            })
        });
        let (is_new, found) = make.await?;
        if is_new {
            self.changed::<_, StorageError>(Kind::UserCreated, key, Ok(()))?;
        }
        Ok(found.map(|(row, credentials)| Arc::new(Login { row, credentials })))
    }

    /// Changes a password where it is kept, if that is elsewhere.
    async fn set_elsewhere(
        &self,
        key: &Key,
        password: &str,
    ) -> Result<Option<AccountId>, AccountError> {
        if !self.providers.check_passwords() {
            return Ok(None);
        }
        let login = self.find(key.0, &key.1).await?.ok_or(AccountError::NoSuchAccount)?;
        if login.credentials.for_password().is_some() {
            return Ok(None);
        }
        match self.providers.set_password(&key.1, &prepare_password(password)?).await? {
            true => Ok(Some(login.row.id)),
            false => Err(AccountError::Elsewhere),
        }
    }

    /// Forgets what is remembered of a name, because another node has changed it.
    pub fn invalidate(&self, host: HostId, username: &str) {
        self.cache.lock().forget(&(host, username.into()));
    }

    /// Forgets everything, because other nodes may have changed anything.
    pub fn forget_all(&self) {
        let mut cache = self.cache.lock();
        *cache = Cache::empty(cache.changes + 1);
    }

    /// Calls `changed` with host and prepared name of every account that is changed here.
    pub fn on_change(&self, changed: impl Fn(HostId, &str) + Send + Sync + 'static) {
        self.listener.set(Box::new(changed)).ok();
    }

    fn forget(&self, key: &Key) {
        self.cache.lock().forget(key);
        if let Some(changed) = self.listener.get() {
            changed(key.0, &key.1);
        }
    }

    async fn derive(&self, password: &str) -> Result<Credentials, AccountError> {
        let password = prepare_password(password)?;
        let shortest = self.shortest.get();
        if password.chars().count() < shortest {
            return Err(AccountError::Short(shortest));
        }
        let random = self.clock.random();
        let salts = Hash::ALL.map(|_| random.bytes());
        let iterations = self.iterations;
        let work = move || Credentials::derive(&password, &salts, iterations);
        Ok(self.derivation.run(work).await?)
    }
}

fn key(host: HostId, username: &str) -> Result<Key, JidError> {
    Ok((host, localpart(username)?.as_ref().into()))
}

#[cfg(test)]
#[path = "accounts_tests.rs"]
mod tests;
