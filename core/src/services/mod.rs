//! What several extensions stand on.

pub mod archive;
pub mod disco;
pub mod removal;
