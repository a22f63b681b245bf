use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Instant, SystemTime};

use bytes::Bytes;
use hearth_plugin_api::Error;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::{Builder, Runtime};

use super::*;
use crate::authority;
use crate::membership::About;

const PATIENCE: Duration = Duration::from_secs(30);

/// A node with all that it has heard.
struct Node {
    row: NodeRow,
    link: MeshNode,
    woken: Receiver<()>,
    heard: Vec<Event>,
}

/// Nodes of one cluster, whose links are served on one thread.
struct Cluster {
    authority: [String; 2],
    runtime: Runtime,
}

impl Cluster {
    fn new() -> Cluster {
        let authority = authority::create(SystemTime::now()).expect("an authority");
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build();
        Cluster { authority, runtime: runtime.expect("a runtime") }
    }

    fn identity(&self, node: u32) -> Identity {
        let [certificate, key] = &self.authority;
        authority::issue(certificate, key, node, SystemTime::now()).expect("issued")
    }

    /// A node that knows these.
    fn open(&self, node: u32, others: &[&Node]) -> Node {
        self.open_as(&self.identity(node), node, others)
    }

    fn open_as(&self, identity: &Identity, node: u32, others: &[&Node]) -> Node {
        let runtime = self.runtime.handle().clone();
        let watch: Watch = Arc::new(|_, _| Err(Error::unsupported("this server watches nothing")));
        let mesh = Mesh::new(identity, "127.0.0.1:0", (runtime, watch)).expect("an address");
        let member = Member { node, incarnation: 1_000 + i64::from(node) };
        let rows: Vec<_> = others.iter().map(|other| other.row.clone()).collect();
        let (sender, woken) = channel();
        let ear: Arc<dyn Ear> = Arc::new(move || {
            // Nobody waits any more.
            let _ = sender.send(());
        });
        let link = mesh.open(member, &rows, &ear).expect("open");
        let about = About { addresses: mesh.addresses(), ..About::default() };
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
            let me = self.row.member.node;
            assert!(!left.is_zero(), "node {me} never {what}: {:?}", self.heard);
            // Woken or not: the events tell.
            let _ = self.woken.recv_timeout(left);
        }
    }

    fn sees(&mut self, other: &Node) {
        let up = Event::Up(other.row.member);
        self.until("saw the other", |event| *event == up);
    }

    fn has_seen(&mut self, other: &Node) -> bool {
        self.heard.extend(self.link.events());
        self.heard.contains(&Event::Up(other.row.member))
    }
}

/// The sender has seen the other: what it sends arrives.
fn send(from: &Node, to: &mut Node, bytes: &'static [u8]) {
    let bytes = Bytes::from_static(bytes);
    let sample = Event::Sample { from: from.row.member, bytes: bytes.clone() };
    from.link.send(to.row.member, &[bytes]);
    to.until("got the sample", |event| *event == sample);
}

#[test]
fn nodes_see_each_other_talk_and_notice_who_ends() {
    let cluster = Cluster::new();
    let mut one = cluster.open(1, &[]);
    // Who is called knows nobody, and calls back.
    let mut two = cluster.open(2, &[&one]);
    let mut three = cluster.open(3, &[&one, &two]);
    one.sees(&two);
    two.sees(&one);
    one.sees(&three);
    three.sees(&one);
    three.sees(&two);
    two.sees(&three);
    send(&one, &mut two, b"hello");
    send(&two, &mut one, b"good day");
    send(&three, &mut one, b"me too");
    let own = Event::Sample { from: one.row.member, bytes: Bytes::from_static(b"good day") };
    assert!(!two.heard.contains(&own));
    one.link.know(&[two.row.clone(), three.row.clone()]);
    let gone = two.row.member;
    drop(two);
    one.until("noticed the end", |event| *event == Event::Down(gone));
    one.until("knew that it ended", |event| *event == Event::Refused(gone));
    // It comes back, elsewhere.
    one.heard.clear();
    let mut again = cluster.open(2, &[&one]);
    one.sees(&again);
    send(&one, &mut again, b"welcome");
}

#[test]
fn large_samples_arrive_whole_and_in_order() {
    let cluster = Cluster::new();
    let mut one = cluster.open(1, &[]);
    let mut two = cluster.open(2, &[&one]);
    two.sees(&one);
    let sizes = [1, 70_000, 2_000_000, 0, 5];
    for size in sizes {
        two.link.send(one.row.member, &[Bytes::from(vec![b'x'; size])]);
    }
    two.link.send(one.row.member, &[Bytes::from_static(b"last")]);
    let is_last = |event: &Event| matches!(event, Event::Sample { bytes, .. } if bytes == "last");
    one.until("got the last", is_last);
    let octets = |event: &Event| match event {
        Event::Sample { bytes, .. } => Some(bytes.len()),
        _ => None,
    };
    // An empty one is no sample.
    assert_eq!(
        one.heard.iter().filter_map(octets).collect::<Vec<_>>(),
        [1, 70_000, 2_000_000, 5, 4]
    );
}

#[test]
fn who_listens_to_nobody_holds_up_nobody() {
    let cluster = Cluster::new();
    let mut one = cluster.open(1, &[]);
    let two = cluster.open(2, &[&one]);
    let mut three = cluster.open(3, &[&one]);
    one.sees(&two);
    one.sees(&three);
    // Nobody takes what comes to node 2: all but 16 MiB of it is dropped there.
    let much = Bytes::from(vec![b'x'; 60_000]);
    for _ in 0..2_000 {
        one.link.send(two.row.member, std::slice::from_ref(&much));
    }
    three.sees(&one);
    send(&one, &mut three, b"hello");
}

#[test]
fn strangers_are_not_admitted() {
    let (cluster, other) = (Cluster::new(), Cluster::new());
    let mut one = cluster.open(1, &[]);
    // Of another cluster; with another node's certificate; and with something else altogether.
    let mut stranger = other.open(2, &[&one]);
    let mut liar = cluster.open_as(&cluster.identity(4), 5, &[&one]);
    let mut raw = TcpStream::connect(&one.row.about.addresses[0]).expect("it listens");
    raw.write_all(&[0; 64]).expect("written");
    raw.set_read_timeout(Some(PATIENCE)).expect("set");
    // It is closed, perhaps after an alert.
    let mut answer = Vec::new();
    let _ = raw.read_to_end(&mut answer);
    assert!(answer.len() < 64, "a conversation: {answer:?}");
    // Who belongs to it is admitted meanwhile.
    let mut friend = cluster.open(3, &[&one, &stranger, &liar]);
    one.sees(&friend);
    friend.sees(&one);
    send(&friend, &mut one, b"friend");
    for stranger in [&mut stranger, &mut liar] {
        assert!(!stranger.has_seen(&one) && !stranger.has_seen(&friend));
        assert!(!one.has_seen(stranger) && !friend.has_seen(stranger));
    }
}

#[test]
fn who_goes_on_after_the_end_of_tls_is_heard_no_more() {
    let cluster = Cluster::new();
    let mut one = cluster.open(1, &[]);
    let ends = Ends::new(&cluster.identity(2)).expect("an identity");
    let address = one.row.about.addresses[0].clone();
    let from = Member { node: 2, incarnation: 7 };
    let hello = frame::Hello { from, to: one.row.member, addresses: Vec::new() };
    let hello = hello.encode().expect("encoded");
    let socket = cluster.runtime.handle().block_on(async {
        let socket = tokio::net::TcpStream::connect(address).await.expect("it listens");
        let name = tls::name_of(1).expect("a name");
        let mut stream = ends.connector.connect(name, socket).await.expect("one of the cluster");
        stream.write_all(&hello).await.expect("written");
        assert_eq!(stream.read_u8().await.expect("an answer"), listen::WELCOME);
        let (socket, mut session) = stream.into_inner();
        session.send_close_notify();
        let mut end = Vec::new();
        session.write_tls(&mut end).expect("an alert");
        end.resize(20_000, b'x');
        let mut socket = socket;
        socket.write_all(&end).await.expect("written");
        socket
    });
    // The thread of the links goes on.
    let mut friend = cluster.open(3, &[&one]);
    one.sees(&friend);
    friend.sees(&one);
    send(&friend, &mut one, b"friend");
    drop(socket);
}

#[test]
fn another_run_of_a_node_does_not_answer_for_it() {
    let cluster = Cluster::new();
    let mut two = cluster.open(2, &[]);
    let mut old = NodeRow { ..two.row.clone() };
    old.member.incarnation -= 1;
    let mut one = cluster.open(1, &[]);
    one.link.know(&[old.clone(), two.row.clone()]);
    one.sees(&two);
    two.sees(&one);
    one.link.send(old.member, &[Bytes::from_static(b"for the old one")]);
    send(&one, &mut two, b"for the new one");
    let is_foreign =
        |event: &Event| matches!(event, Event::Sample { bytes, .. } if bytes == "for the old one");
    assert!(!two.heard.iter().any(is_foreign));
    assert!(!one.heard.contains(&Event::Up(old.member)));
}
