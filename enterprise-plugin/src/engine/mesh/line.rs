//! A connection on which this node speaks. Whoever has something to say writes it himself, as to wake
//! another thread costs more; only what the kernel does not take at once is left to the connection's task.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};
use tokio_rustls::client::TlsStream;

use super::super::Piece;
use super::frame;
use super::{KEEP_ALIVE, LEASE};

/// Octets that wait to be written; more are dropped, and the lanes bring them again.
const WAITING: usize = 16 * 1024 * 1024;
/// Octets for which a connection keeps room.
const KEPT: usize = 256 * 1024;

pub struct Line {
    writing: Mutex<Writing>,
    /// Something is left to the task.
    left: Notify,
}

struct Writing {
    stream: TlsStream<TcpStream>,
    /// Frames; those before `written` are in the stream.
    out: Vec<u8>,
    written: usize,
    /// How often the stream took something.
    taken: u64,
}

impl Line {
    pub fn new(stream: TlsStream<TcpStream>) -> Line {
        let writing = Writing { stream, out: Vec::new(), written: 0, taken: 0 };
        Line { writing: Mutex::new(writing), left: Notify::new() }
    }

    /// Says something, from any thread, or drops it. Nothing passes what waits.
    pub fn say(&self, samples: &[impl Piece]) {
        let mut writing = self.writing();
        if writing.out.len() - writing.written >= WAITING {
            return;
        }
        let is_first = writing.out.is_empty();
        samples.iter().for_each(|sample| frame::put(sample, &mut writing.out));
        let mut nobody = Context::from_waker(Waker::noop());
        if !is_first || !matches!(writing.poll(&mut nobody), Poll::Ready(Ok(()))) {
            self.left.notify_one();
        }
    }

    /// Writes what is left, and says something now and then, until the connection ends.
    pub async fn serve(&self) -> io::Result<()> {
        loop {
            tokio::select! {
                () = self.left.notified() => {}
                end = self.ended() => return end,
                () = sleep(KEEP_ALIVE) => self.say(&[Bytes::new()]),
            }
            self.flush().await?;
        }
    }

    /// Fails when the kernel takes nothing for too long.
    async fn flush(&self) -> io::Result<()> {
        loop {
            let before = self.writing().taken;
            match timeout(LEASE, poll_fn(|cx| self.writing().poll(cx))).await {
                Ok(written) => return written,
                Err(late) if self.writing().taken == before => return Err(late.into()),
                Err(_) => {}
            }
        }
    }

    /// Nothing is said on it by the other end, which only closes it.
    async fn ended(&self) -> io::Result<()> {
        let mut octet = [0];
        poll_fn(|cx| {
            let mut buffer = ReadBuf::new(&mut octet);
            Pin::new(&mut self.writing().stream).poll_read(cx, &mut buffer)
        })
        .await
    }

    fn writing(&self) -> MutexGuard<'_, Writing> {
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Writing {
    /// Ready when the kernel has everything.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.written < self.out.len() {
            let rest = &self.out[self.written..];
            match ready!(Pin::new(&mut self.stream).poll_write(cx, rest))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                count => self.took(count),
            }
        }
        ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
        self.taken += 1;
        self.out.clear();
        self.out.shrink_to(KEPT);
        self.written = 0;
        Poll::Ready(Ok(()))
    }

    /// There may always be more behind it: room is made without waiting for the end.
    fn took(&mut self, count: usize) {
        self.taken += 1;
        self.written += count;
        if self.written >= KEPT {
            self.out.drain(..self.written);
            self.written = 0;
        }
    }
}
