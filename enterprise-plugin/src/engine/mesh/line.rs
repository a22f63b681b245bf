//! A connection on which this node speaks. Whoever has something to say writes it himself, as to wake
//! another thread costs more; only what the kernel does not take at once is left to the connection's task.

use std::io::{self, IoSlice, Read, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use rustls::ClientConnection;
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
    socket: TcpStream,
    saying: Mutex<Saying>,
    /// Something is left to the task.
    left: Notify,
}

struct Saying {
    tls: ClientConnection,
    /// Frames; those before `encrypted` are in `tls`, or gone.
    out: Vec<u8>,
    encrypted: usize,
}

/// Reads and writes what there is, and what there is room for.
struct Socket<'s>(&'s TcpStream);

impl Line {
    pub fn new(stream: TlsStream<TcpStream>) -> Line {
        let (socket, tls) = stream.into_inner();
        let saying = Saying { tls, out: Vec::new(), encrypted: 0 };
        Line { socket, saying: Mutex::new(saying), left: Notify::new() }
    }

    /// Says something, from any thread, or drops it. Nothing passes what waits.
    pub fn say(&self, samples: &[impl Piece]) {
        let mut saying = self.saying();
        if saying.out.len() - saying.encrypted >= WAITING {
            return;
        }
        let is_first = saying.out.is_empty();
        samples.iter().for_each(|sample| frame::put(sample, &mut saying.out));
        if !is_first || !matches!(saying.write(&self.socket), Ok(true)) {
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
        while !self.saying().write(&self.socket)? {
            timeout(LEASE, self.socket.writable()).await??;
        }
        Ok(())
    }

    /// Nothing is said on it by the other end, which only closes it.
    async fn ended(&self) -> io::Result<()> {
        loop {
            self.socket.readable().await?;
            if self.saying().is_over(&self.socket)? {
                return Ok(());
            }
        }
    }

    fn saying(&self) -> MutexGuard<'_, Saying> {
        self.saying.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Saying {
    /// True when the kernel has everything.
    fn write(&mut self, socket: &TcpStream) -> io::Result<bool> {
        loop {
            while self.tls.wants_write() {
                match self.tls.write_tls(&mut Socket(socket)) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                    Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                    written => written?,
                };
            }
            if self.encrypted == self.out.len() {
                self.out.clear();
                self.out.shrink_to(KEPT);
                self.encrypted = 0;
                return Ok(true);
            }
            let count = self.tls.writer().write(&self.out[self.encrypted..])?;
            self.took(count);
        }
    }

    /// There may always be more behind it: room is made without waiting for the end.
    fn took(&mut self, count: usize) {
        self.encrypted += count;
        if self.encrypted >= KEPT {
            self.out.drain(..self.encrypted);
            self.encrypted = 0;
        }
    }

    /// Whether the other end has closed the connection, or says something after all.
    fn is_over(&mut self, socket: &TcpStream) -> io::Result<bool> {
        match self.tls.read_tls(&mut Socket(socket)) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            read => {
                if read? == 0 {
                    return Ok(true);
                }
            }
        }
        let came = self.tls.process_new_packets().map_err(io::Error::other)?;
        Ok(came.peer_has_closed() || came.plaintext_bytes_to_read() > 0)
    }
}

impl Read for Socket<'_> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        self.0.try_read(room)
    }
}

impl Write for Socket<'_> {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.0.try_write(octets)
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.try_write_vectored(slices)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
