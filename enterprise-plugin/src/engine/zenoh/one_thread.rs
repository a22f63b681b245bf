//! What the engine reads and what it writes, on one thread.
//!
//! The engine reads and writes a TLS link from two tasks that share the stream without a lock between
//! them (zenoh-link-tls 1.10.2, `get_mut_socket`). With its own choice of runtimes they run on two
//! threads, and both change the state of the TLS connection at once: it was seen to end the process by
//! a segmentation fault within minutes of traffic in both directions. On one thread a poll of one ends
//! before a poll of the other begins. A link is closed after both tasks have ended; that may block
//! (`SO_LINGER`), so it stays with the engine's other threads. It can go when the engine guards the
//! stream.

use std::sync::Once;

use zenoh_runtime::ZENOH_RUNTIME_ENV;

/// The runtime that writes is handed over to the one that reads, which has one worker.
const ONE: &str = "(rx: (worker_threads: 1), tx: (handover: rx))";

/// To be called before anything of the engine; it looks at this once.
#[expect(unsafe_code, reason = "the engine takes this setting from the environment only")]
pub fn ensure() {
    static DONE: Once = Once::new();
    DONE.call_once(|| {
        // SAFETY: it adds one variable, once in the life of the process, before the engine's first
        // thread. The C library locks its own writers; the server reads its environment at its start.
        unsafe { std::env::set_var(ZENOH_RUNTIME_ENV, ONE) };
    });
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;
    use std::thread;

    use zenoh_runtime::ZRuntime;

    use super::*;

    #[test]
    fn reading_and_writing_are_on_one_thread() {
        ensure();
        let [reads, writes] = [ZRuntime::RX, ZRuntime::TX].map(|runtime| {
            let (done, over) = sync_channel(1);
            runtime.spawn(async move { done.send(thread::current().id()) });
            over.recv().expect("an answer")
        });
        assert_eq!(reads, writes);
    }
}
