//! Buffers that a worker lends to the connection it is serving, so that a connection that waits
//! owns none.

use std::cell::Cell;
use std::collections::VecDeque;
use std::time::Duration;

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
    /// How long to read nothing, because the account sent faster than it may.
    pub pause: Duration,
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
        scratch.written.shrink_to(KEEP_ITEMS);
        scratch.out.shrink_to(KEEP_ITEMS);
        SCRATCH.set(Some(scratch));
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_buffer_keeps_what_a_burst_took() {
        let many = 16 * KEEP_ITEMS;
        Scratch::lend(|scratch| {
            scratch.write.resize(16 * KEEP_OCTETS, 0);
            scratch.inbox.reserve(many);
            scratch.written.reserve(many);
            scratch.out.deliveries.reserve(many);
            scratch.out.routes.reserve(many);
            scratch.out.returned.reserve(many);
            scratch.out.work.reserve(many);
        });
        Scratch::lend(|Scratch { out, inbox, write, written, .. }| {
            assert!(write.is_empty() && write.capacity() <= KEEP_OCTETS);
            let items = [
                inbox.capacity(),
                written.capacity(),
                out.deliveries.capacity(),
                out.routes.capacity(),
                out.returned.capacity(),
                out.work.capacity(),
            ];
            assert!(items.iter().all(|kept| *kept < 2 * KEEP_ITEMS), "{items:?}");
        });
    }
}
