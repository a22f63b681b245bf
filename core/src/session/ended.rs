//! How a session came to its end, for those who are told of it.

use std::sync::atomic::{AtomicU8, Ordering};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Ended {
    /// Its connection was lost, and nobody resumed it in time.
    Lost,
    /// The client said good-bye.
    Closed,
    /// Another connection bound its resource.
    Replaced,
    Kicked,
    Shutdown,
    /// The stream broke a rule, or a bug ended it.
    Fault,
}

impl Ended {
    const ALL: [Ended; 6] =
        [Ended::Lost, Ended::Closed, Ended::Replaced, Ended::Kicked, Ended::Shutdown, Ended::Fault];

    pub fn name(self) -> &'static str {
        match self {
            Ended::Lost => "lost",
            Ended::Closed => "closed",
            Ended::Replaced => "replaced",
            Ended::Kicked => "kicked",
            Ended::Shutdown => "shutdown",
            Ended::Fault => "fault",
        }
    }
}

/// In one octet: a session that waits stays small.
#[derive(Debug, Default)]
pub(super) struct Cell(AtomicU8);

impl Cell {
    pub fn set(&self, ended: Ended) {
        self.0.store(ended as u8, Ordering::Relaxed);
    }

    pub fn get(&self) -> Ended {
        let number = self.0.load(Ordering::Relaxed);
        Ended::ALL.into_iter().find(|ended| *ended as u8 == number).unwrap_or(Ended::Lost)
    }
}
