//! `/logs`: the last lines of this node's log. Its levels are the property `log.filter`.

use std::time::Duration;

use serde_json::{Value, json};
use tracing::Level;

use super::{Answer, Call, Problem, Route};
use crate::telemetry::log::LEVELS;
use crate::telemetry::tail::Line;

pub const ROUTES: &[Route] = &[Route::list("/logs", COLUMNS, |call| Box::pin(list(call)))];

const COLUMNS: &[&str] = &["number", "at", "level", "target", "text"];
/// How long a call waits for the next line at most: less than any proxy does.
const LONGEST_WAIT: u64 = 25;

/// What `?level=`, `?target=` and `?search=` ask for.
struct Filter {
    level: Level,
    target: String,
    /// In lower case.
    search: String,
}

impl Filter {
    fn of(call: &Call) -> Result<Filter, Problem> {
        let level = call.find("level").unwrap_or("trace");
        let wrong = |_| Problem::invalid("level is error, warn, info, debug or trace").at("level");
        Ok(Filter {
            level: level.parse().map_err(wrong)?,
            target: call.text("target").unwrap_or_default().to_owned(),
            search: call.text("search").unwrap_or_default().to_lowercase(),
        })
    }

    fn admits(&self, line: &Line) -> bool {
        line.level <= self.level
            && line.target.starts_with(&self.target)
            && line.text.to_lowercase().contains(&self.search)
    }
}

/// The last lines, the oldest first, or those after `?after=`; `last` is the number to go on from.
/// `?wait=` waits so many seconds for one that is newer.
async fn list(call: Call) -> Result<Answer, Problem> {
    let (page, filter) = (call.page()?, Filter::of(&call)?);
    let number = |name: &'static str| {
        let wrong = move |_| Problem::invalid(format!("{name} is a number")).at(name);
        call.find(name).map(|text| text.parse::<u64>().map_err(wrong)).transpose()
    };
    let (after, wait) = (number("after")?.unwrap_or(0), number("wait")?.unwrap_or(0));
    if wait > LONGEST_WAIT {
        return Err(Problem::Invalid(format!("wait is 0 to {LONGEST_WAIT}")).at("wait"));
    }
    let log = &call.running()?.log;
    let mut last = log.tail().last();
    if wait > 0 {
        let wait = Duration::from_secs(wait);
        // Without a new line the page is empty.
        let _ = tokio::time::timeout(wait, last.wait_for(|last| *last > after)).await;
    }
    let newest = *last.borrow();
    let lines = log.tail().after(after);
    let lines: Vec<_> = lines.iter().filter(|line| filter.admits(line)).collect();
    let surplus = lines.len().saturating_sub(page.limit);
    let items: Vec<_> = lines[surplus..].iter().map(|line| shown(line)).collect();
    let levels = call.api.properties.entry(LEVELS.name).map(|entry| entry.value);
    let levels = levels.ok().filter(|levels| !levels.is_empty());
    Answer::ok(json!({
        "items": items,
        "next": null,
        "last": lines.last().map_or(newest, |line| line.number.max(newest)),
        "levels": levels.as_deref().unwrap_or(log.started()),
    }))
}

fn shown(line: &Line) -> Value {
    json!({
        "number": line.number,
        "at": line.at.to_string(),
        "level": line.level.as_str().to_lowercase(),
        "target": line.target,
        "text": line.text,
    })
}
