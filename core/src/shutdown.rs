//! Stopping in two strokes, and the one place that starts tasks.
//!
//! *Soft*: listeners close, streams end with `<system-shutdown/>`, what is queued is written.
//! *Hard*, when the deadline is over or the signal comes again: what is left is dropped.

use std::future::Future;
use std::io;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::telemetry::Counter;

/// Starts tasks and knows which are running. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Tracker {
    tasks: TaskTracker,
    panics: Arc<Counter>,
    soft: CancellationToken,
    hard: CancellationToken,
}

impl Tracker {
    /// `panics` counts the tasks that ended by a panic.
    pub fn new(panics: Arc<Counter>) -> Tracker {
        Tracker {
            tasks: TaskTracker::new(),
            panics,
            soft: CancellationToken::new(),
            hard: CancellationToken::new(),
        }
    }

    /// Starts a task. A panic ends this task only; it is logged under `name` and counted.
    pub fn spawn<F>(&self, name: &'static str, task: F) -> JoinHandle<()>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let panics = self.panics.clone();
        // Combinators instead of an async block: that would keep room for the future twice.
        self.tasks.spawn(AssertUnwindSafe(task).catch_unwind().map(move |end| {
            if let Err(panic) = end {
                panics.inc();
                tracing::error!(task = name, panic = panic_text(&*panic), "a task has panicked");
            }
        }))
    }

    /// Runs blocking work off the reactor; `None` when it panicked (logged and counted).
    pub async fn blocking<T: Send + 'static>(
        &self,
        name: &'static str,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        match self.tasks.spawn_blocking(work).await {
            Ok(value) => Some(value),
            Err(end) => {
                self.panics.inc();
                tracing::error!(task = name, %end, "blocking work has panicked");
                None
            }
        }
    }

    /// Cancelled when the server begins to stop.
    pub fn soft(&self) -> &CancellationToken {
        &self.soft
    }

    /// Cancelled when what still runs must drop everything.
    pub fn hard(&self) -> &CancellationToken {
        &self.hard
    }

    pub fn running(&self) -> usize {
        self.tasks.len()
    }

    /// Soft stop; after `grace` hard stop; waits at most `last` more. Returns how many tasks are
    /// still there (dropped with the runtime).
    pub async fn stop(&self, grace: Duration, last: Duration) -> usize {
        self.soft.cancel();
        self.tasks.close();
        tokio::select! {
            () = self.tasks.wait() => return 0,
            () = self.hard.cancelled() => {}
            () = tokio::time::sleep(grace) => {
                tracing::warn!(tasks = self.running(), "the grace period is over, dropping what is left");
            }
        }
        self.hard.cancel();
        // An elapsed deadline is not an error: the count says what is left.
        let _ = tokio::time::timeout(last, self.tasks.wait()).await;
        self.running()
    }
}

/// What a panic said.
pub fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}

/// What the operating system asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// SIGTERM or SIGINT.
    Stop,
    /// SIGHUP: read certificates again.
    Reload,
}

/// The signals of this process. From its creation on they no longer kill it.
#[derive(Debug)]
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    /// # Errors
    /// When the operating system refuses a handler.
    pub fn listen() -> io::Result<Signals> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    pub async fn next(&mut self) -> Asked {
        tokio::select! {
            _ = self.terminate.recv() => Asked::Stop,
            _ = self.interrupt.recv() => Asked::Stop,
            _ = self.hangup.recv() => Asked::Reload,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(3600);

    fn tracker() -> Tracker {
        Tracker::new(Arc::new(Counter::new()))
    }

    #[tokio::test]
    async fn a_panic_is_counted_and_ends_one_task_only() {
        let tracker = tracker();
        let (sent, received) = tokio::sync::oneshot::channel();
        let broken = tracker.spawn("broken", async { panic!("on purpose") });
        broken.await.expect("the panic was caught");
        tracker.spawn("whole", async {
            sent.send(()).expect("receiver is there");
        });
        received.await.expect("the other task lives");
        assert_eq!(tracker.panics.get(), 1);
    }

    #[tokio::test]
    async fn blocking_work_returns_its_value() {
        let tracker = tracker();
        assert_eq!(tracker.blocking("sum", || 40 + 2).await, Some(42));
        assert_eq!(tracker.blocking::<()>("broken", || panic!("on purpose")).await, None);
        assert_eq!(tracker.panics.get(), 1);
    }

    #[tokio::test]
    async fn soft_stop_waits_for_tasks() {
        let tracker = tracker();
        let soft = tracker.soft().clone();
        tracker.spawn("polite", async move { soft.cancelled().await });
        assert_eq!(tracker.stop(LONG, LONG).await, 0);
        assert!(!tracker.hard().is_cancelled());
    }

    #[tokio::test]
    async fn hard_stop_follows_the_deadline() {
        let tracker = tracker();
        let hard = tracker.hard().clone();
        tracker.spawn("slow", async move { hard.cancelled().await });
        assert_eq!(tracker.stop(Duration::ZERO, LONG).await, 0);
        assert!(tracker.hard().is_cancelled());
    }

    #[tokio::test]
    async fn a_deaf_task_does_not_hold_the_process() {
        let tracker = tracker();
        tracker.spawn("deaf", std::future::pending());
        assert_eq!(tracker.stop(Duration::ZERO, Duration::ZERO).await, 1);
    }

    #[test]
    fn tracking_adds_little_to_a_future() {
        let plain = std::future::pending::<()>();
        let caught = AssertUnwindSafe(std::future::pending::<()>()).catch_unwind();
        assert!(size_of_val(&caught) <= size_of_val(&plain) + 8);
    }
}
