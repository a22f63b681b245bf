//! The tables of the pages as files (RFC 4180).

use hearth_plugin_api::{PageRequest, PageResponse, Result, xml};

use super::Language;
use crate::plugin::Enterprise;
use crate::store;

/// Lines of the log that a file has.
const LINES: u32 = 1000;

impl Enterprise {
    /// What a page has below itself.
    pub(super) async fn exported(&self, path: &str) -> Result<PageResponse> {
        let (name, csv) = match path {
            "nodes" => ("nodes.csv", self.node_lines().await?),
            "versions" => ("versions.csv", self.version_lines().await?),
            "events" => ("events.csv", self.event_lines().await?),
            _ => return Ok(PageResponse::not_found()),
        };
        let file_name = Some(name.to_owned());
        Ok(PageResponse { file_name, ..PageResponse::document("text/csv", csv) })
    }

    async fn node_lines(&self) -> Result<String> {
        let nodes = self.nodes(&store::snapshot(&self.host).await?).await?;
        let joined = store::joined(&self.host).await?;
        let heads = "node,name,addresses,state,member,joined,sessions,messages,memory_bytes,cpu_ms";
        let lines = nodes.iter().map(|node| {
            let figure = |name: &str| node.figure(name).map(|n| n.to_string()).unwrap_or_default();
            let joined = joined.get(&node.id).filter(|_| node.is_member).copied();
            [
                format!("{:08x}", node.id),
                quoted(&node.about.name),
                quoted(&node.about.addresses.join(" ")),
                Language::English.state(node.about.state).to_owned(),
                node.is_member.to_string(),
                joined.map(xml::timestamp).unwrap_or_default(),
                figure("sessions"),
                figure("messages"),
                figure("memory_bytes"),
                figure("cpu_ms"),
            ]
        });
        Ok(file(heads, lines))
    }

    /// A line for each part of each node: a file has the same columns whatever nodes there are.
    async fn version_lines(&self) -> Result<String> {
        let nodes = self.nodes(&store::snapshot(&self.host).await?).await?;
        let lines = nodes.iter().flat_map(|node| {
            let parts = node.about.versions.iter();
            let parts = parts.map(|(part, version)| (part.as_str(), version.clone()));
            let protocol = ("protocol", node.about.protocol.to_string());
            parts
                .chain([protocol])
                .map(|(part, version)| [format!("{:08x}", node.id), quoted(part), quoted(&version)])
        });
        Ok(file("node,part,version", lines))
    }

    async fn event_lines(&self) -> Result<String> {
        let log = store::last_logged(&self.host, LINES).await?;
        let lines = log.iter().map(|line| {
            let node = format!("{:08x}", line.node);
            let (event, detail) = (quoted(&line.event), quoted(&line.detail));
            [xml::timestamp(line.at_ms), node, event, detail, line.epoch.to_string()]
        });
        Ok(file("at,node,event,detail,epoch", lines))
    }
}

fn file<const N: usize>(heads: &str, lines: impl Iterator<Item = [String; N]>) -> String {
    lines.fold(format!("{heads}\r\n"), |file, line| file + &line.join(",") + "\r\n")
}

/// What a spreadsheet would take for a formula becomes a text.
fn quoted(text: &str) -> String {
    let guard = if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { "'" } else { "" };
    format!("\"{guard}{}\"", text.replace('"', "\"\""))
}

/// Below a table: where its file is had.
pub(super) fn link(language: Language, request: &PageRequest, table: &str) -> String {
    let base = xml::escaped(&request.base);
    let label = language.say("Export as CSV", "Als CSV ausgeben");
    format!(
        "<p class='paging'><a class='button quiet' href='{base}/{table}' download>{label}</a></p>"
    )
}
