//! What crosses between server and plugin: data with a stable layout, and the traits of both sides.
//!
//! Authors do not need this module: [`crate::Plugin`], [`crate::Registrar`] and [`crate::Host`] wrap
//! it. The server implements [`Host`], [`Registrar`] and [`ClusterHost`] and calls the others.
//!
//! Rules of growth: a plain struct or enum here is frozen. A trait or the root module grows at its
//! end only, and a method after `last_prefix_field` has a default body, which runs against an older
//! peer. Whatever is not on a hot path crosses as JSON, which grows by optional fields.

// The macros of abi_stable name types `X_TO` and `X_Ref` and generate impls within constants.
#![allow(non_camel_case_types, non_local_definitions, unsafe_code)]
#![allow(clippy::too_many_arguments)]

use abi_stable::StableAbi;
use abi_stable::library::RootModule;
use abi_stable::sabi_trait;
use abi_stable::sabi_types::VersionStrings;
use abi_stable::std_types::{RArc, ROption, RResult, RSlice, RStr, RString, RVec};
use async_ffi::FfiFuture;

use crate::error::{Error, to_abi};

/// An answer at once.
pub type Res<T> = RResult<T, Fault>;
/// An answer later. The server awaits a plugin's in a task of its own, with a deadline.
pub type Fut<T> = FfiFuture<Res<T>>;

/// Why a call failed: [`crate::Error`] as it crosses.
#[repr(C)]
#[derive(StableAbi, Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// [`crate::ErrorKind::code`].
    pub kind: u32,
    /// One line for a person.
    pub message: RString,
}

/// A call or an answer that is not on a hot path.
#[repr(C)]
#[derive(StableAbi, Clone, Debug, Default)]
pub struct Message {
    /// JSON; what of depends on the call.
    pub head: RString,
    /// What JSON would only swell: the body of an HTTP message, the value of a key.
    pub body: RVec<u8>,
}

/// A stanza, borrowed for one synchronous call. An absent attribute is empty.
#[repr(C)]
#[derive(StableAbi, Clone, Copy, Debug)]
pub struct StanzaRef<'a> {
    /// 0 message, 1 presence, 2 iq.
    pub kind: u8,
    /// The attribute `type`; empty for the default.
    pub type_: RStr<'a>,
    /// The attribute `from`.
    pub from: RStr<'a>,
    /// The attribute `to`.
    pub to: RStr<'a>,
    /// The attribute `id`.
    pub id: RStr<'a>,
    /// The attribute `xml:lang`.
    pub lang: RStr<'a>,
    /// The children, UTF-8, in the server's canonical form.
    pub children: RSlice<'a, u8>,
}

/// A stanza that is handed over. An absent attribute is empty.
#[repr(C)]
#[derive(StableAbi, Clone, Debug, Default)]
pub struct StanzaBuf {
    /// 0 message, 1 presence, 2 iq.
    pub kind: u8,
    /// The attribute `type`.
    pub type_: RString,
    /// The attribute `from`.
    pub from: RString,
    /// The attribute `to`.
    pub to: RString,
    /// The attribute `id`.
    pub id: RString,
    /// The attribute `xml:lang`.
    pub lang: RString,
    /// The children, UTF-8, in canonical form.
    pub children: RVec<u8>,
}

/// Where a stanza is when a step sees it.
#[repr(C)]
#[derive(StableAbi, Clone, Copy, Debug)]
pub struct Passage<'a> {
    /// [`crate::Phase::bit`].
    pub phase: u32,
    /// How often plugins or nodes have sent the stanza on.
    pub hops: u32,
    /// Bit 0: the stanza is durable (see [`crate::Passage::durable`]). The others are zero.
    pub flags: u64,
    /// The bare address whose phase this is.
    pub account: RStr<'a>,
    /// The full address of the session in phase `ToSession`, else empty.
    pub session: RStr<'a>,
    /// XEP-0359: the id under which the server knows the stanza; empty when it has none.
    pub stanza_id: RStr<'a>,
}

/// The same, handed over.
#[repr(C)]
#[derive(StableAbi, Clone, Debug, Default)]
pub struct PassageBuf {
    /// [`crate::Phase::bit`].
    pub phase: u32,
    /// How often plugins or nodes have sent the stanza on.
    pub hops: u32,
    /// Bits, as in the borrowed form.
    pub flags: u64,
    /// Local part or bare address of the account, as in the borrowed form.
    pub account: RString,
    /// The session, as in the borrowed form.
    pub session: RString,
    /// XEP-0359: the id under which the server knows the stanza.
    pub stanza_id: RString,
}

/// What becomes of a stanza. A server that does not know `kind` counts a fault of the plugin.
#[repr(C)]
#[derive(StableAbi, Clone, Debug)]
pub struct Verdict {
    /// 0 pass, 1 drop, 2 replace by `stanza`, 3 bounce with `condition` and `text`.
    pub kind: u32,
    /// What kinds 2 and 3 need.
    pub with: ROption<abi_stable::std_types::RBox<VerdictBody>>,
}

/// What verdicts 2 and 3 need.
#[repr(C)]
#[derive(StableAbi, Clone, Debug, Default)]
pub struct VerdictBody {
    /// Of kind 2.
    pub stanza: StanzaBuf,
    /// RFC 6120 §8.3.3.
    pub condition: RString,
    /// For a person; may be empty.
    pub text: RString,
}

/// A parameter or column.
#[repr(u8)]
#[derive(StableAbi, Clone, Debug, PartialEq, Eq)]
pub enum SqlValue {
    /// NULL.
    Null,
    /// BOOLEAN.
    Bool(bool),
    /// BIGINT.
    Int(i64),
    /// TEXT.
    Text(RString),
    /// BYTEA.
    Blob(RVec<u8>),
}

/// One statement of a transaction.
#[repr(C)]
#[derive(StableAbi, Clone, Debug)]
pub struct SqlStatement {
    /// SQL.
    pub text: RString,
    /// `$1`, `$2`, …
    pub params: RVec<SqlValue>,
    /// 0 any number of rows, 1 exactly `count`, 2 at least `count`; otherwise all is rolled back.
    pub expect: u32,
    /// See `expect`.
    pub count: u64,
}

/// What a statement gave.
#[repr(C)]
#[derive(StableAbi, Clone, Debug, Default)]
pub struct SqlRows {
    /// What it returned, by columns.
    pub rows: RVec<RVec<SqlValue>>,
    /// Rows changed, or returned when it changed none.
    pub affected: u64,
}

/// One run of one node. A restarted node has another incarnation.
#[repr(C)]
#[derive(StableAbi, Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Node {
    /// Number of the node.
    pub id: u32,
    /// Which run; 0 for none.
    pub incarnation: u64,
}

/// A session that came, changed or went. See [`crate::cluster::Delta`].
#[repr(C)]
#[derive(StableAbi, Clone, Copy, Debug)]
pub struct Delta<'a> {
    /// 0 the session is there, with these values; 1 it is gone.
    pub op: u8,
    /// Of its presence.
    pub priority: i8,
    /// Bit 0 available, bit 1 without a connection (waiting to be resumed), bit 2 interested in
    /// roster pushes, bit 3 carbons.
    pub flags: u32,
    /// Number of the host; 0 for the first.
    pub host: u32,
    /// Number of the session on its node.
    pub session: u64,
    /// The view's epoch when the resource was bound: the later binding wins.
    pub epoch: i64,
    /// When it was bound, milliseconds since 1970 of the hybrid logical clock.
    pub bound_ms: i64,
    /// Local part of the account's address.
    pub account: RStr<'a>,
    /// Its resource.
    pub resource: RStr<'a>,
}

/// The same, handed over.
#[repr(C)]
#[derive(StableAbi, Clone, Debug, Default)]
pub struct DeltaBuf {
    /// 0 there, 1 gone.
    pub op: u8,
    /// Of its presence.
    pub priority: i8,
    /// Bits, as in the borrowed form.
    pub flags: u32,
    /// Number of the host; 0 for the first.
    pub host: u32,
    /// The session, as in the borrowed form.
    pub session: u64,
    /// The epoch of the view.
    pub epoch: i64,
    /// When it was bound, milliseconds since 1970.
    pub bound_ms: i64,
    /// Local part or bare address of the account, as in the borrowed form.
    pub account: RString,
    /// Its resource.
    pub resource: RString,
}

/// All sessions of a node, as of the delta `seq`.
#[repr(C)]
#[derive(StableAbi, Clone, Debug, Default)]
pub struct Directory {
    /// Number of the last change that is in it.
    pub seq: u64,
    /// All of them.
    pub sessions: RVec<DeltaBuf>,
}

/// Encoded stanzas on their way to another node. See [`crate::cluster`].
#[repr(C)]
#[derive(StableAbi, Clone, Copy, Debug)]
pub struct Envelope<'a> {
    /// Envelopes with the same node and lane keep their order.
    pub lane: u32,
    /// The origin's number for it; 0 when nobody waits for the delivery.
    pub ticket: u64,
    /// Core's.
    pub bytes: RSlice<'a, u8>,
}

/// What became of an envelope at its destination.
#[repr(C)]
#[derive(StableAbi, Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ack {
    /// The origin's number for the envelope, or core's for a stanza in it.
    pub ticket: u64,
    /// 0 a client has it, 1 it is committed to the database, 2 the destination could not and the
    /// origin must resolve it again.
    pub outcome: u32,
}

/// Who owns a key.
#[repr(C)]
#[derive(StableAbi, Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Owner {
    /// Does what the key is about.
    pub owner: Node,
    /// Who goes on when the owner dies; the owner itself when there is nobody else.
    pub deputy: Node,
    /// The epoch of the view.
    pub epoch: i64,
}

// ---- the plugin's side ----

/// An instance of a plugin.
#[sabi_trait]
pub trait Plugin: Send + Sync + 'static {
    /// [`crate::Plugin::register`].
    fn register(&self, registrar: &RegistrarRef) -> Res<()>;
    /// [`crate::Plugin::start`].
    fn start(&self) -> Fut<()>;
    /// Returns when all is put away, in at most `deadline_ms`.
    #[sabi(last_prefix_field)]
    fn stop(&self, deadline_ms: u64) -> Fut<()>;
}

/// A stanza step.
#[sabi_trait]
pub trait Step: Send + Sync + 'static {
    /// The synchronous form.
    fn check(&self, passage: &Passage<'_>, stanza: &StanzaRef<'_>) -> Res<Verdict>;
    /// The asynchronous form; awaited in the sender's order.
    #[sabi(last_prefix_field)]
    fn check_later(&self, passage: PassageBuf, stanza: StanzaBuf) -> Fut<Verdict>;
}

/// Takes stanzas: an IQ handler (gives exactly one answer) or a component (gives any number, which
/// are routed).
#[sabi_trait]
pub trait Stanzas: Send + Sync + 'static {
    #[sabi(last_prefix_field)]
    /// One stanza.
    fn stanza(&self, stanza: StanzaBuf) -> Fut<RVec<StanzaBuf>>;
}

/// Takes everything else: what it is asked depends on the [`crate::Offer`] it was registered with.
#[sabi_trait]
pub trait Handler: Send + Sync + 'static {
    #[sabi(last_prefix_field)]
    /// One call.
    fn call(&self, head: RString, body: RVec<u8>) -> Fut<Message>;
}

/// What carries core's traffic between nodes. See [`crate::cluster::Cluster`].
#[sabi_trait]
pub trait Cluster: Send + Sync + 'static {
    /// 0 queued, 1 the outbox is full (`ready` follows), 2 there is no such node.
    fn deliver(&self, to: Node, envelope: &Envelope<'_>) -> u32;
    /// [`crate::cluster::Cluster::acknowledge`].
    fn acknowledge(&self, origin: Node, acks: RSlice<'_, Ack>);
    /// [`crate::cluster::Cluster::sessions_changed`].
    fn sessions_changed(&self, seq: u64, deltas: RSlice<'_, Delta<'_>>);
    /// [`crate::cluster::Cluster::invalidate`].
    fn invalidate(&self, topic: RStr<'_>, key: RStr<'_>);
    /// From the view alone, without waiting.
    fn owner(&self, topic: RStr<'_>, key: RStr<'_>) -> Owner;
    /// Cold calls: `head` is a [`crate::cluster::ClusterCall`].
    #[sabi(last_prefix_field)]
    fn call(&self, head: RString, body: RVec<u8>) -> Fut<Message>;
    /// Level 3: [`crate::cluster::Cluster::flush`].
    fn flush(&self) {}
}

// ---- the server's side ----

/// Services for one plugin. After `stop` every call answers `Stopped`.
#[sabi_trait]
pub trait Host: Send + Sync + Clone + 'static {
    /// [`crate::ServerInfo`] as JSON.
    fn info(&self) -> RString;
    /// `level`: 1 error to 5 trace.
    fn log(&self, level: u32, target: RStr<'_>, message: RStr<'_>);
    /// `kind`: 0 add to a counter, 1 set a gauge, 2 observe for a histogram. `labels`: a JSON object.
    fn metric(&self, kind: u32, name: RStr<'_>, labels: RStr<'_>, value: f64);
    /// `which`: 0 milliseconds since 1970, 1 milliseconds of the boot-time clock.
    fn clock(&self, which: u32) -> i64;
    /// The value of one of the plugin's own properties.
    fn property(&self, name: RStr<'_>) -> ROption<RString>;
    /// [`crate::Host::route`].
    fn route(&self, stanza: &StanzaRef<'_>) -> Res<()>;
    /// [`crate::Host::iq`].
    fn iq(&self, stanza: StanzaBuf, timeout_ms: u64) -> Fut<StanzaBuf>;
    /// [`crate::Host::sleep`].
    fn sleep(&self, ms: u64) -> Fut<()>;
    /// One transaction. `mode`: bit 0 read only, bit 1 on the reserved connection.
    fn sql(&self, mode: u32, statements: RVec<SqlStatement>) -> Fut<RVec<SqlRows>>;
    /// Everything else: `head` is a [`crate::wire::HostCall`].
    #[sabi(last_prefix_field)]
    fn call(&self, head: RString, body: RVec<u8>) -> Fut<Message>;
}

/// Where a plugin registers what it offers. All descriptors are JSON.
#[sabi_trait]
pub trait Registrar: Send + Sync + 'static {
    /// `offer` is a [`crate::Offer`]; `handler` takes its calls, if it has any.
    fn offer(&self, offer: RStr<'_>, handler: ROption<HandlerRef>) -> Res<()>;
    /// `spec` is a [`crate::StepSpec`].
    fn step(&self, spec: RStr<'_>, step: StepRef) -> Res<()>;
    /// `spec` is a [`crate::StanzasSpec`].
    fn stanzas(&self, spec: RStr<'_>, handler: StanzasRef) -> Res<()>;
    /// `spec` is a [`crate::cluster::ClusterSpec`].
    #[sabi(last_prefix_field)]
    fn cluster(&self, spec: RStr<'_>, cluster: ClusterRef) -> Res<ClusterHostRef>;
}

/// Takes what arrives at a socket. See [`crate::cluster::Reader`].
#[sabi_trait]
pub trait Reader: Send + Sync + 'static {
    /// 0 nothing more is there, 1 there may be more, 2 it is over, 3 it panicked.
    #[sabi(last_prefix_field)]
    fn read(&self) -> u32;
}

/// What core gives to the plugin that carries its traffic. See [`crate::cluster::ClusterHost`].
#[sabi_trait]
pub trait ClusterHost: Send + Sync + Clone + 'static {
    /// This run of this node.
    fn me(&self) -> Node;
    /// Envelopes from another node, in the order of their lanes.
    fn receive(&self, from: Node, envelopes: RSlice<'_, Envelope<'_>>) -> Res<()>;
    /// What became of envelopes that this node sent to `from`.
    fn acknowledged(&self, from: Node, acks: RSlice<'_, Ack>) -> Res<()>;
    /// The outbox towards `node` takes envelopes again.
    fn ready(&self, node: Node);
    /// Deltas `seq`, `seq + 1`, … of `node`; answers the number that it wants next.
    fn apply(&self, node: Node, seq: u64, deltas: RSlice<'_, Delta<'_>>) -> Res<u64>;
    /// All sessions of `node`, as of its delta `seq`; answers the number that it wants next.
    fn replace(&self, node: Node, seq: u64, sessions: RSlice<'_, Delta<'_>>) -> Res<u64>;
    /// All sessions of this node.
    fn directory(&self) -> Directory;
    /// Another node changed something; an empty key means all of the topic, an empty topic all.
    fn invalidated(&self, topic: RStr<'_>, key: RStr<'_>);
    /// Cold calls: `head` is a [`crate::cluster::ClusterHostCall`].
    #[sabi(last_prefix_field)]
    fn call(&self, head: RString, body: RVec<u8>) -> Fut<Message>;
    /// Level 3: [`crate::cluster::ClusterHost::watch`]. The descriptor is lent for the call.
    fn watch(&self, socket: i32, reader: ReaderRef) -> Res<()> {
        let _ = (socket, reader);
        to_abi(Err(Error::unsupported("this server watches no sockets for a plugin")))
    }
}

/// A plugin as it crosses.
pub type PluginRef = Plugin_TO<RArc<()>>;
/// A step as it crosses.
pub type StepRef = Step_TO<RArc<()>>;
/// A handler of stanzas as it crosses.
pub type StanzasRef = Stanzas_TO<RArc<()>>;
/// A handler of calls as it crosses.
pub type HandlerRef = Handler_TO<RArc<()>>;
/// The plugin's side of the cluster seam as it crosses.
pub type ClusterRef = Cluster_TO<RArc<()>>;
/// The host as it crosses.
pub type HostRef = Host_TO<RArc<()>>;
/// The registrar as it crosses.
pub type RegistrarRef = Registrar_TO<RArc<()>>;
/// A reader of a socket as it crosses.
pub type ReaderRef = Reader_TO<RArc<()>>;
/// Core's side of the cluster seam as it crosses.
pub type ClusterHostRef = ClusterHost_TO<RArc<()>>;

/// The one thing that a plugin's library exports.
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = PluginModule_Ref, prefix_fields = PluginModule_Prefix)))]
#[sabi(missing_field(option))]
pub struct PluginModule {
    /// [`crate::Manifest`] as JSON. Never panics, touches nothing.
    pub manifest: extern "C" fn() -> RString,
    /// Makes an instance; several may follow each other in one process.
    #[sabi(last_prefix_field)]
    pub create: extern "C" fn(HostRef) -> Res<PluginRef>,
}

impl RootModule for PluginModule_Ref {
    abi_stable::declare_root_module_statics! {PluginModule_Ref}
    const BASE_NAME: &'static str = "hearth_plugin";
    const NAME: &'static str = "hearth_plugin";
    const VERSION_STRINGS: VersionStrings = abi_stable::package_version_strings!();
}

#[doc(hidden)]
pub use abi_stable as abi_stable_crate;
