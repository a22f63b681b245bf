//! Listening sockets: bind one, accept from it until told to stop.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use thiserror::Error;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

/// Connections that the kernel completes while we are busy; it may allow fewer (`somaxconn`).
const BACKLOG: i32 = 4096;
/// Pause after running out of file descriptors or memory: others must give some back first.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(100);

/// Why a port cannot be opened. All are local faults; each names the address and the remedy.
#[derive(Debug, Error)]
pub enum ListenError {
    #[error(
        "port {} of {} is already in use: stop the program that has it (`ss -ltnp` shows which), or \
         choose another port in hearth.toml", .address.port(), .address.ip()
    )]
    InUse { address: SocketAddr },
    #[error(
        "not allowed to open port {}: grant CAP_NET_BIND_SERVICE, or choose a port from 1024 upwards \
         in hearth.toml", .address.port()
    )]
    Forbidden { address: SocketAddr },
    #[error(
        "this machine has no address {}: correct it in hearth.toml (`ip address` lists them)",
        .address.ip()
    )]
    NotOurs { address: SocketAddr },
    #[error("cannot listen on {address}: {source}; check the address in hearth.toml")]
    Other { address: SocketAddr, source: io::Error },
}

impl ListenError {
    fn new(address: SocketAddr, source: io::Error) -> ListenError {
        match source.kind() {
            io::ErrorKind::AddrInUse => ListenError::InUse { address },
            io::ErrorKind::PermissionDenied => ListenError::Forbidden { address },
            io::ErrorKind::AddrNotAvailable => ListenError::NotOurs { address },
            _ => ListenError::Other { address, source },
        }
    }
}

/// A bound socket, already accepting into the kernel's queue.
pub struct Listener {
    socket: TcpListener,
    local: SocketAddr,
}

impl Listener {
    /// Binds `address`; port 0 lets the kernel choose (see [`Listener::local_addr`]). `[::]` accepts
    /// IPv4 too, and stands for `0.0.0.0` on a machine without IPv6. Needs a tokio runtime.
    pub fn bind(address: SocketAddr) -> Result<Listener, ListenError> {
        let bound = match open(address) {
            Err(error) if is_any_v6(address) && lacks_v6(&error) => {
                open(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), address.port()))
            }
            other => other,
        };
        let socket = bound.map_err(|source| ListenError::new(address, source))?;
        let local = socket.local_addr().map_err(|source| ListenError::new(address, source))?;
        Ok(Listener { socket, local })
    }

    /// The address with the port that is really open.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// Accepts until `stop` and gives each connection to `handle`, which must not block: it hands the
    /// connection to a task, and that task keeps the permit until the connection ends. While `slots`
    /// has no permit left, newcomers wait in the kernel's queue.
    pub async fn serve(
        self,
        slots: Arc<Semaphore>,
        stop: CancellationToken,
        mut handle: impl FnMut(TcpStream, SocketAddr, OwnedSemaphorePermit),
    ) {
        while let Some(Some((stream, peer, permit))) =
            stop.run_until_cancelled(self.accept(&slots)).await
        {
            handle(stream, peer, permit);
        }
    }

    /// The next connection; `None` when `slots` is closed. Cancelling it loses no connection.
    async fn accept(
        &self,
        slots: &Arc<Semaphore>,
    ) -> Option<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
        // The permit comes first: a connection that nobody may serve stays with the kernel.
        let permit = slots.clone().acquire_owned().await.ok()?;
        let mut exhausted = false;
        loop {
            match self.socket.accept().await {
                Ok((stream, peer)) => {
                    // Whole answers are written at once: Nagle's algorithm could only delay them.
                    if let Err(error) = stream.set_nodelay(true) {
                        tracing::debug!(%peer, %error, "connection lost while being accepted");
                        continue;
                    }
                    let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
                    return Some((stream, peer, permit));
                }
                Err(error) if concerns_the_peer(&error) => {}
                Err(error) => {
                    if !exhausted {
                        let listener = self.local;
                        tracing::error!(%listener, %error, "cannot accept connections: raise the limit of open files");
                    }
                    exhausted = true;
                    tokio::time::sleep(EXHAUSTED_PAUSE).await;
                }
            }
        }
    }
}

fn open(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // A restart must not wait for TIME_WAIT of the last run's connections.
    socket.set_reuse_address(true)?;
    if is_any_v6(address) {
        socket.set_only_v6(false)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

fn is_any_v6(address: SocketAddr) -> bool {
    address.is_ipv6() && address.ip().is_unspecified()
}

/// IPv6 may be missing from the kernel, or switched off for all interfaces: neither has a kind of its
/// own in every case, so what says something else is excluded.
fn lacks_v6(error: &io::Error) -> bool {
    !matches!(error.kind(), io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied)
}

/// The connection failed before it was accepted; the next one is not affected (`man 2 accept`).
fn concerns_the_peer(error: &io::Error) -> bool {
    use io::ErrorKind::*;
    matches!(
        error.kind(),
        ConnectionAborted
            | ConnectionReset
            | ConnectionRefused
            | Interrupted
            | HostUnreachable
            | NetworkUnreachable
            | NetworkDown
            | TimedOut
    )
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
    use tokio::time::timeout;

    use super::*;

    type Accepted = (TcpStream, SocketAddr, OwnedSemaphorePermit);

    async fn within<T>(future: impl Future<Output = T>) -> T {
        timeout(Duration::from_secs(20), future).await.expect("the deadline of a test")
    }

    /// A listener on a free port, driven beside `story`, which stops it.
    async fn serving<S: Future>(
        address: &str,
        slots: usize,
        story: impl FnOnce(SocketAddr, UnboundedReceiver<Accepted>, CancellationToken) -> S,
    ) -> S::Output {
        let listener = Listener::bind(address.parse().unwrap()).unwrap();
        let stop = CancellationToken::new();
        let (sender, accepted) = unbounded_channel();
        let story = story(listener.local_addr(), accepted, stop.clone());
        let handle = move |stream, peer, permit| sender.send((stream, peer, permit)).unwrap();
        let serve = listener.serve(Arc::new(Semaphore::new(slots)), stop, handle);
        within(async { tokio::join!(serve, story) }).await.1
    }

    #[tokio::test]
    async fn accepts_without_delay_and_stops() {
        serving("127.0.0.1:0", 10, |address, mut accepted, stop| async move {
            let client = TcpStream::connect(address).await.unwrap();
            let (stream, peer, _permit) = accepted.recv().await.unwrap();
            assert_eq!(peer, client.local_addr().unwrap());
            assert!(stream.nodelay().unwrap());
            stop.cancel();
            assert!(accepted.recv().await.is_none());
        })
        .await;
    }

    #[tokio::test]
    async fn one_socket_serves_both_families() {
        serving("[::]:0", 10, |address, mut accepted, stop| async move {
            let v4 = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), address.port());
            let _client = TcpStream::connect(v4).await.unwrap();
            assert_eq!(accepted.recv().await.unwrap().1.ip(), v4.ip());
            stop.cancel();
        })
        .await;
    }

    #[tokio::test]
    async fn a_full_house_lets_newcomers_wait_until_somebody_leaves() {
        serving("127.0.0.1:0", 1, |address, mut accepted, stop| async move {
            let _first = TcpStream::connect(address).await.unwrap();
            let guest = accepted.recv().await.unwrap();
            let second = TcpStream::connect(address).await.unwrap();
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
            assert!(accepted.try_recv().is_err());
            drop(guest);
            assert_eq!(accepted.recv().await.unwrap().1, second.local_addr().unwrap());
            stop.cancel();
        })
        .await;
    }

    #[tokio::test]
    async fn a_port_in_use_is_named() {
        let first = Listener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let error = Listener::bind(first.local_addr()).err().unwrap();
        assert!(matches!(error, ListenError::InUse { .. }), "{error}");
        assert!(error.to_string().contains(&first.local_addr().port().to_string()), "{error}");
    }

    #[tokio::test]
    async fn an_address_of_another_machine_is_named() {
        let error = Listener::bind("192.0.2.1:0".parse().unwrap()).err().unwrap();
        assert!(matches!(error, ListenError::NotOurs { .. }), "{error}");
    }
}
