use self::server::{Server, eventually};
use super::*;
use crate::router::{IqTable, Request, Target};
use crate::stanza::Stanza;

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
    // With the two counts of its `Arc` a `Shared` fills the allocator's 320 octets.
    let expected = [184, 328, 24, 304, 216, 24];
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
