//! The thread of a link: it opens the engine, puts what is to be sent, and closes it.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::Duration;

use bytes::Bytes;
use zenoh::key_expr::KeyExpr;
use zenoh::pubsub::Publisher;
use zenoh::qos::CongestionControl;
use zenoh::sample::{Sample, SampleKind};
use zenoh::{Config, Session, Wait};

use super::Order;
use super::queue::Shared;
use crate::membership::Member;

/// How long a machine may take to say that nothing listens there.
const ANSWER: Duration = Duration::from_millis(300);
/// From one such question to the next, and how often it is asked.
const AGAIN: Duration = Duration::from_millis(100);
const QUESTIONS: usize = 50;
/// How often the thread looks whether it shall end, when its queue was too full to tell it.
const LOOK: Duration = Duration::from_millis(100);

type Parts = (Arc<Shared>, SyncSender<Order>);

/// Runs until it shall close.
pub fn run(config: Config, parts: Parts, queue: Receiver<Order>) {
    let shared = parts.0.clone();
    if let Err(error) = serve(config, parts, &queue) {
        shared.fail(error.to_string());
    }
}

fn serve(config: Config, parts: Parts, queue: &Receiver<Order>) -> zenoh::Result<()> {
    let shared = parts.0.clone();
    let session = zenoh::open(config).wait()?;
    let served = declare_and_put(&session, parts, queue);
    // The others see it at once.
    session.close().wait()?;
    drop(shared);
    served
}

fn declare_and_put(
    session: &Session,
    (shared, orders): Parts,
    queue: &Receiver<Order>,
) -> zenoh::Result<()> {
    let me = shared.me;
    let samples = shared.clone();
    let _samples = session
        .declare_subscriber(format!("hearth/to/{}/*", word(me)))
        .callback(move |sample| hear(&samples, &sample))
        .wait()?;
    let living = shared.clone();
    let _living = session
        .liveliness()
        .declare_subscriber("hearth/node/*")
        .history(true)
        .callback(move |sample| look(&living, &orders, &sample))
        .wait()?;
    let _token = session.liveliness().declare_token(format!("hearth/node/{}", word(me))).wait()?;
    put_all(session, &shared, queue)
}

fn put_all(session: &Session, shared: &Shared, queue: &Receiver<Order>) -> zenoh::Result<()> {
    let mut publishers: HashMap<Member, Publisher<'_>> = HashMap::new();
    while !shared.is_closed() {
        match queue.recv_timeout(LOOK) {
            Ok(Order::Put(to, bytes)) => {
                let publisher = match publishers.remove(&to) {
                    Some(publisher) => publisher,
                    None => publisher(session, shared.me, to)?,
                };
                publisher.put(bytes).wait()?;
                publishers.insert(to, publisher);
            }
            Ok(Order::Forget(member)) => drop(publishers.remove(&member)),
            Err(RecvTimeoutError::Timeout) => {}
            Ok(Order::Close) | Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    Ok(())
}

/// `Drop` always: `Block` would let a node that hangs stall all others.
fn publisher<'s>(session: &'s Session, me: Member, to: Member) -> zenoh::Result<Publisher<'s>> {
    let key = KeyExpr::try_from(format!("hearth/to/{}/{}", word(to), word(me)))?;
    let publisher = session.declare_publisher(key);
    publisher.congestion_control(CongestionControl::Drop).express(false).wait()
}

fn hear(shared: &Shared, sample: &Sample) {
    if let Some(from) = last_word(sample).filter(|from| from.node != shared.me.node) {
        shared.sample(from, Bytes::copy_from_slice(&sample.payload().to_bytes()));
    }
}

/// A node's token came or went.
fn look(shared: &Arc<Shared>, orders: &SyncSender<Order>, sample: &Sample) {
    let Some(member) = last_word(sample).filter(|it| it.node != shared.me.node) else { return };
    match sample.kind() {
        SampleKind::Put => shared.up(member),
        SampleKind::Delete => {
            shared.down(member);
            // Full: the publisher stays, which costs little.
            let _ = orders.try_send(Order::Forget(member));
            let shared = shared.clone();
            let thread = std::thread::Builder::new().name("hearth-missed".to_owned());
            // Without the thread the link is down, only the reason is not known.
            let _ = thread.spawn(move || question(&shared, member));
        }
    }
}

/// Asks the machine whether anything listens there still, until it says no or the link is back.
fn question(shared: &Shared, member: Member) {
    for _ in 0..QUESTIONS {
        if !shared.is_missed(member) {
            return;
        }
        let addresses = shared.addresses_of(member);
        let all_refuse = addresses.iter().all(|address| refuses(address));
        if !addresses.is_empty() && all_refuse {
            return shared.refused(member);
        }
        std::thread::sleep(AGAIN);
    }
}

fn refuses(address: &str) -> bool {
    let Ok(mut addresses) = address.to_socket_addrs() else { return false };
    addresses.all(|address| {
        TcpStream::connect_timeout(&address, ANSWER)
            .is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
    })
}

/// A run of a node in a key.
fn word(member: Member) -> String {
    format!("{}-{}", member.node, member.incarnation)
}

fn last_word(sample: &Sample) -> Option<Member> {
    let (node, incarnation) = sample.key_expr().as_str().rsplit('/').next()?.split_once('-')?;
    Some(Member { node: node.parse().ok()?, incarnation: incarnation.parse().ok()? })
}
