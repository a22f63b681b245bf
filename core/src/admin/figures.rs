//! How busy the server was in the last minutes: one sample every two seconds, kept in memory.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde::Serialize;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::router::Router;

pub const INTERVAL: Duration = Duration::from_secs(2);
/// Samples that are kept: five minutes.
pub const KEPT: usize = 150;
/// Octets in which `/proc/self/statm` counts on every platform that we build for.
const PAGE: u64 = 4096;

/// One look at the server.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Sample {
    /// Milliseconds since 1970.
    pub at: i64,
    /// Sessions of clients on this node.
    pub sessions: usize,
    /// Messages routed per second since the sample before.
    pub messages: f64,
    /// Octets of memory in use; 0 when the system does not tell.
    pub memory: u64,
}

/// The samples of the last minutes, the oldest first.
#[derive(Debug)]
pub struct Figures {
    samples: Mutex<VecDeque<Sample>>,
    changes: watch::Sender<()>,
}

impl Default for Figures {
    fn default() -> Figures {
        Figures { samples: Mutex::default(), changes: watch::channel(()).0 }
    }
}

impl Figures {
    pub fn samples(&self) -> Vec<Sample> {
        self.samples.lock().iter().copied().collect()
    }

    /// Resolves at each sample from now on.
    pub fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }

    /// Samples until `stop`.
    pub async fn run(
        self: Arc<Figures>,
        router: Arc<Router>,
        clock: Clock,
        stop: CancellationToken,
    ) {
        let mut ticks = interval(INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut last = (clock.boot(), router.messages.get());
        while stop.run_until_cancelled(ticks.tick()).await.is_some() {
            let now = (clock.boot(), router.messages.get());
            let messages = rate(now.1 - last.1, now.0.saturating_sub(last.0));
            let sessions = router.registry.local_count();
            self.take(Sample { at: clock.now().0, sessions, messages, memory: memory() });
            last = now;
        }
    }

    fn take(&self, sample: Sample) {
        let mut samples = self.samples.lock();
        if samples.len() == KEPT {
            samples.pop_front();
        }
        samples.push_back(sample);
        self.changes.send_replace(());
    }
}

fn rate(count: u64, time: Duration) -> f64 {
    if time.is_zero() { 0.0 } else { count as f64 / time.as_secs_f64() }
}

/// Resident memory of this process, in octets: one small read of the kernel's own counters.
fn memory() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: Option<u64> = text.split(' ').nth(1).and_then(|pages| pages.parse().ok());
    pages.unwrap_or_default() * PAGE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_sample_makes_room() {
        let figures = Figures::default();
        let changes = figures.changes();
        for at in 0..KEPT as i64 + 3 {
            figures.take(Sample { at, sessions: 0, messages: 0.0, memory: 0 });
        }
        let samples = figures.samples();
        assert_eq!((samples.len(), samples[0].at), (KEPT, 3));
        assert!(changes.has_changed().expect("the figures live"));
    }

    #[test]
    fn a_rate_is_per_second() {
        assert_eq!(rate(10, Duration::from_secs(2)), 5.0);
        assert_eq!(rate(10, Duration::ZERO), 0.0);
    }

    #[test]
    fn this_process_uses_memory() {
        assert!(memory() > PAGE);
    }
}
