//! The number of a virtual host. Version 1 serves one host; every signature and table key that a
//! second one would need carries it from the start.

/// Key of a virtual host in tables, routes and properties.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HostId(pub i32);

impl HostId {
    /// The only host of version 1.
    pub const FIRST: HostId = HostId(1);
}

/// Immutable number of an account. A deleted and recreated name gets a new one, so that it
/// inherits nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AccountId(pub i64);
