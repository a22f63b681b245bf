//! Cuts a server's byte stream into stream header, first-level elements and stream end.
//!
//! No tree and no copy: tags are found with `memchr`, only their nesting is counted. The input comes
//! from a server under test, so well-formedness is assumed, not checked.

use crate::error::{LoadError, Result};
use memchr::{memchr, memchr3, memmem};

/// More than this without a complete element means that the stream is broken.
const MAX_ELEMENT: usize = 4 << 20;
const CDATA: &[u8] = b"<![CDATA[";

/// One piece of the stream, with its bytes as they came.
#[derive(Debug, PartialEq, Eq)]
pub enum Frame<'a> {
    /// The opening tag of `<stream:stream>`.
    Open(&'a [u8]),
    /// A complete child of the stream: a stanza, features, a SASL or stream management element.
    Element(&'a [u8]),
    /// `</stream:stream>`.
    Close,
}

/// Incremental: bytes may arrive cut at any place.
#[derive(Debug, Default)]
pub struct Framer {
    buffer: Vec<u8>,
    /// Where the current piece begins; everything before it has been handed out.
    start: usize,
    /// Where scanning goes on; between `start` and here all tags are counted.
    scan: usize,
    /// 0 before the stream header, 1 inside the stream, more inside an element.
    depth: usize,
}

enum Tag {
    Open,
    Close,
    Empty,
    /// `<?…?>` or CDATA: no change of depth.
    Other,
}

impl Framer {
    /// Adds bytes that were read; what was handed out before is dropped.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.start);
        self.scan -= self.start;
        self.start = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// Expects a new stream header next (RFC 6120 §4.3.3: after STARTTLS and SASL).
    pub fn restart(&mut self) {
        self.start = self.scan;
        self.depth = 0;
    }

    /// Gives memory back while nothing is expected.
    pub fn shrink(&mut self) {
        self.push(&[]);
        self.buffer.shrink_to_fit();
    }

    /// The next complete piece, or `None` until more bytes are pushed.
    pub fn next(&mut self) -> Result<Option<Frame<'_>>> {
        loop {
            let Some(offset) = memchr(b'<', &self.buffer[self.scan..]) else {
                self.scan = self.buffer.len();
                return self.incomplete();
            };
            let at = self.scan + offset;
            let Some((tag, length)) = tag(&self.buffer[at..])? else {
                self.scan = at;
                return self.incomplete();
            };
            if self.depth <= 1 {
                self.start = at;
            }
            self.scan = at + length;
            match self.count(tag) {
                Complete::No => {}
                Complete::Open => return Ok(Some(Frame::Open(self.take()))),
                Complete::Element => return Ok(Some(Frame::Element(self.take()))),
                Complete::Close => {
                    self.start = self.scan;
                    return Ok(Some(Frame::Close));
                }
            }
        }
    }

    /// Changes the depth by one tag and says whether a piece ends with it.
    fn count(&mut self, tag: Tag) -> Complete {
        match (tag, self.depth) {
            (Tag::Open, 0) => {
                self.depth = 1;
                Complete::Open
            }
            (Tag::Open, _) => {
                self.depth += 1;
                Complete::No
            }
            (Tag::Empty, 1) => Complete::Element,
            (Tag::Close, 0 | 1) => {
                self.depth = 0;
                Complete::Close
            }
            (Tag::Close, depth) => {
                self.depth = depth - 1;
                if depth == 2 { Complete::Element } else { Complete::No }
            }
            (Tag::Empty | Tag::Other, _) => Complete::No,
        }
    }

    fn take(&mut self) -> &[u8] {
        let piece = self.start..self.scan;
        self.start = self.scan;
        &self.buffer[piece]
    }

    fn incomplete(&mut self) -> Result<Option<Frame<'_>>> {
        if self.depth <= 1 {
            // Between elements there is only white space (keep-alives), which is done with.
            self.start = self.scan;
        }
        if self.buffer.len() - self.start > MAX_ELEMENT {
            return Err(LoadError::Protocol(format!("an element above {MAX_ELEMENT} bytes")));
        }
        Ok(None)
    }
}

enum Complete {
    No,
    Open,
    Element,
    Close,
}

/// Kind and length of the tag at the beginning of `bytes`, or `None` if its end is not there yet.
fn tag(bytes: &[u8]) -> Result<Option<(Tag, usize)>> {
    let until = |end: &[u8]| memmem::find(bytes, end).map(|at| (Tag::Other, at + end.len()));
    match bytes.get(1) {
        None => Ok(None),
        Some(b'?') => Ok(until(b"?>")),
        Some(b'!') if bytes.starts_with(CDATA) => Ok(until(b"]]>")),
        Some(b'!') if CDATA.starts_with(bytes) => Ok(None),
        Some(b'!') => Err(LoadError::Protocol("a comment or DTD in the stream".into())),
        Some(b'/') => Ok(memchr(b'>', bytes).map(|at| (Tag::Close, at + 1))),
        Some(_) => Ok(start_tag_length(bytes).map(|length| {
            (if bytes[length - 2] == b'/' { Tag::Empty } else { Tag::Open }, length)
        })),
    }
}

/// XML 1.0 §3.1 allows `>` inside attribute values, so quotes have to be followed.
fn start_tag_length(bytes: &[u8]) -> Option<usize> {
    let mut at = 1;
    loop {
        at += memchr3(b'>', b'"', b'\'', &bytes[at..])?;
        if bytes[at] == b'>' {
            return Some(at + 1);
        }
        at += memchr(bytes[at], &bytes[at + 1..])? + 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &str = "<?xml version='1.0'?><stream:stream from='a>b' id=\"x'\"> \n\
        <stream:features><a/><b>c</b></stream:features><r xmlns='urn:xmpp:sm:3'/>\n\
        <message id='1'><body>1 &lt; 2<![CDATA[</body>]]></body></message></stream:stream>";

    fn frames_of(chunks: &[&[u8]]) -> Vec<String> {
        let mut framer = Framer::default();
        let mut out = Vec::new();
        for chunk in chunks {
            framer.push(chunk);
            while let Some(frame) = framer.next().unwrap() {
                out.push(match frame {
                    Frame::Open(bytes) => format!("open {}", String::from_utf8_lossy(bytes)),
                    Frame::Element(bytes) => String::from_utf8_lossy(bytes).into_owned(),
                    Frame::Close => "close".into(),
                });
            }
        }
        out
    }

    #[test]
    fn finds_header_elements_and_end() {
        let frames = frames_of(&[STREAM.as_bytes()]);
        assert_eq!(frames[0], "open <stream:stream from='a>b' id=\"x'\">");
        assert_eq!(frames[1], "<stream:features><a/><b>c</b></stream:features>");
        assert_eq!(frames[2], "<r xmlns='urn:xmpp:sm:3'/>");
        assert!(frames[3].starts_with("<message id='1'>") && frames[3].ends_with("</message>"));
        assert_eq!(frames[4], "close");
        assert_eq!(frames.len(), 5);
    }

    #[test]
    fn every_split_gives_the_same_frames() {
        let whole = frames_of(&[STREAM.as_bytes()]);
        for at in 0..=STREAM.len() {
            let (left, right) = STREAM.as_bytes().split_at(at);
            assert_eq!(frames_of(&[left, right]), whole, "split at byte {at}");
        }
        let bytes: Vec<&[u8]> = STREAM.as_bytes().chunks(1).collect();
        assert_eq!(frames_of(&bytes), whole);
    }

    #[test]
    fn a_restart_expects_a_header_again() {
        let mut framer = Framer::default();
        framer.push(b"<stream:stream><success/>");
        assert!(matches!(framer.next(), Ok(Some(Frame::Open(_)))));
        assert_eq!(framer.next().unwrap(), Some(Frame::Element(b"<success/>")));
        framer.restart();
        framer.push(b"<?xml version='1.0'?><stream:stream>");
        assert_eq!(framer.next().unwrap(), Some(Frame::Open(b"<stream:stream>")));
    }

    #[test]
    fn refuses_a_dtd() {
        let mut framer = Framer::default();
        framer.push(b"<!DOCTYPE x>");
        assert!(framer.next().is_err());
    }

    #[test]
    fn keeps_no_white_space() {
        let mut framer = Framer::default();
        framer.push(b"<stream:stream>");
        framer.next().unwrap();
        for _ in 0..100 {
            framer.push(b"   ");
            assert_eq!(framer.next().unwrap(), None);
        }
        framer.shrink();
        assert_eq!(framer.buffer.capacity(), 0);
    }
}
