//! Where an address leads (RFC 6120 §10.4, §10.5).

use super::hosts::Hosts;
use crate::host::HostId;
use crate::jid::Jid;

/// What stands behind an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destination<'a> {
    /// The server itself: a served domain, with or without a resource.
    Server(HostId),
    /// An account by its bare address.
    Account { host: HostId, local: &'a str },
    /// One resource of an account.
    Resource { host: HostId, local: &'a str, resource: &'a str },
    /// Another server's domain, or a component's.
    Remote(&'a str),
}

impl<'a> Destination<'a> {
    pub fn classify(hosts: &Hosts, to: &'a Jid) -> Destination<'a> {
        let Some(host) = hosts.find(to.domain()) else { return Destination::Remote(to.domain()) };
        match (to.local(), to.resource()) {
            (None, _) => Destination::Server(host),
            (Some(local), None) => Destination::Account { host, local },
            (Some(local), Some(resource)) => Destination::Resource { host, local, resource },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_address_has_its_destination() {
        let hosts = Hosts::new(Jid::parse("hearth.example").expect("a domain"));
        let host = HostId::FIRST;
        let rows = [
            ("hearth.example", Destination::Server(host)),
            ("hearth.example/x", Destination::Server(host)),
            ("juliet@hearth.example", Destination::Account { host, local: "juliet" }),
            (
                "juliet@hearth.example/balcony",
                Destination::Resource { host, local: "juliet", resource: "balcony" },
            ),
            ("romeo@other.example/x", Destination::Remote("other.example")),
            ("sub.hearth.example", Destination::Remote("sub.hearth.example")),
        ];
        for (to, expected) in rows {
            let to = Jid::parse(to).expect("an address");
            assert_eq!(Destination::classify(&hosts, &to), expected);
        }
    }
}
