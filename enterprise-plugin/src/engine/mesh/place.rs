//! Where a node listens, and where the others reach it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};

use hearth_plugin_api::{Error, Result};

/// Where a node listens unless something else is configured, if nobody else does.
const PORT: u16 = 7447;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub listen: SocketAddr,
    pub advertised: String,
}

/// Without a configured port: the usual one if it is free, otherwise one that the system chooses.
///
/// # Errors
/// `wanted` is no address, or nobody may listen there; both name the property or the address.
pub fn choose(wanted: &str) -> Result<Place> {
    let wanted = wanted.trim();
    let (address, port) = match (wanted.parse::<SocketAddr>(), wanted.parse::<IpAddr>()) {
        (Ok(both), _) => (both.ip(), Some(both.port())),
        (_, Ok(address)) => (address, None),
        _ if wanted.is_empty() => (Ipv4Addr::UNSPECIFIED.into(), None),
        _ => {
            let message = format!(
                "`{wanted}` is no address to listen at: set `plugin.enterprise.listen` to an address such \
                 as 10.0.0.5 or 10.0.0.5:{PORT}"
            );
            return Err(Error::invalid(message));
        }
    };
    let free = |port| TcpListener::bind((address, port)).and_then(|socket| socket.local_addr());
    let listen = match port {
        Some(port) => free(port),
        None => free(PORT).or_else(|_| free(0)),
    };
    let listen = listen.map_err(|error| {
        Error::unavailable(format!("the other nodes cannot reach this one at {wanted}: {error}"))
    })?;
    let seen = if address.is_unspecified() { own_address() } else { address };
    Ok(Place { listen, advertised: SocketAddr::new(seen, listen.port()).to_string() })
}

/// The address at which others reach this machine: the one from which it would reach them or, without a
/// route to everywhere, one of its own network.
fn own_address() -> IpAddr {
    let of_interfaces = || {
        let mut interfaces = if_addrs::get_if_addrs().unwrap_or_default();
        // A bridge to which nothing is connected comes last.
        interfaces.sort_by_key(|interface| !interface.is_oper_up());
        within(interfaces.iter().map(|interface| interface.ip()))
    };
    let routed = routed().filter(|address| !address.is_unspecified());
    routed.or_else(of_interfaces).unwrap_or(Ipv4Addr::LOCALHOST.into())
}

/// Nothing is sent for that.
fn routed() -> Option<IpAddr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    // RFC 5737: an address for documentation.
    socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9)).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

/// The first one that other machines may reach.
fn within(mut addresses: impl Iterator<Item = IpAddr>) -> Option<IpAddr> {
    // This node listens at addresses of IPv4 unless it is told another one.
    addresses.find(
        |address| matches!(address, IpAddr::V4(own) if !own.is_loopback() && !own.is_link_local()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_listens_where_it_is_told_to() {
        let place = choose("127.0.0.1:0").expect("a place");
        assert_eq!(place.advertised, place.listen.to_string());
        let taken = TcpListener::bind(place.listen).expect("it is free");
        let refused = choose(&place.advertised).expect_err("it is taken");
        assert!(refused.message.contains("127.0.0.1"), "{refused}");
        drop(taken);
        // Nobody else is told of an address that means all.
        let all = choose("").expect("a place");
        assert!(all.listen.ip().is_unspecified() && !all.advertised.starts_with("0.0.0.0"));
        assert!(choose("somewhere").expect_err("no address").message.contains("enterprise.listen"));
    }

    #[test]
    fn without_a_route_it_is_an_address_of_the_network() {
        let all = ["127.0.0.1", "::1", "169.254.3.4", "fe80::1", "10.0.0.5", "10.0.0.6"];
        let parsed = |count| all[..count].iter().map(|text| text.parse().expect("an address"));
        assert_eq!(within(parsed(6)), Some(Ipv4Addr::new(10, 0, 0, 5).into()));
        assert_eq!(within(parsed(4)), None);
    }
}
