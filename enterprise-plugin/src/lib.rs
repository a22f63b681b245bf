//! The enterprise plugin: licences and clustering, uploaded on the Plugins page of each node.

pub mod lanes;
pub mod licence;
pub mod membership;

#[cfg(all(feature = "test-key", not(debug_assertions)))]
compile_error!("the test key is public: a release build must not trust it (feature `test-key`)");
