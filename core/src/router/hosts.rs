//! The domains that this server serves.

use crate::host::HostId;
use crate::jid::Jid;

/// Domain ↔ host. Version 1 has one host.
#[derive(Debug)]
pub struct Hosts {
    first: Jid,
}

impl Hosts {
    /// `domain` is the address of the only host: a bare domainpart.
    pub fn new(domain: Jid) -> Hosts {
        Hosts { first: domain }
    }

    pub fn find(&self, domain: &str) -> Option<HostId> {
        (self.first.as_str() == domain).then_some(HostId::FIRST)
    }

    /// The host's own address.
    pub fn domain(&self, _host: HostId) -> &Jid {
        &self.first
    }
}
