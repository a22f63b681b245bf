//! What happens to traffic while a plugin is replaced: it waits for the successor, but neither for
//! long nor in any number.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

/// How long traffic waits from the moment that the old instance stops.
const LONGEST: Duration = Duration::from_secs(5);
/// Stanzas that may wait at a time.
const MOST: usize = 10_000;
/// Octets of theirs.
const MOST_OCTETS: usize = 64 * 1024 * 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    Parked(Instant),
    /// The successor has taken over.
    Resumed,
    /// There is none.
    GivenUp,
}

/// Where the traffic of one instance waits.
pub struct Parking {
    state: watch::Sender<State>,
    /// Set from the begin on: looked at for each stanza.
    begun: AtomicBool,
    waiting: AtomicUsize,
    octets: AtomicUsize,
}

impl Default for Parking {
    fn default() -> Parking {
        let (begun, waiting) = (AtomicBool::new(false), AtomicUsize::new(0));
        let octets = AtomicUsize::new(0);
        Parking { state: watch::Sender::new(State::Open), begun, waiting, octets }
    }
}

impl Parking {
    /// The instance takes nothing any more; what comes waits for its successor.
    pub fn begin(&self) {
        self.begin_for(LONGEST);
    }

    fn begin_for(&self, longest: Duration) {
        self.state.send_replace(State::Parked(Instant::now() + longest));
        self.begun.store(true, Ordering::Release);
    }

    /// The successor is there.
    pub fn resume(&self) {
        self.state.send_replace(State::Resumed);
    }

    /// No successor comes.
    pub fn give_up(&self) {
        self.state.send_replace(State::GivenUp);
    }

    pub fn is_begun(&self) -> bool {
        self.begun.load(Ordering::Acquire)
    }

    /// Resolves when it begins.
    pub async fn begun(&self) {
        // The sender is ours: it does not go before us.
        let _ = self.state.subscribe().wait_for(|state| *state != State::Open).await;
    }

    /// Resolves when it is known whether a successor comes, however late.
    pub async fn settled(&self) {
        let _ = self.state.subscribe().wait_for(is_over).await;
    }

    /// Waits with so many octets until it is over. True: go on with the successor.
    pub async fn over(&self, octets: usize) -> bool {
        let until = match *self.state.borrow() {
            State::Parked(until) => until,
            state => return state == State::Resumed,
        };
        let waiting = self.waiting.fetch_add(1, Ordering::AcqRel);
        let held = self.octets.fetch_add(octets, Ordering::AcqRel);
        let _place = Place { parking: self, octets };
        if waiting >= MOST || held.saturating_add(octets) > MOST_OCTETS {
            return false;
        }
        let mut state = self.state.subscribe();
        let over = timeout_at(until, state.wait_for(is_over)).await;
        over.is_ok_and(|state| state.is_ok_and(|state| *state == State::Resumed))
    }
}

fn is_over(state: &State) -> bool {
    matches!(state, State::Resumed | State::GivenUp)
}

/// Given back when it is dropped.
struct Place<'p> {
    parking: &'p Parking,
    octets: usize,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.parking.waiting.fetch_sub(1, Ordering::AcqRel);
        self.parking.octets.fetch_sub(self.octets, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn what_waits_goes_on_with_the_successor() {
        let parking = Parking::default();
        parking.begin();
        let mut waiting = Box::pin(parking.over(1));
        assert_eq!((&mut waiting).now_or_never(), None);
        parking.resume();
        assert!(waiting.await);
        assert!(parking.over(1).await, "who comes late goes on at once");
    }

    #[tokio::test]
    async fn nobody_waits_longer_than_he_may_or_in_vain() {
        let parking = Parking::default();
        parking.begin_for(Duration::from_millis(1));
        assert!(!parking.over(1).await);
        assert!(!parking.over(1).await, "the time counts from the begin");
        let other = Parking::default();
        other.begin();
        other.give_up();
        assert!(!other.over(1).await);
    }

    #[tokio::test]
    async fn only_so_many_wait() {
        let parking = Parking::default();
        parking.begin();
        let mut waiting: Vec<_> = (0..=MOST).map(|_| Box::pin(parking.over(1))).collect();
        let answers: Vec<_> = waiting.iter_mut().map(|over| over.now_or_never()).collect();
        assert!(answers[..MOST].iter().all(Option::is_none));
        assert_eq!(answers[MOST], Some(false));
        drop(waiting);
        assert_eq!(parking.waiting.load(Ordering::Relaxed), 0);
        let mut large = Box::pin(parking.over(MOST_OCTETS));
        assert_eq!((&mut large).now_or_never(), None);
        assert_eq!(
            parking.over(1).now_or_never(),
            Some(false),
            "nor more octets than there may be"
        );
        drop(large);
        assert_eq!(parking.octets.load(Ordering::Relaxed), 0);
    }
}
