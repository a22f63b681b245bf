use std::time::Duration;

use hearth_plugin_api::testing::{FakeHost, Fixture};
use hearth_plugin_api::{ErrorKind, PageRequest, Session, Stanza, User, json};

use super::{Broadcast, PERIOD};

fn session(jid: &str, available: bool) -> Session {
    Session { jid: jid.to_owned(), available, ..Session::default() }
}

fn fixture() -> Fixture {
    let mut fixture = Fixture::default()
        .user("juliet")
        .user("mercutio")
        .user("romeo")
        .group("Montague Men", &["romeo", "mercutio"])
        .property("senders", "admin@example.org");
    let locked = User { name: "tybalt".into(), disabled: true, ..User::default() };
    fixture.users.push(locked);
    fixture.sessions = vec![
        session("juliet@example.org/balcony", true),
        session("juliet@example.org/phone", true),
        session("mercutio@example.org/street", false),
        session("romeo@example.org/orchard", true),
    ];
    fixture
}

fn server(rate: &str) -> FakeHost {
    FakeHost::start_with::<Broadcast>(fixture().property("rate", rate)).unwrap()
}

fn send(server: &FakeHost, to: &str) -> json::Value {
    let draft = json::json!({ "to": to, "body": "Peace!", "subject": "Verona" });
    server.command("send", draft).unwrap()
}

fn recipients(server: &FakeHost) -> Vec<String> {
    server.routed().into_iter().filter_map(|stanza| stanza.to).collect()
}

fn status(server: &FakeHost, id: i64) -> json::Value {
    server.command("status", json::json!({ "id": id })).unwrap()
}

fn from(sender: &str, to: &str) -> Stanza {
    Stanza::message(to).from(sender).of_type("chat").body("Peace!")
}

#[test]
fn each_audience_gets_it_once() {
    let table: [(&str, &[&str]); 3] = [
        ("all", &["juliet", "mercutio", "romeo"]),
        ("online", &["juliet", "romeo"]),
        ("group:Montague Men", &["mercutio", "romeo"]),
    ];
    for rate in ["1", "2", "50"] {
        for (to, expected) in table {
            let server = server(rate);
            assert_eq!(send(&server, to)["recipients"], expected.len(), "{to}");
            server.advance(PERIOD * 10).unwrap();
            let expected: Vec<_> =
                expected.iter().map(|name| format!("{name}@example.org")).collect();
            assert_eq!(recipients(&server), expected, "{to} at {rate}");
            let status = status(&server, 1);
            assert_eq!(
                (&status["state"], &status["sent"]),
                (&"done".into(), &expected.len().into())
            );
        }
    }
}

#[test]
fn no_more_than_the_rate_is_sent_in_a_second() {
    let server = server("1");
    send(&server, "all");
    server.advance(PERIOD).unwrap();
    assert_eq!(recipients(&server), ["juliet@example.org"]);
    assert_eq!(status(&server, 1)["state"], "running");
    server.command("stop", json::json!({ "id": 1 })).unwrap();
    server.advance(PERIOD * 5).unwrap();
    assert_eq!(recipients(&server), [""; 0]);
    assert_eq!(status(&server, 1)["state"], "stopped");
    let again = server.command("stop", json::json!({ "id": 1 })).unwrap_err();
    assert_eq!(again.kind, ErrorKind::Conflict);
}

#[test]
fn the_message_has_subject_type_and_an_id() {
    let server = server("50");
    let draft = json::json!({ "to": "online", "body": "a < b", "type": "headline" });
    server.command("send", draft).unwrap();
    server.advance(PERIOD).unwrap();
    let message = server.routed().remove(0);
    assert_eq!(message.type_.as_deref(), Some("headline"));
    assert_eq!(message.id.as_deref(), Some("broadcast-1"));
    assert_eq!(message.children, "<body>a &lt; b</body>");
    send(&server, "online");
    server.advance(PERIOD).unwrap();
    let message = server.routed().remove(0);
    assert_eq!((message.type_.clone(), message.text("subject")), (None, Some("Verona".into())));
}

#[test]
fn what_cannot_be_sent_is_refused() {
    let server = server("50");
    let kind = |draft: json::Value| server.command("send", draft).unwrap_err().kind;
    assert_eq!(kind(json::json!({ "to": "some", "body": "x" })), ErrorKind::Invalid);
    assert_eq!(kind(json::json!({ "to": "all", "body": " " })), ErrorKind::Invalid);
    assert_eq!(kind(json::json!({ "to": "all", "body": "x".repeat(20_001) })), ErrorKind::Invalid);
    assert_eq!(kind(json::json!({ "to": "all", "body": "x", "type": "y" })), ErrorKind::Invalid);
    assert_eq!(kind(json::json!({ "to": "group:none", "body": "x" })), ErrorKind::NotFound);
    for _ in 0..20 {
        send(&server, "all");
    }
    assert_eq!(kind(json::json!({ "to": "all", "body": "x" })), ErrorKind::Full);
}

#[test]
fn a_client_that_is_listed_may_send() {
    let server = server("50");
    let answer = server.component(&from("admin@example.org/x", "all@broadcast.example.org"));
    let answer = answer.unwrap().remove(0);
    assert_eq!(answer.text("body").as_deref(), Some("Broadcast 1 goes to 3 users."));
    assert_eq!(answer.to.as_deref(), Some("admin@example.org/x"));
    server.advance(PERIOD).unwrap();
    assert_eq!(recipients(&server).len(), 3);
    assert_eq!(server.audit()[0].0, "admin@example.org");
}

#[test]
fn whoever_administers_a_group_may_send_to_it_and_nobody_else() {
    let group = r"montague\20men@broadcast.example.org";
    let table = [
        ("romeo@example.org/x", group, "chat"),
        ("mercutio@example.org/x", group, "error"),
        ("romeo@example.org/x", "all@broadcast.example.org", "error"),
        ("romeo@example.org/x", "online@broadcast.example.org", "error"),
        ("romeo@evil.example/x", group, "error"),
        ("admin@evil.example/x", "all@broadcast.example.org", "error"),
        ("admin@example.org/x", "capulet@broadcast.example.org", "error"),
        ("admin@example.org/x", "broadcast.example.org", "error"),
    ];
    let server = server("50");
    for (sender, to, type_) in table {
        let answer = server.component(&from(sender, to)).unwrap().remove(0);
        assert_eq!(answer.type_.as_deref(), Some(type_), "{sender} to {to}: {answer}");
    }
    server.advance(PERIOD).unwrap();
    assert_eq!(recipients(&server), ["mercutio@example.org", "romeo@example.org"]);
}

#[test]
fn errors_and_chat_states_are_not_answered() {
    let server = server("50");
    let to = "all@broadcast.example.org";
    let error = from("admin@example.org/x", to).of_type("error");
    assert_eq!(server.component(&error), Ok(vec![]));
    let state = Stanza::message(to).from("admin@example.org/x");
    assert_eq!(server.component(&state), Ok(vec![]));
    assert_eq!(server.component(&Stanza::presence(to).from("admin@example.org/x")), Ok(vec![]));
}

fn html(server: &FakeHost, request: PageRequest) -> String {
    String::from_utf8(server.request_page("send", request).unwrap().body).unwrap()
}

fn post(path: &str, form: &[(&str, &str)]) -> PageRequest {
    let form = form.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
    PageRequest { method: "POST".into(), path: path.into(), form, ..PageRequest::default() }
}

#[test]
fn the_page_asks_sends_and_shows_how_far_it_is() {
    let server = server("1");
    let form = [("to", "all"), ("type", "normal"), ("subject", ""), ("body", "<b>Peace</b>")];
    let asked = html(&server, post("confirm", &form));
    assert!(asked.contains("Send to 3 users") && asked.contains("&lt;b&gt;Peace"), "{asked}");
    server.advance(PERIOD).unwrap();
    assert_eq!(server.routed(), []);

    let sent = server.request_page("send", post("send", &form)).unwrap();
    assert_eq!(sent.notice.unwrap().text, "Broadcast 1 goes to 3 users.");
    server.advance(PERIOD).unwrap();
    let get = || PageRequest { method: "GET".into(), ..PageRequest::default() };
    let page = html(&server, get());
    assert!(page.contains("1 of 3") && page.contains("hx-trigger='every 2s'"), "{page}");
    assert!(page.contains("<option value='group:Montague Men'>"));
    assert!(!page.contains("<b>Peace"));
    server.advance(Duration::from_secs(5)).unwrap();
    let page = html(&server, get());
    assert!(page.contains("3 of 3") && !page.contains("hx-trigger"), "{page}");

    let file = PageRequest { path: "export".into(), ..get() };
    let lines = html(&server, file);
    assert!(!lines.contains("<time"), "{lines}");
    assert!(lines.contains(",all,normal,,<b>Peace</b>,done,"), "{lines}");

    let typed = [("to", "some"), ("type", "headline"), ("subject", "Peace"), ("body", "<b>")];
    let refused = server.request_page("send", post("confirm", &typed)).unwrap();
    assert_eq!(refused.status, 422);
    let page = String::from_utf8(refused.body).unwrap();
    assert!(page.contains("none of all") && page.contains("value='Peace'"), "{page}");
    assert!(
        page.contains("&lt;b&gt;</textarea>") && page.contains("'headline' selected"),
        "{page}"
    );
}

#[test]
fn the_page_speaks_german() {
    let server = server("1");
    let german = |request| PageRequest { language: "de-AT".into(), ..request };
    let get = || german(PageRequest { method: "GET".into(), ..PageRequest::default() });
    let page = html(&server, get());
    assert!(page.contains(">Gruppe Montague Men<") && page.contains("noch nichts"), "{page}");
    let form = [("to", "online"), ("type", "normal"), ("body", "Friede!")];
    let asked = html(&server, german(post("confirm", &form)));
    assert!(asked.contains("An 2 Benutzer senden") && asked.contains("Abbrechen"), "{asked}");
    let sent = server.request_page("send", german(post("send", &form))).unwrap();
    assert_eq!(sent.notice.unwrap().text, "Die Rundnachricht 1 geht an 2 Benutzer.");
    let page = html(&server, get());
    assert!(page.contains(">läuft<") && page.contains("0 von 2"), "{page}");
    let refused = [
        (("all", " "), "die Nachricht ist leer"),
        (("group:none", "Friede!"), "es gibt keine Gruppe „none“"),
    ];
    for ((to, body), why) in refused {
        let form = [("to", to), ("type", "normal"), ("body", body)];
        let page = html(&server, german(post("send", &form)));
        assert!(page.contains(why), "{page}");
    }
    let stopped = server.request_page("send", german(post("stop/7", &[]))).unwrap();
    assert_eq!(stopped.notice.unwrap().text, "die Rundnachricht 7 läuft nicht");
}
