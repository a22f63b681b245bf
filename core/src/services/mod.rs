//! What several extensions stand on.

pub mod archive;
pub mod behalf;
pub mod commands;
pub mod disco;
pub mod groups;
pub mod removal;
