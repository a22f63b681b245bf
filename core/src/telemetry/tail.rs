//! The last lines of the log, kept in memory for whoever looks at it in the console.
//!
//! A line that is kept costs one short lock and one string; nobody is woken while nobody waits.

use std::collections::VecDeque;
use std::fmt::{self, Write};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::watch;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use super::log::breaks_out;
use crate::clock::{Clock, Timestamp};

/// Lines that are kept, and octets of them.
const LINES: usize = 2000;
const OCTETS: usize = 1 << 20;
/// Octets of one line: what is longer is cut.
const LINE: usize = 8 * 1024;

/// One event of the log.
#[derive(Clone, Debug)]
pub struct Line {
    /// Counted from 1 since the start.
    pub number: u64,
    pub at: Timestamp,
    pub level: Level,
    /// The module that tells it.
    pub target: &'static str,
    /// The message and its fields, on one line and without control characters.
    pub text: String,
}

/// The last lines. Clones share them.
#[derive(Clone)]
pub struct Tail(Arc<Inner>);

struct Inner {
    clock: Clock,
    kept: Mutex<Kept>,
    last: watch::Sender<u64>,
}

#[derive(Default)]
struct Kept {
    lines: VecDeque<Arc<Line>>,
    octets: usize,
    last: u64,
}

impl Tail {
    pub fn new(clock: Clock) -> Tail {
        let (last, _) = watch::channel(0);
        Tail(Arc::new(Inner { clock, kept: Mutex::default(), last }))
    }

    /// The lines after the one numbered `after`, as far as they are kept, the oldest first.
    pub fn after(&self, after: u64) -> Vec<Arc<Line>> {
        let kept = self.0.kept.lock();
        kept.lines.iter().skip_while(|line| line.number <= after).cloned().collect()
    }

    /// Follows the number of the last line.
    pub fn last(&self) -> watch::Receiver<u64> {
        self.0.last.subscribe()
    }

    fn keep(&self, level: Level, target: &'static str, text: String) {
        let at = self.0.clock.now();
        let mut kept = self.0.kept.lock();
        kept.last += 1;
        kept.octets += text.len();
        let number = kept.last;
        kept.lines.push_back(Arc::new(Line { number, at, level, target, text }));
        while kept.lines.len() > LINES || kept.octets > OCTETS {
            let Some(oldest) = kept.lines.pop_front() else { break };
            kept.octets -= oldest.text.len();
        }
        drop(kept);
        self.0.last.send_if_modified(|last| {
            let newer = number > *last;
            *last = number.max(*last);
            newer
        });
    }
}

impl<S: Subscriber> Layer<S> for Tail {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut text = Text::default();
        event.record(&mut text);
        let metadata = event.metadata();
        self.keep(*metadata.level(), metadata.target(), text.finish());
    }
}

/// The message, then ` name=value` for each field.
#[derive(Default)]
struct Text {
    message: String,
    fields: String,
}

impl Text {
    fn finish(self) -> String {
        let whole = self.message + &self.fields;
        let mut text = String::with_capacity(whole.len().min(LINE));
        for character in whole.chars() {
            if text.len() >= LINE {
                text.push('…');
                break;
            }
            match breaks_out(character) {
                true => text.extend(character.escape_default()),
                false => text.push(character),
            }
        }
        text
    }
}

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // A string takes everything.
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.fields, " {name}={value:?}"),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing_subscriber::layer::SubscriberExt;

    fn logged(events: impl FnOnce()) -> Tail {
        let tail = Tail::new(Clock::fake(Timestamp(7)));
        let subscriber = tracing_subscriber::registry().with(tail.clone());
        tracing::subscriber::with_default(subscriber, events);
        tail
    }

    #[test]
    fn a_line_has_its_message_and_fields() {
        let tail = logged(|| tracing::warn!(target: "hearth::net", port = 5222, "port in use"));
        let lines = tail.after(0);
        let Line { number, at, level, target, text } = &*lines[0];
        assert_eq!((*number, *at, *level, *target), (1, Timestamp(7), Level::WARN, "hearth::net"));
        assert_eq!(text, "port in use port=5222");
        assert!(tail.after(1).is_empty());
    }

    #[test]
    fn a_peer_cannot_start_a_line_of_his_own() {
        let tail = logged(|| tracing::info!(name = %"eve\nERROR all is lost\u{1b}[2J", "login"));
        let text = &tail.after(0)[0].text;
        assert!(!text.contains(['\n', '\u{1b}']), "{text}");
    }

    #[test]
    fn memory_is_bounded() {
        let tail = logged(|| {
            for number in 0..LINES + 100 {
                tracing::info!(number, "{}", "x".repeat(if number % 2 == 0 { 10 } else { 20_000 }));
            }
        });
        let lines = tail.after(0);
        let octets: usize = lines.iter().map(|line| line.text.len()).sum();
        assert!(lines.len() <= LINES && octets <= OCTETS, "{} lines, {octets}", lines.len());
        assert_eq!(lines.last().map(|line| line.number), Some(LINES as u64 + 100));
    }

    #[tokio::test]
    async fn whoever_waits_is_told() {
        let tail = Tail::new(Clock::fake(Timestamp(7)));
        let mut last = tail.last();
        let subscriber = tracing_subscriber::registry().with(tail.clone());
        tracing::subscriber::with_default(subscriber, || tracing::info!("hello"));
        last.changed().await.expect("the tail is there");
        assert_eq!(*last.borrow(), 1);
    }
}
