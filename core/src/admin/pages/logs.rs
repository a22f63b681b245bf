//! The log: its last lines, live, and the level of each module.

use std::time::Duration;

use askama::Template;
use futures_util::stream::unfold;
use hyper::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::form::Form;
use super::visit::{show, show_refused};
use super::{Frame, Refusal, Route, Visit};
use super::{list, live};
use crate::admin::api::Problem;
use crate::http::Response;

const PATH: &str = "/server/logs";
const FILTERS: [&str; 3] = ["level", "target", "search"];
const LEVELS: [&str; 6] = ["error", "warn", "info", "debug", "trace", "off"];
/// Lines with which the page begins.
const FIRST: &str = "200";
/// Seconds that one look waits for a line.
const WAIT: &str = "15";
/// So often a page is sent lines at most.
const PAUSE: Duration = Duration::from_millis(250);

pub const ROUTES: &[Route] = &[
    Route::new(Method::GET, PATH, |visit| Box::pin(shown(visit))),
    Route::new(Method::GET, "/server/logs/stream", |visit| Box::pin(stream(visit))),
    Route::new(Method::POST, PATH, |visit| Box::pin(set_level(visit))),
];

#[derive(Deserialize)]
struct Tail {
    items: Vec<Line>,
    last: u64,
    levels: String,
}

#[derive(Deserialize)]
struct Line {
    at: String,
    level: String,
    target: String,
    text: String,
}

#[derive(Template)]
#[template(path = "logs.html")]
struct Logs {
    page: Frame,
    form: Form,
    lines: Vec<Line>,
    directives: Directives,
    /// Where the lines to come are had.
    stream: String,
    /// Where what is kept of the log is had as a file.
    csv: String,
    level: String,
    target: String,
    search: String,
    levels: Vec<(String, String)>,
}

#[derive(Template)]
#[template(path = "parts/log_lines.html")]
struct Lines<'l> {
    lines: &'l [Line],
}

/// The levels of the log: one for all, and those of single modules.
#[derive(Debug, PartialEq, Eq)]
struct Directives {
    all: String,
    modules: Vec<(String, String)>,
}

impl Directives {
    /// Reads `info,hearth::c2s=debug`.
    fn parse(levels: &str) -> Directives {
        let mut directives = Directives { all: "error".to_owned(), modules: Vec::new() };
        for part in levels.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            match part.split_once('=') {
                Some((target, level)) => directives.set(target, level),
                None => directives.set("", part),
            }
        }
        directives
    }

    /// An empty target stands for all, an empty level takes the module's own away.
    fn set(&mut self, target: &str, level: &str) {
        if target.is_empty() {
            self.all = level.to_owned();
            return;
        }
        self.modules.retain(|(own, _)| own != target);
        if !level.is_empty() {
            self.modules.push((target.to_owned(), level.to_owned()));
            self.modules.sort();
        }
    }

    fn write(&self) -> String {
        let modules = self.modules.iter().map(|(target, level)| format!(",{target}={level}"));
        format!("{}{}", self.all, modules.collect::<String>())
    }
}

fn filters(visit: &Visit) -> Vec<(&'static str, String)> {
    let found = FILTERS.iter().filter_map(|name| Some((*name, visit.query.find(name)?.to_owned())));
    found.collect()
}

async fn read(
    visit: &Visit,
    filters: &[(&'static str, String)],
    more: &[(&'static str, &str)],
) -> Result<Tail, Problem> {
    let mut query: Vec<_> = filters.iter().map(|(name, value)| (*name, value.as_str())).collect();
    query.extend(more);
    visit.read(&["logs"], &query).await
}

async fn shown(visit: Visit) -> Result<Response, Refusal> {
    if list::wants_csv(&visit) {
        return list::csv(&visit, &["logs"], &FILTERS).await;
    }
    show(page(&visit, None).await?)
}

async fn page(visit: &Visit, form: Option<Form>) -> Result<Logs, Refusal> {
    let filters = filters(visit);
    let Tail { items, last, levels } = read(visit, &filters, &[("limit", FIRST)]).await?;
    let link = |more: (&'static str, String)| {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(filters.iter().chain([&more])).finish()
    };
    let directives = Directives::parse(&levels);
    // Whoever only presses the button changes nothing.
    let unchanged = || Form::filled([("module_level", directives.all.clone())]);
    let form = form.unwrap_or_else(|| visit.typed_or(unchanged()));
    let own = |name: &str| visit.query.get(name).to_owned();
    let level = |level: &&str| ((*level).to_owned(), (*level).to_owned());
    Ok(Logs {
        page: visit.frame("logs"),
        form,
        lines: items,
        directives,
        stream: format!("/server/logs/stream?{}", link(("after", last.to_string()))),
        csv: format!("{PATH}?{}", link(("format", "csv".to_owned()))),
        level: own("level"),
        target: own("target"),
        search: own("search"),
        levels: LEVELS.iter().map(level).collect(),
    })
}

/// Sets the level of a module, or of all, and keeps the others.
async fn set_level(visit: Visit) -> Result<Response, Refusal> {
    let (target, level) = (visit.form.get("module").trim(), visit.form.get("module_level"));
    let is_module = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    if !target.chars().all(is_module) {
        let form = Form::sent(&visit.form).refuse("module", visit.t("logs.bad_module"));
        return show_refused(page(&visit, Some(form)).await?);
    }
    let Tail { levels, .. } = read(&visit, &[], &[("limit", "1")]).await?;
    let mut directives = Directives::parse(&levels);
    directives.set(target, level);
    let body = json!({ "value": directives.write() });
    match visit.change::<Value>(Method::PUT, &["properties", "log.filter"], body).await {
        Ok(_) => visit.done(PATH, visit.t("logs.level_set")),
        Err(problem) => {
            let form = Form::sent(&visit.form).refuse("module", problem.to_string());
            show_refused(page(&visit, Some(form)).await?)
        }
    }
}

/// Lines to come, as server-sent events.
async fn stream(visit: Visit) -> Result<Response, Refusal> {
    let after = visit.query.get("after").to_owned();
    let (look, filters) = (visit.clone(), filters(&visit));
    let parts = unfold((look, after), move |(look, mut after)| {
        let filters = filters.clone();
        async move {
            loop {
                tokio::time::sleep(PAUSE).await;
                let more = [("after", after.as_str()), ("wait", WAIT)];
                let Tail { items, last, .. } = read(&look, &filters, &more).await.ok()?;
                after = last.to_string();
                if !items.is_empty() {
                    return Some((Lines { lines: &items }.render().ok()?, (look, after)));
                }
            }
        }
    });
    Ok(live::events(&visit, "lines", parts))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_set_one_by_one() {
        let mut levels = Directives::parse("info, hearth::c2s=debug");
        assert_eq!(levels.write(), "info,hearth::c2s=debug");
        levels.set("hearth::net", "trace");
        levels.set("hearth::c2s", "");
        levels.set("", "warn");
        assert_eq!(levels.write(), "warn,hearth::net=trace");
        levels.set("hearth::net", "error");
        assert_eq!(levels.write(), "warn,hearth::net=error");
    }
}
