//! The PROXY protocol, versions 1 and 2 (HAProxy's `proxy-protocol.txt`): a load balancer's first
//! bytes, which tell whose connection it forwards.
//!
//! To be read only on listeners that are configured for it: anybody could claim any address.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use thiserror::Error;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

/// §2.2: what no other protocol starts with.
const V2_SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
const V2_HEADER: usize = 16;
/// §2.1: the shortest line is `PROXY UNKNOWN\r\n`, the longest has 107 bytes.
const V1_SHORTEST: usize = 15;
const V1_LONGEST: usize = 107;
/// A version 2 header with all its extensions (TLVs), the client's certificate among them.
const LONGEST: usize = 4096;

/// Whose connection it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Forwarded for `source`, who connected to `destination`.
    Forwarded { source: SocketAddr, destination: SocketAddr },
    /// The proxy's own (a health check), or of a kind that it cannot tell: the socket's addresses hold.
    Unknown,
}

/// What a prefix of the connection's bytes amounts to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parsed {
    /// At least so many more bytes (≥ 1) belong to the header.
    Incomplete { missing: usize },
    /// The header is complete, and `length` bytes long.
    Complete { origin: Origin, length: usize },
}

/// Why there is no header. All are faults of the peer: a proxy that is not set up as this listener is.
#[derive(Debug, Error)]
pub enum ProxyError {
    #[error("no PROXY protocol header: the load balancer must send one on this port (send-proxy)")]
    Absent,
    #[error("malformed PROXY protocol header: {0}")]
    Malformed(&'static str),
    #[error("the PROXY protocol header took too long")]
    Deadline,
    #[error("connection lost in the PROXY protocol header: {0}")]
    Io(#[from] io::Error),
}

/// Reads the header, and no byte more, from a fresh connection.
pub async fn read(stream: &mut TcpStream, deadline: Instant) -> Result<Origin, ProxyError> {
    timeout_at(deadline, read_header(stream)).await.map_err(|_| ProxyError::Deadline)?
}

async fn read_header(stream: &mut TcpStream) -> Result<Origin, ProxyError> {
    let mut header = Vec::new();
    loop {
        match parse(&header)? {
            Parsed::Complete { origin, .. } => return Ok(origin),
            Parsed::Incomplete { missing } => {
                let start = header.len();
                header.resize(start + missing, 0);
                stream.read_exact(&mut header[start..]).await?;
            }
        }
    }
}

/// Looks for a header at the start of `bytes`. Pure; refuses wrong bytes as soon as they are there.
pub fn parse(bytes: &[u8]) -> Result<Parsed, ProxyError> {
    if bytes.is_empty() {
        // Either version; the shorter one decides how much may be read.
        Ok(Parsed::Incomplete { missing: V1_SHORTEST })
    } else if starts_like(bytes, V2_SIGNATURE) {
        parse_v2(bytes)
    } else if starts_like(bytes, b"PROXY ") {
        parse_v1(bytes)
    } else {
        Err(ProxyError::Absent)
    }
}

/// Whether `bytes` start with `signature`, as far as they go.
fn starts_like(bytes: &[u8], signature: &[u8]) -> bool {
    bytes.iter().zip(signature).all(|(a, b)| a == b)
}

/// §2.1: `PROXY TCP4 192.0.2.1 192.0.2.2 56324 5222\r\n`.
fn parse_v1(bytes: &[u8]) -> Result<Parsed, ProxyError> {
    let window = &bytes[..bytes.len().min(V1_LONGEST)];
    let Some(end) = memchr::memchr(b'\n', window) else {
        if bytes.len() >= V1_LONGEST {
            return Err(ProxyError::Malformed("line without an end"));
        }
        let missing = V1_SHORTEST.saturating_sub(bytes.len()).max(1);
        return Ok(Parsed::Incomplete { missing });
    };
    let line = window[..end].strip_suffix(b"\r").ok_or(ProxyError::Malformed("line end"))?;
    let line = str::from_utf8(line).map_err(|_| ProxyError::Malformed("not ASCII"))?;
    let fields: Vec<&str> = line.split(' ').skip(1).collect();
    let origin = match fields[..] {
        ["UNKNOWN", ..] => Origin::Unknown,
        ["TCP4", source, destination, from, to] => forwarded(
            (field::<std::net::Ipv4Addr>(source)?.into(), port(from)?),
            (field::<std::net::Ipv4Addr>(destination)?.into(), port(to)?),
        ),
        ["TCP6", source, destination, from, to] => forwarded(
            (field::<std::net::Ipv6Addr>(source)?.into(), port(from)?),
            (field::<std::net::Ipv6Addr>(destination)?.into(), port(to)?),
        ),
        _ => return Err(ProxyError::Malformed("unknown kind of line")),
    };
    Ok(Parsed::Complete { origin, length: end + 1 })
}

fn forwarded(source: (IpAddr, u16), destination: (IpAddr, u16)) -> Origin {
    let address = |(ip, port): (IpAddr, u16)| SocketAddr::new(ip.to_canonical(), port);
    Origin::Forwarded { source: address(source), destination: address(destination) }
}

fn field<T: FromStr>(text: &str) -> Result<T, ProxyError> {
    text.parse().map_err(|_| ProxyError::Malformed("address"))
}

/// §2.1: decimal, without sign or leading zeroes.
fn port(text: &str) -> Result<u16, ProxyError> {
    let port: u16 = text.parse().map_err(|_| ProxyError::Malformed("port"))?;
    match port.to_string() == text {
        true => Ok(port),
        false => Err(ProxyError::Malformed("port")),
    }
}

/// §2.2: signature, version and command, family and protocol, length, addresses, extensions.
fn parse_v2(bytes: &[u8]) -> Result<Parsed, ProxyError> {
    let Some(&header) = bytes.first_chunk::<V2_HEADER>() else {
        return Ok(Parsed::Incomplete { missing: V2_HEADER - bytes.len() });
    };
    let [.., command, family, high, low] = header;
    let length = V2_HEADER + usize::from(u16::from_be_bytes([high, low]));
    if command >> 4 != 2 {
        return Err(ProxyError::Malformed("version"));
    }
    if length > LONGEST {
        return Err(ProxyError::Malformed("too long"));
    }
    let Some(addresses) = bytes.get(V2_HEADER..length) else {
        return Ok(Parsed::Incomplete { missing: length - bytes.len() });
    };
    let origin = match (command & 0xf, family) {
        // LOCAL, or PROXY for AF_UNSPEC.
        (0, _) | (1, 0x00) => Origin::Unknown,
        (1, 0x11) => v2_addresses::<4>(addresses)?,
        (1, 0x21) => v2_addresses::<16>(addresses)?,
        (1, _) => return Err(ProxyError::Malformed("not TCP over IP")),
        _ => return Err(ProxyError::Malformed("command")),
    };
    Ok(Parsed::Complete { origin, length })
}

/// Source and destination address of `N` bytes each, then both ports.
fn v2_addresses<const N: usize>(bytes: &[u8]) -> Result<Origin, ProxyError>
where
    IpAddr: From<[u8; N]>,
{
    const SHORT: ProxyError = ProxyError::Malformed("addresses cut short");
    let (source, rest) = bytes.split_first_chunk::<N>().ok_or(SHORT)?;
    let (destination, rest) = rest.split_first_chunk::<N>().ok_or(SHORT)?;
    let (ports, _extensions) = rest.split_first_chunk::<4>().ok_or(SHORT)?;
    let [a, b, c, d] = *ports;
    Ok(forwarded(
        (IpAddr::from(*source), u16::from_be_bytes([a, b])),
        (IpAddr::from(*destination), u16::from_be_bytes([c, d])),
    ))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;
    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;

    use super::*;

    fn v2(command: u8, family: u8, payload: &[u8]) -> Vec<u8> {
        let length = (payload.len() as u16).to_be_bytes();
        [&V2_SIGNATURE[..], &[command, family], &length, payload].concat()
    }

    fn from_to(source: &str, destination: &str) -> Origin {
        Origin::Forwarded {
            source: source.parse().unwrap(),
            destination: destination.parse().unwrap(),
        }
    }

    fn valid() -> Vec<(Vec<u8>, Origin)> {
        let v4 = from_to("192.0.2.1:56324", "198.51.100.2:5222");
        let v6 = from_to("[2001:db8::1]:4000", "[2001:db8::2]:5222");
        let mut v6_bytes = Vec::new();
        for ip in ["2001:db8::1", "2001:db8::2"] {
            v6_bytes.extend(ip.parse::<std::net::Ipv6Addr>().unwrap().octets());
        }
        v6_bytes.extend([0x0f, 0xa0, 0x14, 0x66]);
        let v4_bytes = [192, 0, 2, 1, 198, 51, 100, 2, 0xdc, 0x04, 0x14, 0x66, 0x04, 0, 1, 0];
        vec![
            (b"PROXY TCP4 192.0.2.1 198.51.100.2 56324 5222\r\n".to_vec(), v4),
            (b"PROXY TCP6 2001:db8::1 2001:db8::2 4000 5222\r\n".to_vec(), v6),
            (b"PROXY UNKNOWN\r\n".to_vec(), Origin::Unknown),
            (b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n".to_vec(), Origin::Unknown),
            (v2(0x21, 0x11, &v4_bytes), v4),
            (v2(0x21, 0x21, &v6_bytes), v6),
            (v2(0x21, 0x00, &[]), Origin::Unknown),
            (v2(0x20, 0x11, &v4_bytes), Origin::Unknown),
        ]
    }

    #[test]
    fn every_prefix_asks_for_bytes_of_the_header_only() {
        for (header, origin) in valid() {
            for cut in 0..header.len() {
                match parse(&header[..cut]).unwrap() {
                    Parsed::Incomplete { missing } => {
                        assert!((1..=header.len() - cut).contains(&missing), "{header:?} at {cut}")
                    }
                    complete => panic!("{complete:?} at {cut} of {header:?}"),
                }
            }
            let with_stream = [&header[..], b"<stream>\n"].concat();
            let length = header.len();
            assert_eq!(parse(&with_stream).unwrap(), Parsed::Complete { origin, length });
        }
    }

    #[test]
    fn malformed_headers_are_refused() {
        let long_line = [b"PROXY UNKNOWN ".to_vec(), vec![b'x'; 100]].concat();
        let cases: &[Vec<u8>] = &[
            b"<?xml version='1.0'?>".to_vec(),
            b"PROXY TCP4 192.0.2.1 198.51.100.2 56324 5222\n".to_vec(),
            b"PROXY TCP4 192.0.2.1 198.51.100.2 056324 5222\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.1 198.51.100.2 +5632 5222\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.1 198.51.100.2 65536 5222\r\n".to_vec(),
            b"PROXY TCP4 2001:db8::1 2001:db8::2 4000 5222\r\n".to_vec(),
            b"PROXY TCP4  192.0.2.1 198.51.100.2 1 2\r\n".to_vec(),
            b"PROXY UDP4 192.0.2.1 198.51.100.2 1 2\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.1 \xff 1 2\r\n".to_vec(),
            long_line,
            v2(0x11, 0x11, &[0; 12]),
            v2(0x22, 0x11, &[0; 12]),
            v2(0x21, 0x12, &[0; 12]),
            v2(0x21, 0x11, &[0; 11]),
            v2(0x21, 0x21, &[0; 35]),
            v2(0x21, 0x11, &[0; 5000]),
        ];
        for case in cases {
            assert!(parse(case).is_err(), "{}", String::from_utf8_lossy(case));
        }
    }

    proptest! {
        #[test]
        fn no_input_panics(start in 0..3usize, bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let start: &[u8] = [&b""[..], b"PROXY ", V2_SIGNATURE][start];
            let _ = parse(&[start, &bytes].concat());
        }
    }

    async fn tcp() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (client, server) = tokio::join!(TcpStream::connect(address), listener.accept());
        (client.unwrap(), server.unwrap().0)
    }

    #[tokio::test]
    async fn what_follows_the_header_stays_in_the_socket() {
        for (header, expected) in valid() {
            let (mut client, mut server) = tcp().await;
            client.write_all(&[&header[..], b"<stream>"].concat()).await.unwrap();
            let deadline = Instant::now() + Duration::from_secs(20);
            assert_eq!(read(&mut server, deadline).await.unwrap(), expected);
            let mut rest = [0; 8];
            timeout_at(deadline, server.read_exact(&mut rest)).await.unwrap().unwrap();
            assert_eq!(&rest, b"<stream>");
        }
    }

    #[tokio::test]
    async fn silence_meets_the_deadline() {
        let (_client, mut server) = tcp().await;
        let error = read(&mut server, Instant::now()).await.unwrap_err();
        assert!(matches!(error, ProxyError::Deadline), "{error}");
    }
}
