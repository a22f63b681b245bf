//! What an operator sees of a running server: the log, the metrics, and the one retry helper.

pub mod backoff;
pub mod log;
pub mod metrics;

pub use backoff::Backoff;
pub use metrics::{Counter, Gauge, Metrics};
