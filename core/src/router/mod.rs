//! Brings a stanza from its sender to whoever must have it. Routing is synchronous: what it causes,
//! also what must wait, goes into an [`Out`], which the caller carries out.

pub mod cluster;
pub mod destination;
pub mod hosts;
pub mod out;
pub mod remote;

pub use cluster::{Alone, Cluster};
pub use destination::Destination;
pub use hosts::Hosts;
pub use out::{Out, Work};
pub use remote::{Remote, Unreachable};
