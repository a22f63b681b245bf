//! One TLS connection: rustls' state machine, fed from and written through worker buffers.

use std::io;
use std::mem;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{
    ConnectionState, EncodeError, EncodeTlsData, EncryptError, InsufficientSizeError,
    UnbufferedStatus,
};

use super::channel_binding::{ChannelBinding, tls_exporter};
use super::identity::Identity;
use super::witness::{self, Seen};
use super::{Service, TlsError};
use crate::net::scratch;
use crate::net::socket::Socket;

/// A ClientHello or a client's certificate chain fits; a peer that sends more before it is known only
/// wants us to hold it.
const MAX_HANDSHAKE_REST: usize = 8 * 1024;
/// An incomplete record, RFC 5246 §6.2.3: 2^14 + 2048 bytes and a header of 5.
const MAX_REST: usize = 16 * 1024 + 2048 + 5;
/// Plaintext encrypted before the socket is tried: three records.
const WRITE_CHUNK: usize = 3 * 16 * 1024;
/// What a record may add to its plaintext: header 5, explicit nonce 8, tag 16, content type 1.
const RECORD_OVERHEAD: usize = 30;
const MAX_FRAGMENT: usize = 16 * 1024;

/// What the handshake agreed on.
pub struct TlsInfo {
    /// For example `TLSv1_3`.
    pub version: &'static str,
    /// IANA's name of the cipher suite.
    pub cipher_suite: &'static str,
    /// The ALPN protocol, if the client offered any.
    pub alpn: Option<&'static str>,
    /// The name in the client's SNI extension, if it sent one.
    pub server_name: Option<Box<str>>,
    binding: Option<Box<ChannelBinding>>,
}

impl TlsInfo {
    /// `None` once it was forgotten.
    pub fn channel_binding(&self) -> Option<&ChannelBinding> {
        self.binding.as_deref()
    }
}

/// A TLS connection above a [`Socket`].
pub(in crate::net) struct Tls {
    rustls: UnbufferedServerConnection,
    /// The start of a record whose end has not come. rustls keeps offsets into it, so it is handed over
    /// at every call, also where nothing new was read.
    rest: Vec<u8>,
    /// Plaintext that came with the end of the handshake, until the first read.
    early: Vec<u8>,
    end: End,
    close_sent: bool,
    info: TlsInfo,
}

/// How the peer's direction ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Open,
    CloseNotify,
    Truncated,
}

impl Tls {
    pub(super) fn new(identity: &Identity, service: Service) -> Result<Box<Tls>, TlsError> {
        let binding =
            ChannelBinding { exporter: None, server_end_point: identity.server_end_point.clone() };
        let info = TlsInfo {
            version: "",
            cipher_suite: "",
            alpn: None,
            server_name: None,
            binding: Some(Box::new(binding)),
        };
        Ok(Box::new(Tls {
            rustls: UnbufferedServerConnection::new(Arc::clone(identity.config(service)))?,
            rest: Vec::new(),
            early: Vec::new(),
            end: End::Open,
            close_sent: false,
            info,
        }))
    }

    /// Goes on with the handshake; what the peer sent after it waits for the first read.
    pub(in crate::net) fn poll_handshake(
        &mut self,
        cx: &mut Context<'_>,
        socket: &mut Socket,
    ) -> Poll<Result<(), TlsError>> {
        while self.rustls.is_handshaking() {
            let mut early = mem::take(&mut self.early);
            let (received, seen) = witness::watch(|| {
                self.poll_receive(cx, socket, &mut |bytes| early.extend_from_slice(bytes))
            });
            self.early = early;
            self.remember(seen);
            // An alert, too, is worth a try.
            if let Poll::Ready(Err(error)) = socket.poll_flush(cx) {
                return Poll::Ready(Err(error.into()));
            }
            if ready!(received)? == 0 {
                return Poll::Ready(Err(TlsError::Closed));
            }
            if self.rustls.is_handshaking() && self.rest.len() > MAX_HANDSHAKE_REST {
                return Poll::Ready(Err(TlsError::TooLarge { bytes: self.rest.len() }));
            }
        }
        self.agreed();
        Poll::Ready(Ok(()))
    }

    pub(in crate::net) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        socket: &mut Socket,
        sink: &mut dyn FnMut(&[u8]),
    ) -> Poll<io::Result<usize>> {
        if !self.early.is_empty() {
            let early = mem::take(&mut self.early);
            sink(&early);
            return Poll::Ready(Ok(early.len()));
        }
        while self.end == End::Open {
            let mut plaintext = 0;
            let received = self.poll_receive(cx, socket, &mut |bytes| {
                plaintext += bytes.len();
                sink(bytes);
            });
            // The answer to a key update, or an alert.
            if socket.pending() > 0
                && let Poll::Ready(Err(error)) = socket.poll_flush(cx)
            {
                return Poll::Ready(Err(error));
            }
            if ready!(received)? == 0 {
                self.end = End::Truncated;
            }
            if plaintext > 0 {
                return Poll::Ready(Ok(plaintext));
            }
        }
        Poll::Ready(Ok(0))
    }

    pub(in crate::net) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        socket: &mut Socket,
        bytes: &[u8],
    ) -> Poll<io::Result<()>> {
        for chunk in bytes.chunks(WRITE_CHUNK) {
            if socket.pending() > 0 {
                self.encrypt(chunk, socket.tail())?;
                continue;
            }
            let written = scratch::with_write(|records| {
                self.encrypt(chunk, records)?;
                match socket.poll_write(cx, records) {
                    Poll::Ready(written) => written,
                    Poll::Pending => Ok(()),
                }
            });
            if let Err(error) = written {
                return Poll::Ready(Err(error));
            }
        }
        socket.poll_flush(cx)
    }

    /// Queues `close_notify`, once.
    pub(in crate::net) fn close_notify(&mut self, socket: &mut Socket) {
        if mem::replace(&mut self.close_sent, true) {
            return;
        }
        let UnbufferedStatus { state, .. } = self.rustls.process_tls_records(&mut self.rest);
        if let Ok(ConnectionState::WriteTraffic(mut traffic)) = state {
            // A connection that cannot say goodbye is closed without.
            let _ = grow(socket.tail(), 0, |out| match traffic.queue_close_notify(out) {
                Err(EncryptError::InsufficientSize(need)) => Attempt::TooSmall(need),
                other => Attempt::Done(other),
            });
        }
    }

    pub(in crate::net) fn truncated(&self) -> bool {
        self.end == End::Truncated
    }

    pub(in crate::net) fn info(&self) -> &TlsInfo {
        &self.info
    }

    pub(in crate::net) fn forget_channel_binding(&mut self) {
        self.info.binding = None;
    }

    /// Bytes of buffer memory, rustls' own state aside.
    #[cfg(test)]
    pub(in crate::net) fn held(&self) -> usize {
        self.rest.capacity() + self.early.capacity()
    }

    /// One read from the socket through rustls. Returns the bytes read from the socket; what rustls has
    /// to say to the peer is appended to the pending bytes, also where it fails.
    fn poll_receive(
        &mut self,
        cx: &mut Context<'_>,
        socket: &mut Socket,
        sink: &mut dyn FnMut(&[u8]),
    ) -> Poll<Result<usize, TlsError>> {
        scratch::with_read(|buffer| {
            let kept = self.rest.len();
            buffer[..kept].copy_from_slice(&self.rest);
            let read = ready!(socket.poll_read(cx, &mut buffer[kept..]))?;
            if read == 0 {
                return Poll::Ready(Ok(0));
            }
            let input = &mut buffer[..kept + read];
            let used = self.process(input, socket.tail(), sink)?;
            self.keep(&input[used..])?;
            Poll::Ready(Ok(read))
        })
    }

    fn keep(&mut self, rest: &[u8]) -> Result<(), TlsError> {
        if rest.len() > MAX_REST {
            return Err(TlsError::TooLarge { bytes: rest.len() });
        }
        self.rest = rest.to_vec();
        Ok(())
    }

    /// Runs rustls over `input` until it wants more. Returns how many bytes it is done with.
    fn process(
        &mut self,
        input: &mut [u8],
        out: &mut Vec<u8>,
        sink: &mut dyn FnMut(&[u8]),
    ) -> Result<usize, TlsError> {
        let mut used = 0;
        loop {
            let UnbufferedStatus { mut discard, state } =
                self.rustls.process_tls_records(&mut input[used..]);
            match state {
                Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                    while let Some(record) = traffic.next_record() {
                        let record = record?;
                        discard += record.discard;
                        sink(record.payload);
                    }
                }
                Ok(ConnectionState::EncodeTlsData(mut data)) => encode(&mut data, out)?,
                Ok(ConnectionState::TransmitTlsData(data)) => data.done(),
                Ok(ConnectionState::PeerClosed) => self.end = End::CloseNotify,
                Ok(_) => return Ok(used + discard),
                Err(error) => {
                    self.encode_alert(&mut input[used + discard..], out);
                    return Err(error.into());
                }
            }
            used += discard;
        }
    }

    /// After an error: what rustls still wants to send, the alert last.
    fn encode_alert(&mut self, input: &mut [u8], out: &mut Vec<u8>) {
        while self.rustls.wants_write() {
            let UnbufferedStatus { state, .. } = self.rustls.process_tls_records(input);
            let Ok(ConnectionState::EncodeTlsData(mut data)) = state else { return };
            if encode(&mut data, out).is_err() {
                return;
            }
        }
    }

    /// Appends `plaintext` to `out` as TLS records.
    fn encrypt(&mut self, plaintext: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        let records = plaintext.len().div_ceil(MAX_FRAGMENT);
        let room = plaintext.len() + records * RECORD_OVERHEAD;
        let UnbufferedStatus { state, .. } = self.rustls.process_tls_records(&mut self.rest);
        let Ok(ConnectionState::WriteTraffic(mut traffic)) = state else {
            return Err(io::ErrorKind::BrokenPipe.into());
        };
        grow(out, room, |out| match traffic.encrypt(plaintext, out) {
            Err(EncryptError::InsufficientSize(need)) => Attempt::TooSmall(need),
            other => Attempt::Done(other),
        })
        .map_err(io::Error::other)
    }

    fn remember(&mut self, seen: Seen) {
        if seen.server_name.is_some() {
            self.info.server_name = seen.server_name;
        }
        if let (Some(secret), Some(binding)) = (seen.exporter, &mut self.info.binding) {
            binding.exporter = tls_exporter(&secret);
        }
    }

    fn agreed(&mut self) {
        let version = self.rustls.protocol_version();
        let suite = self.rustls.negotiated_cipher_suite();
        let alpn = [Service::Client, Service::Server, Service::Http].map(Service::alpn);
        self.info.alpn = self
            .rustls
            .alpn_protocol()
            .and_then(|protocol| alpn.into_iter().find(|name| name.as_bytes() == protocol));
        self.info.version = version.and_then(|version| version.as_str()).unwrap_or("unknown");
        self.info.cipher_suite =
            suite.and_then(|suite| suite.suite().as_str()).unwrap_or("unknown");
    }
}

enum Attempt<E> {
    Done(Result<usize, E>),
    TooSmall(InsufficientSizeError),
}

/// Appends to `out` what `write` puts into a slice of `room` bytes, or of as many as it asks for.
fn grow<E>(
    out: &mut Vec<u8>,
    room: usize,
    mut write: impl FnMut(&mut [u8]) -> Attempt<E>,
) -> Result<(), E> {
    let start = out.len();
    let mut room = room;
    loop {
        out.resize(start + room, 0);
        match write(&mut out[start..]) {
            Attempt::TooSmall(need) => room = need.required_size,
            Attempt::Done(result) => {
                out.truncate(start + *result.as_ref().unwrap_or(&0));
                return result.map(drop);
            }
        }
    }
}

fn encode<D>(data: &mut EncodeTlsData<'_, D>, out: &mut Vec<u8>) -> Result<(), TlsError> {
    grow(out, 0, |out| match data.encode(out) {
        Err(EncodeError::InsufficientSize(need)) => Attempt::TooSmall(need),
        other => Attempt::Done(other),
    })
    .map_err(|error| TlsError::Protocol(rustls::Error::General(error.to_string())))
}
