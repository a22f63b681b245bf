use super::*;
use crate::c2s::drain::Drain;

fn draining(server: &Server, per_second: u32) -> Drain {
    let drain = Drain::default();
    server.c2s.tracker.spawn("drain", drain.clone().run(server.c2s.clone()));
    drain.set(per_second);
    drain
}

#[tokio::test]
async fn a_drained_node_asks_its_clients_to_connect_again() {
    let server = Server::start(|_| {}).await;
    let mut clients = [server.client("juliet/balcony").await, server.client("romeo/orchard").await];
    let drain = draining(&server, 100);
    for client in &mut clients {
        let rest = client.rest().await;
        assert!(rest.contains("<reset ") && rest.contains("</stream:stream>"), "{rest}");
    }
    drain.done().await;
    assert_eq!(server.c2s.sessions(), 0);
}

#[tokio::test]
async fn what_can_be_resumed_waits_on_a_drained_node() {
    let server = Server::start(|_| {}).await;
    let mut juliet = server.client("juliet/balcony").await;
    juliet.send("<enable xmlns='urn:xmpp:sm:3' resume='true'/>").await;
    juliet.expect("/>").await;
    let drain = draining(&server, 100);
    juliet.rest().await;
    eventually("it waits", async || !juliet.shared.is_connected()).await;
    assert_eq!(server.c2s.sessions(), 1);
    assert!(!juliet.shared.mailbox.is_closed());
    let done = drain.done();
    drain.set(0);
    done.await;
}
