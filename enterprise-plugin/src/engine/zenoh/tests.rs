use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant, SystemTime};

use zenoh::Wait;

use super::*;
use crate::authority;
use crate::membership::About;

const PATIENCE: Duration = Duration::from_secs(30);

/// A node with all that it has heard.
struct Node {
    row: NodeRow,
    link: Link,
    woken: Receiver<()>,
    heard: Vec<Event>,
}

/// Nodes of one cluster.
struct Cluster([String; 2]);

impl Cluster {
    fn new() -> Cluster {
        Cluster(authority::create(SystemTime::now()).expect("an authority"))
    }

    /// A node with links to these.
    fn open(&self, node: u32, others: &[&Node]) -> Node {
        let identity = authority::issue(&self.0[0], &self.0[1], node, SystemTime::now());
        let zenoh = Zenoh::new(identity.expect("issued"), "127.0.0.1:0").expect("an address");
        let member = Member { node, incarnation: 1_000 + i64::from(node) };
        let rows: Vec<_> = others.iter().map(|other| other.row.clone()).collect();
        let (sender, woken) = channel();
        let wake: Wake = Arc::new(move || {
            // Nobody waits any more.
            let _ = sender.send(());
        });
        let link = zenoh.open(member, &rows, &wake).expect("open");
        let about = About { addresses: zenoh.addresses(), ..About::default() };
        let row =
            NodeRow { member, silent_ms: 0, links: Vec::new(), about, drain: 0, known: false };
        Node { row, link, woken, heard: Vec::new() }
    }
}

impl Node {
    /// Waits for an event, unless it was heard before.
    fn until(&mut self, what: &str, mut is_it: impl FnMut(&Event) -> bool) {
        let end = Instant::now() + PATIENCE;
        loop {
            self.heard.extend(self.link.events());
            if self.heard.iter().any(&mut is_it) {
                return;
            }
            assert_eq!(self.link.failure(), None);
            let left = end.saturating_duration_since(Instant::now());
            assert!(
                !left.is_zero(),
                "node {} never {what}: {:?}",
                self.row.member.node,
                self.heard
            );
            // Woken or not: the events tell.
            let _ = self.woken.recv_timeout(left);
        }
    }

    fn sees(&mut self, other: &Node) {
        let up = Event::Up(other.row.member);
        self.until("saw the other", |event| *event == up);
    }
}

/// Sends until it arrives: who has just come up may not be known everywhere.
fn send(from: &Node, to: &mut Node, bytes: &'static [u8]) {
    let bytes = Bytes::from_static(bytes);
    let sample = Event::Sample { from: from.row.member, bytes: bytes.clone() };
    let end = Instant::now() + PATIENCE;
    loop {
        from.link.send(to.row.member, bytes.clone());
        // The wait is for the sample, or for a loss.
        let _ = to.woken.recv_timeout(Duration::from_millis(50));
        let new = to.link.events();
        let arrived = new.contains(&sample);
        to.heard.extend(new);
        if arrived {
            return;
        }
        assert!(Instant::now() < end, "it never arrived");
    }
}

#[test]
fn nodes_see_each_other_talk_and_notice_who_ends() {
    let cluster = Cluster::new();
    let mut one = cluster.open(1, &[]);
    let mut two = cluster.open(2, &[&one]);
    let mut three = cluster.open(3, &[&one, &two]);
    one.sees(&two);
    two.sees(&one);
    one.sees(&three);
    three.sees(&two);
    two.sees(&three);
    send(&one, &mut two, b"hello");
    send(&two, &mut one, b"good day");
    send(&three, &mut one, b"me too");
    assert!(
        !two.heard.contains(&Event::Sample {
            from: one.row.member,
            bytes: Bytes::from_static(b"good day")
        })
    );
    one.link.know(&[two.row.clone(), three.row.clone()]);
    let gone = two.row.member;
    drop(two);
    one.until("noticed the end", |event| *event == Event::Down(gone));
    one.until("knew that it ended", |event| *event == Event::Refused(gone));
    // Another run of it is another node, which what was for the first does not reach.
    let mut again = cluster.open(2, &[&one]);
    one.sees(&again);
    send(&one, &mut again, b"welcome");
}

/// The link's thread may not listen yet.
fn connected(address: &str) -> TcpStream {
    let began = Instant::now();
    loop {
        match TcpStream::connect(address) {
            Ok(stream) => return stream,
            Err(error) => assert!(began.elapsed() < PATIENCE, "{error}"),
        }
        std::thread::yield_now();
    }
}

#[test]
fn strangers_are_not_admitted() {
    let (cluster, other) = (Cluster::new(), Cluster::new());
    let mut one = cluster.open(1, &[]);
    let address = one.row.about.addresses[0].clone();
    // Of another cluster, without TLS, and with something else altogether.
    let mut stranger = other.open(2, &[&one]);
    let mut plain = zenoh::Config::default();
    let values = [
        ("mode", "\"peer\"".to_owned()),
        ("scouting/multicast/enabled", "false".to_owned()),
        ("scouting/delay", "0".to_owned()),
        ("listen/endpoints", "[]".to_owned()),
        ("connect/timeout_ms", "-1".to_owned()),
        ("connect/endpoints", format!("[\"tcp/{address}\"]")),
    ];
    for (key, value) in values {
        plain.insert_json5(key, &value).expect("a value");
    }
    let plain = zenoh::open(plain).wait().expect("open");
    let mut raw = connected(&address);
    raw.write_all(&[0; 64]).expect("written");
    raw.set_read_timeout(Some(PATIENCE)).expect("set");
    // It is closed, perhaps after an alert.
    let mut answer = Vec::new();
    let _ = raw.read_to_end(&mut answer);
    assert!(answer.len() < 64, "a conversation: {answer:?}");
    // Who belongs to it is admitted meanwhile.
    let mut friend = cluster.open(3, &[&one, &stranger]);
    one.sees(&friend);
    friend.sees(&one);
    send(&friend, &mut one, b"friend");
    stranger.heard.extend(stranger.link.events());
    assert_eq!(stranger.heard, []);
    let is_stranger = |event: &Event| *event == Event::Up(stranger.row.member);
    assert!(!one.heard.iter().chain(&friend.heard).any(is_stranger));
    assert_eq!(plain.info().peers_zid().wait().count(), 0);
}

#[test]
fn the_engine_knows_each_key_of_its_configuration() {
    let [certificate, key] = authority::create(SystemTime::now()).expect("an authority");
    let identity = authority::issue(&certificate, &key, 1, SystemTime::now()).expect("issued");
    assert_eq!(identity.fingerprint.len(), 64);
    let listen = "127.0.0.1:7447".parse().expect("an address");
    let connect = vec!["10.0.0.2:7447".to_owned()];
    let config = Settings { identity: &identity, listen, connect }.config().expect("all are known");
    assert_eq!(config.get_json("transport/link/tx/lease").expect("a value"), "2000");
    assert_eq!(config.get_json("connect/endpoints").expect("a value"), r#"["tls/10.0.0.2:7447"]"#);
    let mut config = config;
    assert!(config.insert_json5("transport/link/tx/leese", "1").is_err(), "a wrong key is noticed");
}

#[test]
fn a_node_listens_where_it_is_told_to() {
    let place = super::place("127.0.0.1:0").expect("a place");
    assert_eq!(place.advertised, place.listen.to_string());
    let taken = TcpListener::bind(place.listen).expect("it is free");
    let refused = super::place(&place.advertised).expect_err("it is taken");
    assert!(refused.message.contains("127.0.0.1"), "{refused}");
    drop(taken);
    // Nobody else is told of an address that means all.
    let all = super::place("").expect("a place");
    assert!(all.listen.ip().is_unspecified() && !all.advertised.starts_with("0.0.0.0"));
    assert!(
        super::place("somewhere").expect_err("no address").message.contains("enterprise.listen")
    );
}
