use hearth_plugin_api::json::json;
use hearth_plugin_api::sql::Statement;
use hearth_plugin_api::testing::{FakeHost, block_on};
use hearth_plugin_api::{ErrorKind, FormFile, NoticeLevel, PageRequest, PageResponse};

use crate::Enterprise;
use crate::licence::for_tests;
use crate::membership::{About, Change, Happened, Member, View};
use crate::store;

fn server() -> FakeHost {
    FakeHost::start::<Enterprise>().expect("it starts")
}

fn text(response: PageResponse) -> String {
    String::from_utf8(response.body).expect("text")
}

fn page(server: &FakeHost, slug: &str) -> String {
    text(server.page(slug).expect("a page"))
}

fn in_german(server: &FakeHost, slug: &str) -> String {
    let request =
        PageRequest { method: "GET".into(), language: "de-AT".into(), ..Default::default() };
    text(server.request_page(slug, request).expect("a page"))
}

/// A form of a page; the line above the page afterwards.
fn told(server: &FakeHost, slug: &str, path: &str, form: &[(&str, &str)]) -> (NoticeLevel, String) {
    let form = form.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
    let request =
        PageRequest { method: "POST".into(), path: path.into(), form, ..PageRequest::default() };
    let response = server.request_page(slug, request).expect("an answer");
    assert_eq!(response.location, Some(format!("/plugins/enterprise/{slug}")));
    let notice = response.notice.expect("a notice");
    (notice.level, notice.text)
}

fn run(server: &FakeHost, sql: &str) {
    block_on(server.host().sql().execute(Statement::new(sql))).expect("run");
}

/// A cluster of these nodes, as the database tells of it.
fn cluster_of(server: &FakeHost, nodes: &[u32]) {
    let members: Vec<_> = nodes.iter().map(|node| Member { node: *node, incarnation: 7 }).collect();
    for member in &members {
        let addresses = vec![format!("10.0.0.{}:7447", member.node)];
        let about = About { name: "<b>".to_owned(), addresses, ..About::default() };
        block_on(store::beat(&server.host(), (*member, 0), &[], &about)).expect("a row");
    }
    let happened = members.iter().map(|member| (*member, Happened::Joined)).collect();
    let change = Change { view: View { epoch: 1, members }, departed: Vec::new(), happened };
    assert!(block_on(store::swap_view(&server.host(), &change)).expect("swapped"));
}

#[test]
fn the_tab_has_its_pages_in_both_languages() {
    let server = server();
    assert!(page(&server, "overview").contains("Users online"));
    assert!(in_german(&server, "overview").contains("Benutzer online"));
    assert!(page(&server, "licence").contains("There is no licence."));
    assert!(page(&server, "licence").contains("Clustering needs an external database"));
    assert!(in_german(&server, "licence").contains("Es gibt keine Lizenz."));
    let clustering = page(&server, "clustering");
    assert!(clustering.contains("external database") && !clustering.contains("switch"));
    assert!(in_german(&server, "clustering").contains("externe Datenbank"));
}

#[test]
fn an_evaluation_starts_once() {
    let server = server();
    assert_eq!(told(&server, "licence", "evaluation", &[]).0, NoticeLevel::Info);
    let shown = page(&server, "licence");
    assert!(shown.contains("0 of 3") && !shown.contains("Start the evaluation"), "{shown}");
    assert_eq!(told(&server, "licence", "evaluation", &[]).0, NoticeLevel::Error);
    let again = server.command("start-evaluation", json!({})).expect_err("refused");
    assert_eq!(again.kind, ErrorKind::Conflict);
    assert_eq!(server.audit().len(), 1);
}

#[test]
fn a_licence_is_pasted_or_uploaded() {
    let server = server();
    let pasted = for_tests(-1, 100, 5);
    let (level, _) = told(&server, "licence", "install", &[("licence", &pasted)]);
    assert_eq!(level, NoticeLevel::Info);
    let shown = page(&server, "licence");
    assert!(shown.contains("Verona &lt;Ltd&gt;") && shown.contains("0 of 5"), "{shown}");
    let content = for_tests(-1, 200, 9).into_bytes();
    let file = FormFile { field: "file".into(), content, ..FormFile::default() };
    let files = vec![file];
    let (method, path) = ("POST".to_owned(), "install".to_owned());
    let upload = PageRequest { method, path, files, ..PageRequest::default() };
    server.request_page("licence", upload).expect("uploaded");
    assert!(page(&server, "licence").contains("0 of 9"));
}

#[test]
fn what_a_licence_is_refused_for_is_told() {
    let server = server();
    cluster_of(&server, &[1, 2, 3]);
    let tampered = for_tests(-1, 100, 5).replace("\n-----END", "?\n-----END");
    let table = [
        ("", "no Hearth licence"),
        (&tampered, "damaged"),
        (&for_tests(-90, -60, 5), "ended on"),
        (&for_tests(3, 100, 5), "holds from"),
        (&for_tests(-1, 100, 2), "allows 2 members, and 3 are running"),
    ];
    for (licence, why) in table {
        let (level, text) = told(&server, "licence", "install", &[("licence", licence)]);
        assert_eq!(level, NoticeLevel::Error);
        assert!(text.contains(why), "{text}");
        let error = server.command("install-licence", json!({ "licence": licence }));
        assert!(error.expect_err("refused").message.contains(why));
    }
    assert!(page(&server, "licence").contains("There is no licence."), "nothing was installed");
}

#[test]
fn the_end_of_a_licence_is_shown_on_every_page() {
    let server = server();
    let licence = for_tests(-90, 1, 5);
    server.command("install-licence", json!({ "licence": licence })).expect("installed");
    assert_eq!(server.notices().len(), 0);
    let now = "UPDATE {seen} SET latest_ms = {:now} + 86400000 * 5";
    run(&server, now);
    server.advance(std::time::Duration::from_secs(3600)).expect("an hour");
    let notices = server.notices();
    assert!(notices["licence"].1.contains("Everything goes on until"), "{notices:?}");
    // Five days ahead is more than a time zone.
    assert!(notices["clock"].1.contains("set back"), "{notices:?}");
    assert!(page(&server, "licence").contains("set back"));
    run(&server, "UPDATE {seen} SET latest_ms = 0");
    server.advance(std::time::Duration::from_secs(3600)).expect("an hour");
    assert_eq!(server.notices().len(), 0);
}

#[test]
fn clustering_needs_an_external_database_and_says_so() {
    let server = server();
    server.command("start-evaluation", json!({})).expect("started");
    let refused = server.command("enable", json!({})).expect_err("refused");
    assert!(refused.message.contains("external database"), "{refused}");
    let (level, text) = told(&server, "clustering", "switch", &[("clustering", "enabled")]);
    assert_eq!(level, NoticeLevel::Error);
    assert!(text.contains("PostgreSQL"), "{text}");
    let status = server.command("disable", json!({})).expect("it is off already");
    assert_eq!((&status["enabled"], &status["members"]), (&json!(false), &json!([])));
}

#[test]
fn the_status_tells_who_belongs_to_the_cluster() {
    let server = server();
    cluster_of(&server, &[1, 2]);
    let status = server.command("status", json!({})).expect("a status");
    assert_eq!((&status["me"], &status["epoch"]), (&json!(1), &json!(1)));
    assert_eq!(status["members"][1]["id"], 2);
    assert_eq!(status["members"][1]["state"], "off");
    let shown = page(&server, "clustering");
    assert!(shown.contains("&lt;b&gt;") && !shown.contains("<b>"), "{shown}");
    assert!(shown.contains("joined"), "the log");
    assert!(shown.contains("10.0.0.2:7447") && shown.contains("protocol between nodes"), "{shown}");
    let joined = block_on(store::joined(&server.host())).expect("times");
    assert!(
        shown.matches(&hearth_plugin_api::xml::time(joined[&2])).count() >= 2,
        "in its row and the log"
    );
}

#[test]
fn the_tables_are_exported() {
    let server = server();
    cluster_of(&server, &[1, 2]);
    let file = |slug: &str, path: &str| {
        let request = PageRequest { method: "GET".into(), path: path.into(), ..Default::default() };
        server.request_page(slug, request).expect("an answer")
    };
    let nodes = file("clustering", "nodes");
    assert_eq!(nodes.media_type.as_deref(), Some("text/csv"));
    let nodes = text(nodes);
    assert!(nodes.starts_with("node,name,") && nodes.contains("\r\n00000002,"), "{nodes}");
    let versions = text(file("clustering", "versions"));
    assert!(versions.starts_with("node,part,version\r\n00000001,"), "{versions}");
    assert!(versions.contains("\r\n00000002,protocol,0\r\n"), "{versions}");
    for page in ["clustering", "overview"] {
        let events = text(file(page, "events"));
        assert!(!events.contains('<'), "{events}");
        assert!(events.contains(",joined,,1\r\n"), "{events}");
    }
    assert_eq!(file("overview", "nothing").status, 404);
}

#[test]
fn only_members_are_drained() {
    let server = server();
    cluster_of(&server, &[1, 2]);
    assert_eq!(told(&server, "clustering", "drain/2", &[]).0, NoticeLevel::Info);
    let rows = block_on(store::snapshot(&server.host())).expect("rows").nodes;
    assert_eq!(rows.iter().map(|row| row.drain).collect::<Vec<_>>(), [0, 100]);
    let stopped = server.command("drain", json!({ "node": 2, "per_second": 0 }));
    assert_eq!(stopped, Ok(json!({ "node": 2, "per_second": 0 })));
    let unknown = server.command("drain", json!({ "node": 3 })).expect_err("refused");
    assert_eq!(unknown.kind, ErrorKind::NotFound);
    assert!(server.command("drain", json!({ "node": "x" })).is_err());
}

#[test]
fn what_is_not_there_says_so() {
    let server = server();
    let check = server.command("check-directory", json!({})).expect_err("unavailable");
    assert_eq!(check.kind, ErrorKind::Unavailable);
    assert!(check.message.starts_with("unavailable: "));
}
