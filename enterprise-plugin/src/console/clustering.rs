//! The page Clustering below the tab Server: the switch, the nodes, their versions, the log.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hearth_plugin_api::{Language, PageRequest, PageResponse, Question, Result, xml};

use super::overview::events;
use super::{answered, button, export, fact, number, sentence, table, text, unknown_form};
use crate::commands::DRAIN;
use crate::licence::office::{self, Office};
use crate::live::Node;
use crate::membership::{Snapshot, State};
use crate::plugin::{Enterprise, Obstacle};
use crate::store;

/// Lines of the log that are shown.
const LAST: u32 = 50;

impl Enterprise {
    pub(crate) async fn clustering_page(
        self: Arc<Self>,
        request: PageRequest,
    ) -> Result<PageResponse> {
        let language = Language::of(&request);
        if request.is_post() {
            return self.clustering_form(language, &request).await;
        }
        if !request.path.is_empty() {
            return self.exported(&request.path).await;
        }
        let office = office::look(&self.host).await?;
        let snapshot = store::snapshot(&self.host).await?;
        let nodes = self.nodes(&snapshot).await?;
        let joined = store::joined(&self.host).await?;
        let log = store::last_logged(&self.host, LAST).await?;
        let base = xml::escaped(&request.base);
        let body = format!(
            "{}<div id='nodes' hx-get='{base}' hx-trigger='every 2s' hx-select='#nodes' \
             hx-swap='outerHTML'>{}{}{}{}</div>{}",
            self.switch(language, &request, &office, &snapshot),
            counts(language, &office, &snapshot),
            node_table(language, &request, &nodes, &joined),
            versions(language, &request, &nodes),
            events(language, &request, &log),
            drain_question(language, &request),
        );
        Ok(PageResponse::html(body))
    }

    async fn clustering_form(
        &self,
        language: Language,
        request: &PageRequest,
    ) -> Result<PageResponse> {
        let (form, node) = request.path.split_once('/').unwrap_or((&request.path, ""));
        let per_second = match form {
            "switch" => return Ok(answered(request, self.switch_form(language, request).await)),
            "drain" => DRAIN,
            "stop" => 0,
            _ => return Err(unknown_form(&request.path)),
        };
        let node = node.parse().unwrap_or_default();
        let drained = self.set_drain(node, per_second, &request.admin).await;
        let done = drained
            .map_err(|error| error.message)
            .map(|()| language.say("The node was asked.", "Der Knoten wurde beauftragt."));
        Ok(answered(request, done))
    }

    async fn switch_form(
        &self,
        language: Language,
        request: &PageRequest,
    ) -> Result<&'static str, String> {
        let enabled = request.field("clustering") == "enabled";
        let office = office::look(&self.host).await.map_err(|error| error.message)?;
        if let Some(obstacle) = self.obstacle(&office).filter(|_| enabled) {
            return Err(text::obstacle(language, &obstacle));
        }
        self.set_enabled(enabled, &request.admin).await.map_err(|error| error.message)?;
        Ok(match enabled {
            true => language.say("Clustering is enabled.", "Das Cluster ist eingeschaltet."),
            false => language.say("Clustering is disabled.", "Das Cluster ist ausgeschaltet."),
        })
    }

    fn switch(
        &self,
        language: Language,
        request: &PageRequest,
        office: &Office,
        snapshot: &Snapshot,
    ) -> String {
        let obstacle = self.obstacle(office);
        let control = match (snapshot.enabled, &obstacle) {
            (true, _) => switch_off(language, request),
            // Nothing that is done in the console makes it possible.
            (false, Some(Obstacle::Embedded)) => String::new(),
            (false, _) => switch_on(language, request),
        };
        let note = obstacle.map(|obstacle| {
            let why = xml::escaped(&sentence(&text::obstacle(language, &obstacle)));
            format!("<div class='note warn'><p>{why}</p></div>")
        });
        note.unwrap_or_default() + &control
    }
}

fn switch_on(language: Language, request: &PageRequest) -> String {
    let radio = |value: &str, label: &str, checked: &str| {
        format!(
            "<label><input type='radio' name='clustering' value='{value}'{checked}> {label}</label> "
        )
    };
    let off = radio("disabled", language.say("Disabled", "Ausgeschaltet"), " checked");
    let on = radio("enabled", language.say("Enabled", "Eingeschaltet"), "");
    let (form, title) = (request.open_form("switch"), language.say("Clustering", "Cluster"));
    let save = language.say("Save", "Speichern");
    format!(
        "<div class='card'>{form}<fieldset><legend>{title}</legend>{off}{on}</fieldset>\
         <div class='buttons'><button class='button primary'>{save}</button></div></form></div>"
    )
}

fn switch_off(language: Language, request: &PageRequest) -> String {
    let question = Question {
        id: "switch-off",
        title: language.say("Switch clustering off?", "Cluster ausschalten?"),
        consequence: language.say(
            "One node goes on alone, all others stand by: their clients lose their connections, and \
             connect again to the one that serves.",
            "Ein Knoten macht allein weiter, alle anderen stehen bereit: Ihre Clients verlieren die \
             Verbindung und melden sich bei dem an, der bedient.",
        ),
        act: language.say("Switch off", "Ausschalten"),
    };
    let dialog = question.dialog(request, "switch");
    let enabled = language.say("Clustering is enabled.", "Das Cluster ist eingeschaltet.");
    let act = question.act;
    format!(
        "<div class='card'><p>{enabled}</p><div class='buttons'><button type='button' \
         class='button danger' data-dialog='switch-off'>{act}</button></div></div>{dialog}"
    )
}

fn counts(language: Language, office: &Office, snapshot: &Snapshot) -> String {
    let allowed = office.standing.grant().map_or("0".to_owned(), |grant| grant.members.to_string());
    let running = snapshot.view.members.len().to_string();
    let facts = [
        fact(language.say("Running members", "Laufende Mitglieder"), &running),
        fact(language.say("Licensed members", "Lizenzierte Mitglieder"), &allowed),
        fact(language.say("Epoch", "Epoche"), &snapshot.view.epoch.to_string()),
    ];
    format!("<dl class='facts'>{}</dl>", facts.concat())
}

/// Columns of the node table; the nameless one holds the buttons.
const HEADS: [[&str; 2]; 8] = [
    ["Node", "Knoten"],
    ["State", "Zustand"],
    ["", ""],
    ["Joined", "Beigetreten"],
    ["Clients", "Clients"],
    ["Messages", "Nachrichten"],
    ["Memory", "Speicher"],
    ["CPU", "CPU"],
];

fn node_table(
    language: Language,
    request: &PageRequest,
    nodes: &[Node],
    joined: &BTreeMap<u32, i64>,
) -> String {
    let head = |[english, german]: [&str; 2]| match english {
        "" => {
            let acts = language.say("Actions", "Aktionen");
            format!("<th scope='col'><span class='unseen'>{acts}</span></th>")
        }
        _ => format!("<th scope='col'>{}</th>", language.say(english, german)),
    };
    let heads = HEADS.map(head).concat();
    let rows: String =
        nodes.iter().map(|node| node_line(language, request, node, joined.get(&node.id))).collect();
    let title = language.say("Nodes", "Knoten");
    table(title, &format!("<thead><tr>{heads}</tr></thead><tbody>{rows}</tbody>"))
        + &export::link(request, "nodes")
}

fn node_line(
    language: Language,
    request: &PageRequest,
    node: &Node,
    joined_ms: Option<&i64>,
) -> String {
    let figure = |name: &str, unit: fn(i64) -> String| {
        node.figure(name).map_or_else(|| "–".to_owned(), unit)
    };
    let count = |name: &str| figure(name, |value| value.to_string());
    let (badge, state) = match (node.is_here(), node.about.state) {
        (false, _) => ("bad", language.say("does not answer", "antwortet nicht")),
        // The view is newer than its row.
        (true, State::Joining) if node.is_member => ("good", text::state(language, State::Member)),
        (true, state @ State::Member) => ("good", text::state(language, state)),
        (true, state @ State::Refused) => ("bad", text::state(language, state)),
        (true, state) => ("", text::state(language, state)),
    };
    let cells = [
        joined_ms.filter(|_| node.is_member).map_or("–".to_owned(), |ms| xml::time(*ms)),
        count("sessions"),
        count("messages"),
        figure("memory_bytes", |octets| format!("{}\u{a0}MiB", octets >> 20)),
        figure("cpu_ms", |ms| format!("{}.{}\u{a0}s", ms / 1000, ms % 1000 / 100)),
    ];
    let cells = cells.map(|cell| format!("<td>{cell}</td>")).concat();
    format!(
        "<tr><th scope='row'>{} <small class='faint'>{}<br>{}</small></th>\
         <td><span class='badge {badge}'>{state}</span> {}</td><td class='acts'>{}</td>{cells}</tr>",
        number(node.id),
        xml::escaped(&node.about.name),
        xml::escaped(&node.about.addresses.join(" ")),
        xml::escaped(&node.about.refused),
        if node.is_member { drain_button(language, request, node) } else { String::new() },
    )
}

fn drain_button(language: Language, request: &PageRequest, node: &Node) -> String {
    if node.about.state == State::Draining {
        let label = language.say("Stop draining", "Nicht mehr leeren");
        return button(request, &format!("stop/{}", node.id), "small", label);
    }
    let (base, number) = (xml::escaped(&request.base), format!("{:08x}", node.id));
    let label = language.say("Drain", "Leeren");
    format!(
        "<button type='button' class='button small' data-dialog='drain' \
         data-action='{base}/drain/{}' data-subject='{number}'>{label}</button>",
        node.id
    )
}

/// Beside the table: that is drawn anew each two seconds.
fn drain_question(language: Language, request: &PageRequest) -> String {
    let question = Question {
        id: "drain",
        title: language.say(
            "Drain the node <q class='subject' data-subject></q>?",
            "Den Knoten <q class='subject' data-subject></q> leeren?",
        ),
        consequence: language.say(
            "Its clients are told to connect again, a hundred each second, and find another node. It \
             takes no new ones until you stop draining.",
            "Seine Clients werden aufgefordert, sich neu zu verbinden, hundert je Sekunde, und finden \
             einen anderen Knoten. Neue nimmt er erst wieder an, wenn Sie das Leeren beenden.",
        ),
        act: language.say("Drain", "Leeren"),
    };
    question.dialog(request, "drain")
}

/// Which version of what runs where. A version that differs from the first node's is marked.
fn versions(language: Language, request: &PageRequest, nodes: &[Node]) -> String {
    let names: BTreeSet<&String> =
        nodes.iter().flat_map(|node| node.about.versions.keys()).collect();
    let heads: String =
        nodes.iter().map(|node| format!("<th scope='col'>{}</th>", number(node.id))).collect();
    let row = |name: &str, version: &dyn Fn(&Node) -> Option<String>| {
        let first = nodes.first().and_then(version);
        let cell = |node: &Node| {
            let version = version(node);
            let shown = version.as_deref().map_or("–".to_owned(), xml::escaped);
            match version == first {
                true => format!("<td>{shown}</td>"),
                false => format!("<td><span class='badge warn'>{shown}</span></td>"),
            }
        };
        let cells: String = nodes.iter().map(cell).collect();
        format!("<tr><th scope='row'>{}</th>{cells}</tr>", xml::escaped(name))
    };
    let part = |name: &&String| row(name, &|node| node.about.versions.get(*name).cloned());
    let parts: String = names.iter().map(part).collect();
    let protocol = language.say("protocol between nodes", "Protokoll zwischen Knoten");
    let rows = parts + &row(protocol, &|node| Some(node.about.protocol.to_string()));
    let title = language.say("Versions", "Versionen");
    let part = language.say("Part", "Teil");
    let head = format!("<thead><tr><th scope='col'>{part}</th>{heads}</tr></thead>");
    let table = table(title, &format!("{head}<tbody>{rows}</tbody>"));
    format!("<h2>{title}</h2>{table}{}", export::link(request, "versions"))
}
