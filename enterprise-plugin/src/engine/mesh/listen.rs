//! The listening end: other nodes call, prove who they are, and are heard.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::LEASE;
use super::frame::Frames;
use super::shared::Shared;
use super::tls::{self, Ends};

/// What a caller is told once he is known.
pub const WELCOME: u8 = b'+';
/// How long a caller may take to say who he is.
const INTRODUCTION: Duration = Duration::from_secs(5);
/// Callers who have not said who they are; further ones wait in the kernel.
const UNKNOWN: usize = 64;
/// When no connection can be accepted: descriptors come free again.
const AGAIN: Duration = Duration::from_millis(100);

pub async fn listen(shared: &Arc<Shared>, ends: &Ends, listener: &TcpListener) {
    let unknown = Arc::new(Semaphore::new(UNKNOWN));
    // They end with this.
    let mut callers = JoinSet::new();
    // The semaphore is never closed.
    while let Ok(place) = unknown.clone().acquire_owned().await {
        let Ok((stream, _)) = listener.accept().await else {
            sleep(AGAIN).await;
            continue;
        };
        while callers.try_join_next().is_some() {}
        let (shared, ends) = (shared.clone(), ends.clone());
        callers.spawn(async move {
            let introduced = timeout(INTRODUCTION, admit(&shared, &ends, stream)).await;
            drop(place);
            if let Ok(Ok(caller)) = introduced {
                // However it ended, the caller calls again.
                let _ = hear(&shared, caller).await;
            }
        });
    }
}

/// A caller who has proven who he is, and what he says.
struct Caller {
    frames: Frames<tokio_rustls::server::TlsStream<TcpStream>>,
    hello: super::frame::Hello,
}

async fn admit(shared: &Shared, ends: &Ends, stream: TcpStream) -> io::Result<Caller> {
    stream.set_nodelay(true)?;
    let mut frames = Frames::new(ends.acceptor.accept(stream).await?);
    let hello = frames.hello().await?;
    let (_, session) = frames.stream().get_ref();
    // Who calls another run of this node is told nothing that was meant for it.
    if hello.to != shared.me || !tls::is_of(session.peer_certificates(), hello.from.node) {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    frames.stream().write_all(&[WELCOME]).await?;
    frames.stream().flush().await?;
    Ok(Caller { frames, hello })
}

async fn hear(shared: &Arc<Shared>, caller: Caller) -> io::Result<()> {
    let Caller { mut frames, hello } = caller;
    let from = hello.from;
    let _heard = shared.heard(from, hello.addresses);
    loop {
        let samples = timeout(LEASE, frames.next()).await??;
        shared.samples(from, samples.into_iter().filter(|sample| !sample.is_empty()));
    }
}
