//! The server as one plugin sees it: every call is checked, and answered `Stopped` once the
//! instance is.

use std::sync::Arc;
use std::time::Duration;

use abi_stable::sabi_trait::TD_Opaque;
use abi_stable::std_types::{RArc, ROption, RStr, RString, RVec};
use hearth_plugin_api::abi::{
    Fut, Host, Host_TO, HostRef, Message, Res, SqlRows, SqlStatement, StanzaBuf, StanzaRef,
};
use hearth_plugin_api::wire::HostCall;
use hearth_plugin_api::{Error, ServerInfo, to_abi};
use serde::Serialize;

use super::super::guard::stopped;
use super::{Guest, audit, fetch, kv, metrics, people, properties, route, sql};
use crate::host::HostId;
use crate::storage::Dialect;

/// The longest that a plugin may ask us to wait.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

#[derive(Clone)]
struct HostApi(Arc<Guest>);

pub(super) fn host(guest: &Arc<Guest>) -> HostRef {
    Host_TO::from_ptr(RArc::new(HostApi(guest.clone())), TD_Opaque)
}

/// What a call answers: JSON, and octets beside it.
pub(super) type Answer = Result<(serde_json::Value, Vec<u8>), Error>;

/// An answer without octets.
pub(super) fn json(value: impl Serialize) -> Answer {
    Ok((serde_json::to_value(value)?, Vec::new()))
}

impl HostApi {
    fn open(&self) -> Result<(), Error> {
        if self.0.guard.is_closed() { Err(stopped()) } else { Ok(()) }
    }

    fn server_info(&self) -> ServerInfo {
        let Guest { seams, manifest, .. } = &*self.0;
        let database = match seams.db.dialect() {
            Dialect::Sqlite => "sqlite",
            Dialect::Postgres => "postgres",
        };
        ServerInfo {
            v: 1,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            api_level: hearth_plugin_api::LEVEL,
            domain: seams.router.hosts.domain(HostId::FIRST).as_str().to_owned(),
            node: seams.clock.node(),
            database: database.to_owned(),
            data_dir: seams.data.join(&manifest.id),
            started_ms: seams.started.0,
            machine: rustix::system::uname().nodename().to_string_lossy().into_owned(),
        }
    }
}

impl Host for HostApi {
    fn info(&self) -> RString {
        serde_json::to_string(&self.server_info()).unwrap_or_default().into()
    }

    fn log(&self, level: u32, target: RStr<'_>, message: RStr<'_>) {
        let (plugin, target) = (self.0.id(), target.as_str());
        let message = message.as_str();
        match level {
            1 => tracing::error!(target: "hearth::plugin", plugin, at = target, "{message}"),
            2 => tracing::warn!(target: "hearth::plugin", plugin, at = target, "{message}"),
            3 => tracing::info!(target: "hearth::plugin", plugin, at = target, "{message}"),
            4 => tracing::debug!(target: "hearth::plugin", plugin, at = target, "{message}"),
            _ => tracing::trace!(target: "hearth::plugin", plugin, at = target, "{message}"),
        }
    }

    fn metric(&self, kind: u32, name: RStr<'_>, labels: RStr<'_>, value: f64) {
        metrics::record(&self.0, kind, &name, &labels, value);
    }

    fn clock(&self, which: u32) -> i64 {
        match which {
            1 => self.0.seams.clock.boot().as_millis() as i64,
            _ => self.0.seams.clock.now().0,
        }
    }

    fn property(&self, name: RStr<'_>) -> ROption<RString> {
        self.0.properties.get(&name).map(RString::from).into()
    }

    fn route(&self, stanza: &StanzaRef<'_>) -> Res<()> {
        to_abi(self.open().and_then(|()| route::route(&self.0, stanza)))
    }

    fn iq(&self, stanza: StanzaBuf, timeout_ms: u64) -> Fut<StanzaBuf> {
        let guest = self.0.clone();
        let timeout = Duration::from_millis(timeout_ms).min(LONGEST);
        self.0.work(async move { route::ask(&guest, stanza, timeout).await })
    }

    fn sleep(&self, ms: u64) -> Fut<()> {
        let time = Duration::from_millis(ms).min(LONGEST);
        self.0.work(async move {
            tokio::time::sleep(time).await;
            Ok(())
        })
    }

    fn sql(&self, mode: u32, statements: RVec<SqlStatement>) -> Fut<RVec<SqlRows>> {
        let guest = self.0.clone();
        self.0.work(async move { sql::run(&guest, mode, statements.into_vec()).await })
    }

    fn call(&self, head: RString, body: RVec<u8>) -> Fut<Message> {
        let guest = self.0.clone();
        self.0.work(async move {
            let call: HostCall = serde_json::from_str(&head).map_err(|error| {
                Error::unsupported(format!("this server does not know the call: {error}"))
            })?;
            if let Some(capability) = call.capability() {
                guest.manifest.require(capability)?;
            }
            let (head, body) = dispatch(&guest, call, body.into_vec()).await?;
            Ok(Message { head: head.to_string().into(), body: body.into() })
        })
    }
}

async fn dispatch(guest: &Arc<Guest>, call: HostCall, body: Vec<u8>) -> Answer {
    match call {
        HostCall::KvGet { key } => kv::get(guest, key).await,
        HostCall::KvSet { key } => kv::set(guest, key, body).await,
        HostCall::KvSwap { key, expected } => kv::swap(guest, key, expected, body).await,
        HostCall::KvDelete { key } => kv::delete(guest, key).await,
        HostCall::KvKeys(query) => kv::keys(guest, query).await,
        HostCall::PropertySet { name, value } => {
            json(properties::set(guest, &name, value.as_deref()).await?)
        }
        HostCall::PropertyServer { name } => json(properties::of_server(guest, &name)),
        HostCall::HttpFetch(request) => fetch::fetch(request, body).await,
        HostCall::PeopleUser { name } => json(people::user(guest, &name).await?),
        HostCall::PeopleUsers(query) => json(people::users(guest, &query).await?),
        HostCall::PeopleGroups(query) => json(people::groups(guest, query).await?),
        HostCall::PeopleMembers { group } => json(people::members(guest, group).await?),
        HostCall::PeopleAdmins { group } => json(people::admins(guest, group).await?),
        HostCall::PeopleRoster { user } => json(people::roster(guest, &user).await?),
        HostCall::PeopleSessions { user, query } => json(people::sessions(guest, &user, &query)),
        HostCall::Audit { actor, action, detail } => {
            json(audit::note(guest, actor, action, detail).await?)
        }
        HostCall::NoticeRaise { .. } | HostCall::NoticeClear { .. } => {
            json(guest.notices.perform(&guest.manifest, call)?)
        }
        HostCall::Statistics => json(people::statistics(guest).await),
        _ => Err(Error::unsupported("this server does not answer that call yet")),
    }
}
