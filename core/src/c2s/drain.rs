//! Moves a node's clients to the others: takes no new ones, and asks some per second to connect
//! again. What a client can resume waits here until the other node fetches it.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use super::C2s;
use crate::session::{CloseReason, Order};

/// How often the sessions are looked at.
const PACE: Duration = Duration::from_millis(100);
/// How long a session without a connection waits for its client to come back elsewhere; then what it
/// holds is stored.
const PATIENCE: Duration = Duration::from_secs(30);

/// How fast a node is emptied, and whether it is empty. Clones share it.
#[derive(Clone, Debug)]
pub struct Drain(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// Clients that are asked to leave per second; 0 for none.
    pace: watch::Sender<u32>,
    is_empty: watch::Sender<bool>,
}

impl Default for Drain {
    fn default() -> Drain {
        let (pace, is_empty) = (watch::Sender::new(0), watch::Sender::new(false));
        Drain(Arc::new(Inner { pace, is_empty }))
    }
}

impl Drain {
    /// Begins, goes on at another pace, or with 0 stops.
    pub fn set(&self, per_second: u32) {
        self.0.is_empty.send_replace(false);
        self.0.pace.send_replace(per_second);
    }

    /// Resolves when nobody is left, or when draining was stopped.
    pub async fn done(&self) {
        let (mut pace, mut is_empty) = (self.pace(), self.0.is_empty.subscribe());
        // The senders are ours: they cannot be gone.
        tokio::select! {
            _ = pace.wait_for(|per_second| *per_second == 0) => {}
            _ = is_empty.wait_for(|is_empty| *is_empty) => {}
        }
    }

    /// Follows the pace.
    pub fn pace(&self) -> watch::Receiver<u32> {
        self.0.pace.subscribe()
    }

    /// Closes sessions at the pace that is set, whenever one is.
    pub async fn run(self, c2s: Arc<C2s>) {
        let mut pace = self.pace();
        while pace.wait_for(|per_second| *per_second > 0).await.is_ok() {
            self.empty(&c2s).await;
        }
    }

    /// Until draining is stopped.
    async fn empty(&self, c2s: &C2s) {
        let (mut allowance, mut last_asked) = (0.0, Instant::now());
        let mut asked = HashSet::new();
        loop {
            let per_second = f64::from(*self.0.pace.borrow());
            if per_second == 0.0 {
                return;
            }
            allowance = (allowance + per_second * PACE.as_secs_f64()).min(per_second);
            let count = ask(c2s, allowance as usize, &mut asked);
            allowance -= count as f64;
            if count > 0 {
                last_asked = Instant::now();
            }
            if last_asked.elapsed() >= PATIENCE {
                give_up(c2s);
            }
            self.0.is_empty.send_replace(c2s.sessions() == 0);
            sleep(PACE).await;
        }
    }
}

/// Asks at most `most` clients to leave, each once.
fn ask(c2s: &C2s, most: usize, asked: &mut HashSet<u64>) -> usize {
    let mut count = 0;
    c2s.router.registry.each_local(|session| {
        if count < most && session.is_connected() && asked.insert(session.id) {
            session.mailbox.order(Order::Close(CloseReason::Drained));
            count += 1;
        }
    });
    count
}

/// Ends the sessions whose clients did not come back.
fn give_up(c2s: &C2s) {
    c2s.router.registry.each_local(|session| {
        if !session.is_connected() {
            session.mailbox.order(Order::Close(CloseReason::Shutdown));
        }
    });
}
