//! Key derivation off the reactor: at most one per core at a time, first come first served, and a
//! bounded number of waiting ones, so that a flood of logins cannot stop the server.

use std::num::NonZeroUsize;
use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::shutdown::Tracker;

/// More derivations wait than the queue may hold, or the server is stopping: try again later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many passwords are being checked at this moment")]
pub struct Overloaded;

/// Runs expensive, blocking computations. Clones share the bounds.
#[derive(Clone)]
pub struct Derivation {
    tracker: Tracker,
    /// Tokio's semaphore serves in the order of arrival.
    running: Arc<Semaphore>,
    admitted: Arc<Semaphore>,
}

impl Derivation {
    /// `cores` run at once; at most `waiting` more are admitted.
    pub fn new(tracker: Tracker, cores: NonZeroUsize, waiting: usize) -> Derivation {
        Derivation {
            tracker,
            running: Arc::new(Semaphore::new(cores.get())),
            admitted: Arc::new(Semaphore::new(cores.get() + waiting)),
        }
    }

    /// Computes `work` when it is its turn.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Overloaded> {
        let admitted = self.admitted.clone().try_acquire_owned().map_err(|_| Overloaded)?;
        let running = self.running.clone().acquire_owned().await.map_err(|_| Overloaded)?;
        // The permits go with the work: a caller that gives up does not stop it.
        let work = move || {
            let _permits = (admitted, running);
            work()
        };
        self.tracker.blocking("key derivation", work).await.ok_or(Overloaded)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::telemetry::Counter;

    #[tokio::test]
    async fn the_queue_is_bounded_and_nothing_is_lost() {
        let tracker = Tracker::new(Arc::new(Counter::default()));
        let pool = Derivation::new(tracker, NonZeroUsize::MIN, 1);
        let (release, held) = mpsc::channel::<()>();
        let (began, begun) = tokio::sync::oneshot::channel();
        let first = tokio::spawn({
            let pool = pool.clone();
            async move {
                let work = move || {
                    began.send(()).unwrap();
                    held.recv().unwrap();
                    1
                };
                pool.run(work).await
            }
        });
        begun.await.unwrap();
        // One runs, one waits, the third is refused.
        let second = pool.run(|| 2);
        tokio::pin!(second);
        assert!(futures_util::poll!(&mut second).is_pending());
        assert_eq!(pool.run(|| 3).await, Err(Overloaded));
        release.send(()).unwrap();
        assert_eq!((first.await.unwrap(), second.await), (Ok(1), Ok(2)));
        assert_eq!(pool.run(|| 4).await, Ok(4));
    }
}
