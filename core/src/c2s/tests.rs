use tokio::sync::Semaphore;

use self::server::{Client, Server, eventually};
use super::*;
use crate::auth::profile::Lockout;
use crate::clock::Timestamp;
use crate::router::{IqTable, Request, Target};
use crate::stanza::{PresenceType, Stanza};
use crate::xml::Element;

mod drain;
mod moving;
mod server;

fn future_size<A, B, F>(_: impl Fn(A, B) -> F) -> usize {
    size_of::<F>()
}

/// A connection that waits is the most frequent thing in the server. A number that grows here is
/// multiplied by the number of users: think before changing it.
#[test]
fn a_waiting_connection_stays_small() {
    let sizes = [
        ("task", future_size(C2s::serve)),
        ("bound", size_of::<Bound>()),
        ("session", size_of::<Session>()),
        ("shared", size_of::<Shared>()),
        ("stanza", size_of::<Stanza>()),
        ("envelope", size_of::<Envelope>()),
    ];
    let expected = [184, 328, 24, 360, 216, 24];
    assert_eq!(sizes.map(|(_, size)| size), expected, "{sizes:?}");
}

const CHAT: &str = "<message to='juliet@hearth.example' type='chat'><body>hi</body></message>";

fn with_a_bug(iqs: &mut IqTable) {
    let bug = |_: Request, _: &mut Out| panic!("on purpose");
    iqs.register("bug", &[Target::Own], bug);
}

/// Juliet has not acknowledged a message when a bug ends the task of her connection.
#[tokio::test]
async fn a_bug_leaves_no_session_behind() {
    let server = Server::start(with_a_bug).await;
    let mut juliet = server.client("juliet/balcony").await;
    juliet.send("<enable xmlns='urn:xmpp:sm:3' resume='true'/><presence/>").await;
    let enabled = juliet.expect("/>").await;
    let token = enabled.split(" id='").nth(1).unwrap().split('\'').next().unwrap();
    let registry = &server.c2s.router.registry;
    assert!(registry.resumable(token).is_some());
    let mut romeo = server.client("romeo/orchard").await;
    romeo.send("<enable xmlns='urn:xmpp:sm:3'/>").await;
    romeo.send(CHAT).await;
    juliet.expect("</message>").await;
    juliet.send("<iq type='set' id='1'><x xmlns='bug'/></iq>").await;
    juliet.rest().await;
    server.until_stored("juliet", 1).await;
    eventually("all is over", async || server.c2s.sessions() == 1).await;
    assert!(registry.resumable(token).is_none());
    assert!(juliet.shared.mailbox.is_closed());
    assert_eq!(server.panics.get(), 1);
    romeo.send("<r xmlns='urn:xmpp:sm:3'/>").await;
    romeo.expect("h='1'").await;
}

/// What was routed before the bug, within the same read, is delivered.
#[tokio::test]
async fn a_bug_takes_no_other_stanza_with_it() {
    let server = Server::start(with_a_bug).await;
    let mut juliet = server.client("juliet/balcony").await;
    juliet.send("<presence/>").await;
    juliet.expect("<presence").await;
    let mut romeo = server.client("romeo/orchard").await;
    romeo.send(&format!("{CHAT}<iq type='set' id='1'><x xmlns='bug'/></iq>")).await;
    juliet.expect("<body>hi</body>").await;
    eventually("only juliet is left", async || server.c2s.sessions() == 1).await;
}

/// Her mailbox was full for a while: what is not durable is lost to the old session.
#[tokio::test]
async fn a_session_that_missed_something_is_not_resumed() {
    let server = Server::start(|_| {}).await;
    let mut juliet = server.client("juliet/balcony").await;
    juliet.send("<enable xmlns='urn:xmpp:sm:3' resume='true'/><presence/>").await;
    let enabled = juliet.expect("/>").await;
    let token = enabled.split(" id='").nth(1).unwrap().split('\'').next().unwrap();
    juliet.expect("<presence").await;
    juliet.send("<iq type='result' id='1'/>").await;
    let shared = juliet.shared.clone();
    drop(juliet);
    eventually("she is away", async || !shared.is_connected()).await;
    let news = Element::new("status", "").with_text(&"x".repeat(10_000));
    let news = Arc::new(Stanza::presence(PresenceType::Available).with_child(&news));
    eventually("it is full", async || shared.mailbox.push(Envelope::new(news.clone())).is_err())
        .await;
    let account = server.account("juliet").await;
    let jid = shared.jid.to_bare();
    let wanted = Wanted { account, jid: &jid, previd: token, h: Counter(1) };
    let answer = server.c2s.resume(wanted).await.err();
    let Some(Answer::ResumeRefused { refusal, h }) = answer else { panic!("it was resumed") };
    assert_eq!((refusal, h), (Refusal::ItemNotFound, Some(Counter(2))));
    assert_eq!(server.c2s.sessions(), 0, "her next bind finds everything");
}

/// Juliet's request waits for `gate`, and then for whatever `serve` does with the permit.
async fn waiting(gate: &Arc<Semaphore>) -> (Server, Client, Client) {
    let gate = gate.clone();
    let wait = move |_: Request, out: &mut Out| {
        let gate = gate.clone();
        out.wait(async move {
            gate.acquire().await.unwrap().forget();
            Out::default()
        });
    };
    let server = Server::start(|iqs| iqs.register("wait", &[Target::Own], wait)).await;
    let mut romeo = server.client("romeo/orchard").await;
    romeo.send("<presence/>").await;
    romeo.expect("<presence").await;
    let mut juliet = server.client("juliet/balcony").await;
    juliet.send("<iq type='set' id='1'><x xmlns='wait'/></iq>").await;
    let shared = juliet.shared.clone();
    eventually("it waits", async || shared.lengthen_silence(0).is_none()).await;
    (server, juliet, romeo)
}

/// As a removed account is: what its client sent behind the removal is not routed.
#[tokio::test]
async fn who_must_end_is_read_no_further() {
    let gate = Arc::new(Semaphore::new(0));
    let (_server, mut juliet, mut romeo) = waiting(&gate).await;
    juliet.send("<message to='romeo@hearth.example'><body>too late</body></message>").await;
    juliet.shared.mailbox.order(Order::Close(CloseReason::Kicked));
    gate.add_permits(1);
    let rest = juliet.rest().await;
    assert!(rest.contains("</stream:stream>"), "{rest}");
    romeo.send("<message to='romeo@hearth.example'><body>the last</body></message>").await;
    let got = romeo.expect("the last").await;
    assert!(!got.contains("too late"), "{got}");
}

/// Her acknowledgement waits unread when she must go.
#[tokio::test]
async fn what_a_client_has_told_before_its_end_counts() {
    let server = Server::start(|_| {}).await;
    let mut juliet = server.client("juliet/balcony").await;
    juliet.send("<enable xmlns='urn:xmpp:sm:3'/><presence/>").await;
    juliet.expect("<presence").await;
    let mut romeo = server.client("romeo/orchard").await;
    for text in ["first", "second"] {
        romeo.send(&CHAT.replace("hi", text)).await;
        juliet.expect(text).await;
    }
    juliet.shared.mailbox.order(Order::Close(CloseReason::Kicked));
    // The first message comes behind her own presence.
    juliet.send(&format!("{CHAT}<a xmlns='urn:xmpp:sm:3' h='2'/>")).await;
    assert!(juliet.rest().await.contains("</stream:stream>"));
    // Neither is the first one stored, nor what she sent.
    server.until_stored("juliet", 1).await;
    eventually("only romeo is left", async || server.c2s.sessions() == 1).await;
    assert_eq!(server.stored("juliet").await, 1);
}

#[tokio::test]
async fn who_must_go_because_the_node_stands_by_is_told_so() {
    let server = Server::start(|_| {}).await;
    let mut juliet = server.client("juliet/balcony").await;
    *server.c2s.leaving.lock() = Some(CloseReason::Standby);
    juliet.shared.mailbox.order(Order::Close(CloseReason::Standby));
    // Who was just being bound hears the same.
    let mut romeo = server.client("romeo/orchard").await;
    for client in [&mut juliet, &mut romeo] {
        let rest = client.rest().await;
        assert!(rest.contains("<reset ") && rest.contains("serves no longer"), "{rest}");
    }
}

#[tokio::test]
async fn who_is_not_read_is_not_idle() {
    let gate = Arc::new(Semaphore::new(0));
    let (server, mut juliet, _romeo) = waiting(&gate).await;
    for _ in 0..3 {
        server.c2s.look(30, 60);
    }
    gate.add_permits(1);
    juliet.send(&CHAT.replace("hi", "still here")).await;
    juliet.send("<presence/>").await;
    juliet.expect("<presence").await;
    assert_eq!(juliet.shared.lengthen_silence(1), Some(1), "and now its silence counts again");
}

/// Her messages cannot be stored, however long anybody waits.
#[tokio::test]
async fn what_can_never_be_stored_goes_back_to_its_sender() {
    let server = Server::start(|_| {}).await;
    server.break_offline_messages().await;
    let mut romeo = server.client("romeo/orchard").await;
    romeo.send("<enable xmlns='urn:xmpp:sm:3'/>").await;
    romeo.send(CHAT).await;
    let error = romeo.expect("</message>").await;
    assert!(error.contains("<service-unavailable "), "{error}");
    romeo.send("<r xmlns='urn:xmpp:sm:3'/>").await;
    romeo.expect("<a xmlns='urn:xmpp:sm:3' h='1'/>").await;
}

#[tokio::test]
async fn nobody_is_read_while_too_much_waits_for_the_database() {
    let server = Server::start(|_| {}).await;
    let db = server.test.db.clone();
    let (go_on, gate) = std::sync::mpsc::channel::<()>();
    let stuck = db.clone();
    server.c2s.tracker.spawn("a statement that takes long", async move {
        let wait = stuck.write(move |_| {
            let _ = gate.recv();
            Box::pin(async { Ok(()) })
        });
        wait.await.unwrap();
    });
    let mut romeo = server.client("romeo/orchard").await;
    romeo.send("<enable xmlns='urn:xmpp:sm:3'/>").await;
    let (chat, mut count) = (CHAT.replace("hi", &"x".repeat(200_000)), 0);
    while !db.append_would_block() {
        let before = db.load().appending;
        romeo.send(&chat).await;
        count += 1;
        eventually("it waits for its commit", async || db.load().appending > before).await;
    }
    assert!(db.load().appending < 17 << 20, "that is the bound");
    eventually("he is not read", async || romeo.shared.lengthen_silence(0).is_none()).await;
    romeo.send("<r xmlns='urn:xmpp:sm:3'/>").await;
    drop(go_on);
    romeo.expect(&format!("h='{count}'")).await;
    server.until_stored("juliet", count).await;
}

/// The account went while its client was signing in: whoever ends its sessions did not see this one.
#[tokio::test]
async fn an_account_that_is_gone_by_now_gets_no_session() {
    let server = Server::start(|_| {}).await;
    let (juliet, romeo) = (server.account("juliet").await, server.account("romeo").await);
    let accounts = &server.c2s.oracle.accounts;
    accounts.delete(HostId::FIRST, "juliet").await.unwrap();
    let lockout = Lockout { from: Timestamp(0), until: None, reason: None };
    accounts.set_lockout(HostId::FIRST, "romeo", Some(lockout)).await.unwrap();
    for (account, name) in [(juliet, "juliet"), (romeo, "romeo")] {
        let refused = server.bind(account, &format!("{name}/late")).await.err();
        assert!(matches!(refused, Some(BindRefusal::NotAllowed)), "{name}");
    }
    assert_eq!(server.c2s.sessions(), 0);
    accounts.create(HostId::FIRST, "juliet", "secret").await.unwrap();
    assert!(server.bind(juliet, "juliet/late").await.is_err(), "the name is another's now");
}
