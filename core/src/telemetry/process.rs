//! What the operating system says about this process and its machine. Blocking, but quick.

use std::fs;
use std::time::Duration;

use serde::Serialize;

/// Figures of one moment. What the system does not tell is `None`.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Usage {
    /// Octets of memory in use, shared libraries included.
    pub resident: Option<u64>,
    /// The same with shared memory divided among those who share it.
    pub proportional: Option<u64>,
    /// Processor time since the start, in seconds.
    pub cpu_seconds: Option<f64>,
    pub threads: Option<u64>,
    pub open_files: Option<u64>,
    /// More are refused: connections, too.
    pub open_files_limit: Option<u64>,
}

/// The machine that it runs on.
#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    /// For example `Debian GNU/Linux 13 (trixie)`.
    pub system: Option<String>,
    pub kernel: Option<String>,
    pub architecture: &'static str,
    pub processors: usize,
    /// Octets.
    pub memory: Option<u64>,
}

/// Looks at `/proc/self`.
pub fn usage() -> Usage {
    let status = read("/proc/self/status");
    let rollup = read("/proc/self/smaps_rollup");
    let limits = read("/proc/self/limits");
    let files = fs::read_dir("/proc/self/fd").ok();
    Usage {
        resident: kilobytes(&status, "VmRSS:"),
        proportional: kilobytes(&rollup, "Pss:"),
        cpu_seconds: cpu(&read("/proc/self/stat")).map(|time| time.as_secs_f64()),
        threads: value(&status, "Threads:").and_then(|text| text.parse().ok()),
        // The folder itself is open while it is read.
        open_files: files.map(|files| files.count() as u64 - 1),
        open_files_limit: value(&limits, "Max open files")
            .and_then(|text| first(text).parse().ok()),
    }
}

/// Looks at the machine.
pub fn machine() -> Machine {
    let release = read("/etc/os-release");
    let name = value(&release, "PRETTY_NAME=").map(|name| name.trim_matches('"').to_owned());
    let kernel = read("/proc/sys/kernel/osrelease").trim().to_owned();
    Machine {
        system: name,
        kernel: Some(kernel).filter(|kernel| !kernel.is_empty()),
        architecture: env!("HEARTH_ARCHITECTURE"),
        processors: std::thread::available_parallelism().map_or(1, Into::into),
        memory: kilobytes(&read("/proc/meminfo"), "MemTotal:"),
    }
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// What stands behind `name` on its line.
fn value<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    text.lines().find_map(|line| line.strip_prefix(name)).map(str::trim)
}

fn first(text: &str) -> &str {
    text.split_whitespace().next().unwrap_or_default()
}

fn kilobytes(text: &str, name: &str) -> Option<u64> {
    first(value(text, name)?).parse::<u64>().ok()?.checked_mul(1024)
}

/// User and system time of `/proc/self/stat` (proc(5): fields 14 and 15).
fn cpu(stat: &str) -> Option<Duration> {
    // The name of the process may hold blanks; it ends with the last parenthesis.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<u64>().ok();
    let (user, system) = (ticks()?, ticks()?);
    let per_second = rustix::param::clock_ticks_per_second();
    Some(Duration::from_millis((user + system) * 1000 / per_second))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_system_writes() {
        let status = "Name:\thearth\nVmRSS:\t   2048 kB\nThreads:\t7\n";
        assert_eq!(kilobytes(status, "VmRSS:"), Some(2 * 1024 * 1024));
        assert_eq!(value(status, "Threads:"), Some("7"));
        assert_eq!(kilobytes(status, "VmSwap:"), None);
        let ticks = rustix::param::clock_ticks_per_second();
        let stat = format!("1 (a (b) c) S 0 1 1 0 -1 0 0 0 0 0 {ticks} {ticks} 0 0");
        assert_eq!(cpu(&stat), Some(Duration::from_secs(2)));
    }

    #[test]
    fn this_process_is_there() {
        let usage = usage();
        assert!(usage.resident.is_some_and(|octets| octets > 0), "{usage:?}");
        assert!(usage.threads.is_some_and(|threads| threads > 0), "{usage:?}");
        assert!(usage.open_files < usage.open_files_limit, "{usage:?}");
    }
}
