//! A server of make-believe: unit tests of a plugin without server, network or waiting.
//!
//! Everything crosses the interface as it would in a server, and what the manifest does not ask for is
//! refused. Time stands still until [`FakeHost::advance`].
//!
//! ```
//! # use std::sync::Arc;
//! # use hearth_plugin_api::{json, *};
//! # struct Count(Host);
//! # impl Plugin for Count {
//! #     fn manifest() -> Manifest { manifest!().asks_for(&[Capability::Commands]) }
//! #     fn create(host: Host) -> Result<Count> { Ok(Count(host)) }
//! #     fn register(self: &Arc<Self>, registrar: &Registrar<'_>) -> Result<()> {
//! #         registrar.command(Command::new("next", "Counts."), self, Count::next)
//! #     }
//! # }
//! # impl Count {
//! #     async fn next(self: Arc<Self>, _: CommandCall) -> Result<json::Value> {
//! #         let last = self.0.kv().get("n").await?.map_or(0, |n| n[0]);
//! #         self.0.kv().set("n", [last + 1]).await?;
//! #         Ok(json::json!(last + 1))
//! #     }
//! # }
//! use hearth_plugin_api::testing::FakeHost;
//!
//! let server = FakeHost::start::<Count>()?;
//! assert_eq!(server.command("next", json::json!({}))?, 1);
//! assert_eq!(server.command("next", json::json!({}))?, 2);
//! # Ok::<(), Error>(())
//! ```

mod database;
mod hooks;
mod services;

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::{Duration, Instant};

use crate::abi;
use crate::calls::{
    AuthCall, CommandCall, DirectoryCall, Event, HttpRequest, HttpResponse, NoticeLevel,
    PageRequest, PageResponse, Verified,
};
use crate::error::{Error, Result, from_abi};
use crate::host::{Host, read};
use crate::manifest::Manifest;
use crate::offer::{Offer, StanzasSpec, Tick};
use crate::plugin::{Plugin, object};
use crate::stanza::Stanza;
use crate::step::{Failure, Passage, Phase, Verdict};
use hooks::Hooks;
pub use services::Fixture;
use services::{Fake, State};

/// A running plugin in a server of make-believe.
pub struct FakeHost {
    fake: Arc<Fake>,
    hooks: Arc<Mutex<Hooks>>,
    plugin: abi::PluginRef,
}

impl std::fmt::Debug for FakeHost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FakeHost").field("plugin", &self.fake.manifest.id).finish_non_exhaustive()
    }
}

impl FakeHost {
    /// Creates, registers and starts a plugin. What it fails with is what a server would show.
    pub fn start<P: Plugin>() -> Result<FakeHost> {
        FakeHost::start_with::<P>(Fixture::default())
    }

    /// The same among these users, properties and answers.
    pub fn start_with<P: Plugin>(fixture: Fixture) -> Result<FakeHost> {
        let manifest = P::manifest();
        manifest.check()?;
        let fake = Fake::new(manifest, fixture)?;
        let plugin = object(&Arc::new(P::create(fake.host())?));
        let hooks = Arc::new(Mutex::new(Hooks::default()));
        let registrar = hooks::registrar(&fake, &hooks);
        from_abi(plugin.register(&registrar))?;
        let server = FakeHost { fake, hooks, plugin };
        server.fake.migrate(&server.hooks().migrations())?;
        server.wait(server.plugin.start())?;
        Ok(server)
    }

    /// Stops the plugin; afterwards its calls give `Stopped`.
    pub fn stop(&self) -> Result<()> {
        let stopped = self.wait(self.plugin.stop(5_000));
        self.state().stopped = true;
        stopped
    }

    /// The manifest.
    pub fn manifest(&self) -> &Manifest {
        &self.fake.manifest
    }

    /// The same handle as the plugin's.
    pub fn host(&self) -> Host {
        self.fake.host()
    }

    /// Sets one of the plugin's properties as an administrator does, and tells whoever listens.
    pub fn set_property(&self, name: &str, value: &str) -> Result<()> {
        self.fake.set_property(name, Some(value))?;
        let data = serde_json::json!({ "name": name, "value": value });
        self.event("property.changed", data)
    }

    /// `GET` of a page.
    pub fn page(&self, slug: &str) -> Result<PageResponse> {
        self.request_page(slug, PageRequest { method: "GET".into(), ..PageRequest::default() })
    }

    /// A form of a page.
    pub fn post(&self, slug: &str, form: &[(&str, &str)]) -> Result<PageResponse> {
        let form = form.iter().map(|(name, value)| (name.to_string(), value.to_string()));
        let (method, form) = ("POST".into(), form.collect());
        self.request_page(slug, PageRequest { method, form, ..PageRequest::default() })
    }

    /// Any request for a page. Who it is from and where the page is are filled in.
    pub fn request_page(&self, slug: &str, mut request: PageRequest) -> Result<PageResponse> {
        request.v = 1;
        request.base = format!("/plugins/{}/{slug}", self.fake.manifest.id);
        request.admin = "admin".to_owned();
        request.token = "<input type='hidden' name='csrf' value='0'>".to_owned();
        let files = request.files.iter_mut().flat_map(|file| {
            file.size = file.content.len() as u64;
            std::mem::take(&mut file.content)
        });
        let files: Vec<u8> = files.collect();
        let of = |offer: &Offer| matches!(offer, Offer::Page(page) if page.slug == slug);
        let (mut response, body): (PageResponse, _) = self.ask(of, &request, files)?;
        response.body = body;
        Ok(response)
    }

    /// A command.
    pub fn command(&self, name: &str, arguments: serde_json::Value) -> Result<serde_json::Value> {
        let of = |offer: &Offer| matches!(offer, Offer::Command(command) if command.name == name);
        let (name, actor) = (name.to_owned(), "admin".to_owned());
        Ok(self.ask(of, &CommandCall { v: 1, name, arguments, actor }, Vec::new())?.0)
    }

    /// An HTTP request to an endpoint.
    pub fn endpoint(&self, path: &str, mut request: HttpRequest) -> Result<HttpResponse> {
        let of =
            |offer: &Offer| matches!(offer, Offer::Endpoint(endpoint) if endpoint.path == path);
        let body = std::mem::take(&mut request.body);
        let (response, body): (HttpResponse, _) = self.ask(of, &request, body)?;
        Ok(HttpResponse { body, ..response })
    }

    /// Tells the plugin of something, if it listens.
    pub fn event(&self, kind: &str, data: serde_json::Value) -> Result<()> {
        let at_ms = self.state().now_ms;
        let event = Event { v: 1, kind: kind.to_owned(), at_ms, node: 1, data };
        let of = |offer: &Offer| matches!(offer, Offer::Events { kinds } if heard(kinds, kind));
        let listens = self.hooks().handler(of).is_some();
        if listens {
            self.ask::<()>(of, &event, Vec::new())?;
        }
        Ok(())
    }

    /// Asks the plugin's source of credentials.
    pub fn verify(&self, user: &str, password: &str) -> Result<Verified> {
        let of = |offer: &Offer| matches!(offer, Offer::Auth(_));
        let (user, password) = (user.to_owned(), password.to_owned());
        Ok(self.ask(of, &AuthCall::Verify { user, password }, Vec::new())?.0)
    }

    /// Asks the plugin's source of users.
    pub fn directory(&self, call: &DirectoryCall) -> Result<serde_json::Value> {
        Ok(self.ask(|offer| matches!(offer, Offer::Directory(_)), call, Vec::new())?.0)
    }

    /// Sends a request to the plugin's IQ handler for the namespace of its child.
    pub fn iq(&self, iq: &Stanza) -> Result<Stanza> {
        let namespace = iq.elements()?.first().map(|child| child.namespace.clone());
        let is_it = |spec: &StanzasSpec| match spec {
            StanzasSpec::Iq(spec) => Some(&spec.namespace) == namespace.as_ref(),
            _ => false,
        };
        let mut answers = self.stanzas(is_it, iq)?;
        answers.pop().ok_or_else(|| Error::from("the handler gave no answer"))
    }

    /// Sends a stanza to the plugin's component that its `to` names.
    pub fn component(&self, stanza: &Stanza) -> Result<Vec<Stanza>> {
        let to = stanza.to.as_deref().unwrap_or_default();
        let domain = to.split('/').next().and_then(|bare| bare.rsplit('@').next());
        let label = domain.and_then(|domain| domain.split('.').next()).unwrap_or_default();
        let is_it = |spec: &StanzasSpec| matches!(spec, StanzasSpec::Component(component) if component.label == label);
        self.stanzas(is_it, stanza)
    }

    fn stanzas(&self, of: impl Fn(&StanzasSpec) -> bool, stanza: &Stanza) -> Result<Vec<Stanza>> {
        let handler = self.hooks().stanzas(of).ok_or_else(|| Error::not_found("no handler"))?;
        let answers = self.wait(handler.stanza(stanza.to_abi()))?;
        answers.into_iter().map(Stanza::from_abi).collect()
    }

    /// Takes a stanza through the plugin's steps of a phase, in their order and with their filters, until
    /// one does not pass it. A replacement goes on.
    pub fn step(&self, phase: Phase, account: &str, stanza: &Stanza) -> Result<Verdict> {
        let passage = Passage {
            phase,
            account: account.to_owned(),
            session: None,
            stanza_id: None,
            hops: 0,
            durable: stanza.kind == crate::Kind::Message,
        };
        let mut current = stanza.clone();
        let steps = self.hooks().steps(phase);
        for (spec, step) in steps {
            let namespaces: Vec<String> =
                current.elements()?.into_iter().map(|child| child.namespace).collect();
            if !spec.matches(current.kind, namespaces.iter().map(String::as_str)) {
                continue;
            }
            let verdict = match spec.asynchronous {
                false => hooks::check(&step, &passage, &current),
                true => self.wait(hooks::check_later(&step, &passage, &current)),
            };
            match verdict.and_then(Verdict::from_abi) {
                Ok(Verdict::Pass) => {}
                Ok(Verdict::Replace(stanza)) => current = *stanza,
                Ok(verdict) => return Ok(verdict),
                Err(error) if spec.failure == Failure::FailClosed => return Err(error),
                Err(error) => self.state().log(2, &error.message),
            }
        }
        Ok(if current == *stanza { Verdict::Pass } else { Verdict::replace(current) })
    }

    /// Lets time pass: sleeping futures wake, and timers run as often as they are due.
    pub fn advance(&self, time: Duration) -> Result<()> {
        let end = self.state().now_ms + time.as_millis() as i64;
        loop {
            let due = self.hooks().next_timer(end);
            self.state().set_time(due.as_ref().map_or(end, |(at, _)| *at));
            let Some((at, name)) = due else { return Ok(()) };
            let of = |offer: &Offer| matches!(offer, Offer::Timer(timer) if timer.name == name);
            let ran = self.ask::<()>(of, &Tick { name: name.clone() }, Vec::new());
            self.hooks().timer_ran(&name, at);
            ran?;
        }
    }

    /// What the plugin has sent since the last look.
    pub fn routed(&self) -> Vec<Stanza> {
        std::mem::take(&mut self.state().routed)
    }

    /// What the plugin has logged so far: level (1 error to 5 trace) and line.
    pub fn logs(&self) -> Vec<(u32, String)> {
        self.state().logs.clone()
    }

    /// A counter or gauge of the plugin, or the sum of what a histogram observed; labels do not count.
    pub fn metric(&self, name: &str) -> f64 {
        self.state().metrics.get(name).copied().unwrap_or_default()
    }

    /// The notices that are shown: key, level and text.
    pub fn notices(&self) -> BTreeMap<String, (NoticeLevel, String)> {
        self.state().notices.clone()
    }

    /// Acts in the audit log: actor, action and detail.
    pub fn audit(&self) -> Vec<(String, String, String)> {
        self.state().audit.clone()
    }

    /// All that the plugin offers apart from steps and handlers of stanzas.
    pub fn offers(&self) -> Vec<Offer> {
        self.hooks().offers()
    }

    fn ask<T: serde::de::DeserializeOwned>(
        &self,
        of: impl Fn(&Offer) -> bool,
        head: &impl serde::Serialize,
        body: Vec<u8>,
    ) -> Result<(T, Vec<u8>)> {
        let handler = self.hooks().handler(of);
        let handler = handler.ok_or_else(|| Error::not_found("the plugin offers no such thing"))?;
        let head = serde_json::to_string(head)?;
        let answer = self.wait(handler.call(head.into(), body.into()))?;
        Ok((read(&answer.head)?, answer.body.into_vec()))
    }

    fn wait<T>(&self, future: abi::Fut<T>) -> Result<T> {
        from_abi(block_on(future))
    }

    fn hooks(&self) -> MutexGuard<'_, Hooks> {
        self.hooks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.fake.state()
    }
}

fn heard(kinds: &[String], kind: &str) -> bool {
    kinds.iter().any(|pattern| match pattern.strip_suffix('*') {
        Some(group) => kind.starts_with(group),
        None => pattern == kind,
    })
}

/// How long a plugin may take for one call in a test.
const PATIENCE: Duration = Duration::from_secs(30);

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Waits for a future on this thread; panics when it takes more than 30 seconds, as one does that sleeps
/// while nobody lets time pass.
pub fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    let end = Instant::now() + PATIENCE;
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
        let left = end.saturating_duration_since(Instant::now());
        assert!(!left.is_zero(), "no answer; does it sleep? Then call `advance` on another thread");
        std::thread::park_timeout(left);
    }
}
