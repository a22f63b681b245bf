use hearth_plugin_api::testing::{FakeHost, Fixture};
use hearth_plugin_api::xml::Element;
use hearth_plugin_api::{ErrorKind, PageRequest, Phase, Stanza, Verdict, json};

use super::Filter;

const JULIET: &str = "juliet@example.org";

fn server(patterns: &[json::Value]) -> FakeHost {
    let fixture = Fixture::default().property("administrators", "admin@example.org\n");
    let server = FakeHost::start_with::<Filter>(fixture).unwrap();
    for pattern in patterns {
        server.command("add", pattern.clone()).unwrap();
    }
    server
}

fn message(body: &str) -> Stanza {
    Stanza::message("romeo@example.org").of_type("chat").from("juliet@example.org/x").body(body)
}

fn sent(server: &FakeHost, message: &Stanza) -> Verdict {
    server.step(Phase::Sent, JULIET, message).unwrap()
}

fn html(server: &FakeHost, request: PageRequest) -> String {
    let response = server.request_page("patterns", request).unwrap();
    String::from_utf8(response.body).unwrap()
}

fn get(path: &str) -> PageRequest {
    PageRequest { method: "GET".into(), path: path.into(), ..PageRequest::default() }
}

fn post(path: &str, form: &[(&str, &str)]) -> PageRequest {
    let form = form.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
    PageRequest { method: "POST".into(), path: path.into(), form, ..PageRequest::default() }
}

#[test]
fn a_message_is_refused_with_the_patterns_text() {
    let server = server(&[json::json!({ "text": "heck", "reply": "Mind your words." })]);
    assert_eq!(sent(&server, &message("oh bother")), Verdict::Pass);
    let refused = Verdict::bounce("policy-violation", "Mind your words.");
    assert_eq!(sent(&server, &message("oh heck")), refused);
    let error = message("heck").of_type("error");
    assert_eq!(sent(&server, &error), Verdict::Pass);
}

#[test]
fn what_is_masked_is_masked_in_every_body() {
    let server = server(&[json::json!({ "text": "heck", "action": "mask" })]);
    let body = |lang: &str, text: &str| {
        Element::new("body", "").with_attr("xml:lang", lang).with_text(text)
    };
    let active = Element::new("active", "http://jabber.org/protocol/chatstates");
    let html = Element::new("html", "http://jabber.org/protocol/xhtml-im")
        .with_child(Element::new("body", "http://www.w3.org/1999/xhtml").with_text("heck"));
    let bare = Stanza { children: String::new(), ..message("") };
    let two = bare.clone().with(&body("en", "ok")).with(&body("de", "heck")).with(&html);
    let masked = bare.with(&body("en", "ok")).with(&body("de", "****"));
    let verdict = sent(&server, &two.with(&active));
    assert_eq!(verdict, Verdict::replace(masked.with(&active)));
}

#[test]
fn text_hidden_in_markup_is_seen() {
    let server = server(&[json::json!({ "text": "heck" })]);
    let html = Element::new("html", "http://jabber.org/protocol/xhtml-im").with_child(
        Element::new("body", "http://www.w3.org/1999/xhtml")
            .with_child(Element::new("b", "http://www.w3.org/1999/xhtml").with_text("heck")),
    );
    assert!(matches!(sent(&server, &message("ok").with(&html)), Verdict::Bounce { .. }));
}

#[test]
fn rooms_and_other_servers_are_received_and_nobody_is_expelled() {
    let server = server(&[json::json!({ "text": "heck", "direction": "received" })]);
    let received = |message: &Stanza| server.step(Phase::ToAccount, "romeo@example.org", message);
    assert_eq!(sent(&server, &message("heck")), Verdict::Pass);
    assert_eq!(received(&message("heck")), Ok(Verdict::Pass));
    let foreign = message("heck").from("tybalt@capulet.example/y");
    assert!(matches!(received(&foreign), Ok(Verdict::Bounce { .. })));
    let room = message("heck").from("hall@conference.example.org/tybalt").of_type("groupchat");
    assert_eq!(received(&room), Ok(Verdict::Drop));
}

#[test]
fn administrators_are_told_once_a_minute() {
    let server = server(&[json::json!({ "text": "heck", "action": "count", "notify": true })]);
    for _ in 0..3 {
        assert_eq!(sent(&server, &message("heck")), Verdict::Pass);
    }
    let told = server.routed();
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].to.as_deref(), Some("admin@example.org"));
    assert!(told[0].text("body").unwrap().contains("from juliet@example.org"));
    server.advance(std::time::Duration::from_secs(61)).unwrap();
    sent(&server, &message("heck"));
    assert_eq!(server.routed().len(), 1);
}

#[test]
fn matches_are_counted_and_kept() {
    let server = server(&[json::json!({ "text": "heck", "action": "count" })]);
    for _ in 0..3 {
        sent(&server, &message("heck"));
    }
    server.advance(super::PERIOD).unwrap();
    let listed = server.command("list", json::json!({})).unwrap();
    assert_eq!((listed[0]["hits"].as_i64(), listed[0]["text"].as_str()), (Some(3), Some("heck")));
    assert!(listed[0]["last_ms"].is_i64());
    assert_eq!(server.metric("matches"), 3.0);
}

#[test]
fn the_page_makes_changes_tries_and_deletes_a_pattern() {
    let server = server(&[]);
    assert!(html(&server, get("")).contains("No pattern yet"));
    assert!(html(&server, get("new")).contains("name='text'"));
    let saved = post("save", &[("id", "0"), ("text", "<heck>"), ("action", "mask")]);
    server.request_page("patterns", saved).unwrap();
    let page = html(&server, get(""));
    assert!(page.contains("<code>&lt;heck&gt;</code>") && !page.contains("<heck>"), "{page}");
    assert!(page.contains("data-dialog='delete'") && page.contains("pass from now on"), "{page}");

    let form = [("text", "a <heck> b"), ("part", "body"), ("direction", "sent"), ("sender", "")];
    let tried = html(&server, post("test", &form));
    assert!(tried.contains("delivered as: “a ****** b”"), "{tried}");

    let off = [("id", "1"), ("text", "<heck>"), ("action", "mask"), ("disabled", "true")];
    server.request_page("patterns", post("save", &off)).unwrap();
    assert_eq!(sent(&server, &message("<heck>")), Verdict::Pass);
    assert!(html(&server, get("edit/1")).contains("name='disabled' value='true' checked"));

    server.request_page("patterns", post("delete/1", &[])).unwrap();
    assert!(html(&server, get("")).contains("No pattern yet"));
    assert_eq!(server.request_page("patterns", get("edit/1")).unwrap().status, 404);
}

#[test]
fn the_page_speaks_german() {
    let server = server(&[json::json!({ "text": "heck", "action": "mask" })]);
    let german = |request| PageRequest { language: "de".into(), ..request };
    let page = html(&server, german(get("")));
    assert!(
        page.contains("Unkenntlich machen") && page.contains("Wer benachrichtigt wird"),
        "{page}"
    );
    assert!(html(&server, german(get("new"))).contains("Es ist ein regulärer Ausdruck"));
    let empty = html(&server, german(post("save", &[("id", "0"), ("text", " ")])));
    assert!(empty.contains("das Muster ist leer"), "{empty}");
}

#[test]
fn the_patterns_are_exported() {
    let server = server(&[json::json!({ "text": "=a,\"b\"", "action": "mask" })]);
    let file = server.request_page("patterns", get("export")).unwrap();
    assert_eq!(file.file_name.as_deref(), Some("patterns.csv"));
    let lines = String::from_utf8(file.body).unwrap();
    let line = lines.lines().nth(1).unwrap();
    assert!(!line.contains('<'), "{line}");
    assert!(line.starts_with("1,\"'=a,\"\"b\"\"\",false,mask,"), "{line}");
}

#[test]
fn a_pattern_that_is_none_is_refused_with_the_reason() {
    let server = server(&[]);
    let broken = [("id", "0"), ("text", "("), ("regex", "true")];
    let answer = server.request_page("patterns", post("save", &broken)).unwrap();
    assert_eq!(answer.status, 422);
    let page = String::from_utf8(answer.body).unwrap();
    assert!(page.contains("unclosed group") && page.contains("id='text-error'"), "{page}");
    assert!(
        page.contains("name='regex' value='true' checked") && page.contains("value='('"),
        "{page}"
    );
    let error = server.command("add", json::json!({ "text": "(", "regex": true })).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Invalid);
    assert_eq!(
        server.command("remove", json::json!({ "id": 9 })).unwrap_err().kind,
        ErrorKind::NotFound
    );
}

#[test]
fn the_command_tells_what_would_happen() {
    let server = server(&[json::json!({ "text": "heck", "excluded": JULIET })]);
    let test = |sender: &str| {
        let text = json::json!({ "text": "heck", "sender": sender });
        server.command("test", text).unwrap()
    };
    assert_eq!(test(JULIET)["matched"], json::json!([]));
    assert_eq!(test("romeo@example.org")["matched"], json::json!([1]));
    assert_eq!(test("romeo@example.org")["refused"], "This message is not allowed here.");
}
