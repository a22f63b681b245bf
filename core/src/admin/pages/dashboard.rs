//! The first page: how the server is, and what should be mended.

use std::collections::BTreeMap;
use std::sync::Arc;

use askama::Template;
use futures_util::stream;
use hyper::Method;
use serde::Deserialize;

use super::certificates::Warning;
use super::chart::Chart;
use super::frame::Line;
use super::live;
use super::plugins::Plugin;
use super::visit::show;
use super::{Frame, Refusal, Route, Text, Visit};
use crate::admin::api::Problem;
use crate::admin::figures::KEPT;
use crate::http::Response;
use crate::plugin_host::bridge::Notice;

pub const ROUTES: &[Route] = &[
    Route::new(Method::GET, "/", |visit| Box::pin(dashboard(visit))),
    Route::new(Method::GET, "/live/dashboard", |visit| Box::pin(async move { Ok(follow(visit)) })),
];

const MIB: f64 = 1024.0 * 1024.0;

#[derive(Deserialize)]
struct Server {
    version: String,
    domain: String,
    node: u32,
    uptime_seconds: u64,
    state: String,
    reason: Option<String>,
    lease: Option<Lease>,
    database: String,
    ports: BTreeMap<String, u16>,
    certificate_warnings: Option<Vec<Warning>>,
}

/// Who serves, as the database says.
#[derive(Deserialize)]
struct Lease {
    mode: String,
    epoch: i64,
}

#[derive(Deserialize)]
struct Property {
    value: String,
}

#[derive(Deserialize)]
struct Figures {
    samples: Vec<Sample>,
}

#[derive(Deserialize)]
struct Sample {
    sessions: usize,
    messages: f64,
    memory: u64,
}

#[derive(Deserialize)]
struct Items<T> {
    items: Vec<T>,
}

/// An open port as the table shows it.
struct Port {
    name: Text,
    number: u16,
    tls: Text,
    /// The badge's colour.
    safety: &'static str,
}

#[derive(Template)]
#[template(path = "dashboard.html")]
struct Dashboard {
    page: Frame,
    server: Server,
    /// The view of the cluster that the node belongs to.
    clustered: Option<i64>,
    ports: Vec<Port>,
    is_plain_allowed: bool,
    /// Plugins that failed, and what plugins want to be read.
    ailing: Vec<Plugin>,
    lines: Vec<Line>,
    /// What is wrong with the certificate.
    certificate: Vec<String>,
    charts: Vec<Shown>,
}

/// The part that changes while one looks.
#[derive(Template)]
#[template(path = "parts/charts.html")]
struct Charts {
    page: Frame,
    charts: Vec<Shown>,
}

/// A chart with its figure.
struct Shown {
    title: Text,
    value: String,
    unit: Text,
    highest: String,
    chart: Chart,
}

async fn dashboard(visit: Visit) -> Result<Response, Refusal> {
    let server: Server = visit.read(&["server"], &[]).await?;
    let starttls: Property = visit.read(&["properties", "c2s.starttls"], &[]).await?;
    let ports =
        server.ports.iter().map(|(name, number)| port(&visit, name, *number, &starttls.value));
    let mut plugins: Items<Plugin> = visit.read(&["plugins"], &[]).await?;
    plugins.items.retain(|plugin| plugin.faults > 0 || plugin.report.is_some());
    let notices: Items<Notice> = visit.read(&["notices"], &[]).await?;
    // Those for every page stand in the frame.
    let lines = notices.items.into_iter().filter(|notice| !notice.everywhere);
    let warnings = server.certificate_warnings.iter().flatten();
    show(Dashboard {
        ailing: plugins.items,
        lines: lines.map(Line::from).collect(),
        ports: ports.collect(),
        certificate: warnings.map(|warning| warning.text(&visit)).collect(),
        clustered: server.lease.as_ref().filter(|it| it.mode == "cluster").map(|it| it.epoch),
        is_plain_allowed: starttls.value != "required",
        charts: charts(&visit).await?,
        page: visit.frame("dashboard"),
        server,
    })
}

/// The charts, again after each sample.
fn follow(visit: Visit) -> Response {
    let changes = visit.console.api.figures.changes();
    let visit = Arc::new(visit);
    let parts = stream::unfold((visit.clone(), changes), |(visit, mut changes)| async move {
        changes.changed().await.ok()?;
        // What cannot be read now is read after the next sample.
        let charts = charts(&visit).await.unwrap_or_default();
        let part = Charts { page: visit.frame("dashboard"), charts }.render().ok()?;
        Some((part, (visit, changes)))
    });
    live::events(&visit, "charts", parts)
}

async fn charts(visit: &Visit) -> Result<Vec<Shown>, Problem> {
    let Figures { samples } = visit.read(&["server", "figures"], &[]).await?;
    let values = |value: fn(&Sample) -> f64| samples.iter().map(value).collect::<Vec<_>>();
    let language = visit.visitor.language;
    let whole = |value: f64| language.measure(value, 0);
    let rate = |value: f64| language.measure(value, if value < 10.0 { 1 } else { 0 });
    let shown = |title, unit, values: Vec<f64>, least, text: &dyn Fn(f64) -> String| Shown {
        title,
        unit,
        value: values.last().map_or_else(|| "–".to_owned(), |value| text(*value)),
        highest: text(values.iter().copied().fold(0.0, f64::max)),
        chart: Chart::of(&values, KEPT, least),
    };
    let sessions = values(|sample| sample.sessions as f64);
    let messages = values(|sample| sample.messages);
    let memory = values(|sample| sample.memory as f64 / MIB);
    Ok(vec![
        shown(visit.t("dashboard.sessions"), Text::default(), sessions, 4.0, &whole),
        shown(visit.t("dashboard.messages"), visit.t("dashboard.per_second"), messages, 1.0, &rate),
        shown(visit.t("dashboard.memory"), visit.t("dashboard.mib"), memory, 16.0, &whole),
    ])
}

fn port(visit: &Visit, name: &str, number: u16, starttls: &str) -> Port {
    let name_text = match name {
        "c2s" => visit.t("dashboard.port_c2s"),
        "c2s_tls" => visit.t("dashboard.port_c2s_tls"),
        "console" => visit.t("dashboard.port_console"),
        "console_tls" => visit.t("dashboard.port_console_tls"),
        "http" => visit.t("dashboard.port_http"),
        _ => visit.t("dashboard.port_https"),
    };
    let (tls, safety) = match (name, starttls) {
        ("c2s", "required") => (visit.t("dashboard.tls_required"), "good"),
        ("c2s", "optional") => (visit.t("dashboard.tls_optional"), "warn"),
        ("console", _) => (visit.t("dashboard.tls_local"), ""),
        ("c2s" | "http", _) => (visit.t("dashboard.tls_none"), "warn"),
        _ => (visit.t("dashboard.tls_always"), "good"),
    };
    Port { name: name_text, number, tls, safety }
}
