//! What an operator sees of a running server: the log, the metrics, and the one retry helper.

pub mod backoff;
pub mod log;
pub mod metrics;
pub mod process;
pub mod tail;

pub use backoff::Backoff;
pub use log::LogHandle;
pub use metrics::{Counter, Gauge, Metrics};
pub use tail::Tail;
