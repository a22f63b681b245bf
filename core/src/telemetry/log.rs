//! The log: one line per event on stderr, for people or as JSON, with a level per target.
//!
//! Secrets never get here: types that hold one do not implement `Display`, and their `Debug` shows
//! dots. Line breaks and control characters that a peer put into a value are escaped, so that nobody
//! can write a line of his own.

use std::io::{self, Write};
use std::sync::{Arc, OnceLock};

use tracing::Subscriber;
use tracing_subscriber::filter::EnvFilter;
use tracing_subscriber::fmt::{self, MakeWriter};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::reload;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry};

use super::Tail;
use crate::clock::Clock;
use crate::properties::{Declared, Live, Property, Scope};

/// How a line looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    #[default]
    Human,
    Json,
}

/// What is written when nothing else is asked for.
pub const DEFAULT_LEVELS: &str = "info";

#[derive(Debug, thiserror::Error)]
pub enum LogError {
    #[error(
        "the log levels '{levels}' cannot be read ({reason}): write them like 'info,hearth::c2s=debug'"
    )]
    Levels { levels: String, reason: String },
    #[error("a log is running in this process already")]
    Running,
}

pub static LEVELS: Property<String> = Property::new(
    "log.filter",
    String::new,
    "Levels of the log, as a list such as \"info,hearth::c2s=debug\" (error, warn, info, debug, trace \
     or off). Empty: what hearth.toml says.",
)
.within("levels such as info,hearth::c2s=debug, or nothing", |levels| {
    levels.is_empty() || filter(levels).is_ok()
})
.scope(Scope::Node);

/// The properties of the log.
pub const PROPERTIES: [&dyn Declared; 1] = [&LEVELS];

/// The running log.
#[derive(Clone)]
pub struct LogHandle {
    filter: reload::Handle<EnvFilter, Registry>,
    /// As the log was started.
    started: Arc<str>,
    tail: Tail,
}

impl LogHandle {
    /// `levels` as for [`init`], empty for those of the start; on an error the old levels stay.
    pub fn set_levels(&self, levels: &str) -> Result<(), LogError> {
        let levels = if levels.is_empty() { &*self.started } else { levels };
        self.filter.reload(filter(levels)?).map_err(|_| LogError::Running)
    }

    /// The levels that the log was started with.
    pub fn started(&self) -> &str {
        &self.started
    }

    /// The last lines.
    pub fn tail(&self) -> &Tail {
        &self.tail
    }

    /// Follows the property until it is dropped.
    pub async fn follow(self, levels: Live<String>) {
        let mut changes = levels.changes();
        loop {
            if let Err(error) = self.set_levels(&levels.get()) {
                tracing::warn!(%error, "the levels of the log stay as they are");
            }
            if changes.changed().await.is_err() {
                return;
            }
        }
    }
}

static RUNNING: OnceLock<LogHandle> = OnceLock::new();

/// The log of this process, once it is started.
pub fn running() -> Option<&'static LogHandle> {
    RUNNING.get()
}

/// Starts the log of this process. `levels` is a list such as `info,hearth::c2s=debug`.
pub fn init(format: Format, levels: &str) -> Result<(), LogError> {
    let (log, handle) = build(format, levels, io::stderr)?;
    log.try_init().map_err(|_| LogError::Running)?;
    RUNNING.set(handle).map_err(|_| LogError::Running)
}

/// A log that writes to `out`, and the handle on it.
pub fn build<W: Write + 'static>(
    format: Format,
    levels: &str,
    out: impl Fn() -> W + Send + Sync + 'static,
) -> Result<(impl Subscriber + Send + Sync + 'static, LogHandle), LogError> {
    let (filter, reload) = reload::Layer::new(filter(levels)?);
    let tail = Tail::new(Clock::system(0));
    // The filter stands below the lines, so a span that is filtered out costs one relaxed load.
    let log = tracing_subscriber::registry()
        .with(filter)
        .with(layer(format, OneLine(out)))
        .with(tail.clone());
    Ok((log, LogHandle { filter: reload, started: levels.into(), tail }))
}

fn filter(levels: &str) -> Result<EnvFilter, LogError> {
    EnvFilter::try_new(levels)
        .map_err(|e| LogError::Levels { levels: levels.to_owned(), reason: e.to_string() })
}

fn layer<S, W>(format: Format, out: W) -> Box<dyn Layer<S> + Send + Sync>
where
    S: tracing::Subscriber + for<'a> tracing_subscriber::registry::LookupSpan<'a>,
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    match format {
        // No colours: an escape sequence in a value could not be told from ours.
        Format::Human => fmt::layer().with_ansi(false).with_writer(out).boxed(),
        Format::Json => {
            fmt::layer().json().flatten_event(true).with_ansi(false).with_writer(out).boxed()
        }
    }
}

/// A writer that keeps each event on one line.
struct OneLine<M>(M);

impl<'a, M, W> MakeWriter<'a> for OneLine<M>
where
    M: Fn() -> W,
    W: Write,
{
    type Writer = OneLineWriter<W>;

    fn make_writer(&'a self) -> OneLineWriter<W> {
        OneLineWriter((self.0)())
    }
}

struct OneLineWriter<W>(W);

impl<W: Write> Write for OneLineWriter<W> {
    /// The formatter hands over one whole event, ended by a line break.
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(event);
        let body = text.strip_suffix('\n').unwrap_or(&text);
        if body.contains(breaks_out) {
            let escape =
                |c: char| if breaks_out(c) { c.escape_default().collect() } else { c.to_string() };
            let clean: String = body.chars().map(escape).collect();
            writeln!(self.0, "{clean}")?;
        } else {
            self.0.write_all(event)?;
        }
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// A line break, or something that a terminal obeys.
pub(super) fn breaks_out(c: char) -> bool {
    c.is_control() && c != '\t'
}

#[cfg(test)]
mod tests {
    use super::*;
    use parking_lot::Mutex;

    #[derive(Clone, Default)]
    struct Captured(Arc<Mutex<Vec<u8>>>);

    impl Write for Captured {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(format: Format, levels: &str, event: impl FnOnce()) -> String {
        let captured = Captured::default();
        let out = captured.clone();
        let lines = layer(format, OneLine(move || out.clone()));
        let subscriber =
            tracing_subscriber::registry().with(filter(levels).expect("levels")).with(lines);
        tracing::subscriber::with_default(subscriber, event);
        String::from_utf8(captured.0.lock().clone()).expect("UTF-8")
    }

    #[test]
    fn a_peer_cannot_start_a_line_of_his_own() {
        for format in [Format::Human, Format::Json] {
            let text = logged(format, "info", || {
                tracing::info!(name = %"eve\n2026-01-01 ERROR all is lost\r\u{7}\u{1b}[2J", "login");
            });
            assert_eq!(text.matches('\n').count(), 1, "{text:?}");
            assert!(text.ends_with('\n'));
            assert!(!text.contains(['\r', '\u{7}', '\u{1b}']), "{text:?}");
        }
    }

    #[test]
    fn json_lines_are_json() {
        let text = logged(Format::Json, "info", || tracing::warn!(port = 5222, "port in use"));
        let line: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(line["level"], "WARN");
        assert_eq!(line["message"], "port in use");
        assert_eq!(line["port"], 5222);
    }

    #[test]
    fn levels_are_per_target() {
        let text = logged(Format::Human, "warn,hearth::c2s=debug", || {
            tracing::debug!(target: "hearth::c2s", "shown");
            tracing::info!(target: "hearth::s2s", "hidden");
        });
        assert!(text.contains("shown") && !text.contains("hidden"), "{text}");
    }

    #[test]
    fn levels_change_while_it_runs() {
        let captured = Captured::default();
        let out = captured.clone();
        let (log, handle) = build(Format::Human, "warn", move || out.clone()).expect("a log");
        tracing::subscriber::with_default(log, || {
            tracing::info!("too low");
            handle.set_levels("info").expect("levels");
            tracing::info!("high enough");
            handle.set_levels("hearth=loud").expect_err("not levels");
            handle.set_levels("").expect("those of the start");
            tracing::info!("too low again");
        });
        let text = String::from_utf8(captured.0.lock().clone()).expect("UTF-8");
        assert_eq!(text.lines().count(), 1, "{text}");
        let kept: Vec<_> = handle.tail().after(0).iter().map(|line| line.text.clone()).collect();
        assert_eq!(kept, ["high enough"]);
    }

    #[test]
    fn bad_levels_name_the_remedy() {
        let Err(error) = filter("hearth=loud") else { panic!("accepted") };
        assert!(error.to_string().contains("info,hearth::c2s=debug"), "{error}");
    }
}
