//! `/sessions`.

use std::collections::VecDeque;
use std::future::poll_fn;

use super::*;
use crate::ns;
use crate::router::cluster::{Alone, Delta, Member, Node, View};
use crate::session::{Envelope, ToOverride};
use crate::stanza::RootNamespace;
use crate::xml::Element;

/// What a session has been sent.
async fn received(session: &Session) -> Vec<String> {
    let mut waiting = VecDeque::new();
    poll_fn(|cx| session.shared.mailbox.poll(cx, &mut waiting, usize::MAX)).await;
    let text = |Envelope { stanza, to, .. }: Envelope| {
        let mut octets = Vec::new();
        let to = (to == ToOverride::Own).then_some(session.jid());
        stanza.render(to, RootNamespace::Inherited, &mut octets);
        String::from_utf8(octets).expect("UTF-8")
    };
    waiting.into_iter().map(text).collect()
}

fn jid(text: &str) -> Jid {
    Jid::parse(text).expect("an address")
}

fn become_available(session: &Session, presence: Stanza) {
    session.shared.set_presence(Some((presence.into(), 3)));
}

fn jids(page: &Value) -> Vec<&str> {
    let items = page["items"].as_array().expect("items").iter();
    items.map(|session| session["jid"].as_str().expect("an address")).collect()
}

async fn sessions_are_searched(test: TestDb) {
    let console = Console::start(&test).await;
    let romeo = console.bind(AccountId(1), jid("romeo@example.org/orchard"));
    let rosaline = console.bind(AccountId(2), jid("rosaline@example.org/home"));
    let _juliet = console.bind(AccountId(3), jid("juliet@example.org/balcony"));
    become_available(&romeo, Stanza::presence(PresenceType::Available));
    rosaline.shared.leave();
    assert_eq!(jids(&console.get("/sessions?user=ro").await).len(), 2);
    let found = console.get("/sessions?available=true").await;
    assert_eq!(jids(&found), ["romeo@example.org/orchard"]);
    let found = console.get("/sessions?detached=true").await;
    assert_eq!(jids(&found), ["rosaline@example.org/home"]);
    assert_eq!(jids(&console.get("/sessions?address=192.0.2.1").await).len(), 3);
    assert_eq!(jids(&console.get("/sessions?address=192.0.2.99").await).len(), 0);
    let (status, _) = console.call(Method::GET, "/sessions?available=perhaps", None).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
}

async fn a_session_is_shown_in_detail(test: TestDb) {
    let console = Console::start(&test).await;
    let romeo = console.bind(AccountId(1), jid("romeo@example.org/orchard"));
    romeo.shared.start_management(true);
    romeo.shared.management().expect("enabled").set_unacknowledged(2);
    let caps = Element::new("c", ns::CAPS).with_attr("node", "https://gajim.org");
    become_available(&romeo, Stanza::presence(PresenceType::Available).with_child(&caps));
    let shown = console.get("/sessions/romeo/orchard").await;
    let management = json!({ "resumable": true, "unacknowledged": 2 });
    assert_eq!(shown["stream_management"], management);
    assert_eq!(shown["client"], "https://gajim.org");
    assert_eq!(shown["cipher"], "TLS13_AES_128_GCM_SHA256");
    assert_eq!((&shown["priority"], &shown["idle_seconds"]), (&json!(3), &json!(0)));
    romeo.shared.leave();
    let shown = console.get("/sessions/romeo/orchard").await;
    assert_eq!((&shown["detached"], &shown["idle_seconds"]), (&json!(true), &Value::Null));
}

async fn a_message_reaches_whom_it_is_for(test: TestDb) {
    let console = Console::start(&test).await;
    let romeo = console.bind(AccountId(1), jid("romeo@example.org/orchard"));
    let juliet = console.bind(AccountId(2), jid("juliet@example.org/balcony"));
    become_available(&romeo, Stanza::presence(PresenceType::Available));
    let send =
        async |message: Value| console.call(Method::POST, "/sessions/message", Some(message)).await;
    let (status, sent) = send(json!({ "body": "we close at 9", "subject": "News" })).await;
    assert_eq!((status, &sent["sent"]), (StatusCode::OK, &json!(1)), "available sessions only");
    let text = received(&romeo).await.concat();
    assert!(text.contains("type='headline'") && text.contains("we close at 9"), "{text}");
    assert!(text.contains("to='romeo@example.org/orchard'"), "{text}");
    let (_, sent) = send(json!({ "to": "juliet", "body": "<b/>", "style": "chat" })).await;
    assert_eq!(sent["sent"], 1);
    let text = received(&juliet).await.concat();
    assert!(text.contains("type='chat'") && text.contains("&lt;b/&gt;"), "{text}");
    let (status, told) = send(json!({ "to": "nobody", "body": "hi" })).await;
    assert_eq!((status, &told["field"]), (StatusCode::BAD_REQUEST, &json!("to")));
    let (_, told) = send(json!({ "to": "juliet@elsewhere.example", "body": "hi" })).await;
    assert_eq!(told["field"], "to");
    let (_, told) = send(json!({ "body": " " })).await;
    assert_eq!(told["field"], "body");
    let acts = console.get("/audit").await;
    assert_eq!(acts["items"][1]["target"], "everybody");
}

async fn a_session_of_another_node_is_shown_with_its_node(test: TestDb) {
    let console = Console::start(&test).await;
    let here = console.bind(AccountId(1), jid("romeo@example.org/orchard"));
    let members = [("one", 1), ("two", 2)].map(|(name, id)| Member {
        node: Node { id, incarnation: 1 },
        name: name.to_owned(),
        version: String::new(),
        draining: false,
    });
    let [me, other] = [members[0].node, members[1].node];
    let nodes = &console.api.router.nodes;
    assert_eq!(console.get("/sessions").await["items"][0].get("node"), None, "it is alone");
    nodes.entered(me, View { epoch: 1, members: members.into() }, Arc::new(Alone(me)));
    let juliet = Delta {
        gone: false,
        host: 0,
        account: "juliet".into(),
        resource: "balcony".into(),
        session: 7,
        epoch: 1,
        bound_ms: NOW.0,
        priority: 5,
        flags: Delta::AVAILABLE,
    };
    assert_eq!(nodes.apply(other, 1, &[juliet]), 2);
    let page = console.get("/sessions").await;
    assert_eq!(jids(&page), ["juliet@example.org/balcony", here.jid().as_str()]);
    assert_eq!(
        (&page["items"][0]["node"], &page["items"][1]["node"]),
        (&json!("two"), &json!("one"))
    );
    let shown = console.get("/sessions/juliet/balcony").await;
    assert_eq!((&shown["priority"], &shown["available"]), (&json!(5), &json!(true)));
    // Its node does not answer: the request has not been carried out.
    let (status, _) = console.call(Method::DELETE, "/sessions/juliet/balcony", None).await;
    assert_eq!(status, StatusCode::CONFLICT);
}

crate::backend_tests! {
    a_session_of_another_node_is_shown_with_its_node,
    sessions_are_searched,
    a_session_is_shown_in_detail,
    a_message_reaches_whom_it_is_for,
}
