//! What several extensions stand on.

pub mod archive;
