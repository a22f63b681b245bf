//! One connection: socket, framer and outgoing bytes, driven by its own task.

use crate::error::{LoadError, Result};
use crate::framer::{Frame, Framer};
use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::{TlsConnector, client::TlsStream};

const READ_SIZE: usize = 64 << 10;

thread_local! {
    /// All connections of the thread read into one buffer, so that an idle one holds none.
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ_SIZE].into());
}

enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Stream {
    fn pin(&mut self) -> Pin<&mut dyn ReadWrite> {
        match self {
            Self::Plain(tcp) => Pin::new(tcp),
            Self::Tls(tls) => Pin::new(tls.as_mut()),
        }
    }
}

trait ReadWrite: AsyncRead + AsyncWrite + Unpin {}
impl<T: AsyncRead + AsyncWrite + Unpin> ReadWrite for T {}

/// A connection with its buffers. `out` is written whole at the next [`Link::pump`].
pub struct Link {
    stream: Stream,
    pub framer: Framer,
    pub out: Vec<u8>,
    written: usize,
    unflushed: bool,
}

impl Link {
    /// Connects over TCP. `source` is the last byte of a loopback source address, 0 for any.
    pub async fn connect(server: SocketAddr, source: u8) -> Result<Self> {
        let doing = || LoadError::io(format!("connecting to {server}"));
        let socket = TcpSocket::new_v4().map_err(doing())?;
        if source > 0 {
            let address = IpAddr::V4(Ipv4Addr::new(127, 0, 0, source));
            socket.bind(SocketAddr::new(address, 0)).map_err(doing())?;
        }
        let tcp = socket.connect(server).await.map_err(doing())?;
        tcp.set_nodelay(true).map_err(doing())?;
        Ok(Self {
            stream: Stream::Plain(tcp),
            framer: Framer::default(),
            out: Vec::new(),
            written: 0,
            unflushed: false,
        })
    }

    /// Starts TLS on the connection; what the framer held is dropped with the old stream.
    pub async fn start_tls(self, connector: &TlsConnector, domain: &str) -> Result<Self> {
        let Stream::Plain(tcp) = self.stream else {
            return Err(LoadError::Protocol("TLS inside TLS".into()));
        };
        let name = rustls::pki_types::ServerName::try_from(domain.to_owned())
            .map_err(|_| LoadError::Usage(format!("--domain {domain} is no host name")))?;
        let tls = connector.connect(name, tcp).await.map_err(LoadError::io("TLS handshake"))?;
        let (stream, framer) = (Stream::Tls(Box::new(tls)), Framer::default());
        Ok(Self { stream, framer, out: self.out, written: 0, unflushed: false })
    }

    /// Writes what is queued, reads what is there. Returns when bytes came in, or when `wanted`
    /// says that there is something to do; `wanted` registers the waker where it needs it.
    pub async fn pump(&mut self, mut wanted: impl FnMut(&mut Context<'_>) -> bool) -> Result<()> {
        poll_fn(|cx| {
            if let Poll::Ready(Err(error)) = self.poll_send(cx) {
                return Poll::Ready(Err(LoadError::io("writing")(error)));
            }
            if let Poll::Ready(outcome) = self.poll_receive(cx) {
                return Poll::Ready(outcome);
            }
            if wanted(cx) { Poll::Ready(Ok(())) } else { Poll::Pending }
        })
        .await
    }

    /// Writes what is queued and waits until it is with the kernel.
    pub async fn flush(&mut self) -> Result<()> {
        poll_fn(|cx| self.poll_send(cx)).await.map_err(LoadError::io("writing"))
    }

    /// Waits for the next element and copies it: for what is not the hot path. A stream header is
    /// skipped, a stream error or end is an error.
    pub async fn element(&mut self) -> Result<Vec<u8>> {
        loop {
            match self.framer.next()? {
                Some(Frame::Open(_)) => {}
                Some(Frame::Element(bytes)) if bytes.starts_with(b"<stream:error") => {
                    return Err(LoadError::StreamClosed(String::from_utf8_lossy(bytes).into()));
                }
                Some(Frame::Element(bytes)) => return Ok(bytes.to_vec()),
                Some(Frame::Close) => return Err(LoadError::StreamClosed("without error".into())),
                None => self.pump(|_| false).await?,
            }
        }
    }

    /// Sends one element and waits for the next one from the server.
    pub async fn ask(&mut self, request: &[u8]) -> Result<Vec<u8>> {
        self.out.extend_from_slice(request);
        self.element().await
    }

    /// Ends the stream and waits until the server has ended its side (RFC 6120 §4.4).
    pub async fn close(mut self) -> Result<()> {
        self.out.extend_from_slice(b"</stream:stream>");
        loop {
            match self.framer.next()? {
                Some(Frame::Close) => return Ok(()),
                Some(_) => {}
                None => match self.pump(|_| false).await {
                    Err(LoadError::StreamClosed(_)) => return Ok(()),
                    other => other?,
                },
            }
        }
    }

    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.written < self.out.len() {
            let rest = &self.out[self.written..];
            self.written += ready!(self.stream.pin().poll_write(cx, rest))?;
            self.unflushed = true;
        }
        self.out.clear();
        self.written = 0;
        if self.unflushed {
            ready!(self.stream.pin().poll_flush(cx))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let Self { stream, framer, .. } = self;
        SCRATCH.with_borrow_mut(|scratch| {
            let mut bytes = ReadBuf::new(scratch);
            match ready!(stream.pin().poll_read(cx, &mut bytes)) {
                Err(error) => Poll::Ready(Err(LoadError::io("reading")(error))),
                Ok(()) if bytes.filled().is_empty() => {
                    Poll::Ready(Err(LoadError::StreamClosed("connection ended".into())))
                }
                Ok(()) => {
                    framer.push(bytes.filled());
                    Poll::Ready(Ok(()))
                }
            }
        })
    }
}
