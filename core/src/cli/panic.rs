//! A panic is our bug: one line that can be reported, beside the trace.

use std::panic::{self, PanicHookInfo};

use crate::shutdown::panic_text;

/// Puts a line of our own before the usual report.
pub fn install() {
    let usual = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        eprintln!("{}", line(info));
        usual(info);
    }));
}

fn line(info: &PanicHookInfo<'_>) -> String {
    let place = info.location().map_or_else(|| "unknown place".to_owned(), ToString::to_string);
    let text = panic_text(info.payload()).replace(|c: char| c.is_control(), " ");
    let version = env!("CARGO_PKG_VERSION");
    let tracker = concat!(env!("CARGO_PKG_REPOSITORY"), "/issues");
    format!("hearth: bug: {text} ({place}, version {version}): please report it at {tracker}")
}
