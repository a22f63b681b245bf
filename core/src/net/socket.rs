//! What carries the bytes, a TCP socket as a rule, and those that it has not taken yet.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::memory::Memory;

pub(super) enum Carrier {
    Tcp(TcpStream),
    Memory(Memory),
}

impl Carrier {
    fn poll_read(&mut self, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self {
            Carrier::Tcp(stream) => Pin::new(stream).poll_read(cx, into),
            Carrier::Memory(end) => Pin::new(end).poll_read(cx, into),
        }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self {
            Carrier::Tcp(stream) => Pin::new(stream).poll_write(cx, bytes),
            Carrier::Memory(end) => Pin::new(end).poll_write(cx, bytes),
        }
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Carrier::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Carrier::Memory(end) => Pin::new(end).poll_shutdown(cx),
        }
    }
}

pub(super) struct Socket {
    carrier: Carrier,
    /// What the kernel refused, in wire order; its first `sent` bytes are gone already. Without
    /// capacity while the peer keeps up.
    pending: Vec<u8>,
    sent: usize,
}

impl Socket {
    pub(super) fn new(carrier: Carrier) -> Socket {
        Socket { carrier, pending: Vec::new(), sent: 0 }
    }

    /// Bytes accepted but not yet taken by the kernel.
    pub(super) fn pending(&self) -> usize {
        self.pending.len() - self.sent
    }

    /// The end of the pending bytes, for somebody who appends and then calls [`Socket::poll_flush`].
    pub(super) fn tail(&mut self) -> &mut Vec<u8> {
        &mut self.pending
    }

    /// One read; `Ready(0)` is the peer's FIN. `buffer` must not be empty.
    pub(super) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let mut target = ReadBuf::new(buffer);
        ready!(self.carrier.poll_read(cx, &mut target))?;
        Poll::Ready(Ok(target.filled().len()))
    }

    /// Takes all of `bytes`: tries the kernel at once and keeps what it refuses.
    /// `Pending`: something is kept, and `cx` is woken when the kernel takes more.
    pub(super) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        mut bytes: &[u8],
    ) -> Poll<io::Result<()>> {
        if self.pending() > 0 {
            self.pending.extend_from_slice(bytes);
            return self.poll_flush(cx);
        }
        while !bytes.is_empty() {
            match self.carrier.poll_write(cx, bytes) {
                Poll::Ready(written) => bytes = &bytes[nonzero(written)?..],
                Poll::Pending => {
                    self.pending.extend_from_slice(bytes);
                    return Poll::Pending;
                }
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Writes the pending bytes; `Ready` when none are left, and then their buffer is freed.
    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.sent < self.pending.len() {
            let rest = &self.pending[self.sent..];
            let written = ready!(self.carrier.poll_write(cx, rest));
            self.sent += nonzero(written)?;
        }
        self.pending = Vec::new();
        self.sent = 0;
        Poll::Ready(Ok(()))
    }

    /// Sends FIN once the pending bytes are written.
    pub(super) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_flush(cx))?;
        self.carrier.poll_shutdown(cx)
    }

    /// Bytes of heap memory that this socket holds now.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.pending.capacity()
    }
}

fn nonzero(written: io::Result<usize>) -> io::Result<usize> {
    match written? {
        0 => Err(io::ErrorKind::WriteZero.into()),
        n => Ok(n),
    }
}
