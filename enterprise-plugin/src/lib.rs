//! The enterprise plugin: licences and clustering, uploaded on the Plugins page of each node.

mod authority;
pub mod carrier;
mod cluster;
mod commands;
pub mod console;
pub mod engine;
pub mod lanes;
pub mod licence;
pub mod live;
pub mod membership;
mod patience;
mod plugin;
mod protocol;
pub mod store;
mod tasks;

pub use plugin::Enterprise;

#[cfg(all(feature = "test-key", not(debug_assertions)))]
compile_error!("the test key is public: a release build must not trust it (feature `test-key`)");

hearth_plugin_api::export_plugin!(Enterprise);
