//! A byte channel that stays within the process: what carries a connection when a measurement or a
//! test wants no socket.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Octets that may be under way in one direction, as in a socket's buffer.
const CAPACITY: usize = 64 * 1024;

/// One end of a channel. As with a socket, what its peer has not read yet outlives it.
#[derive(Debug)]
pub struct Memory {
    /// Both directions; the end reads from one and writes to the other.
    ways: Arc<[Mutex<Way>; 2]>,
    reads: usize,
}

/// One direction. It owns memory only while octets are under way.
#[derive(Debug, Default)]
struct Way {
    octets: Vec<u8>,
    closed: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl Memory {
    /// Both ends of a new channel.
    pub fn pair() -> (Memory, Memory) {
        let ways = Arc::new([Mutex::default(), Mutex::default()]);
        (Memory { ways: ways.clone(), reads: 0 }, Memory { ways, reads: 1 })
    }

    fn outgoing(&self) -> &Mutex<Way> {
        &self.ways[1 - self.reads]
    }
}

impl Way {
    fn close(&mut self) {
        self.closed = true;
        for waker in [self.reader.take(), self.writer.take()].into_iter().flatten() {
            waker.wake();
        }
    }
}

impl AsyncRead for Memory {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut way = self.ways[self.reads].lock();
        if way.octets.is_empty() && !way.closed {
            way.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let length = way.octets.len().min(into.remaining());
        into.put_slice(&way.octets[..length]);
        way.octets.drain(..length);
        if way.octets.is_empty() {
            way.octets = Vec::new();
        }
        if let Some(writer) = way.writer.take() {
            writer.wake();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Memory {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut way = self.outgoing().lock();
        if way.closed {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let length = octets.len().min(CAPACITY - way.octets.len());
        if length == 0 && !octets.is_empty() {
            way.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        way.octets.extend_from_slice(&octets[..length]);
        if let Some(reader) = way.reader.take() {
            reader.wake();
        }
        Poll::Ready(Ok(length))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.outgoing().lock().close();
        Poll::Ready(Ok(()))
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        for way in self.ways.iter() {
            way.lock().close();
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn what_is_written_is_read_also_after_the_end() {
        let (mut one, mut other) = Memory::pair();
        one.write_all(b"farewell").await.unwrap();
        drop(one);
        let mut read = String::new();
        other.read_to_string(&mut read).await.unwrap();
        assert_eq!(read, "farewell");
        assert_eq!(other.write(b"too late").await.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }

    #[tokio::test]
    async fn a_writer_waits_for_a_slow_reader_and_an_idle_channel_holds_nothing() {
        let (mut one, mut other) = Memory::pair();
        let octets = vec![7; 3 * CAPACITY];
        let mut read = vec![0; octets.len()];
        let (written, _) = tokio::join!(one.write_all(&octets), other.read_exact(&mut read));
        written.unwrap();
        assert_eq!(read, octets);
        assert!(one.ways.iter().all(|way| way.lock().octets.capacity() == 0));
    }
}
