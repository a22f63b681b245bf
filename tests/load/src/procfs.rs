//! CPU time and memory of the server under test, from `/proc` (proc(5)).

use crate::error::{LoadError, Result};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fs;
use std::ops::{Add, Sub};

/// `/proc` counts in USER_HZ, which is 100 on every Linux architecture that servers run on.
const TICK_MICROS: u64 = 10_000;

/// CPU time in microseconds; resolution 10 ms.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize, PartialEq, Eq)]
pub struct CpuTime {
    pub user: u64,
    pub system: u64,
}

/// Memory in bytes. PSS shares common pages fairly among processes, RSS counts them for each.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize, PartialEq, Eq)]
pub struct Memory {
    pub pss: u64,
    pub rss: u64,
}

impl CpuTime {
    pub fn total(self) -> u64 {
        self.user + self.system
    }
}

impl Add for CpuTime {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self { user: self.user + other.user, system: self.system + other.system }
    }
}

impl Sub for CpuTime {
    type Output = Self;
    fn sub(self, earlier: Self) -> Self {
        Self {
            user: self.user.saturating_sub(earlier.user),
            system: self.system.saturating_sub(earlier.system),
        }
    }
}

/// What one `/proc/PID/stat` line says.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    parent: u32,
    cpu: CpuTime,
}

/// CPU time of a process with all its threads and living descendants.
///
/// # Errors
/// [`LoadError::Usage`] when there is no such process.
pub fn cpu_time(pid: u32) -> Result<CpuTime> {
    let stats = all_stats();
    if !stats.contains_key(&pid) {
        return Err(gone(pid));
    }
    let cpu_of = |pid: &u32| stats.get(pid).map(|stat| stat.cpu);
    Ok(family(pid, &stats).iter().filter_map(cpu_of).fold(CpuTime::default(), Add::add))
}

/// CPU time of this process.
pub fn own_cpu_time() -> CpuTime {
    fs::read_to_string("/proc/self/stat")
        .ok()
        .and_then(|line| parse_stat(&line))
        .map_or_else(CpuTime::default, |stat| stat.cpu)
}

/// Memory of a process and its living descendants, from `smaps_rollup`.
///
/// # Errors
/// [`LoadError::Usage`] when the process is gone or belongs to another user.
pub fn memory(pid: u32) -> Result<Memory> {
    let mut sum = Memory::default();
    for member in family(pid, &all_stats()) {
        let path = format!("/proc/{member}/smaps_rollup");
        let text = fs::read_to_string(&path).map_err(LoadError::io(format!("reading {path}")))?;
        let one = parse_rollup(&text);
        sum = Memory { pss: sum.pss + one.pss, rss: sum.rss + one.rss };
    }
    Ok(sum)
}

/// How many files this process may open (its soft limit).
pub fn open_files_limit() -> Option<u64> {
    parse_open_files(&fs::read_to_string("/proc/self/limits").ok()?)
}

fn gone(pid: u32) -> LoadError {
    LoadError::Usage(format!("no process {pid}; --pid must name the running server"))
}

fn all_stats() -> HashMap<u32, Stat> {
    let Ok(entries) = fs::read_dir("/proc") else { return HashMap::new() };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter_map(|pid: u32| {
            let line = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
            Some((pid, parse_stat(&line)?))
        })
        .collect()
}

/// The process and everything below it.
fn family(root: u32, stats: &HashMap<u32, Stat>) -> Vec<u32> {
    let mut members = vec![root];
    let mut next = 0;
    while let Some(&parent) = members.get(next) {
        members.extend(stats.iter().filter(|(_, stat)| stat.parent == parent).map(|(pid, _)| pid));
        next += 1;
    }
    members
}

/// The command name (field 2) may hold blanks and parentheses, so fields count from the last `)`.
fn parse_stat(line: &str) -> Option<Stat> {
    let (_, fields) = line.rsplit_once(") ")?;
    let field = |number: usize| fields.split_ascii_whitespace().nth(number - 3);
    let ticks = |number| field(number)?.parse::<u64>().ok().map(|ticks| ticks * TICK_MICROS);
    Some(Stat {
        parent: field(4)?.parse().ok()?,
        cpu: CpuTime { user: ticks(14)?, system: ticks(15)? },
    })
}

fn parse_rollup(text: &str) -> Memory {
    let bytes = |key: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(key));
        let kilobytes = line.and_then(|rest| rest.split_ascii_whitespace().next()?.parse().ok());
        kilobytes.unwrap_or(0u64) * 1024
    };
    Memory { pss: bytes("Pss:"), rss: bytes("Rss:") }
}

fn parse_open_files(limits: &str) -> Option<u64> {
    let soft = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    soft.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAT: &str = "77 (beam (x) smp) S 12 77 77 0 -1 4194560 1 2 3 4 250 50 0 0 20 0 27 0";

    #[test]
    fn reads_a_stat_line_with_an_odd_name() {
        let cpu = CpuTime { user: 2_500_000, system: 500_000 };
        assert_eq!(parse_stat(STAT), Some(Stat { parent: 12, cpu }));
        assert_eq!(parse_stat("77 (x) S 1"), None);
    }

    #[test]
    fn reads_a_rollup() {
        let text = "5-7 ---p 0 0 0 [rollup]\nRss:   12 kB\nPss:   10 kB\nPss_Dirty:  4 kB\n";
        assert_eq!(parse_rollup(text), Memory { pss: 10 * 1024, rss: 12 * 1024 });
    }

    #[test]
    fn reads_the_file_limit() {
        let text = "Limit  Soft\nMax open files            1024                 4096   files\n";
        assert_eq!(parse_open_files(text), Some(1024));
        assert_eq!(parse_open_files("Max open files  unlimited unlimited"), None);
    }

    #[test]
    fn a_family_holds_grandchildren() {
        let stat = |parent| Stat { parent, cpu: CpuTime::default() };
        let stats = HashMap::from([(1, stat(0)), (2, stat(1)), (3, stat(2)), (4, stat(9))]);
        assert_eq!(family(1, &stats), [1, 2, 3]);
    }

    #[test]
    fn this_process_is_measurable() {
        let pid = std::process::id();
        assert!(memory(pid).unwrap().pss > 0);
        cpu_time(pid).unwrap();
        assert!(cpu_time(u32::MAX).is_err());
    }
}
