//! What a command prints: text for people, or JSON.

use std::io::{self, IsTerminal, Write};

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;

use super::CliError;

/// Fewer steps than this need no bar.
const WORTH_A_BAR: u64 = 20;

/// Standard output, in the form that was asked for.
#[derive(Clone, Copy, Debug)]
pub struct Output {
    pub json: bool,
}

impl Output {
    /// One result. `human` is only asked for without `--json`.
    pub fn value(
        self,
        value: &Value,
        human: impl FnOnce(&Value) -> String,
    ) -> Result<(), CliError> {
        match self.json {
            true => write(&format!("{value}\n")),
            false => write(&format!("{}\n", human(value))),
        }
    }

    /// A list that comes page by page; call `item` for each, then `end`.
    pub fn list(self, header: &str) -> Result<List, CliError> {
        if !self.json {
            write(&format!("{header}\n"))?;
        }
        Ok(List { output: self, count: 0 })
    }

    /// A bar for work whose size is learnt on the way.
    pub fn work(self) -> ProgressBar {
        match self.json || !io::stderr().is_terminal() {
            true => ProgressBar::hidden(),
            false => ProgressBar::new_spinner(),
        }
    }

    /// A bar on standard error, when a person looks on and there is enough to do.
    pub fn progress(self, steps: u64) -> ProgressBar {
        if steps < WORTH_A_BAR || self.json || !io::stderr().is_terminal() {
            return ProgressBar::hidden();
        }
        let style = ProgressStyle::with_template("{bar:40} {pos}/{len}  {per_sec}  {eta} left");
        let bar = ProgressBar::new(steps);
        match style {
            Ok(style) => bar.with_style(style),
            Err(_) => bar,
        }
    }
}

/// A list being printed: lines, or one JSON array.
pub struct List {
    output: Output,
    count: usize,
}

impl List {
    pub fn item(
        &mut self,
        value: &Value,
        line: impl FnOnce(&Value) -> String,
    ) -> Result<(), CliError> {
        let before = match (self.output.json, self.count) {
            (true, 0) => "[\n",
            (true, _) => ",\n",
            (false, _) => "",
        };
        self.count += 1;
        match self.output.json {
            true => write(&format!("{before}{value}")),
            false => write(&format!("{}\n", line(value))),
        }
    }

    pub fn end(self) -> Result<(), CliError> {
        match (self.output.json, self.count) {
            (true, 0) => write("[]\n"),
            (true, _) => write("\n]\n"),
            (false, _) => Ok(()),
        }
    }
}

/// A text of a JSON object; empty when it is absent or null.
pub fn text<'v>(value: &'v Value, field: &str) -> &'v str {
    value[field].as_str().unwrap_or_default()
}

/// Writes to standard output. A reader that went away (`hearth user list | head`) ends the
/// process quietly, as it does for other tools.
fn write(text: &str) -> Result<(), CliError> {
    let written = io::stdout().write_all(text.as_bytes()).and_then(|()| io::stdout().flush());
    written.map_err(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => std::process::exit(0),
        _ => CliError::failure(error, "standard output", "write it to a place that has room"),
    })
}
