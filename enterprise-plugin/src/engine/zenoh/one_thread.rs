//! All of the engine's tasks on one thread.
//!
//! The engine reads and writes a TLS link from two tasks that share the stream without a lock between
//! them (zenoh-link-tls 1.10.2, `get_mut_socket`). With its own choice of runtimes they run on two
//! threads, and both change the state of the TLS connection at once: it was seen to end the process by
//! a segmentation fault within minutes of traffic in both directions. On one thread a poll of one ends
//! before a poll of the other begins. It can go when the engine guards the stream.

use std::future::Future;
use std::sync::Once;
use std::sync::mpsc::sync_channel;

use zenoh_runtime::{ZENOH_RUNTIME_ENV, ZRuntime};

/// Every runtime handed over to one that has one worker.
const ONE: &str = "(rx: (worker_threads: 1), tx: (handover: rx), net: (handover: rx), \
                   acc: (handover: rx), app: (handover: rx))";

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

/// Runs what touches links on that thread, and waits for it. The caller is no thread of the engine.
/// `None` when the engine has ended it.
pub fn run<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> Option<T> {
    let (done, over) = sync_channel(1);
    ZRuntime::RX.spawn(async move {
        let _ = done.send(work.await);
    });
    over.recv().ok()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::thread;

    use super::*;

    #[test]
    fn all_runtimes_are_one_thread() {
        ensure();
        let all =
            [ZRuntime::Application, ZRuntime::Acceptor, ZRuntime::TX, ZRuntime::RX, ZRuntime::Net];
        let threads = all.map(|runtime| {
            let (done, over) = sync_channel(1);
            runtime.spawn(async move { done.send(thread::current().id()) });
            over.recv().expect("an answer")
        });
        assert_eq!(HashSet::from(threads).len(), 1);
        assert_eq!(run(async { thread::current().id() }), Some(threads[0]));
    }
}
