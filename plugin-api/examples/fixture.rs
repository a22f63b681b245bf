//! A plugin as a library, for the tests of the loader: it does well, fails and panics on demand.

use std::sync::Arc;

use hearth_plugin_api::{
    Capability, Command, CommandCall, Host, Manifest, Plugin, Registrar, Result, export_plugin,
    json, manifest,
};

struct Fixture;

impl Plugin for Fixture {
    fn manifest() -> Manifest {
        Manifest { id: "fixture".to_owned(), ..manifest!().asks_for(&[Capability::Commands]) }
    }

    fn create(_: Host) -> Result<Fixture> {
        Ok(Fixture)
    }

    fn register(self: &Arc<Self>, registrar: &Registrar<'_>) -> Result<()> {
        registrar.command(Command::new("double", "Doubles."), self, Fixture::double)?;
        registrar.command(Command::new("panic", "Panics."), self, Fixture::panic)
    }
}

impl Fixture {
    async fn double(self: Arc<Self>, call: CommandCall) -> Result<json::Value> {
        Ok(json::json!(call.arguments["n"].as_i64().unwrap_or_default() * 2))
    }

    async fn panic(self: Arc<Self>, _: CommandCall) -> Result<json::Value> {
        panic!("on demand")
    }
}

export_plugin!(Fixture);
