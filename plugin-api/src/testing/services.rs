//! The services of the server of make-believe.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

use abi_stable::std_types::{RArc, ROption, RStr, RString, RVec};
use serde::Serialize;

use super::database::Database;
use crate::abi;
use crate::calls::{Contact, Group, HttpRequest, HttpResponse, NoticeLevel, Query, Session, User};
use crate::error::{Error, ErrorKind, Result};
use crate::guard::{answer, guard};
use crate::host::{Host, ServerInfo, read};
use crate::manifest::{Capability, Manifest};
use crate::offer::{Migration, Property};
use crate::registrar::OPAQUE;
use crate::stanza::{Stanza, StanzaView};
use crate::wire::{Found, HostCall};

type Answer<Q, A> = Box<dyn Fn(Q) -> Result<A> + Send + Sync>;

/// What surrounds the plugin in a test.
#[derive(Default)]
pub struct Fixture {
    /// Users of the server.
    pub users: Vec<User>,
    /// Groups and the names in them.
    pub groups: Vec<(Group, Vec<String>)>,
    /// Those who administer a group, by the group's name.
    pub admins: BTreeMap<String, Vec<String>>,
    /// Rosters by user.
    pub rosters: BTreeMap<String, Vec<Contact>>,
    /// Sessions.
    pub sessions: Vec<Session>,
    /// Values of the plugin's own properties other than their defaults.
    pub properties: BTreeMap<String, String>,
    /// Properties of the server.
    pub server_properties: BTreeMap<String, String>,
    /// Answers what the plugin asks the network; without it, nothing answers.
    pub fetch: Option<Answer<HttpRequest, HttpResponse>>,
    /// Answers the plugin's IQs; without it, none is answered.
    pub iq: Option<Answer<Stanza, Stanza>>,
}

impl std::fmt::Debug for Fixture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fixture").field("users", &self.users).finish_non_exhaustive()
    }
}

impl Fixture {
    /// The same with a user.
    pub fn user(mut self, name: &str) -> Fixture {
        self.users.push(User { name: name.to_owned(), ..User::default() });
        self
    }

    /// The same with a group of these users, of whom the first administers it.
    pub fn group(mut self, name: &str, members: &[&str]) -> Fixture {
        let group = Group { name: name.to_owned(), ..Group::default() };
        let members: Vec<String> = members.iter().map(|&name| name.to_owned()).collect();
        self.admins.insert(name.to_owned(), members.iter().take(1).cloned().collect());
        self.groups.push((group, members));
        self
    }

    /// The same with a value of one of the plugin's properties.
    pub fn property(mut self, name: &str, value: &str) -> Fixture {
        self.properties.insert(name.to_owned(), value.to_owned());
        self
    }

    /// The same with somebody who answers what the plugin asks the network.
    pub fn fetch(
        mut self,
        answer: impl Fn(HttpRequest) -> Result<HttpResponse> + Send + Sync + 'static,
    ) -> Fixture {
        self.fetch = Some(Box::new(answer));
        self
    }

    /// The same with somebody who answers the plugin's IQs.
    pub fn iq(
        mut self,
        answer: impl Fn(Stanza) -> Result<Stanza> + Send + Sync + 'static,
    ) -> Fixture {
        self.iq = Some(Box::new(answer));
        self
    }
}

pub struct Fake {
    pub manifest: Manifest,
    fixture: Fixture,
    state: Mutex<State>,
}

pub struct State {
    pub stopped: bool,
    pub now_ms: i64,
    sleepers: Vec<Waker>,
    declared: BTreeMap<String, Property>,
    values: BTreeMap<String, String>,
    kv: BTreeMap<String, Vec<u8>>,
    database: Database,
    pub routed: Vec<Stanza>,
    pub logs: Vec<(u32, String)>,
    pub metrics: BTreeMap<String, f64>,
    pub notices: BTreeMap<String, (NoticeLevel, String)>,
    pub audit: Vec<(String, String, String)>,
}

impl State {
    pub fn log(&mut self, level: u32, line: &str) {
        self.logs.push((level, line.to_owned()));
    }

    pub fn set_time(&mut self, now_ms: i64) {
        self.now_ms = now_ms;
        self.sleepers.drain(..).for_each(Waker::wake);
    }
}

/// 2026-01-01, when all tests begin.
const BEGINNING_MS: i64 = 1_767_225_600_000;

impl Fake {
    pub fn new(manifest: Manifest, fixture: Fixture) -> Result<Arc<Fake>> {
        let state = State {
            stopped: false,
            now_ms: BEGINNING_MS,
            sleepers: Vec::new(),
            declared: BTreeMap::new(),
            values: fixture.properties.clone(),
            kv: BTreeMap::new(),
            database: Database::new()?,
            routed: Vec::new(),
            logs: Vec::new(),
            metrics: BTreeMap::new(),
            notices: BTreeMap::new(),
            audit: Vec::new(),
        };
        Ok(Arc::new(Fake { manifest, fixture, state: Mutex::new(state) }))
    }

    pub fn host(self: &Arc<Fake>) -> Host {
        Host::new(abi::Host_TO::from_ptr(RArc::new(FakeServices(self.clone())), OPAQUE))
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn declare(&self, property: Property) -> Result<()> {
        property.check(&property.default)?;
        if let Some(value) = self.fixture.properties.get(&property.name) {
            property.check(value)?;
        }
        self.state().declared.insert(property.name.clone(), property);
        Ok(())
    }

    pub fn set_property(&self, name: &str, value: Option<&str>) -> Result<()> {
        let mut state = self.state();
        let property = state.declared.get(name);
        let property = property.ok_or_else(|| Error::not_found(format!("no property `{name}`")))?;
        value.map_or(Ok(()), |value| property.check(value))?;
        match value {
            Some(value) => state.values.insert(name.to_owned(), value.to_owned()),
            None => state.values.remove(name),
        };
        Ok(())
    }

    pub fn migrate(&self, migrations: &[Migration]) -> Result<()> {
        self.state().database.migrate(migrations)
    }

    fn running(&self, capability: Option<Capability>) -> Result<()> {
        if self.state().stopped {
            return Err(Error::new(ErrorKind::Stopped, "the plugin was stopped"));
        }
        capability.map_or(Ok(()), |capability| self.manifest.require(capability))
    }

    fn serve(&self, call: HostCall, body: Vec<u8>) -> Result<abi::Message> {
        self.running(call.capability())?;
        match call {
            HostCall::KvGet { .. }
            | HostCall::KvSet { .. }
            | HostCall::KvSwap { .. }
            | HostCall::KvDelete { .. }
            | HostCall::KvKeys(_) => self.kv(call, body),
            HostCall::PropertySet { name, value } => {
                json(&self.set_property(&name, value.as_deref())?)
            }
            HostCall::PropertyServer { name } => json(&self.fixture.server_properties.get(&name)),
            HostCall::HttpFetch(request) => self.fetch(HttpRequest { body, ..request }),
            HostCall::NoticeRaise { key, level, text, .. } => {
                self.state().notices.insert(key, (level, text));
                json(&())
            }
            HostCall::NoticeClear { key } => {
                self.state().notices.remove(&key);
                json(&())
            }
            HostCall::Audit { actor, action, detail } => {
                self.state().audit.push((actor, action, detail));
                json(&())
            }
            HostCall::Statistics => {
                json(&serde_json::json!({ "sessions": self.fixture.sessions.len() }))
            }
            people => self.people(people),
        }
    }

    fn kv(&self, call: HostCall, body: Vec<u8>) -> Result<abi::Message> {
        let kv = &mut self.state().kv;
        match call {
            HostCall::KvGet { key } => {
                let value = kv.get(&key).cloned();
                beside(&Found { found: value.is_some() }, value.unwrap_or_default())
            }
            HostCall::KvSet { key } => {
                kv.insert(key, body);
                json(&())
            }
            HostCall::KvSwap { key, expected } => {
                let (old, new) = body.split_at((expected.unwrap_or(0) as usize).min(body.len()));
                let found = kv.get(&key).map(Vec::as_slice) == expected.map(|_| old);
                if found {
                    kv.insert(key, new.to_vec());
                }
                json(&Found { found })
            }
            HostCall::KvDelete { key } => json(&Found { found: kv.remove(&key).is_some() }),
            HostCall::KvKeys(Query { search, after, limit }) => {
                let fits = |key: &&String| key.starts_with(&search) && **key > after;
                json(&kv.keys().filter(fits).take(limit as usize).collect::<Vec<_>>())
            }
            _ => Err(Error::unsupported("not of the key-value store")),
        }
    }

    fn people(&self, call: HostCall) -> Result<abi::Message> {
        let Fixture { users, groups, admins, rosters, sessions, .. } = &self.fixture;
        match call {
            HostCall::PeopleUser { name } => json(&users.iter().find(|user| user.name == name)),
            HostCall::PeopleUsers(query) => json(&part(users, &query, |user| &user.name)),
            HostCall::PeopleGroups(query) => {
                let groups: Vec<_> = groups.iter().map(|(group, _)| group.clone()).collect();
                json(&part(&groups, &query, |group| &group.name))
            }
            HostCall::PeopleMembers { group } => {
                let members = groups.iter().find(|(it, _)| it.name == group);
                let unknown = || Error::not_found(format!("there is no group `{group}`"));
                json(&members.ok_or_else(unknown)?.1)
            }
            HostCall::PeopleAdmins { group } => {
                json(&admins.get(&group).cloned().unwrap_or_default())
            }
            HostCall::PeopleRoster { user } => {
                if !users.iter().any(|it| it.name == user) {
                    return Err(Error::not_found(format!("there is no user `{user}`")));
                }
                json(&rosters.get(&user).cloned().unwrap_or_default())
            }
            HostCall::PeopleSessions { user, query } => {
                let of = |session: &&Session| {
                    user.is_empty() || session.jid.split('@').next() == Some(&user)
                };
                let sessions: Vec<_> = sessions.iter().filter(of).cloned().collect();
                json(&part(&sessions, &query, |session| &session.jid))
            }
            _ => Err(Error::unsupported("the server of make-believe does not know this call")),
        }
    }

    fn fetch(&self, request: HttpRequest) -> Result<abi::Message> {
        let url = request.url.clone();
        let Some(fetch) = &self.fixture.fetch else {
            return Err(Error::unavailable(format!("{url} does not answer")));
        };
        let mut response = fetch(request)?;
        let body = std::mem::take(&mut response.body);
        beside(&response, body)
    }
}

/// The part of a list that a query wants.
fn part<T: Clone>(all: &[T], query: &Query, name: impl Fn(&T) -> &String) -> Vec<T> {
    let mut all = all.to_vec();
    all.sort_by(|a, b| name(a).cmp(name(b)));
    let search = query.search.to_lowercase();
    all.retain(|one| name(one) > &query.after && name(one).to_lowercase().contains(&search));
    all.truncate(query.limit as usize);
    all
}

fn json(answer: &impl Serialize) -> Result<abi::Message> {
    beside(answer, Vec::new())
}

fn beside(answer: &impl Serialize, body: Vec<u8>) -> Result<abi::Message> {
    Ok(abi::Message { head: serde_json::to_string(answer)?.into(), body: body.into() })
}

#[derive(Clone)]
struct FakeServices(Arc<Fake>);

impl abi::Host for FakeServices {
    fn info(&self) -> RString {
        let info = ServerInfo {
            v: 1,
            version: "0.0.0".to_owned(),
            api_level: crate::LEVEL,
            domain: "example.org".to_owned(),
            node: 1,
            database: "sqlite".to_owned(),
            data_dir: std::env::temp_dir(),
            started_ms: BEGINNING_MS,
            machine: "localhost".to_owned(),
        };
        serde_json::to_string(&info).unwrap_or_default().into()
    }

    fn log(&self, level: u32, _: RStr<'_>, message: RStr<'_>) {
        self.0.state().log(level, message.as_str());
    }

    fn metric(&self, kind: u32, name: RStr<'_>, _: RStr<'_>, value: f64) {
        let mut state = self.0.state();
        let metric = state.metrics.entry(name.as_str().to_owned()).or_default();
        *metric = if kind == 1 { value } else { *metric + value };
    }

    fn clock(&self, which: u32) -> i64 {
        let now = self.0.state().now_ms;
        if which == 0 { now } else { now - BEGINNING_MS }
    }

    fn property(&self, name: RStr<'_>) -> ROption<RString> {
        let state = self.0.state();
        let declared = state.declared.get(name.as_str());
        let value = declared.map(|property| {
            state.values.get(name.as_str()).unwrap_or(&property.default).as_str().into()
        });
        value.into()
    }

    fn route(&self, stanza: &abi::StanzaRef<'_>) -> abi::Res<()> {
        guard(|| {
            self.0.running(Some(Capability::Route))?;
            let stanza = StanzaView::new(stanza).to_owned();
            stanza.elements()?;
            self.0.state().routed.push(stanza);
            Ok(())
        })
    }

    fn iq(&self, stanza: abi::StanzaBuf, _: u64) -> abi::Fut<abi::StanzaBuf> {
        let fake = self.0.clone();
        answer(move || async move {
            fake.running(Some(Capability::Route))?;
            let Some(iq) = &fake.fixture.iq else {
                return Err(Error::new(ErrorKind::Timeout, "no answer to the IQ"));
            };
            Ok(iq(Stanza::from_abi(stanza)?)?.to_abi())
        })
    }

    fn sleep(&self, ms: u64) -> abi::Fut<()> {
        let fake = self.0.clone();
        let end = fake.state().now_ms + ms as i64;
        answer(move || {
            poll_fn(move |context| {
                let mut state = fake.state();
                if state.now_ms >= end {
                    return Poll::Ready(Ok(()));
                }
                state.sleepers.push(context.waker().clone());
                Poll::Pending
            })
        })
    }

    fn sql(&self, _: u32, statements: RVec<abi::SqlStatement>) -> abi::Fut<RVec<abi::SqlRows>> {
        let fake = self.0.clone();
        answer(move || async move {
            fake.running(Some(Capability::Tables))?;
            Ok(fake.state().database.transaction(&statements)?.into())
        })
    }

    fn call(&self, head: RString, body: RVec<u8>) -> abi::Fut<abi::Message> {
        let fake = self.0.clone();
        answer(move || async move { fake.serve(read(&head)?, body.into_vec()) })
    }
}
