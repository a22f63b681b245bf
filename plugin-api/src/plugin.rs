//! What an author implements, and how it becomes a library.

use std::sync::Arc;
use std::time::Duration;

use abi_stable::library::{LibHeader, RootModuleResult};
use abi_stable::prefix_type::PrefixTypeTrait;
use abi_stable::std_types::{RArc, RString};

use crate::abi;
use crate::error::Result;
use crate::guard::{answer, guard, remember_places};
use crate::host::Host;
use crate::manifest::Manifest;
use crate::registrar::{OPAQUE, Registrar};

/// A plugin. See the [crate's page](crate) for a whole one.
///
/// Its life: [`create`](Plugin::create), [`register`](Plugin::register), migrations and properties
/// are there from here on, [`start`](Plugin::start), calls, [`stop`](Plugin::stop). After an upgrade
/// the old library stays in memory and the new one goes through the same.
pub trait Plugin: Send + Sync + Sized + 'static {
    /// Who it is. Reads nothing and changes nothing: it is asked before anything else, in a process of
    /// its own.
    fn manifest() -> Manifest;

    /// Makes an instance; quick, and without effect outside of it.
    fn create(host: Host) -> Result<Self>;

    /// Says what it offers; quick. Handlers are called once `start` has succeeded.
    fn register(self: &Arc<Self>, registrar: &Registrar<'_>) -> Result<()>;

    /// Begins: tables and properties are there. An error ends the plugin, with the reason on its page.
    fn start(self: Arc<Self>) -> impl Future<Output = Result<()>> + Send {
        async { Ok(()) }
    }

    /// Ends: puts everything away, its threads too, before the deadline.
    fn stop(self: Arc<Self>, deadline: Duration) -> impl Future<Output = Result<()>> + Send {
        let _ = deadline;
        async { Ok(()) }
    }
}

struct Adapter<P>(Arc<P>);

impl<P: Plugin> abi::Plugin for Adapter<P> {
    fn register(&self, registrar: &abi::RegistrarRef) -> abi::Res<()> {
        guard(|| self.0.register(&Registrar::new(registrar)))
    }

    fn start(&self) -> abi::Fut<()> {
        let plugin = self.0.clone();
        answer(move || plugin.start())
    }

    fn stop(&self, deadline_ms: u64) -> abi::Fut<()> {
        let plugin = self.0.clone();
        answer(move || plugin.stop(Duration::from_millis(deadline_ms)))
    }
}

/// A plugin as it crosses.
pub fn object<P: Plugin>(plugin: &Arc<P>) -> abi::PluginRef {
    abi::Plugin_TO::from_ptr(RArc::new(Adapter(plugin.clone())), OPAQUE)
}

extern "C" fn create<P: Plugin>(host: abi::HostRef) -> abi::Res<abi::PluginRef> {
    remember_places();
    guard(|| Ok(object(&Arc::new(P::create(Host::new(host))?))))
}

/// The root module of a library that holds `P`. Called by [`export_plugin!`](crate::export_plugin).
#[doc(hidden)]
pub fn module<P: Plugin>(manifest: extern "C" fn() -> RString) -> abi::PluginModule_Ref {
    abi::PluginModule { manifest, create: create::<P> }.leak_into_prefix()
}

/// A manifest as it crosses; one that panics says so in place of its id.
#[doc(hidden)]
pub fn manifest_json<P: Plugin>(panic_abort: bool) -> RString {
    let json = guard(|| {
        let manifest = Manifest { panic_abort, ..P::manifest() };
        Ok(serde_json::to_string(&manifest)?)
    });
    match json.into_result() {
        Ok(json) => json.into(),
        Err(fault) => serde_json::json!({ "fault": fault.message.as_str() }).to_string().into(),
    }
}

/// The header of a library. Called by [`export_plugin!`](crate::export_plugin).
#[doc(hidden)]
pub const fn header(constructor: extern "C" fn() -> RootModuleResult) -> LibHeader {
    use abi_stable::library::CheckTypeLayout;
    // SAFETY: `constructor` gives a `PluginModule_Ref`; `export_plugin!`, the only caller, makes it
    // from `module`, whose return type says so.
    #[allow(unsafe_code)]
    unsafe {
        LibHeader::from_constructor::<abi::PluginModule_Ref>(constructor, CheckTypeLayout::Yes)
    }
}

/// Exports a [`Plugin`] from a library of crate type `cdylib`. Once per library; see the
/// [crate's page](crate).
#[macro_export]
macro_rules! export_plugin {
    ($plugin:ty) => {
        const _: () = {
            use $crate::abi::{PluginModule_Ref, abi_stable_crate as abi_stable};

            extern "C" fn manifest() -> abi_stable::std_types::RString {
                $crate::plugin::manifest_json::<$plugin>(cfg!(panic = "abort"))
            }

            fn module() -> PluginModule_Ref {
                $crate::plugin::module::<$plugin>(manifest)
            }

            extern "C" fn constructor() -> abi_stable::library::RootModuleResult {
                abi_stable::library::__call_root_module_loader(module)
            }

            // The name under which abi_stable looks for it.
            #[allow(unsafe_code)]
            #[unsafe(no_mangle)]
            pub static _1as_0lib_1header_0root_bmodule_bloader: abi_stable::library::LibHeader =
                $crate::plugin::header(constructor);
        };
    };
}

/// A [`Manifest`] from the metadata of the crate: id (the package's name), version, authors,
/// description, licence and homepage.
///
/// ```
/// let manifest = hearth_plugin_api::manifest!().name("Hello");
/// assert_eq!(manifest.api_level, hearth_plugin_api::LEVEL);
/// ```
#[macro_export]
macro_rules! manifest {
    () => {
        $crate::Manifest::new(
            env!("CARGO_PKG_NAME"),
            env!("CARGO_PKG_VERSION"),
            env!("CARGO_PKG_AUTHORS"),
        )
        .description(env!("CARGO_PKG_DESCRIPTION"))
        .licence(env!("CARGO_PKG_LICENSE"))
        .homepage(env!("CARGO_PKG_HOMEPAGE"))
    };
}
