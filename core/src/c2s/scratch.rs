//! Buffers that a worker lends to the connection it is serving, so that a connection that waits
//! owns none.

use std::cell::Cell;
use std::collections::VecDeque;

use crate::router::Out;
use crate::session::Envelope;

/// Octets and items above which a buffer is given back to the allocator after a burst.
const KEEP_OCTETS: usize = 256 * 1024;
const KEEP_ITEMS: usize = 4096;

/// One worker's buffers; all are empty when they are lent and when they come back.
#[derive(Default)]
pub struct Scratch {
    /// What routing causes.
    pub out: Out,
    /// What the mailbox held.
    pub inbox: VecDeque<Envelope>,
    /// What is to be written, and the envelopes of which it consists.
    pub write: Vec<u8>,
    pub written: Vec<Envelope>,
}

thread_local! {
    static SCRATCH: Cell<Option<Box<Scratch>>> = const { Cell::new(None) };
}

impl Scratch {
    /// Lends the worker's buffers to `serve`, which must not wait.
    pub fn lend<T>(serve: impl FnOnce(&mut Scratch) -> T) -> T {
        let mut scratch = SCRATCH.take().unwrap_or_default();
        let result = serve(&mut scratch);
        scratch.write.clear();
        scratch.write.shrink_to(KEEP_OCTETS);
        scratch.inbox.shrink_to(KEEP_ITEMS);
        SCRATCH.set(Some(scratch));
        result
    }
}
