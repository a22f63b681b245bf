//! What crosses a connection: frames with their length before them. The first one says who calls whom;
//! an empty one says that the caller lives.

use std::io;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::membership::Member;

/// Octets of a frame; a sample has less.
const MOST: usize = 16 * 1024 * 1024;
/// Octets of the first frame.
const HELLO: usize = 4096;
/// Octets for which room is made before a read.
const ROOM: usize = 64 * 1024;

/// The first frame.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    pub from: Member,
    /// Who is wanted: another run of that node does not answer.
    pub to: Member,
    /// Where the caller is called back.
    pub addresses: Vec<String>,
}

impl Hello {
    pub fn encode(&self) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        put(&serde_json::to_vec(self)?, &mut out);
        Ok(out)
    }
}

/// Appends a frame.
pub fn put(payload: &[u8], out: &mut Vec<u8>) {
    // A longer one ends the connection at the other end.
    out.put_u32(u32::try_from(payload.len()).unwrap_or(u32::MAX));
    out.extend_from_slice(payload);
}

/// Takes frames out of what is read.
pub struct Frames<R> {
    stream: R,
    buffer: BytesMut,
}

impl<R: AsyncRead + Unpin> Frames<R> {
    pub fn new(stream: R) -> Frames<R> {
        Frames { stream, buffer: BytesMut::new() }
    }

    pub fn stream(&mut self) -> &mut R {
        &mut self.stream
    }

    /// The first frame of a connection.
    pub async fn hello(&mut self) -> io::Result<Hello> {
        loop {
            if let Some(frame) = self.take(HELLO)? {
                return Ok(serde_json::from_slice(&frame)?);
            }
            self.read().await?;
        }
    }

    /// At least one frame, and all others that came with it.
    pub async fn next(&mut self) -> io::Result<Vec<Bytes>> {
        let mut frames = Vec::new();
        loop {
            while let Some(frame) = self.take(MOST)? {
                frames.push(frame);
            }
            if !frames.is_empty() {
                return Ok(frames);
            }
            self.read().await?;
        }
    }

    async fn read(&mut self) -> io::Result<()> {
        self.buffer.reserve(ROOM);
        match self.stream.read_buf(&mut self.buffer).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }

    fn take(&mut self, most: usize) -> io::Result<Option<Bytes>> {
        let Some(head) = self.buffer.first_chunk::<4>() else { return Ok(None) };
        let length = u32::from_be_bytes(*head) as usize;
        if length > most {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a frame is too long"));
        }
        if self.buffer.len() < head.len() + length {
            return Ok(None);
        }
        self.buffer.advance(4);
        Ok(Some(self.buffer.split_to(length).freeze()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(octets: &[u8]) -> (Vec<Bytes>, io::ErrorKind) {
        let (mut frames, mut all) = (Frames::new(octets), Vec::new());
        loop {
            match frames.next().await {
                Ok(new) => all.extend(new),
                Err(error) => return (all, error.kind()),
            }
        }
    }

    #[tokio::test]
    async fn frames_come_as_they_were_put() {
        let mut octets = Vec::new();
        for payload in [&b"one"[..], b"", &[7; 3 * ROOM]] {
            put(payload, &mut octets);
        }
        let (frames, end) = read(&octets).await;
        assert_eq!(frames, [&b"one"[..], b"", &[7; 3 * ROOM]]);
        assert_eq!(end, io::ErrorKind::UnexpectedEof);
        assert_eq!(read(&octets[..octets.len() - 1]).await.0.len(), 2);
    }

    #[tokio::test]
    async fn no_frame_is_longer_than_it_may_be() {
        let (frames, end) = read(&(MOST as u32 + 1).to_be_bytes()).await;
        assert_eq!((frames.len(), end), (0, io::ErrorKind::InvalidData));
        let mut long = Vec::new();
        put(&[b' '; HELLO + 1], &mut long);
        let refused = Frames::new(&long[..]).hello().await.expect_err("too long");
        assert_eq!(refused.kind(), io::ErrorKind::InvalidData);
    }
}
