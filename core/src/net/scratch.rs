//! Buffers that belong to a worker thread, not to a connection: a connection needs one only while it
//! is being polled, so ten thousand idle ones need none.

use std::cell::Cell;

/// Room for what is left of one TLS record (at most 16 KiB and its overhead, RFC 8446 §5.2) and for
/// as much again from the socket.
pub(super) const READ_SIZE: usize = 34 * 1024;
/// A write buffer that grew beyond this is given back to the allocator.
const WRITE_KEPT: usize = 128 * 1024;

thread_local! {
    static READ: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
    static WRITE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Lends the worker's read buffer, [`READ_SIZE`] bytes of arbitrary content. A nested call gets a
/// buffer of its own.
pub(super) fn with_read<R>(f: impl FnOnce(&mut [u8]) -> R) -> R {
    let mut buffer = READ.take();
    buffer.resize(READ_SIZE, 0);
    let result = f(&mut buffer);
    READ.set(buffer);
    result
}

/// Lends the worker's write buffer, empty. A nested call gets a buffer of its own.
pub(super) fn with_write<R>(f: impl FnOnce(&mut Vec<u8>) -> R) -> R {
    let mut buffer = WRITE.take();
    let result = f(&mut buffer);
    if buffer.capacity() <= WRITE_KEPT {
        buffer.clear();
        WRITE.set(buffer);
    }
    result
}
