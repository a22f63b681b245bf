//! A connection on which another node speaks. Whoever notices that something came reads it, and brings it
//! where it belongs.

use std::io::{self, BufRead, Read};
use std::net::{Shutdown, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use bytes::Bytes;
use hearth_plugin_api::ErrorKind;
use hearth_plugin_api::cluster::{Reader, Reading};
use rustls::ServerConnection;
use tokio::io::Interest;
use tokio::sync::Notify;
use tokio::task::yield_now;
use tokio::time::{Instant, sleep_until};
use tokio_rustls::server::TlsStream;

use super::frame::Frames;
use super::shared::Shared;
use super::{LEASE, Watch};
use crate::membership::Member;

/// Octets that are read at once.
const ROOM: usize = 32 * 1024;
/// Octets that may wait on a connection: what the kernel holds for both ends.
const AHEAD: usize = 16 * 1024 * 1024;

pub struct Hearing {
    pub from: Member,
    shared: Weak<Shared>,
    /// Nothing once it is over.
    open: Mutex<Option<Box<Open>>>,
    over: Arc<Notify>,
}

struct Open {
    /// When something came last.
    heard: Instant,
    over: Arc<Notify>,
    socket: TcpStream,
    tls: ServerConnection,
    frames: Frames,
    room: Box<[u8]>,
}

impl Hearing {
    /// What is on the connection from now on; nothing of it has been read.
    pub fn new(
        stream: TlsStream<tokio::net::TcpStream>,
        from: Member,
        shared: &Arc<Shared>,
    ) -> io::Result<Hearing> {
        let (socket, tls) = stream.into_inner();
        let over = Arc::new(Notify::new());
        let open = Box::new(Open {
            heard: Instant::now(),
            over: over.clone(),
            socket: socket.into_std()?,
            tls,
            frames: Frames::default(),
            room: vec![0; ROOM].into(),
        });
        let (shared, open) = (Arc::downgrade(shared), Mutex::new(Some(open)));
        Ok(Hearing { from, shared, open, over })
    }

    /// Has it read until it is over, or nothing comes any more.
    pub async fn follow(self: &Arc<Self>, watch: &Watch) -> io::Result<()> {
        let own = self.descriptor()?;
        let watched = watch(own.as_fd(), self);
        let read = async {
            match watched {
                Ok(()) => {
                    drop(own);
                    self.over.notified().await;
                    Ok(())
                }
                Err(error) if error.kind == ErrorKind::Unsupported => self.read_here(own).await,
                Err(error) => Err(io::Error::other(error.to_string())),
            }
        };
        tokio::select! {
            end = read => end,
            () = self.silence() => Ok(()),
        }
    }

    fn descriptor(&self) -> io::Result<OwnedFd> {
        match &*self.open() {
            Some(open) => open.socket.as_fd().try_clone_to_owned(),
            None => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    /// For a server that watches nothing.
    async fn read_here(&self, socket: OwnedFd) -> io::Result<()> {
        let socket = tokio::net::TcpStream::from_std(socket.into())?;
        loop {
            socket.readable().await?;
            let read = socket.try_io(Interest::READABLE, || match self.read() {
                Reading::Drained => Err(io::ErrorKind::WouldBlock.into()),
                reading => Ok(reading),
            });
            match read {
                Ok(Reading::Ended) => return Ok(()),
                Ok(_) => yield_now().await,
                Err(_) => {}
            }
        }
    }

    /// Until nothing came for too long.
    async fn silence(&self) {
        while let Some(last) = self.heard() {
            sleep_until(last + LEASE).await;
            if self.heard() == Some(last) {
                // A process that was stopped meanwhile has not read what is there.
                self.read();
                if self.heard() == Some(last) {
                    return;
                }
            }
        }
    }

    /// When something came last; nothing once it is over.
    fn heard(&self) -> Option<Instant> {
        self.open().as_ref().map(|open| open.heard)
    }

    /// Reads all that has arrived, as far as a node may have sent it ahead.
    pub fn catch_up(&self) {
        for _ in 0..AHEAD / ROOM {
            if self.read() != Reading::More {
                return;
            }
        }
    }

    /// Nothing is heard any more once this returns.
    pub fn end(&self) {
        self.open().take();
    }

    fn open(&self) -> MutexGuard<'_, Option<Box<Open>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reader for Hearing {
    fn read(&self) -> Reading {
        let mut place = self.open();
        // It is over if this panics, or fails.
        let (Some(mut open), Some(shared)) = (place.take(), self.shared.upgrade()) else {
            return Reading::Ended;
        };
        let read = open.read(|sample| shared.hear(self.from, sample));
        let Ok(reading) = read else { return Reading::Ended };
        *place = Some(open);
        reading
    }
}

impl Open {
    fn read(&mut self, mut hear: impl FnMut(Bytes)) -> io::Result<Reading> {
        let count = match self.socket.read(&mut self.room) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Reading::Drained),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(Reading::More),
            Err(error) => return Err(error),
        };
        self.heard = Instant::now();
        let mut rest = &self.room[..count];
        while !rest.is_empty() {
            if self.tls.read_tls(&mut rest)? == 0 {
                // Nothing counts that follows the end of what is encrypted.
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let read = self.tls.process_new_packets().map_err(io::Error::other)?;
            let mut left = read.plaintext_bytes_to_read();
            while left > 0 {
                let mut reader = self.tls.reader();
                let chunk = reader.fill_buf()?;
                self.frames.put(chunk);
                let count = chunk.len();
                reader.consume(count);
                left -= count;
            }
        }
        while let Some(sample) = self.frames.take()? {
            // An empty one says that the caller lives.
            if !sample.is_empty() {
                hear(sample);
            }
        }
        self.answer()?;
        // Less than there was room for is all that was there.
        Ok(if count == self.room.len() { Reading::More } else { Reading::Drained })
    }

    /// RFC 8446 §4.6.3: a change of keys may have to be answered.
    fn answer(&mut self) -> io::Result<()> {
        while self.tls.wants_write() {
            match self.tls.write_tls(&mut self.socket) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                written => written?,
            };
        }
        Ok(())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.over.notify_one();
        // Whoever watches it is woken, and lets go of it.
        let _ = self.socket.shutdown(Shutdown::Both);
    }
}
