//! The byte channel of every driver: a TCP connection, in plain text or under TLS.

use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll, ready};

use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use super::memory::Memory;
use super::scratch;
use super::socket::{Carrier, Socket};
use super::tls::{Tls, TlsAcceptor, TlsError, TlsInfo};

/// A connection. An idle one holds no buffer: it reads into the worker's scratch buffer, and frees
/// what the peer was too slow to take as soon as it is taken.
pub struct Io {
    socket: Socket,
    tls: Option<Box<Tls>>,
}

impl Io {
    /// Wraps an accepted or connected socket, without TLS.
    pub fn plain(stream: TcpStream) -> Io {
        Io { socket: Socket::new(Carrier::Tcp(stream)), tls: None }
    }

    /// A connection within the process, and its peer's end.
    pub fn memory() -> (Io, Memory) {
        let (own, peer) = Memory::pair();
        (Io { socket: Socket::new(Carrier::Memory(own)), tls: None }, peer)
    }

    /// Performs the server's side of a TLS handshake, for direct TLS and for STARTTLS.
    ///
    /// `buffered` is the number of bytes that the caller has read from this connection and not yet
    /// interpreted. It must be 0: bytes which came before the handshake could be injected by anybody
    /// on the way, and must never count as protected (RFC 6120 §5.4.3.3, the class of CVE-2011-0411).
    /// The handshake fails at `deadline`, whatever the peer sends. After an error the connection is
    /// closed; the peer has been sent the TLS alert if there was one.
    pub async fn accept_tls(
        &mut self,
        acceptor: &TlsAcceptor,
        buffered: usize,
        deadline: Instant,
    ) -> Result<(), TlsError> {
        if buffered > 0 {
            return Err(TlsError::PlaintextInjected { bytes: buffered });
        }
        if self.tls.is_some() {
            return Err(TlsError::AlreadySecured);
        }
        let mut tls = acceptor.start()?;
        let handshake = poll_fn(|cx| tls.poll_handshake(cx, &mut self.socket));
        timeout_at(deadline, handshake).await.map_err(|_| TlsError::Deadline)??;
        self.tls = Some(tls);
        Ok(())
    }

    /// Reads once and hands the plaintext to `sink`, in one or more slices. Returns their total
    /// length; 0 is the end of the peer's stream (see [`Io::truncated`]).
    pub fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        sink: &mut dyn FnMut(&[u8]),
    ) -> Poll<io::Result<usize>> {
        if let Some(tls) = &mut self.tls {
            return tls.poll_read(cx, &mut self.socket, sink);
        }
        scratch::with_read(|buffer| {
            let read = ready!(self.socket.poll_read(cx, buffer))?;
            if read > 0 {
                sink(&buffer[..read]);
            }
            Poll::Ready(Ok(read))
        })
    }

    /// Takes **all** of `bytes`, encrypts them if the connection is under TLS, and tries the socket
    /// at once. `Ready(Ok)`: the kernel has everything. `Pending`: the rest is kept in order, and
    /// [`Io::poll_flush`] goes on (`cx` is registered); never give the same bytes again. How much may
    /// be kept is the caller's rule: look at [`Io::pending`] before writing more.
    pub fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<()>> {
        match &mut self.tls {
            Some(tls) => tls.poll_write(cx, &mut self.socket, bytes),
            None => self.socket.poll_write(cx, bytes),
        }
    }

    /// Bytes (as on the wire) that were written but not yet taken by the kernel.
    pub fn pending(&self) -> usize {
        self.socket.pending()
    }

    /// Writes what is pending; `Ready(Ok)` when nothing is left.
    pub fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket.poll_flush(cx)
    }

    /// Sends what is pending, `close_notify` under TLS (RFC 8446 §6.1), and FIN. Does not wait for
    /// the peer's.
    pub fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(tls) = &mut self.tls {
            tls.close_notify(&mut self.socket);
        }
        self.socket.poll_shutdown(cx)
    }

    /// [`Io::poll_shutdown`], best effort, and no longer than until `deadline`.
    pub async fn shutdown(&mut self, deadline: Instant) {
        // A peer that is gone already, or does not read, has no use for a farewell.
        let _ = timeout_at(deadline, poll_fn(|cx| self.poll_shutdown(cx))).await;
    }

    /// Whether the peer's stream ended without `close_notify`: under TLS an attacker can cut a
    /// connection, but not forge its proper end.
    pub fn truncated(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.truncated())
    }

    /// What the handshake agreed on; `None` in plain text.
    pub fn tls(&self) -> Option<&TlsInfo> {
        self.tls.as_ref().map(|tls| tls.info())
    }

    /// Wipes the channel binding. To be called when authentication is over, so that an idle session
    /// keeps no key material that nobody needs.
    pub fn forget_channel_binding(&mut self) {
        if let Some(tls) = &mut self.tls {
            tls.forget_channel_binding();
        }
    }

    /// Bytes of buffer memory that this connection holds now.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.socket.held() + self.tls.as_ref().map_or(0, |tls| tls.held())
    }
}
