//! What makes a session resumable (XEP-0198 §5): the stanzas that its client has not acknowledged,
//! and the id by which another connection claims it.

use std::time::Duration;

use compact_str::CompactString;

use super::Envelope;
use crate::stream::sm::AckQueue;

/// The XEP-0198 part of a session.
#[derive(Debug)]
pub struct Resumable {
    /// The id of `<enabled/>`; `None` when the client did not ask for resumption.
    pub token: Option<CompactString>,
    /// How long the session waits for its client.
    pub window: Duration,
    /// Written and not acknowledged, oldest first.
    pub unacknowledged: AckQueue<Envelope>,
    /// An `<r/>` is on its way.
    pub asked: bool,
}
