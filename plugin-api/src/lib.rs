//! Write plugins for [Hearth](https://github.com/hearth-im/hearth), an XMPP server.
//!
//! A plugin is one file: a `cdylib` whose crate depends on this one alone. An administrator uploads it in
//! the console, and it runs at once.
//!
//! ```
//! use std::sync::Arc;
//! use hearth_plugin_api::{
//!     Capability, Host, Manifest, Page, PageRequest, PageResponse, Plugin, Property, Registrar, Result,
//!     xml,
//! };
//!
//! struct Hello(Host);
//!
//! impl Plugin for Hello {
//!     fn manifest() -> Manifest {
//!         hearth_plugin_api::manifest!().name("Hello").asks_for(&[Capability::Console])
//!     }
//!     fn create(host: Host) -> Result<Hello> {
//!         Ok(Hello(host))
//!     }
//!     fn register(self: &Arc<Self>, registrar: &Registrar<'_>) -> Result<()> {
//!         registrar.property(Property::text("greeting", "Good morning", "What the page says."))?;
//!         registrar.page(Page::new("hello", "Hello"), self, Hello::page)
//!     }
//! }
//!
//! impl Hello {
//!     async fn page(self: Arc<Self>, request: PageRequest) -> Result<PageResponse> {
//!         let greeting = xml::escaped(&self.0.property("greeting")?);
//!         Ok(PageResponse::html(format!("<p>{greeting}, {}</p>", xml::escaped(&request.admin))))
//!     }
//! }
//!
//! hearth_plugin_api::export_plugin!(Hello);
//! ```
//!
//! The tutorial is `docs/plugins.md`; whole plugins are in `examples/`.
//!
//! # Rules for authors
//!
//! * A synchronous step only computes. Everything else is a future.
//! * A future that awaits only [`Host`]'s futures needs no runtime. One that uses tokio's own timers or
//!   sockets must run on the plugin's [`runtime`](crate#features); the server's does not know them.
//! * A panic is caught, counted and shown; after a few of them the server disables the plugin.
//! * What comes from outside is escaped before it stands in HTML: [`xml::escaped`].
//!
//! # Features
//!
//! * `runtime`: a runtime of the plugin's own, for crates that need tokio.
//! * `testing`: a server of make-believe for unit tests, without network and with its own time.
//! * `loader`: for the server.
//! * `schema`: JSON schemas of the descriptors and calls.
//!
//! # How this interface grows
//!
//! [`LEVEL`] counts additions; it never goes back. The crate's version follows
//! [semantic versioning](https://semver.org): `1.n.0` adds (and raises the level), `1.n.m` mends, `2.0.0`
//! would break, which is not planned. For the library on disk the same holds: a plugin built with any
//! `1.x` loads in every server with `1.y`, whichever is newer.
//!
//! 1. Plain structs and enums in [`abi`] are frozen, arguments and results of its methods too.
//! 2. A trait there gets new methods at its end only, each with a default body, which is what runs when
//!    the other side is older. The root module gets new fields at its end only.
//! 3. What crosses as JSON gets new fields with a default and new variants; nothing is renamed, retyped
//!    or removed. Who reads ignores fields that he does not know; who gets a variant that he does not
//!    know answers `Unsupported`.
//! 4. Codes (kinds of stanzas, phases, verdicts, errors, outcomes, flags) are never given another meaning.
//! 5. A new capability comes with a new name, so that an older server refuses the plugin by that name.
//!
//! `abi/level-<n>.txt` holds each released level as text; a test compares it with the code and fails on
//! what breaks these rules.

#![deny(missing_docs)]

pub mod abi;
mod calls;
pub mod cluster;
mod console;
mod error;
pub mod guard;
mod host;
#[cfg(feature = "loader")]
pub mod loader;
pub mod manifest;
mod offer;
pub mod plugin;
mod registrar;
#[cfg(feature = "runtime")]
pub mod runtime;
pub mod sql;
mod stanza;
mod step;
#[cfg(feature = "testing")]
pub mod testing;
pub mod wire;
pub mod xml;

pub use calls::*;
pub use console::*;
pub use error::{Error, ErrorKind, Result, from_abi, to_abi};
pub use host::{Host, Kv, Level, People, ServerInfo};
pub use manifest::{Capability, Manifest};
pub use offer::*;
pub use plugin::Plugin;
pub use registrar::{Auth, Directory, Registrar};
pub use stanza::{Kind, Stanza, StanzaView};
pub use step::{Failure, Passage, PassageView, Phase, StepSpec, Verdict};

/// JSON values of commands and events.
pub use serde_json as json;

/// The level of this interface. A plugin says with which it was built; a server offers all up to its own.
pub const LEVEL: u32 = 3;
