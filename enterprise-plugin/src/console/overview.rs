//! Nodes, users per node, messages per second, and what happened last.

use std::fmt::Write;
use std::sync::Arc;

use hearth_plugin_api::{Language, PageRequest, PageResponse, Result, xml};

use super::{export, fact, number, table, text};
use crate::live::{Node, SLOTS};
use crate::plugin::Enterprise;
use crate::store::{self, Logged};

/// Lines of the log that are shown.
const LAST: u32 = 10;
/// The pictures' size in their own units; the style sheet stretches them.
const WIDTH: f64 = 300.0;
const HEIGHT: f64 = 60.0;

impl Enterprise {
    pub(crate) async fn overview_page(
        self: Arc<Self>,
        request: PageRequest,
    ) -> Result<PageResponse> {
        if !request.path.is_empty() {
            return self.exported(&request.path).await;
        }
        let language = Language::of(&request);
        let nodes = self.nodes(&store::snapshot(&self.host).await?).await?;
        let rates = self.live().rates();
        let log = store::last_logged(&self.host, LAST).await?;
        let base = xml::escaped(&request.base);
        let here = nodes.iter().filter(|node| node.is_here()).count();
        let users: i64 = nodes.iter().filter_map(|node| node.figure("sessions")).sum();
        let rate = rates.last().copied().unwrap_or_default();
        let facts = [
            fact(language.say("Nodes", "Knoten"), &here.to_string()),
            fact(language.say("Users online", "Benutzer online"), &users.to_string()),
            fact(
                language.say("Messages per second", "Nachrichten je Sekunde"),
                &format!("{rate:.1}"),
            ),
        ];
        let body = format!(
            "<div id='overview' hx-get='{base}' hx-trigger='every 2s' hx-select='#overview' \
             hx-swap='outerHTML'><dl class='facts'>{}</dl>{}{}{}</div>",
            facts.concat(),
            users_per_node(language, &nodes),
            message_rate(language, &rates),
            events(language, &request, &log),
        );
        Ok(PageResponse::html(body))
    }
}

fn users_per_node(language: Language, nodes: &[Node]) -> String {
    let most = nodes.iter().filter_map(|node| node.figure("sessions")).max().unwrap_or(0).max(1);
    let row = |node: &Node| {
        let sessions = node.figure("sessions");
        let width = WIDTH * sessions.unwrap_or(0) as f64 / most as f64;
        let shown = sessions.map_or("–".to_owned(), |sessions| sessions.to_string());
        format!(
            "<tr><th scope='row'>{} <small class='faint'>{}</small></th><td>\
             <svg class='chart' viewBox='0 0 {WIDTH} 20' preserveAspectRatio='none' role='img' \
             aria-label='{shown}'><rect class='bar' width='{width:.1}' height='20'/></svg></td>\
             <td>{shown}</td></tr>",
            number(node.id),
            xml::escaped(&node.about.name),
        )
    };
    let rows: String = nodes.iter().map(row).collect();
    let (title, node) = match language {
        Language::English => ("Users per node", "Node"),
        Language::German => ("Benutzer je Knoten", "Knoten"),
    };
    let users = language.say("Users", "Benutzer");
    let share = language.say("Picture", "Bild");
    format!(
        "<h2>{title}</h2>{}",
        table(
            title,
            &format!(
                "<thead><tr><th scope='col'>{node}</th><th scope='col'><span class='unseen'>{share}\
                 </span></th><th scope='col'>{users}</th></tr></thead><tbody>{rows}</tbody>"
            )
        )
    )
}

fn message_rate(language: Language, rates: &[f64]) -> String {
    let title = language.say("Messages per second", "Nachrichten je Sekunde");
    let curve = curve(rates);
    let start = WIDTH - step() * rates.len().saturating_sub(1) as f64;
    let area = match rates {
        [] => String::new(),
        _ => format!("{curve}L{WIDTH} {HEIGHT}L{start:.1} {HEIGHT}Z"),
    };
    format!(
        "<div class='card'><h2 class='small'>{title}</h2><svg class='chart' \
         viewBox='0 0 {WIDTH} {HEIGHT}' preserveAspectRatio='none' role='img' aria-label='{title}'>\
         <path class='area' d='{area}'/><path class='curve' d='{curve}'/>\
         <path class='base' d='M0 {HEIGHT}H{WIDTH}'/></svg></div>"
    )
}

fn step() -> f64 {
    WIDTH / (SLOTS - 1) as f64
}

/// `d` of a curve that ends at the right border with the newest value.
fn curve(values: &[f64]) -> String {
    let top = values.iter().copied().fold(1.0, f64::max) * 1.1;
    let start = WIDTH - step() * values.len().saturating_sub(1) as f64;
    let mut curve = String::new();
    for (n, value) in values.iter().enumerate() {
        let (x, y) = (start + step() * n as f64, HEIGHT - HEIGHT * value / top);
        let command = if n == 0 { 'M' } else { 'L' };
        // Writing into a string does not fail.
        let _ = write!(curve, "{command}{x:.1} {y:.1}");
    }
    curve
}

/// The last lines of the membership log.
pub(super) fn events(language: Language, request: &PageRequest, log: &[Logged]) -> String {
    let title = language.say("Last events", "Letzte Ereignisse");
    if log.is_empty() {
        let none = language.say("Nothing has happened yet.", "Noch ist nichts geschehen.");
        return format!("<h2>{title}</h2><p class='faint'>{none}</p>");
    }
    let row = |line: &Logged| {
        let epoch = if line.epoch == 0 { String::new() } else { line.epoch.to_string() };
        format!(
            "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{epoch}</td></tr>",
            xml::time(line.at_ms),
            number(line.node),
            xml::escaped(text::event(language, &line.event)),
            xml::escaped(&line.detail),
        )
    };
    let rows: String = log.iter().map(row).collect();
    let heads = match language {
        Language::English => ["Time", "Node", "Event", "Reason", "Epoch"],
        Language::German => ["Zeit", "Knoten", "Ereignis", "Grund", "Epoche"],
    };
    let heads = heads.map(|head| format!("<th scope='col'>{head}</th>")).concat();
    format!(
        "<h2>{title}</h2>{}{}",
        table(title, &format!("<thead><tr>{heads}</tr></thead><tbody>{rows}</tbody>")),
        export::link(request, "events")
    )
}
