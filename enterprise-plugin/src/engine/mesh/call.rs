//! The calling end: this node calls each other one for as long as anybody knows it, and speaks.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tokio_rustls::client::TlsStream;

use super::frame::Hello;
use super::line::Line;
use super::listen::WELCOME;
use super::shared::Shared;
use super::tls::{self, Ends};
use crate::membership::Member;

/// How long a node may take to accept a connection, and to welcome the caller.
const ANSWER: Duration = Duration::from_secs(1);
/// From one call in vain to the next: at first, and at most.
const SOON: Duration = Duration::from_millis(100);
const LATER: Duration = Duration::from_secs(1);

/// Calls each node that becomes known.
pub async fn call_all(shared: &Arc<Shared>, ends: &Ends) {
    // They end with this.
    let mut calls = JoinSet::new();
    loop {
        for member in shared.to_call() {
            calls.spawn(call(shared.clone(), ends.clone(), member));
        }
        while calls.try_join_next().is_some() {}
        shared.news().await;
    }
}

async fn call(shared: Arc<Shared>, ends: Ends, member: Member) {
    let mut pause = SOON;
    while let Some(addresses) = shared.addresses_to_call(member) {
        match dial(&shared, &ends, member, &addresses).await {
            Ok(stream) => {
                let (began, line) = (Instant::now(), Arc::new(Line::new(stream)));
                let _called = shared.called(member, &line);
                // However it ended, the node is called again.
                let _ = line.serve().await;
                pause = SOON;
                if began.elapsed() > SOON {
                    // At once: does the machine answer that nobody listens there any more?
                    continue;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                shared.refused(member)
            }
            Err(_) => {}
        }
        sleep(pause).await;
        pause = (pause * 2).min(LATER);
    }
}

/// The first of its addresses where the node answers. Refused: all machines say that nobody listens.
async fn dial(
    shared: &Shared,
    ends: &Ends,
    member: Member,
    addresses: &[String],
) -> io::Result<TlsStream<TcpStream>> {
    let mut refused = !addresses.is_empty();
    for address in addresses {
        match timeout(ANSWER, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => match timeout(ANSWER, greet(shared, ends, member, stream)).await {
                Ok(Ok(stream)) => return Ok(stream),
                _ => refused = false,
            },
            Ok(Err(error)) => refused &= error.kind() == io::ErrorKind::ConnectionRefused,
            Err(_) => refused = false,
        }
    }
    Err(if refused { io::ErrorKind::ConnectionRefused } else { io::ErrorKind::NotConnected }.into())
}

async fn greet(
    shared: &Shared,
    ends: &Ends,
    member: Member,
    stream: TcpStream,
) -> io::Result<TlsStream<TcpStream>> {
    stream.set_nodelay(true)?;
    let name = tls::name_of(member.node).ok_or(io::ErrorKind::InvalidInput)?;
    let mut stream = ends.connector.connect(name, stream).await?;
    let hello = Hello { from: shared.me, to: member, addresses: vec![shared.address.clone()] };
    stream.write_all(&hello.encode()?).await?;
    stream.flush().await?;
    match stream.read_u8().await? {
        WELCOME => Ok(stream),
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}
