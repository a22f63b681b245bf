//! The server as a plugin sees it.

mod kv;
mod people;

use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use abi_stable::std_types::ROption;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::abi;
use crate::calls::{HttpRequest, HttpResponse, NoticeLevel};
use crate::error::{Error, Result, from_abi};
use crate::sql::Sql;
use crate::stanza::Stanza;
use crate::wire::HostCall;

pub use kv::Kv;
pub use people::People;

/// Facts about the server that do not change while it runs.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct ServerInfo {
    /// Version of this JSON: 1.
    pub v: u32,
    /// Version of the server.
    pub version: String,
    /// [`crate::LEVEL`] of the server.
    pub api_level: u32,
    /// The XMPP domain.
    pub domain: String,
    /// Number of this node.
    pub node: u32,
    /// `sqlite` or `postgres`.
    pub database: String,
    /// A folder of the plugin's own, which exists.
    pub data_dir: PathBuf,
    /// When the server started, milliseconds since 1970.
    #[serde(default)]
    pub started_ms: i64,
    /// Name of the machine, for people; may be empty.
    #[serde(default)]
    pub machine: String,
}

/// How serious a line of the log is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Something does not work.
    Error = 1,
    /// Something needs attention.
    Warn = 2,
    /// What an administrator wants to see.
    Info = 3,
    /// For finding a fault.
    Debug = 4,
    /// Each step.
    Trace = 5,
}

/// Handle on the server. Clones share it; after the plugin's stop every call gives `Stopped`.
///
/// Its futures belong to no runtime: they may be awaited anywhere, and a future that awaits only them
/// needs no runtime either. Besides the errors named with each call, any may give `Forbidden` when the
/// manifest does not ask for its capability, `Unsupported` on an older server, and `Unavailable` when
/// the database does not answer.
///
/// ```
/// # use hearth_plugin_api::{Host, Result};
/// async fn remember(host: Host, name: &str) -> Result<()> {
///     let limit: usize = host.property_as("limit")?;
///     let names = host.kv().get("names").await?.unwrap_or_default();
///     let mut names = String::from_utf8_lossy(&names).into_owned();
///     if names.lines().count() >= limit {
///         host.warn(format!("{limit} names are remembered: raise the property `limit`"));
///         return Ok(());
///     }
///     names += name;
///     names.push('\n');
///     host.kv().set("names", names).await
/// }
/// ```
#[derive(Clone)]
pub struct Host {
    abi: abi::HostRef,
    info: Arc<ServerInfo>,
}

impl std::fmt::Debug for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Host").field("info", &self.info).finish_non_exhaustive()
    }
}

impl Host {
    /// Around what crossed.
    pub fn new(abi: abi::HostRef) -> Host {
        let info = serde_json::from_str(&abi.info()).unwrap_or_default();
        Host { abi, info: Arc::new(info) }
    }

    /// Facts about the server.
    pub fn info(&self) -> &ServerInfo {
        &self.info
    }

    /// Writes a line into the server's log, under the plugin's id.
    pub fn log(&self, level: Level, message: &str) {
        self.abi.log(level as u32, "".into(), message.into());
    }

    /// Something does not work.
    pub fn error(&self, message: impl AsRef<str>) {
        self.log(Level::Error, message.as_ref());
    }

    /// Something needs attention.
    pub fn warn(&self, message: impl AsRef<str>) {
        self.log(Level::Warn, message.as_ref());
    }

    /// What an administrator wants to see.
    pub fn log_info(&self, message: impl AsRef<str>) {
        self.log(Level::Info, message.as_ref());
    }

    /// For finding a fault.
    pub fn debug(&self, message: impl AsRef<str>) {
        self.log(Level::Debug, message.as_ref());
    }

    /// Adds to a counter, shown as `hearth_plugin_<name>_total{plugin="…"}`.
    /// Of a plugin's counters, gauges and histograms 500 are kept, each set of labels counted.
    pub fn count(&self, name: &str, labels: &[(&str, &str)], by: u64) {
        self.metric(0, name, labels, by as f64);
    }

    /// Sets a gauge.
    pub fn gauge(&self, name: &str, labels: &[(&str, &str)], value: f64) {
        self.metric(1, name, labels, value);
    }

    /// Observes a value for a histogram; times in seconds.
    pub fn observe(&self, name: &str, labels: &[(&str, &str)], value: f64) {
        self.metric(2, name, labels, value);
    }

    fn metric(&self, kind: u32, name: &str, labels: &[(&str, &str)], value: f64) {
        let labels: serde_json::Map<_, _> =
            labels.iter().map(|(name, value)| (name.to_string(), (*value).into())).collect();
        let labels = serde_json::Value::Object(labels).to_string();
        self.abi.metric(kind, name.into(), labels.as_str().into(), value);
    }

    /// Milliseconds since 1970.
    pub fn now_ms(&self) -> i64 {
        self.abi.clock(0)
    }

    /// Milliseconds of a clock that never goes back and counts while the machine sleeps.
    pub fn boot_ms(&self) -> i64 {
        self.abi.clock(1)
    }

    /// Waits, a day at most. Needs no runtime. `Stopped` when the plugin is stopped meanwhile.
    pub async fn sleep(&self, time: Duration) -> Result<()> {
        from_abi(self.abi.sleep(time.as_millis() as u64).await)
    }

    /// The value of one of the plugin's own properties, as text. `NotFound` when it was not
    /// registered.
    pub fn property(&self, name: &str) -> Result<String> {
        match self.abi.property(name.into()) {
            ROption::RSome(value) => Ok(value.into_string()),
            ROption::RNone => Err(Error::not_found(format!("there is no property `{name}`"))),
        }
    }

    /// The same, parsed. `Invalid` when it does not parse as `T`.
    pub fn property_as<T: FromStr>(&self, name: &str) -> Result<T> {
        let value = self.property(name)?;
        value.parse().map_err(|_| Error::invalid(format!("`{value}` is no value of `{name}`")))
    }

    /// Sets one of the plugin's own properties, for all that its scope covers. `NotFound` when it was
    /// not registered, `Invalid` for what it does not take.
    pub async fn set_property(&self, name: &str, value: &str) -> Result<()> {
        let call = HostCall::PropertySet { name: name.into(), value: Some(value.into()) };
        self.call(&call).await
    }

    /// Gives one of the plugin's own properties its default.
    pub async fn reset_property(&self, name: &str) -> Result<()> {
        self.call(&HostCall::PropertySet { name: name.into(), value: None }).await
    }

    /// A property of the server, as text; `None` for secrets and unknown names.
    pub async fn server_property(&self, name: &str) -> Result<Option<String>> {
        self.call(&HostCall::PropertyServer { name: name.into() }).await
    }

    /// Sends a stanza. It is queued (`Full` when 1024 wait), routed after the current one, does not
    /// pass the plugin's own steps, and has a bounded number of hops. `from` must be an address of the
    /// server, of one of its accounts or of the plugin's components; without it, the server's.
    /// `Invalid` for another one, and for a stanza without `to`.
    pub fn route(&self, stanza: &Stanza) -> Result<()> {
        from_abi(stanza.with_ref(|stanza| self.abi.route(stanza)))
    }

    /// Sends an IQ of type `get` or `set` and waits for its answer, which may be of type `error`.
    /// `Timeout` when none comes, `Full` when too many answers are awaited, `Invalid` for what no
    /// answer can come to.
    pub async fn iq(&self, iq: Stanza, timeout: Duration) -> Result<Stanza> {
        let answer = self.abi.iq(iq.to_abi(), timeout.as_millis() as u64);
        Stanza::from_abi(from_abi(answer.await)?)
    }

    /// The plugin's key-value store.
    pub fn kv(&self) -> Kv<'_> {
        Kv(self)
    }

    /// The plugin's tables.
    pub fn sql(&self) -> Sql<'_> {
        Sql::new(self)
    }

    /// Users, groups, rosters and sessions.
    pub fn people(&self) -> People<'_> {
        People(self)
    }

    /// Asks a web service. `url` of the request is the whole address, by http or https. `Unavailable`
    /// when it cannot be reached, `Timeout` when it does not answer in time, `Invalid` for what cannot
    /// be asked; an answer is an answer, whatever its status. Redirects are followed, at most five;
    /// bodies are bounded at 16 MiB.
    pub async fn fetch(&self, mut request: HttpRequest) -> Result<HttpResponse> {
        let body = std::mem::take(&mut request.body);
        let (response, body) = self.exchange(&HostCall::HttpFetch(request), body).await?;
        Ok(HttpResponse { body, ..response })
    }

    /// Shows a line on the console's first page until it is cleared; another one with the same key
    /// replaces it. `Full` when 16 are shown, `Invalid` for more than a line.
    pub async fn notice(&self, key: &str, level: NoticeLevel, text: &str) -> Result<()> {
        let (key, text, page) = (key.into(), text.into(), String::new());
        let call = HostCall::NoticeRaise { key, level, text, page, everywhere: false };
        self.call(&call).await
    }

    /// Takes a notice back.
    pub async fn clear_notice(&self, key: &str) -> Result<()> {
        self.call(&HostCall::NoticeClear { key: key.into() }).await
    }

    /// Writes an administrative act into the audit log: who, what (`book.clear`), to what. `Invalid`
    /// when one of them has more than 1024 octets.
    pub async fn audit(&self, actor: &str, action: &str, detail: &str) -> Result<()> {
        let (actor, action) = (actor.into(), action.into());
        self.call(&HostCall::Audit { actor, action, detail: detail.into() }).await
    }

    /// Figures of this node: see [`HostCall::Statistics`].
    pub async fn statistics(&self) -> Result<serde_json::Value> {
        self.call(&HostCall::Statistics).await
    }

    /// Any call without anything beside its JSON.
    pub async fn call<T: DeserializeOwned>(&self, call: &HostCall) -> Result<T> {
        Ok(self.exchange(call, Vec::new()).await?.0)
    }

    /// Any call, with what goes and comes beside its JSON.
    pub async fn exchange<T: DeserializeOwned>(
        &self,
        call: &HostCall,
        body: Vec<u8>,
    ) -> Result<(T, Vec<u8>)> {
        let head = serde_json::to_string(call)?;
        let answer = from_abi(self.abi.call(head.into(), body.into()).await)?;
        Ok((read(&answer.head)?, answer.body.into_vec()))
    }

    /// What crosses.
    pub fn abi(&self) -> &abi::HostRef {
        &self.abi
    }
}

/// JSON that crossed; nothing at all is null.
pub(crate) fn read<T: DeserializeOwned>(head: &str) -> Result<T> {
    Ok(serde_json::from_str(if head.is_empty() { "null" } else { head })?)
}
