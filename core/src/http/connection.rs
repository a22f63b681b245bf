//! One HTTP connection: TLS where the port has it, then HTTP/1.1.
//!
//! HTTP/2 is left out: it would add stream and header floods to what must be bounded, and a client
//! could stay silent after the handshake without a time limit of ours.

use std::convert::Infallible;

use hyper::rt::{Read, Write};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_io_timeout::TimeoutStream;
use tokio_rustls::TlsAcceptor;

use super::{Door, Peer, Server};

pub(super) async fn run(server: Server, stream: TcpStream, peer: Peer) {
    // Who takes nothing of an answer would otherwise hold it, and a connection, for ever.
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(server.settings.limits().write_timeout));
    let stream = Box::pin(stream);
    let Door::Tls(acceptor) = &server.door else {
        return serve(server, TokioIo::new(stream), peer).await;
    };
    let handshake = TlsAcceptor::from(acceptor.config()).accept(stream);
    match timeout(server.settings.limits().handshake_timeout, handshake).await {
        Ok(Ok(stream)) => {
            serve(server, TokioIo::new(stream), Peer { secure: true, ..peer }).await;
        }
        Ok(Err(error)) => tracing::debug!(%error, peer = %peer.address, "TLS handshake failed"),
        Err(_) => tracing::debug!(peer = %peer.address, "TLS handshake took too long"),
    }
}

async fn serve<I>(server: Server, io: I, peer: Peer)
where
    I: Read + Write + Unpin + Send + 'static,
{
    let tracker = server.tracker.clone();
    let limits = server.settings.limits();
    let service = service_fn(move |request| {
        let server = server.clone();
        async move { Ok::<_, Infallible>(server.answer(request, peer).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_buf_size(limits.header_bytes)
        .max_headers(limits.headers)
        .serve_connection(io, service)
        .with_upgrades();
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = tracker.hard().cancelled() => return,
        () = tracker.soft().cancelled() => {
            connection.as_mut().graceful_shutdown();
            tokio::select! {
                ended = connection => ended,
                () = tracker.hard().cancelled() => return,
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, peer = %peer.address, "HTTP connection ended");
    }
}
