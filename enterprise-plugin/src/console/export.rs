//! The tables of the pages as files (RFC 4180).

use hearth_plugin_api::{Csv, Language, PageRequest, PageResponse, Result, xml};

use super::text;
use crate::plugin::Enterprise;
use crate::store;

/// Lines of the log that a file has.
const LINES: u32 = 1000;

impl Enterprise {
    /// What a page has below itself.
    pub(super) async fn exported(&self, path: &str) -> Result<PageResponse> {
        let (name, csv) = match path {
            "nodes" => ("nodes.csv", self.node_rows().await?),
            "versions" => ("versions.csv", self.version_rows().await?),
            "events" => ("events.csv", self.event_rows().await?),
            _ => return Ok(PageResponse::not_found()),
        };
        Ok(csv.into_response(name))
    }

    async fn node_rows(&self) -> Result<Csv> {
        let nodes = self.nodes(&store::snapshot(&self.host).await?).await?;
        let joined = store::joined(&self.host).await?;
        let figures = ["sessions", "messages", "memory_bytes", "cpu_ms"];
        let heads = ["node", "name", "addresses", "state", "member", "joined"];
        let mut csv = Csv::new(&[&heads[..], &figures].concat());
        for node in &nodes {
            let figure = |name: &str| node.figure(name).map(|n| n.to_string()).unwrap_or_default();
            let joined = joined.get(&node.id).filter(|_| node.is_member).copied();
            let about = [
                format!("{:08x}", node.id),
                node.about.name.clone(),
                node.about.addresses.join(" "),
                text::state(Language::English, node.about.state).to_owned(),
                node.is_member.to_string(),
                joined.map(xml::timestamp).unwrap_or_default(),
            ];
            csv.row(about.into_iter().chain(figures.map(figure)));
        }
        Ok(csv)
    }

    /// A row for each part of each node: a file has the same columns whatever nodes there are.
    async fn version_rows(&self) -> Result<Csv> {
        let nodes = self.nodes(&store::snapshot(&self.host).await?).await?;
        let mut csv = Csv::new(&["node", "part", "version"]);
        for node in &nodes {
            let id = format!("{:08x}", node.id);
            for (part, version) in &node.about.versions {
                csv.row([&id, part, version]);
            }
            csv.row([&*id, "protocol", &node.about.protocol.to_string()]);
        }
        Ok(csv)
    }

    async fn event_rows(&self) -> Result<Csv> {
        let mut csv = Csv::new(&["at", "node", "event", "detail", "epoch"]);
        for line in store::last_logged(&self.host, LINES).await? {
            let (at, node) = (xml::timestamp(line.at_ms), format!("{:08x}", line.node));
            csv.row([at, node, line.event, line.detail, line.epoch.to_string()]);
        }
        Ok(csv)
    }
}

/// Below a table: where its file is had.
pub(super) fn link(request: &PageRequest, table: &str) -> String {
    format!("<p class='paging'>{}</p>", Csv::link(request, table))
}
