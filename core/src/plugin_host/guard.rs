//! The one way into a plugin. It counts the calls in flight, so that a stop can wait for them; it
//! measures them; and it counts faults, of which a plugin has only so many.

#[cfg(test)]
mod tests;

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hearth_plugin_api::abi::{Fut, Res};
use hearth_plugin_api::{Error, ErrorKind, from_abi};
use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::properties::Live;
use crate::shutdown::Tracker;

/// A synchronous call may only compute; beyond this it held up others.
const SYNC: Duration = Duration::from_millis(50);
/// Beyond this the plugin is disabled at once: it would stall the server.
const STALL: Duration = Duration::from_secs(1);

/// How old a thread's figure of its waiting may be where a call begins: asking costs as much as a
/// call. Nobody is blamed for what was waited before, so this errs in the plugin's favour.
const FRESH: Duration = Duration::from_millis(5);

thread_local! {
    /// When this thread asked last how long it had waited for a processor, and how long that was.
    static ASKED: Cell<(Duration, Duration)> = const { Cell::new((Duration::ZERO, Duration::ZERO)) };
}

/// Set in the count of calls when no more may begin.
const CLOSED: usize = 1 << (usize::BITS - 1);

/// Stands between the server and one instance of a plugin.
pub struct Guard {
    id: String,
    clock: Clock,
    tracker: Tracker,
    max_faults: Live<u32>,
    /// Calls in flight, and [`CLOSED`].
    calls: AtomicUsize,
    left: Notify,
    faults: Mutex<Faults>,
    exhausted: CancellationToken,
    closed: CancellationToken,
}

#[derive(Default)]
struct Faults {
    count: u64,
    last: Option<String>,
}

/// Holds the plugin while a call is in it.
struct Inside(Arc<Guard>);

impl Guard {
    pub fn new(id: &str, clock: &Clock, tracker: &Tracker, max_faults: &Live<u32>) -> Arc<Guard> {
        Arc::new(Guard {
            id: id.to_owned(),
            clock: clock.clone(),
            tracker: tracker.clone(),
            max_faults: max_faults.clone(),
            calls: AtomicUsize::new(0),
            left: Notify::new(),
            faults: Mutex::default(),
            exhausted: CancellationToken::new(),
            closed: CancellationToken::new(),
        })
    }

    pub fn id(&self) -> &str {
        &self.id
    }

    /// Whether the instance was stopped: it gets no calls, and its own are answered `Stopped`.
    pub fn is_closed(&self) -> bool {
        self.calls.load(Ordering::Acquire) & CLOSED != 0
    }

    /// Lets nobody in any more, and waits at most `deadline` for those inside. True when all left.
    pub async fn close(&self, deadline: Duration) -> bool {
        self.calls.fetch_or(CLOSED, Ordering::AcqRel);
        self.closed.cancel();
        let empty = async {
            loop {
                let left = self.left.notified();
                if self.calls.load(Ordering::Acquire) == CLOSED {
                    return;
                }
                left.await;
            }
        };
        tokio::time::timeout(deadline, empty).await.is_ok()
    }

    /// How often it failed, and how it did last.
    pub fn faults(&self) -> (u64, Option<String>) {
        let faults = self.faults.lock();
        (faults.count, faults.last.clone())
    }

    /// Resolves when it has failed too often.
    pub async fn exhausted(&self) {
        self.exhausted.cancelled().await;
    }

    /// Resolves when it was stopped.
    pub async fn closed(&self) {
        self.closed.cancelled().await;
    }

    /// Counts a fault.
    pub fn fault(&self, what: &str, how: &str) {
        let count = {
            let mut faults = self.faults.lock();
            faults.count += 1;
            faults.last = Some(format!("{what}: {how}"));
            faults.count
        };
        tracing::error!(plugin = self.id, call = what, fault = how, count, "a plugin failed");
        if count >= u64::from(self.max_faults.get()) {
            self.exhausted.cancel();
        }
    }

    /// A call that must answer at once. `what` names it in a fault report.
    pub fn now<T>(self: &Arc<Self>, what: &str, call: impl FnOnce() -> Res<T>) -> Result<T, Error> {
        let _inside = self.enter()?;
        let (begun, waited) = self.begin();
        let result = from_abi(call());
        let took = self.clock.boot().saturating_sub(begun);
        if took >= SYNC {
            self.took_long(what, took.saturating_sub(self.clock.waited().saturating_sub(waited)));
        }
        self.judge(what, result)
    }

    /// When a call begins, and how long this thread had waited for a processor by then, or a moment
    /// before.
    fn begin(&self) -> (Duration, Duration) {
        let (now, (asked, waited)) = (self.clock.boot(), ASKED.get());
        if now.checked_sub(asked).is_some_and(|age| age < FRESH) {
            return (now, waited);
        }
        let waited = self.clock.waited();
        ASKED.set((now, waited));
        // The thread may have waited while it asked.
        (self.clock.boot(), waited)
    }

    /// `took` is the plugin's own time: on a crowded machine others have the processor, too.
    fn took_long(&self, what: &str, took: Duration) {
        if took >= SYNC {
            self.fault(what, &format!("took {} ms to answer at once", took.as_millis()));
        }
        if took >= STALL {
            self.exhausted.cancel();
        }
    }

    /// A call of core's hot path into a plugin that queues and returns: not measured. `None` when no
    /// call may begin.
    pub fn brief<T>(&self, call: impl FnOnce() -> T) -> Option<T> {
        let is_open = self.calls.fetch_add(1, Ordering::AcqRel) & CLOSED == 0;
        let _inside = Briefly(self);
        is_open.then(call)
    }

    /// A call that answers later, but within `deadline`. The plugin's future runs in a task of its
    /// own: if it panics or never ends, the caller does not.
    pub async fn later<T: Send + 'static>(
        self: &Arc<Self>,
        what: &str,
        deadline: Duration,
        call: impl FnOnce() -> Fut<T> + Send,
    ) -> Result<T, Error> {
        let inside = self.enter()?;
        let future = call();
        let (answer, answered) = oneshot::channel();
        self.tracker.spawn("plugin call", async move {
            let _inside = inside;
            let result = tokio::time::timeout(deadline, future).await;
            // A caller that went away does not want it.
            let _ = answer.send(result);
        });
        match answered.await {
            Ok(Ok(result)) => self.judge(what, from_abi(result)),
            Ok(Err(_)) => {
                let error = late(deadline);
                self.fault(what, &error.message);
                Err(error)
            }
            Err(_) => self
                .judge(what, Err(Error::new(ErrorKind::Panic, "its answer panicked on the way"))),
        }
    }

    fn enter(self: &Arc<Self>) -> Result<Inside, Error> {
        let inside = Inside(self.clone());
        match self.calls.fetch_add(1, Ordering::AcqRel) & CLOSED {
            0 => Ok(inside),
            _ => Err(stopped()),
        }
    }

    fn leave(&self) {
        if self.calls.fetch_sub(1, Ordering::AcqRel) == CLOSED + 1 {
            self.left.notify_waiters();
        }
    }

    /// A panic is a fault; any other error is an answer. A plugin may say itself that somebody else
    /// was too late.
    fn judge<T>(&self, what: &str, result: Result<T, Error>) -> Result<T, Error> {
        if let Err(error) = &result
            && error.kind == ErrorKind::Panic
        {
            self.fault(what, &error.message);
        }
        result
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        self.0.leave();
    }
}

/// The same, for a call that its caller waits for.
struct Briefly<'g>(&'g Guard);

impl Drop for Briefly<'_> {
    fn drop(&mut self) {
        self.0.leave();
    }
}

fn late(deadline: Duration) -> Error {
    let message = format!("did not answer within {} s", deadline.as_secs());
    Error::new(ErrorKind::Timeout, message)
}

/// The answer in the name of an instance that is gone.
pub fn stopped() -> Error {
    Error::new(ErrorKind::Stopped, "the plugin was stopped")
}
