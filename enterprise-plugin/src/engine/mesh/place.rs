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

/// The address from which this machine would reach others; nothing is sent for that.
fn own_address() -> IpAddr {
    let ask = || -> std::io::Result<IpAddr> {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        // RFC 5737: an address for documentation.
        socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9))?;
        Ok(socket.local_addr()?.ip())
    };
    ask().ok().filter(|address| !address.is_unspecified()).unwrap_or(Ipv4Addr::LOCALHOST.into())
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
}
