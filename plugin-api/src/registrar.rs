//! Where a plugin says what it offers.
//!
//! Each method takes a descriptor, the plugin (or any other shared state) and one of its methods:
//! `registrar.page(Page::new("hello", "Hello"), self, Self::hello)`.

use std::sync::Arc;

use abi_stable::std_types::{RNone, RSome, RString, RVec};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::abi;
use crate::calls::{
    AuthCall, CommandCall, DirectoryCall, Event, Group, HttpRequest, HttpResponse, PageRequest,
    PageResponse, Query, User, Verified,
};
use crate::cluster::{Cluster, ClusterHost, ClusterSpec, adapter::ClusterAdapter};
use crate::error::{Error, Result, from_abi};
use crate::guard::{answer, guard};
use crate::host::read;
use crate::offer::{
    Command, ComponentSpec, Endpoint, Identity, IqSpec, Migration, Offer, Page, Property, Source,
    StanzasSpec, Tab, Timer,
};
use crate::stanza::{Stanza, StanzaView};
use crate::step::{Passage, PassageView, StepSpec, Verdict};

/// Takes what a plugin offers, while [`crate::Plugin::register`] runs. `Forbidden` when the manifest
/// does not ask for the capability, `Conflict` when a name is taken, `Unsupported` by an older
/// server.
pub struct Registrar<'r>(&'r abi::RegistrarRef);

impl std::fmt::Debug for Registrar<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Registrar")
    }
}

impl<'r> Registrar<'r> {
    /// Around what crossed.
    pub fn new(abi: &'r abi::RegistrarRef) -> Registrar<'r> {
        Registrar(abi)
    }

    /// Anything without handler.
    pub fn offer(&self, offer: &Offer) -> Result<()> {
        let offer = serde_json::to_string(offer)?;
        from_abi(self.0.offer(offer.as_str().into(), RNone))
    }

    /// A setting. `Invalid` when its default is none of its values.
    pub fn property(&self, property: Property) -> Result<()> {
        property.check(&property.default)?;
        self.offer(&Offer::Property(property))
    }

    /// Tables: all steps of the schema so far, in ascending order.
    pub fn migrations(&self, migrations: Vec<Migration>) -> Result<()> {
        self.offer(&Offer::Migrations { migrations })
    }

    /// A feature of the server's service discovery.
    pub fn feature(&self, var: &str) -> Result<()> {
        self.offer(&Offer::Feature { var: var.to_owned(), of: None })
    }

    /// An identity of service discovery.
    pub fn identity(&self, identity: Identity) -> Result<()> {
        self.offer(&Offer::Identity(identity))
    }

    /// A tab of the console.
    pub fn tab(&self, tab: Tab) -> Result<()> {
        self.offer(&Offer::Tab(tab))
    }

    /// A page of the console. An answer may take 20 seconds; an error is shown in the page's place,
    /// `NotFound` as the console's own.
    pub fn page<S, F, R>(&self, page: Page, state: &Arc<S>, show: F) -> Result<()>
    where
        S: Send + Sync + 'static,
        F: Fn(Arc<S>, PageRequest) -> R + Copy + Send + Sync + 'static,
        R: Future<Output = Result<PageResponse>> + Send + 'static,
    {
        let state = state.clone();
        self.handle(Offer::Page(page), move |mut request: PageRequest, body| {
            let state = state.clone();
            async move {
                request.take_files(body);
                let mut response = show(state, request).await?;
                let body = std::mem::take(&mut response.body);
                Ok((response, body))
            }
        })
    }

    /// HTTP requests below a path. An answer may take a minute.
    pub fn endpoint<S, F, R>(&self, endpoint: Endpoint, state: &Arc<S>, serve: F) -> Result<()>
    where
        S: Send + Sync + 'static,
        F: Fn(Arc<S>, HttpRequest) -> R + Copy + Send + Sync + 'static,
        R: Future<Output = Result<HttpResponse>> + Send + 'static,
    {
        let state = state.clone();
        self.handle(Offer::Endpoint(endpoint), move |request: HttpRequest, body| {
            let state = state.clone();
            async move {
                let mut response = serve(state, HttpRequest { body, ..request }).await?;
                let body = std::mem::take(&mut response.body);
                Ok((response, body))
            }
        })
    }

    /// A command. `Invalid`, `NotFound` and `Conflict` are the caller's fault, other errors the plugin's.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use hearth_plugin_api::{Command, CommandCall, Registrar, Result, json::{Value, json}};
    /// # struct Guestbook;
    /// impl Guestbook {
    ///     fn register_commands(self: &Arc<Self>, registrar: &Registrar<'_>) -> Result<()> {
    ///         let arguments = json!({
    ///             "type": "object", "required": ["entry"],
    ///             "properties": { "entry": { "type": "string", "description": "What is written." } },
    ///         });
    ///         let add = Command::new("add", "Adds an entry.").arguments(arguments);
    ///         registrar.command(add, self, Guestbook::add)
    ///     }
    ///
    ///     async fn add(self: Arc<Self>, call: CommandCall) -> Result<Value> {
    ///         Ok(json!({ "added": call.text("entry")?, "by": call.actor }))
    ///     }
    /// }
    /// ```
    pub fn command<S, F, R>(&self, command: Command, state: &Arc<S>, run: F) -> Result<()>
    where
        S: Send + Sync + 'static,
        F: Fn(Arc<S>, CommandCall) -> R + Copy + Send + Sync + 'static,
        R: Future<Output = Result<serde_json::Value>> + Send + 'static,
    {
        self.simple(Offer::Command(command), state, run)
    }

    /// Events of these kinds, one after another; `session.*` for all of a group. An event that waits
    /// behind 4096 others is dropped and counted. One may take 30 seconds.
    pub fn events<S, F, R>(&self, kinds: &[&str], state: &Arc<S>, hear: F) -> Result<()>
    where
        S: Send + Sync + 'static,
        F: Fn(Arc<S>, Event) -> R + Copy + Send + Sync + 'static,
        R: Future<Output = Result<()>> + Send + 'static,
    {
        let kinds = kinds.iter().map(|&kind| kind.to_owned()).collect();
        self.simple(Offer::Events { kinds }, state, hear)
    }

    /// Something that is done again and again. One run may take five minutes; an error is logged, and
    /// the next run comes all the same.
    pub fn timer<S, F, R>(&self, timer: Timer, state: &Arc<S>, run: F) -> Result<()>
    where
        S: Send + Sync + 'static,
        F: Fn(Arc<S>) -> R + Copy + Send + Sync + 'static,
        R: Future<Output = Result<()>> + Send + 'static,
    {
        self.simple(Offer::Timer(timer), state, move |state, _: crate::Tick| run(state))
    }

    /// A source of credentials.
    pub fn auth<S: Auth>(&self, source: Source, auth: &Arc<S>) -> Result<()> {
        let auth = auth.clone();
        self.handle(Offer::Auth(source), move |call: AuthCall, _| {
            let auth = auth.clone();
            async move {
                let answer = match call {
                    AuthCall::Verify { user, password } => {
                        serde_json::to_value(auth.verify(&user, &password).await?)
                    }
                    AuthCall::SetPassword { user, password } => {
                        serde_json::to_value(auth.set_password(&user, &password).await?)
                    }
                };
                Ok((answer?, Vec::new()))
            }
        })
    }

    /// A source of users and groups.
    pub fn directory<S: Directory>(&self, source: Source, directory: &Arc<S>) -> Result<()> {
        let directory = directory.clone();
        self.handle(Offer::Directory(source), move |call: DirectoryCall, _| {
            let directory = directory.clone();
            async move {
                let answer = match call {
                    DirectoryCall::User { name } => {
                        serde_json::to_value(directory.user(&name).await?)
                    }
                    DirectoryCall::Users(query) => {
                        serde_json::to_value(directory.users(query).await?)
                    }
                    DirectoryCall::Groups(query) => {
                        serde_json::to_value(directory.groups(query).await?)
                    }
                    DirectoryCall::Members { group } => {
                        serde_json::to_value(directory.members(&group).await?)
                    }
                };
                Ok((answer?, Vec::new()))
            }
        })
    }

    /// Answers requests (IQs of type `get` and `set`) within 30 seconds. An error becomes `internal-server-error`; for
    /// other answers see [`Stanza::error`].
    pub fn iq<S, F, R>(&self, spec: IqSpec, state: &Arc<S>, handle: F) -> Result<()>
    where
        S: Send + Sync + 'static,
        F: Fn(Arc<S>, Stanza) -> R + Copy + Send + Sync + 'static,
        R: Future<Output = Result<Stanza>> + Send + 'static,
    {
        let state = state.clone();
        self.stanzas(StanzasSpec::Iq(spec), move |iq| {
            let answer = handle(state.clone(), iq);
            async move { Ok(vec![answer.await?]) }
        })
    }

    /// Serves a sub-domain: gets everything that is sent there; what it gives is routed.
    pub fn component<S, F, R>(&self, spec: ComponentSpec, state: &Arc<S>, handle: F) -> Result<()>
    where
        S: Send + Sync + 'static,
        F: Fn(Arc<S>, Stanza) -> R + Copy + Send + Sync + 'static,
        R: Future<Output = Result<Vec<Stanza>>> + Send + 'static,
    {
        let state = state.clone();
        self.stanzas(StanzasSpec::Component(spec), move |stanza| handle(state.clone(), stanza))
    }

    fn stanzas<F, R>(&self, spec: StanzasSpec, handle: F) -> Result<()>
    where
        F: Fn(Stanza) -> R + Send + Sync + 'static,
        R: Future<Output = Result<Vec<Stanza>>> + Send + 'static,
    {
        let spec = serde_json::to_string(&spec)?;
        let object = StanzasObject(Arc::new(handle));
        let object = abi::Stanzas_TO::from_ptr(abi_stable::std_types::RArc::new(object), OPAQUE);
        from_abi(self.0.stanzas(spec.as_str().into(), object))
    }

    /// A stanza step that only computes: the server measures it, and disables a plugin that takes its
    /// time.
    pub fn step<S, F>(&self, spec: StepSpec, state: &Arc<S>, check: F) -> Result<()>
    where
        S: Send + Sync + 'static,
        F: Fn(&S, PassageView<'_>, StanzaView<'_>) -> Result<Verdict> + Send + Sync + 'static,
    {
        let spec = StepSpec { asynchronous: false, ..spec };
        self.add_step(&spec, SyncStep { state: state.clone(), check })
    }

    /// A stanza step that waits for something, five seconds at most. The sender's next stanza waits with
    /// it.
    pub fn step_later<S, F, R>(&self, spec: StepSpec, state: &Arc<S>, check: F) -> Result<()>
    where
        S: Send + Sync + 'static,
        F: Fn(Arc<S>, Passage, Stanza) -> R + Copy + Send + Sync + 'static,
        R: Future<Output = Result<Verdict>> + Send + 'static,
    {
        let spec = StepSpec { asynchronous: true, ..spec };
        self.add_step(&spec, AsyncStep { state: state.clone(), check })
    }

    fn add_step(&self, spec: &StepSpec, step: impl abi::Step + 'static) -> Result<()> {
        let spec = serde_json::to_string(spec)?;
        let step = abi::Step_TO::from_ptr(abi_stable::std_types::RArc::new(step), OPAQUE);
        from_abi(self.0.step(spec.as_str().into(), step))
    }

    /// Carries core's traffic between nodes, once [`ClusterHost::enter`] is called.
    pub fn cluster<C: Cluster>(&self, spec: ClusterSpec, cluster: &Arc<C>) -> Result<ClusterHost> {
        let spec = serde_json::to_string(&spec)?;
        let object = ClusterAdapter(cluster.clone());
        let object = abi::Cluster_TO::from_ptr(abi_stable::std_types::RArc::new(object), OPAQUE);
        Ok(ClusterHost::new(from_abi(self.0.cluster(spec.as_str().into(), object))?))
    }

    fn simple<S, F, R, I, O>(&self, offer: Offer, state: &Arc<S>, run: F) -> Result<()>
    where
        S: Send + Sync + 'static,
        F: Fn(Arc<S>, I) -> R + Copy + Send + Sync + 'static,
        R: Future<Output = Result<O>> + Send + 'static,
        I: DeserializeOwned + Send + 'static,
        O: Serialize + 'static,
    {
        let state = state.clone();
        self.handle(offer, move |input: I, _| {
            let state = state.clone();
            async move { Ok((run(state, input).await?, Vec::new())) }
        })
    }

    fn handle<F, R, I, O>(&self, offer: Offer, run: F) -> Result<()>
    where
        F: Fn(I, Vec<u8>) -> R + Send + Sync + 'static,
        R: Future<Output = Result<(O, Vec<u8>)>> + Send + 'static,
        I: DeserializeOwned + Send + 'static,
        O: Serialize + 'static,
    {
        let offer = serde_json::to_string(&offer)?;
        let run = Arc::new(run);
        let object = HandlerObject(Box::new(move |head: RString, body: RVec<u8>| {
            let run = run.clone();
            answer(move || async move {
                let (output, body) = run(read(&head)?, body.into_vec()).await?;
                let head = serde_json::to_string(&output)?.into();
                Ok(abi::Message { head, body: body.into() })
            })
        }));
        let object = abi::Handler_TO::from_ptr(abi_stable::std_types::RArc::new(object), OPAQUE);
        from_abi(self.0.offer(offer.as_str().into(), RSome(object)))
    }
}

/// A source of credentials.
pub trait Auth: Send + Sync + 'static {
    /// Whether the password is the user's. An error means that it is not known: the sign-in fails with
    /// `temporary-auth-failure`, unless another source accepts it.
    fn verify(&self, user: &str, password: &str) -> impl Future<Output = Result<Verified>> + Send;

    /// Changes a password. `Unsupported` unless implemented.
    fn set_password(&self, user: &str, password: &str) -> impl Future<Output = Result<()>> + Send {
        let _ = (user, password);
        async { Err(Error::unsupported("passwords cannot be changed here")) }
    }
}

/// A source of users and groups. Lists are ordered by name.
pub trait Directory: Send + Sync + 'static {
    /// A user by the local part of his address.
    fn user(&self, name: &str) -> impl Future<Output = Result<Option<User>>> + Send;

    /// Users by name.
    fn users(&self, query: Query) -> impl Future<Output = Result<Vec<User>>> + Send;

    /// Groups by name; none unless implemented.
    fn groups(&self, query: Query) -> impl Future<Output = Result<Vec<Group>>> + Send {
        let _ = query;
        async { Ok(Vec::new()) }
    }

    /// Names of a group's users; none unless implemented.
    fn members(&self, group: &str) -> impl Future<Output = Result<Vec<String>>> + Send {
        let _ = group;
        async { Ok(Vec::new()) }
    }
}

pub(crate) const OPAQUE: abi_stable::sabi_trait::TD_Opaque = abi_stable::sabi_trait::TD_Opaque;

type Call = dyn Fn(RString, RVec<u8>) -> abi::Fut<abi::Message> + Send + Sync;

struct HandlerObject(Box<Call>);

impl abi::Handler for HandlerObject {
    fn call(&self, head: RString, body: RVec<u8>) -> abi::Fut<abi::Message> {
        (self.0)(head, body)
    }
}

struct StanzasObject<F>(Arc<F>);

impl<F, R> abi::Stanzas for StanzasObject<F>
where
    F: Fn(Stanza) -> R + Send + Sync + 'static,
    R: Future<Output = Result<Vec<Stanza>>> + Send + 'static,
{
    fn stanza(&self, stanza: abi::StanzaBuf) -> abi::Fut<RVec<abi::StanzaBuf>> {
        let handle = self.0.clone();
        answer(move || async move {
            let answers = handle(Stanza::from_abi(stanza)?).await?;
            Ok(answers.iter().map(Stanza::to_abi).collect())
        })
    }
}

struct SyncStep<S, F> {
    state: Arc<S>,
    check: F,
}

impl<S, F> abi::Step for SyncStep<S, F>
where
    S: Send + Sync + 'static,
    F: Fn(&S, PassageView<'_>, StanzaView<'_>) -> Result<Verdict> + Send + Sync + 'static,
{
    fn check(
        &self,
        passage: &abi::Passage<'_>,
        stanza: &abi::StanzaRef<'_>,
    ) -> abi::Res<abi::Verdict> {
        guard(|| {
            let verdict =
                (self.check)(&self.state, PassageView::new(passage), StanzaView::new(stanza))?;
            Ok(verdict.into_abi())
        })
    }

    fn check_later(&self, _: abi::PassageBuf, _: abi::StanzaBuf) -> abi::Fut<abi::Verdict> {
        answer(|| async { Err(Error::unsupported("the step is synchronous")) })
    }
}

struct AsyncStep<S, F> {
    state: Arc<S>,
    check: F,
}

impl<S, F, R> abi::Step for AsyncStep<S, F>
where
    S: Send + Sync + 'static,
    F: Fn(Arc<S>, Passage, Stanza) -> R + Copy + Send + Sync + 'static,
    R: Future<Output = Result<Verdict>> + Send + 'static,
{
    fn check(&self, _: &abi::Passage<'_>, _: &abi::StanzaRef<'_>) -> abi::Res<abi::Verdict> {
        guard(|| Err(Error::unsupported("the step is asynchronous")))
    }

    fn check_later(
        &self,
        passage: abi::PassageBuf,
        stanza: abi::StanzaBuf,
    ) -> abi::Fut<abi::Verdict> {
        let (state, check) = (self.state.clone(), self.check);
        answer(move || async move {
            let stanza = Stanza::from_abi(stanza)?;
            Ok(check(state, Passage::from_abi(passage), stanza).await?.into_abi())
        })
    }
}
