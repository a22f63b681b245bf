//! The listening end: other nodes call, prove who they are, and are heard.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::server::TlsStream;

use super::frame::Hello;
use super::hearing::Hearing;
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
    stream: TlsStream<TcpStream>,
    hello: Hello,
}

async fn admit(shared: &Shared, ends: &Ends, stream: TcpStream) -> io::Result<Caller> {
    stream.set_nodelay(true)?;
    let mut stream = ends.acceptor.accept(stream).await?;
    // Nothing comes behind it before the welcome.
    let hello = Hello::read(&mut stream).await?;
    let (_, session) = stream.get_ref();
    // Who calls another run of this node is told nothing that was meant for it.
    if hello.to != shared.me || !tls::is_of(session.peer_certificates(), hello.from.node) {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    stream.write_all(&[WELCOME]).await?;
    stream.flush().await?;
    Ok(Caller { stream, hello })
}

async fn hear(shared: &Arc<Shared>, caller: Caller) -> io::Result<()> {
    let Caller { stream, hello } = caller;
    let hearing = Arc::new(Hearing::new(stream, hello.from, shared)?);
    let _heard = shared.heard(&hearing, hello.addresses);
    hearing.follow(&shared.watch).await
}
