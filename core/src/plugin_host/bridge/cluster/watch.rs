//! Sockets of the plugin that our threads watch: what arrives there is routed by the thread that noticed
//! it, and none has to wake another.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd, RawFd};
use std::sync::Arc;

use hearth_plugin_api::Error;
use hearth_plugin_api::abi::ReaderRef;
use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::task::yield_now;

use super::super::Guest;
use crate::plugin_host::guard::Guard;

/// The answers of a reader. Every other one means that it has failed.
const DRAINED: u32 = 0;
const MORE: u32 = 1;
const ENDED: u32 = 2;

/// Calls `reader` whenever something has arrived, until it is over or the plugin is stopped.
pub fn watch(guest: &Arc<Guest>, socket: RawFd, reader: ReaderRef) -> Result<(), Error> {
    let _here = guest.runtime.enter();
    let socket = std::net::TcpStream::from(own(socket)?);
    // A read that waits would hold up all that runs here.
    socket.set_nonblocking(true)?;
    let socket = TcpStream::from_std(socket)?;
    let guard = guest.guard.clone();
    guest.seams.tracker.spawn("cluster link", async move {
        tokio::select! {
            biased;
            () = follow(&socket, &guard, &reader) => {}
            () = guard.closed() => {}
        }
    });
    Ok(())
}

/// The plugin may close its own descriptor at any time: one of ours goes to the same socket.
#[allow(unsafe_code)]
fn own(socket: RawFd) -> io::Result<OwnedFd> {
    if socket < 0 {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    // SAFETY: the plugin lends an open descriptor for the time of its call.
    unsafe { BorrowedFd::borrow_raw(socket) }.try_clone_to_owned()
}

async fn follow(socket: &TcpStream, guard: &Guard, reader: &ReaderRef) {
    // It fails when the runtime ends.
    while socket.readable().await.is_ok() {
        // What has arrived since it was drained makes it readable once more.
        let read = socket.try_io(Interest::READABLE, || match guard.brief(|| reader.read()) {
            Some(DRAINED) => Err(io::ErrorKind::WouldBlock.into()),
            Some(MORE) => Ok(()),
            Some(ENDED) | None => Err(io::ErrorKind::NotConnected.into()),
            Some(_) => {
                guard.fault("reader", "panicked");
                Err(io::ErrorKind::NotConnected.into())
            }
        });
        match read {
            Ok(()) => yield_now().await,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => return,
        }
    }
}
