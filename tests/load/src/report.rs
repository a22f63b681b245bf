//! The result of a run: one JSON object, and the same for people.

use crate::clock;
use crate::error::{LoadError, Result};
use crate::histogram::Percentiles;
use crate::options::Target;
use crate::procfs::{self, CpuTime, Memory};
use serde::{Deserialize, Serialize};

/// One result. Units are in the names; what a run does not measure is `null`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Report {
    /// Line of the table.
    pub row: String,
    /// Column of the table: the server.
    pub label: String,
    pub transport: String,
    pub mechanism: String,
    pub users: usize,
    /// What is counted: `message`, `login`, `session`, …
    pub operation: String,
    /// Within the measured time.
    pub operations: u64,
    pub seconds: f64,
    pub per_second: f64,
    /// CPU time of the server's processes.
    pub server_cpu: Option<Cpu>,
    /// CPU time of the load generator, to see whether it was the bottleneck.
    pub own_cpu: Cpu,
    pub memory: Option<MemoryGrowth>,
    /// Over the whole run with warm-up, as nothing may be lost at any time.
    pub delivery: Option<Delivery>,
    pub latency_us: Option<Percentiles>,
    /// Operations that failed, such as refused logins.
    pub failures: u64,
    pub first_failure: Option<String>,
}

/// CPU time within the measured time.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Cpu {
    pub user_us: u64,
    pub system_us: u64,
    pub us_per_operation: f64,
}

/// The server's memory before and after the sessions came.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct MemoryGrowth {
    pub before: Memory,
    pub after: Memory,
    pub pss_bytes_per_session: f64,
    pub rss_bytes_per_session: f64,
}

/// What became of the messages.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub struct Delivery {
    /// Deliveries that were due: messages, or copies of a broadcast.
    pub sent: u64,
    /// Of these, how many arrived, each counted once.
    pub delivered: u64,
    pub lost: u64,
    pub duplicates: u64,
    /// Arrived after a later one of the same sender.
    pub out_of_order: u64,
    /// Came back as stanza errors.
    pub errors: u64,
    /// Acknowledged to their senders by stream management (XEP-0198).
    pub acknowledged: u64,
}

/// A point in time with the CPU times up to it.
#[derive(Debug, Clone, Copy)]
pub struct Reading {
    at: u64,
    server: Option<CpuTime>,
    own: CpuTime,
}

impl Reading {
    /// Reads the clocks now.
    pub fn take(target: &Target) -> Result<Self> {
        let nodes = target.pid.into_iter().chain(target.other_pid).map(procfs::cpu_time);
        let server = nodes.reduce(|one, other| Ok(one? + other?)).transpose()?;
        Ok(Self { at: clock::micros(), server, own: procfs::own_cpu_time() })
    }
}

impl Report {
    /// A report over the time from `start` until now.
    pub fn new(target: &Target, start: Reading, operation: &str, operations: u64) -> Result<Self> {
        let end = Reading::take(target)?;
        let seconds = (end.at - start.at) as f64 / 1e6;
        let server = start.server.zip(end.server).map(|(before, after)| after - before);
        Ok(Self {
            row: target.row.clone().unwrap_or_else(|| operation.to_owned()),
            label: target.label.clone(),
            transport: target.tls.name().into(),
            mechanism: target.mechanism.name().into(),
            users: target.users,
            operation: operation.into(),
            operations,
            seconds,
            per_second: operations as f64 / seconds,
            server_cpu: server.map(|cpu| Cpu::per(cpu, operations)),
            own_cpu: Cpu::per(end.own - start.own, operations),
            memory: None,
            delivery: None,
            latency_us: None,
            failures: 0,
            first_failure: None,
        })
    }

    /// Counts failed operations; the first one is kept in words.
    pub fn failed(&mut self, errors: &[LoadError]) {
        self.failures += errors.len() as u64;
        if self.first_failure.is_none() {
            self.first_failure = errors.first().map(ToString::to_string);
        }
    }

    /// Prints JSON on standard output and the summary on standard error, then judges if strict.
    ///
    /// # Errors
    /// [`LoadError::Strict`] when `strict` and something was lost, doubled, out of order or failed.
    pub fn publish(&self, strict: bool) -> Result<()> {
        let json = serde_json::to_string_pretty(self).expect("a report has only plain fields");
        println!("{json}");
        eprint!("{}", self.summary());
        match self.blemish() {
            Some(blemish) if strict => Err(LoadError::Strict(blemish)),
            _ => Ok(()),
        }
    }

    fn summary(&self) -> String {
        let Self { row, label, operation, operations, seconds, per_second, .. } = self;
        let mut text = format!(
            "{label}, {row}: {operations} × {operation} in {seconds:.1} s = {per_second:.0}/s\n"
        );
        let mut line = |line: String| text.push_str(&format!("  {line}\n"));
        if let Some(cpu) = &self.server_cpu {
            line(format!("server CPU      {:.2} µs per {operation}", cpu.us_per_operation));
        }
        line(format!("own CPU         {:.2} µs per {operation}", self.own_cpu.us_per_operation));
        if let Some(memory) = &self.memory {
            let (pss, rss) = (memory.pss_bytes_per_session, memory.rss_bytes_per_session);
            line(format!("server memory   {pss:.0} bytes PSS, {rss:.0} bytes RSS per session"));
        }
        if let Some(Percentiles { p50, p90, p99, max }) = self.latency_us {
            line(format!("latency         p50 {p50}, p90 {p90}, p99 {p99}, max {max} µs"));
        }
        if let Some(d) = &self.delivery {
            line(format!(
                "deliveries      {} of {}, lost {}, doubled {}, out of order {}, errors {}",
                d.delivered, d.sent, d.lost, d.duplicates, d.out_of_order, d.errors
            ));
        }
        if let Some(failure) = &self.first_failure {
            line(format!("failed          {} times, first: {failure}", self.failures));
        }
        text
    }

    fn blemish(&self) -> Option<String> {
        let delivery = self.delivery.unwrap_or_default();
        let counts = [
            (delivery.lost, "lost"),
            (delivery.duplicates, "doubled"),
            (delivery.out_of_order, "out of order"),
            (delivery.errors, "returned as errors"),
            (self.failures, "failed"),
        ];
        let bad = counts.iter().filter(|(count, _)| *count > 0);
        let words: Vec<String> = bad.map(|(count, what)| format!("{count} {what}")).collect();
        (!words.is_empty()).then(|| words.join(", "))
    }
}

impl Cpu {
    fn per(cpu: CpuTime, operations: u64) -> Self {
        Self {
            user_us: cpu.user,
            system_us: cpu.system,
            us_per_operation: cpu.total() as f64 / operations.max(1) as f64,
        }
    }
}

impl MemoryGrowth {
    /// Growth from `before` to `after` while `sessions` came.
    pub fn new(before: Memory, after: Memory, sessions: u64) -> Self {
        let per = |after: u64, before: u64| (after as f64 - before as f64) / sessions.max(1) as f64;
        Self {
            before,
            after,
            pss_bytes_per_session: per(after.pss, before.pss),
            rss_bytes_per_session: per(after.rss, before.rss),
        }
    }
}
