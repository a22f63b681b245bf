//! Counters that all connections of a run share, and the measured time.

use crate::clock;
use crate::error::Result;
use crate::histogram::Histogram;
use crate::marker::{Arrival, Marker, Sequence};
use crate::options::{Span, Target};
use crate::report::{Delivery, Reading, Report};
use std::cell::{Cell, RefCell};
use std::time::Duration;

/// How often the run looks whether it is over.
const LOOK: Duration = Duration::from_millis(5);

/// Shared counts; one thread, so cells suffice.
#[derive(Default)]
pub struct Tally {
    pub sent: Cell<u64>,
    pub delivered: Cell<u64>,
    pub duplicates: Cell<u64>,
    pub out_of_order: Cell<u64>,
    pub errors: Cell<u64>,
    pub acknowledged: Cell<u64>,
    /// Set when nothing new may be sent.
    pub stopped: Cell<bool>,
    /// Latencies of what arrives within the measured time count.
    measuring: Cell<bool>,
    latency: RefCell<Histogram>,
    failure: RefCell<Option<String>>,
    failures: Cell<u64>,
}

/// Adds to a counter.
pub fn add(counter: &Cell<u64>, amount: u64) {
    counter.set(counter.get() + amount);
}

impl Tally {
    /// Counts an arrival. Returns whether it is the first of its number.
    pub fn arrived(&self, marker: Marker, sequence: &mut Sequence, now: u64) -> bool {
        match sequence.observe(marker.sequence) {
            Arrival::Duplicate => {
                add(&self.duplicates, 1);
                return false;
            }
            Arrival::Late => add(&self.out_of_order, 1),
            Arrival::InOrder => {}
        }
        add(&self.delivered, 1);
        self.took(marker.due, now);
        true
    }

    /// Records a latency if it belongs to the measured time.
    pub fn took(&self, due: u64, now: u64) {
        if self.measuring.get() {
            self.latency.borrow_mut().record(now.saturating_sub(due));
        }
    }

    /// Notes that a connection failed; the others go on.
    pub fn fail(&self, error: &impl ToString) {
        add(&self.failures, 1);
        self.failure.borrow_mut().get_or_insert_with(|| error.to_string());
    }

    /// Warm-up, then the measured time. Ends at the deadline, after the wanted number of
    /// deliveries, or when a connection failed. Sending is stopped when it returns.
    pub async fn measure(&self, target: &Target, span: &Span, operation: &str) -> Result<Report> {
        self.wait(span.warmup, |_| false).await;
        let start = Reading::take(target)?;
        let before = self.delivered.get();
        self.measuring.set(true);
        let enough = |tally: &Self| {
            span.messages.is_some_and(|wanted| tally.delivered.get() - before >= wanted)
        };
        self.wait(span.seconds, enough).await;
        let report = Report::new(target, start, operation, self.delivered.get() - before);
        self.measuring.set(false);
        self.stopped.set(true);
        report
    }

    /// Waits until all that was sent arrived, or nothing has moved for `seconds`; then fills in
    /// what is known only at the end.
    pub async fn drain(&self, seconds: f64, report: &mut Report) {
        let complete = |tally: &Self| tally.delivered.get() >= tally.sent.get();
        let mut before = u64::MAX;
        while before != self.delivered.get() && !complete(self) {
            before = self.delivered.get();
            self.wait(seconds, complete).await;
        }
        report.delivery = Some(Delivery {
            sent: self.sent.get(),
            delivered: self.delivered.get(),
            lost: self.sent.get().saturating_sub(self.delivered.get()),
            duplicates: self.duplicates.get(),
            out_of_order: self.out_of_order.get(),
            errors: self.errors.get(),
            acknowledged: self.acknowledged.get(),
        });
        report.latency_us = self.latency.borrow().percentiles();
        self.note_failures(report);
    }

    /// Adds the connections that failed to the report.
    pub fn note_failures(&self, report: &mut Report) {
        report.failures += self.failures.get();
        report.first_failure = report.first_failure.take().or_else(|| self.failure.take());
    }

    /// Waits for `seconds`, or until `done`, or until a connection failed.
    async fn wait(&self, seconds: f64, done: impl Fn(&Self) -> bool) {
        let end = clock::micros() + (seconds * 1e6) as u64;
        while clock::micros() < end && !done(self) && self.failures.get() == 0 {
            tokio::time::sleep(LOOK).await;
        }
    }
}
