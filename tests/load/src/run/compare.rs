//! `compare`: results of several servers side by side, as a markdown table.

use crate::error::{LoadError, Result};
use crate::options::Compare;
use crate::report::Report;
use std::fs;

/// Prints a line per row and a column per label, in the order in which they first occur.
pub fn run(options: &Compare) -> Result<()> {
    let mut reports = Vec::new();
    for path in &options.files {
        let name = path.display();
        let text = fs::read_to_string(path).map_err(LoadError::io(format!("reading {name}")))?;
        let report = serde_json::from_str::<Report>(&text)
            .map_err(|error| LoadError::Usage(format!("{name} is no result: {error}")))?;
        reports.push(report);
    }
    print!("{}", table(&reports));
    Ok(())
}

fn table(reports: &[Report]) -> String {
    let labels = distinct(reports.iter().map(|report| report.label.as_str()));
    let mut text = format!("| Operation | {} |\n", labels.join(" | "));
    text.push_str(&format!("|---|{}\n", "---|".repeat(labels.len())));
    for row in distinct(reports.iter().map(|report| report.row.as_str())) {
        let of_row = || reports.iter().filter(move |report| report.row == row);
        let mut line = |name: &str, cell: fn(&[&Report]) -> Option<String>| {
            let cells: Vec<Option<String>> = labels
                .iter()
                .map(|label| cell(&of_row().filter(|r| r.label == *label).collect::<Vec<_>>()))
                .collect();
            if cells.iter().any(Option::is_some) {
                let cells: Vec<String> =
                    cells.into_iter().map(|cell| cell.unwrap_or_else(|| "–".into())).collect();
                text.push_str(&format!("| {name} | {} |\n", cells.join(" | ")));
            }
        };
        line(&format!("{row} ({})", unit(of_row().next())), cost);
        if of_row().any(is_paced) {
            line(&format!("{row}, latency p50 / p99 (ms)"), latency);
        }
        line(&format!("{row}: lost / doubled / failed"), faults);
    }
    text
}

fn distinct<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut found = Vec::new();
    for name in names {
        if !found.contains(&name) {
            found.push(name);
        }
    }
    found
}

/// A fixed rate: there the latency says something about the server, in a closed loop it only
/// mirrors the throughput.
fn is_paced(report: &Report) -> bool {
    report.row.contains("/s")
}

fn unit(report: Option<&Report>) -> String {
    match report.map(|report| report.operation.as_str()) {
        Some("session") => "KB PSS per session".into(),
        Some(operation @ ("login" | "cycle")) => format!("ms CPU per {operation}"),
        operation => format!("µs CPU per {}", operation.unwrap_or("operation")),
    }
}

/// The median cost in the row's unit.
fn cost(reports: &[&Report]) -> Option<String> {
    let of = |report: &&Report| match report.operation.as_str() {
        "session" => report.memory.as_ref().map(|memory| memory.pss_bytes_per_session / 1024.0),
        "login" | "cycle" => report.server_cpu.as_ref().map(|cpu| cpu.us_per_operation / 1000.0),
        _ => report.server_cpu.as_ref().map(|cpu| cpu.us_per_operation),
    };
    median(reports.iter().filter_map(of).collect()).map(figure)
}

fn latency(reports: &[&Report]) -> Option<String> {
    let percentiles = || reports.iter().filter_map(|report| report.latency_us.as_ref());
    let p50 = median(percentiles().map(|p| p.p50 as f64 / 1000.0).collect())?;
    let p99 = median(percentiles().map(|p| p.p99 as f64 / 1000.0).collect())?;
    Some(format!("{} / {}", figure(p50), figure(p99)))
}

/// Shown only where something went wrong in any of the runs.
fn faults(reports: &[&Report]) -> Option<String> {
    let mut sums = (0, 0, 0);
    for report in reports {
        let delivery = report.delivery.unwrap_or_default();
        sums.0 += delivery.lost;
        sums.1 += delivery.duplicates;
        sums.2 += report.failures + delivery.errors;
    }
    (sums != (0, 0, 0)).then(|| format!("{} / {} / {}", sums.0, sums.1, sums.2))
}

/// The lower middle of the values.
fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len().saturating_sub(1) / 2).copied()
}

/// Three significant digits at most: more would be noise.
fn figure(value: f64) -> String {
    match value {
        v if v >= 100.0 => format!("{v:.0}"),
        v if v >= 10.0 => format!("{v:.1}"),
        v => format!("{v:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Cpu;

    fn report(row: &str, label: &str, us_per_operation: f64) -> Report {
        let json = serde_json::json!({
            "row": row, "label": label, "transport": "plain", "mechanism": "PLAIN", "users": 2,
            "operation": "message", "operations": 1, "seconds": 1.0, "per_second": 1.0,
            "own_cpu": Cpu::default(), "failures": 0,
            "server_cpu": Cpu { us_per_operation, ..Cpu::default() },
        });
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn a_table_of_medians() {
        let reports = [
            report("w1", "a", 9.0),
            report("w1", "a", 1.0),
            report("w1", "a", 12.34),
            report("w1", "b", 110.4),
            report("w32", "b", 0.5),
        ];
        let expected = "| Operation | a | b |\n|---|---|---|\n\
            | w1 (µs CPU per message) | 9.00 | 110 |\n\
            | w32 (µs CPU per message) | – | 0.50 |\n";
        assert_eq!(table(&reports), expected);
    }

    #[test]
    fn faults_have_a_line_of_their_own() {
        let mut bad = report("w1", "a", 1.0);
        bad.failures = 3;
        let text = table(&[bad]);
        assert!(text.contains("| w1: lost / doubled / failed | 0 / 0 / 3 |"), "{text}");
    }
}
