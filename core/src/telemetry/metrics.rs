//! Metrics in the Prometheus text format.
//!
//! A feature owns its counters as plain relaxed atomics and keeps the `Arc` where it counts, so that
//! counting costs one addition and no look-up. The registry reads them when somebody asks.
//! Names follow the Prometheus rules: `hearth_<part>_<what>_<unit>`, counters end in `_total`.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use metrics::{Key, Label, Level, Metadata, Recorder};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use parking_lot::Mutex;

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    pub const fn new() -> Counter {
        Counter(AtomicU64::new(0))
    }

    pub fn inc(&self) {
        self.add(1);
    }

    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A number that goes up and down.
#[derive(Debug, Default)]
pub struct Gauge(AtomicI64);

impl Gauge {
    pub const fn new() -> Gauge {
        Gauge(AtomicI64::new(0))
    }

    pub fn add(&self, n: i64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    pub fn set(&self, n: i64) {
        self.0.store(n, Ordering::Relaxed);
    }

    pub fn get(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Name, help text and labels of one series.
#[derive(Clone, Copy, Debug)]
pub struct Series<'a> {
    pub name: &'static str,
    pub help: &'static str,
    pub labels: &'a [(&'static str, &'a str)],
}

/// A series without labels.
pub const fn series(name: &'static str, help: &'static str) -> Series<'static> {
    Series { name, help, labels: &[] }
}

type Reader = Box<dyn Fn() + Send + Sync>;

/// Every series of this process. One per server, handed to the parts that count.
pub struct Metrics {
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
    /// Each copies one value of a feature into the exporter when somebody asks.
    readers: Mutex<Vec<Reader>>,
}

impl Default for Metrics {
    fn default() -> Metrics {
        Metrics::new()
    }
}

impl Metrics {
    pub fn new() -> Metrics {
        let recorder = PrometheusBuilder::new().build_recorder();
        let handle = recorder.handle();
        Metrics { recorder, handle, readers: Mutex::new(Vec::new()) }
    }

    /// A new counter under this name; keep the `Arc` beside the code that counts.
    pub fn counter(&self, series: Series<'_>) -> Arc<Counter> {
        let counter = Arc::new(Counter::new());
        let own = counter.clone();
        self.counter_from(series, move || own.get());
        counter
    }

    /// A counter whose value a feature keeps itself.
    pub fn counter_from(&self, series: Series<'_>, read: impl Fn() -> u64 + Send + Sync + 'static) {
        self.recorder.describe_counter(series.name.into(), None, series.help.into());
        let shown = self.recorder.register_counter(&key(series), &METADATA);
        self.readers.lock().push(Box::new(move || shown.absolute(read())));
    }

    /// A new gauge under this name.
    pub fn gauge(&self, series: Series<'_>) -> Arc<Gauge> {
        let gauge = Arc::new(Gauge::new());
        let own = gauge.clone();
        self.gauge_from(series, move || own.get() as f64);
        gauge
    }

    /// A gauge whose value is asked for when somebody reads the metrics: `read` must be quick.
    pub fn gauge_from(&self, series: Series<'_>, read: impl Fn() -> f64 + Send + Sync + 'static) {
        self.recorder.describe_gauge(series.name.into(), None, series.help.into());
        let shown = self.recorder.register_gauge(&key(series), &METADATA);
        self.readers.lock().push(Box::new(move || shown.set(read())));
    }

    /// A distribution (shown as quantiles), for things that happen at most some hundred times a
    /// second: each record takes a lock-free append.
    pub fn histogram(&self, series: Series<'_>) -> metrics::Histogram {
        self.recorder.describe_histogram(series.name.into(), None, series.help.into());
        self.recorder.register_histogram(&key(series), &METADATA)
    }

    /// Adds to a counter whose name is made at run time.
    pub fn add_made(&self, name: String, labels: Vec<(String, String)>, n: u64) {
        self.recorder.register_counter(&made(name, labels), &METADATA).increment(n);
    }

    /// Sets a gauge whose name is made at run time.
    pub fn set_made(&self, name: String, labels: Vec<(String, String)>, value: f64) {
        self.recorder.register_gauge(&made(name, labels), &METADATA).set(value);
    }

    /// Records into a distribution whose name is made at run time.
    pub fn observe_made(&self, name: String, labels: Vec<(String, String)>, value: f64) {
        self.recorder.register_histogram(&made(name, labels), &METADATA).record(value);
    }

    /// All series in the Prometheus text format, version 0.0.4.
    pub fn render(&self) -> String {
        for read in self.readers.lock().iter() {
            read();
        }
        self.handle.run_upkeep();
        self.handle.render()
    }
}

static METADATA: Metadata<'static> = Metadata::new("hearth", Level::INFO, None);

fn made(name: String, labels: Vec<(String, String)>) -> Key {
    let labels: Vec<Label> =
        labels.into_iter().map(|(name, value)| Label::new(name, value)).collect();
    Key::from_parts(name, labels)
}

fn key(series: Series<'_>) -> Key {
    let labels = series.labels.iter().map(|(name, value)| Label::new(*name, value.to_string()));
    Key::from_parts(series.name, labels.collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_counters_with_their_help() {
        let metrics = Metrics::new();
        let delivered = metrics.counter(series("hearth_test_total", "Things counted."));
        delivered.inc();
        delivered.add(41);
        let text = metrics.render();
        assert!(text.contains("# HELP hearth_test_total Things counted."), "{text}");
        assert!(text.contains("# TYPE hearth_test_total counter"), "{text}");
        assert!(text.contains("\nhearth_test_total 42\n"), "{text}");
    }

    #[test]
    fn asks_gauges_when_rendered() {
        let metrics = Metrics::new();
        let sessions = metrics.gauge(series("hearth_sessions", "Sessions."));
        sessions.add(3);
        metrics.gauge_from(series("hearth_half", "A half."), || 0.5);
        assert!(metrics.render().contains("hearth_sessions 3\n"));
        sessions.set(7);
        let text = metrics.render();
        assert!(text.contains("hearth_sessions 7\n"), "{text}");
        assert!(text.contains("hearth_half 0.5\n"), "{text}");
    }

    #[test]
    fn labels_make_series_of_one_name() {
        let metrics = Metrics::new();
        for reason in ["policy", "timeout"] {
            let labels = [("reason", reason)];
            metrics.counter(Series {
                name: "hearth_closed_total",
                help: "Closed.",
                labels: &labels,
            });
        }
        let text = metrics.render();
        assert!(text.contains("hearth_closed_total{reason=\"policy\"} 0"), "{text}");
        assert!(text.contains("hearth_closed_total{reason=\"timeout\"} 0"), "{text}");
    }
}
