//! What crosses a connection: frames with their length before them. The first one says who calls whom;
//! an empty one says that the caller lives.

use std::io;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt};

use super::super::Piece;
use crate::membership::Member;

/// Octets of a frame; a sample has less.
const MOST: usize = 16 * 1024 * 1024;
/// Octets of the first frame.
const HELLO: usize = 4096;

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
        put(&Bytes::from(serde_json::to_vec(self)?), &mut out);
        Ok(out)
    }

    /// Reads it, and nothing of what is behind it.
    pub async fn read(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Hello> {
        let length = length(stream.read_u32().await?, HELLO)?;
        let mut octets = vec![0; length];
        stream.read_exact(&mut octets).await?;
        Ok(serde_json::from_slice(&octets)?)
    }
}

/// Appends a frame.
pub fn put(payload: &impl Piece, out: &mut Vec<u8>) {
    out.reserve(4 + payload.octets());
    // A longer one ends the connection at the other end.
    out.put_u32(u32::try_from(payload.octets()).unwrap_or(u32::MAX));
    payload.write(out);
}

/// Takes frames out of what came.
#[derive(Debug, Default)]
pub struct Frames(BytesMut);

impl Frames {
    pub fn put(&mut self, octets: &[u8]) {
        self.0.extend_from_slice(octets);
    }

    /// The next frame that is there as a whole.
    pub fn take(&mut self) -> io::Result<Option<Bytes>> {
        let Some(head) = self.0.first_chunk::<4>() else { return Ok(None) };
        let length = length(u32::from_be_bytes(*head), MOST)?;
        if self.0.len() < head.len() + length {
            return Ok(None);
        }
        self.0.advance(4);
        Ok(Some(self.0.split_to(length).freeze()))
    }
}

fn length(head: u32, most: usize) -> io::Result<usize> {
    match head as usize {
        length if length <= most => Ok(length),
        _ => Err(io::Error::new(io::ErrorKind::InvalidData, "a frame is too long")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(octets: &[u8]) -> (Vec<Bytes>, io::Result<()>) {
        let (mut frames, mut all) = (Frames::default(), Vec::new());
        for chunk in octets.chunks(1000) {
            frames.put(chunk);
            loop {
                match frames.take() {
                    Ok(Some(frame)) => all.push(frame),
                    Ok(None) => break,
                    Err(error) => return (all, Err(error)),
                }
            }
        }
        (all, Ok(()))
    }

    #[test]
    fn frames_come_as_they_were_put() {
        let mut octets = Vec::new();
        for payload in [&b"one"[..], b"", &[7; 200_000]] {
            put(&Bytes::copy_from_slice(payload), &mut octets);
        }
        assert_eq!(taken(&octets).0, [&b"one"[..], b"", &[7; 200_000]]);
        assert_eq!(taken(&octets[..octets.len() - 1]).0.len(), 2);
    }

    #[tokio::test]
    async fn no_frame_is_longer_than_it_may_be() {
        let (frames, end) = taken(&(MOST as u32 + 1).to_be_bytes());
        assert_eq!(
            (frames.len(), end.expect_err("too long").kind()),
            (0, io::ErrorKind::InvalidData)
        );
        let mut long = Vec::new();
        put(&Bytes::from(vec![b' '; HELLO + 1]), &mut long);
        let refused = Hello::read(&mut &long[..]).await.expect_err("too long");
        assert_eq!(refused.kind(), io::ErrorKind::InvalidData);
    }
}
