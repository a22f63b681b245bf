//! Wall clock, boot-time clock, hybrid logical clock and randomness. Everywhere else they are
//! parameters: a [`Clock`] is a cheap handle, and a test hands in a settable one.

mod datetime;
mod processor;
mod random;
mod stanza_id;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub use datetime::{DateTimeError, Timestamp};
pub use random::Random;
pub use stanza_id::{StanzaId, StanzaIdError};

/// Handle on this node's clocks. Clones share the state.
#[derive(Clone, Debug)]
pub struct Clock(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    source: Source,
    /// Milliseconds to add to the wall clock to get the database's time.
    offset: AtomicI64,
    /// Last reading of the hybrid logical clock: 48 bits of milliseconds, 16 bits of logical time.
    logical: AtomicU64,
    node: u32,
    counter: AtomicU32,
    random: Random,
}

#[derive(Debug)]
enum Source {
    System,
    /// Milliseconds of the wall clock, of the boot-time clock, and without a processor.
    Set {
        wall: AtomicI64,
        boot: AtomicI64,
        waited: AtomicI64,
    },
}

impl Clock {
    /// The machine's clocks; `node` goes into every [`StanzaId`].
    pub fn system(node: u32) -> Clock {
        Clock::from_source(Source::System, node)
    }

    /// A clock for tests: it stands at `wall` until somebody moves it.
    pub fn fake(wall: Timestamp) -> Clock {
        Clock::fake_of(1, wall)
    }

    /// The same, of another node.
    pub fn fake_of(node: u32, wall: Timestamp) -> Clock {
        let (wall, boot) = (AtomicI64::new(wall.0), AtomicI64::new(1_000_000));
        let source = Source::Set { wall, boot, waited: AtomicI64::new(0) };
        Clock::from_source(source, node)
    }

    fn from_source(source: Source, node: u32) -> Clock {
        let random = Random::system();
        // A restart may find the wall clock set back; a random start keeps its ids apart from
        // those given in the same millisecond before.
        let counter = AtomicU32::new(u32::from_be_bytes(random.bytes()));
        let (offset, logical) = (AtomicI64::new(0), AtomicU64::new(0));
        Clock(Arc::new(Inner { source, offset, logical, node, counter, random }))
    }

    /// Wall time, corrected to the database's clock.
    pub fn now(&self) -> Timestamp {
        Timestamp(self.uncorrected() + self.0.offset.load(Ordering::Relaxed))
    }

    fn uncorrected(&self) -> i64 {
        match &self.0.source {
            Source::System => match SystemTime::now().duration_since(UNIX_EPOCH) {
                Ok(since) => since.as_millis() as i64,
                Err(before) => -(before.duration().as_millis() as i64),
            },
            Source::Set { wall, .. } => wall.load(Ordering::Relaxed),
        }
    }

    /// Time since boot. It never steps and goes on while the machine sleeps: what a lease needs.
    pub fn boot(&self) -> Duration {
        match &self.0.source {
            Source::System => {
                let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
                Duration::new(time.tv_sec.max(0) as u64, time.tv_nsec as u32)
            }
            Source::Set { boot, .. } => {
                Duration::from_millis(boot.load(Ordering::Relaxed).max(0) as u64)
            }
        }
    }

    /// How long this thread, since it began, was ready to run while others had the processor.
    pub fn waited(&self) -> Duration {
        match &self.0.source {
            Source::System => processor::waited(),
            Source::Set { waited, .. } => {
                Duration::from_millis(waited.load(Ordering::Relaxed).max(0) as u64)
            }
        }
    }

    /// Corrects wall time to `authority`, a reading of the database's clock taken just now.
    pub fn correct(&self, authority: Timestamp) {
        self.0.offset.store(authority.0 - self.uncorrected(), Ordering::Relaxed);
    }

    /// A new id, greater than every id given before by this clock, even when wall time steps back.
    pub fn stanza_id(&self) -> StanzaId {
        let wall = (self.now().0.max(0) as u64) << 16;
        let mut last = self.0.logical.load(Ordering::Relaxed);
        let reading = loop {
            // Overflow of the logical part carries into the milliseconds and stays monotonic.
            let next = wall.max(last + 1);
            match self.0.logical.compare_exchange_weak(
                last,
                next,
                Ordering::AcqRel,
                Ordering::Relaxed,
            ) {
                Ok(_) => break next,
                Err(seen) => last = seen,
            }
        };
        StanzaId::new(reading, self.0.node, self.0.counter.fetch_add(1, Ordering::Relaxed))
    }

    /// Takes note of an id given by another node: ids given from now on are greater.
    pub fn observe(&self, id: StanzaId) {
        self.0.logical.fetch_max(id.logical_time(), Ordering::AcqRel);
    }

    /// The number of this node in ids.
    pub fn node(&self) -> u32 {
        self.0.node
    }

    /// The system's randomness.
    pub fn random(&self) -> &Random {
        &self.0.random
    }

    /// Moves a fake clock forward, wall and boot time alike. The machine's clock does not move.
    pub fn advance(&self, by: Duration) {
        if let Source::Set { wall, boot, .. } = &self.0.source {
            wall.fetch_add(by.as_millis() as i64, Ordering::Relaxed);
            boot.fetch_add(by.as_millis() as i64, Ordering::Relaxed);
        }
    }

    /// The same, while others have the processor.
    pub fn keep_waiting(&self, by: Duration) {
        self.advance(by);
        if let Source::Set { waited, .. } = &self.0.source {
            waited.fetch_add(by.as_millis() as i64, Ordering::Relaxed);
        }
    }

    /// Sets a fake clock's wall time, as an administrator or NTP would. Boot time goes on.
    pub fn set_wall(&self, to: Timestamp) {
        if let Source::Set { wall, .. } = &self.0.source {
            wall.store(to.0, Ordering::Relaxed);
        }
    }
}
