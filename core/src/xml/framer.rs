//! Cuts a stream of octets into the header, first-level elements and the end, without looking at
//! more than the markup needs. Every octet is examined once, however it is split over reads.

use std::ops::Range;

use compact_str::CompactString;
use smallvec::SmallVec;

use super::XmlError;
use super::tag;

/// What a peer may send in one piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameLimits {
    /// Octets of one first-level element, the header, or the XML declaration.
    pub octets: u32,
    /// Nesting, the first-level element counting as 1.
    pub depth: u16,
    /// Elements within one first-level element, itself included.
    pub elements: u32,
}

impl FrameLimits {
    /// Until the peer is authenticated.
    pub const UNAUTHENTICATED: FrameLimits =
        FrameLimits { octets: 8 * 1024, depth: 16, elements: 32 };
    /// Afterwards.
    pub const AUTHENTICATED: FrameLimits =
        FrameLimits { octets: 256 * 1024, depth: 64, elements: 10_000 };
}

/// One piece of the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame<'a> {
    /// Start tag of the stream's root element. The XML declaration before it has been checked.
    Header(&'a [u8]),
    /// One whole first-level element.
    Element(&'a [u8]),
    /// End tag of the stream's root element.
    End,
}

/// Which piece a scan has completed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Piece {
    Declaration,
    Header,
    Element,
    End,
}

/// Where in the grammar the next octet stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Character data, or white space between first-level elements.
    Content,
    /// After `<`.
    Markup,
    /// After `<!`, with so many octets of `[CDATA[`.
    Bang(u8),
    /// In a CDATA section, after so many `]` (at most two).
    Cdata(u8),
    /// In a start tag, within this quote if any.
    StartTag(Option<u8>),
    /// After the `/` that closes an empty element.
    EmptyTag,
    EndTag,
    /// In `<?xml …`; true after a `?`.
    Declaration(bool),
}

/// How far the stream has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Nothing read: only here may an XML declaration stand.
    Beginning,
    /// The header is awaited.
    Prolog,
    Open,
}

#[derive(Debug)]
struct Scanner {
    limits: FrameLimits,
    phase: Phase,
    state: State,
    depth: u16,
    elements: u32,
    /// Octets of the unfinished piece.
    length: u32,
}

/// Octets to skip before the piece, and its end if it is complete.
struct Scan {
    start: usize,
    done: Option<(Piece, usize)>,
}

impl Scanner {
    fn new(limits: FrameLimits, phase: Phase) -> Scanner {
        Scanner { limits, phase, state: State::Content, depth: 0, elements: 0, length: 0 }
    }

    fn is_between(&self) -> bool {
        self.depth == 0 && self.state == State::Content
    }

    /// Goes on with the piece. Never looks beyond the octet limit.
    fn scan(&mut self, input: &[u8]) -> Result<Scan, XmlError> {
        let start = if self.is_between() { self.skip_space(input)? } else { 0 };
        let window = input.len().min(start + (self.limits.octets - self.length) as usize);
        let mut at = start;
        while at < window {
            let (next, done) = self.advance(&input[..window], at)?;
            at = next;
            if let Some(piece) = done {
                self.length = 0;
                self.elements = 0;
                self.phase = if piece == Piece::Declaration { Phase::Prolog } else { Phase::Open };
                return Ok(Scan { start, done: Some((piece, at)) });
            }
        }
        if window < input.len() {
            return Err(XmlError::PolicyViolation("the element exceeds the size limit"));
        }
        // Fits: the window is bounded by the limit.
        self.length += (at - start) as u32;
        Ok(Scan { start, done: None })
    }

    /// White space between pieces belongs to none (RFC 6120 §4.6.1: keepalive).
    fn skip_space(&mut self, input: &[u8]) -> Result<usize, XmlError> {
        let space = input.iter().take_while(|b| tag::is_space(**b)).count();
        if space > 0 && self.phase == Phase::Beginning {
            self.phase = Phase::Prolog;
        }
        match input.get(space) {
            None | Some(b'<') => Ok(space),
            Some(0 | 0xFE | 0xFF) if self.phase == Phase::Beginning => {
                Err(XmlError::UnsupportedEncoding("only UTF-8 is spoken here"))
            }
            Some(_) if self.phase == Phase::Open => {
                Err(XmlError::BadFormat("text between first-level elements"))
            }
            Some(_) => Err(XmlError::NotWellFormed("text before the stream header")),
        }
    }

    /// One step from `at`: the next position, and the piece if that completes one.
    fn advance(&mut self, input: &[u8], at: usize) -> Result<(usize, Option<Piece>), XmlError> {
        let rest = &input[at..];
        let step = match self.state {
            State::Content => self.content(rest),
            State::Markup => self.markup(rest[0])?,
            State::Bang(matched) => self.bang(rest[0], matched)?,
            State::Cdata(brackets) => self.cdata(rest, brackets),
            State::StartTag(quote) => {
                return self.start_tag(rest, quote).map(|(n, done)| (at + n, done));
            }
            State::EmptyTag | State::EndTag => {
                return self.closing(rest).map(|(n, done)| (at + n, done));
            }
            State::Declaration(question) => {
                self.state = State::Declaration(rest[0] == b'?');
                if question && rest[0] == b'>' {
                    self.state = State::Content;
                    return Ok((at + 1, Some(Piece::Declaration)));
                }
                1
            }
        };
        Ok((at + step, None))
    }

    fn content(&mut self, rest: &[u8]) -> usize {
        match memchr::memchr(b'<', rest) {
            Some(at) => {
                self.state = State::Markup;
                at + 1
            }
            None => rest.len(),
        }
    }

    /// The octet after `<`.
    fn markup(&mut self, octet: u8) -> Result<usize, XmlError> {
        self.state = match octet {
            b'/' if self.phase == Phase::Open => State::EndTag,
            b'!' => State::Bang(0),
            b'?' if self.phase == Phase::Beginning => State::Declaration(false),
            b'?' => return Err(XmlError::RestrictedXml("processing instruction")),
            b'/' | b'>' | b'<' | b'=' | b'\'' | b'"' | b'&' => {
                return Err(XmlError::NotWellFormed("a tag without a name"));
            }
            octet if tag::is_space(octet) => {
                return Err(XmlError::NotWellFormed("a tag without a name"));
            }
            _ => {
                self.enter()?;
                State::StartTag(None)
            }
        };
        Ok(1)
    }

    fn enter(&mut self) -> Result<(), XmlError> {
        if self.phase != Phase::Open {
            return Ok(());
        }
        self.depth += 1;
        self.elements += 1;
        if self.depth > self.limits.depth {
            return Err(XmlError::PolicyViolation("elements are nested too deeply"));
        }
        if self.elements > self.limits.elements {
            return Err(XmlError::PolicyViolation("too many elements"));
        }
        Ok(())
    }

    /// RFC 6120 §11.1: of all that begins with `<!` only CDATA sections are allowed.
    fn bang(&mut self, octet: u8, matched: u8) -> Result<usize, XmlError> {
        const CDATA: &[u8] = b"[CDATA[";
        if octet != CDATA[matched as usize] {
            return Err(XmlError::RestrictedXml("comment, document type or entity declaration"));
        }
        if self.depth == 0 {
            return Err(XmlError::NotWellFormed("a CDATA section outside of an element"));
        }
        let matched = matched + 1;
        self.state =
            if matched as usize == CDATA.len() { State::Cdata(0) } else { State::Bang(matched) };
        Ok(1)
    }

    fn cdata(&mut self, rest: &[u8], brackets: u8) -> usize {
        if brackets == 0 {
            return match memchr::memchr(b']', rest) {
                Some(at) => {
                    self.state = State::Cdata(1);
                    at + 1
                }
                None => rest.len(),
            };
        }
        self.state = match rest[0] {
            b'>' if brackets == 2 => State::Content,
            b']' => State::Cdata(2),
            _ => State::Cdata(0),
        };
        1
    }

    /// The rest of a start tag, quoted values included: tags are short, one loop is cheaper than
    /// a search for each part.
    fn start_tag(
        &mut self,
        rest: &[u8],
        mut quote: Option<u8>,
    ) -> Result<(usize, Option<Piece>), XmlError> {
        let mut at = 0;
        while at < rest.len() {
            let stop = match quote {
                Some(quote) => rest[at..].iter().position(|b| *b == quote || *b == b'<'),
                None => rest[at..].iter().position(|b| tag::ends_run(*b)),
            };
            let Some(run) = stop else { break };
            at += run + 1;
            match (rest[at - 1], quote) {
                (b'<', _) => return Err(XmlError::NotWellFormed("'<' within a tag")),
                (_, Some(_)) => quote = None,
                (b'>', None) => {
                    self.state = State::Content;
                    let header = self.phase != Phase::Open;
                    return Ok((at, header.then_some(Piece::Header)));
                }
                (b'/', None) if self.phase == Phase::Open => {
                    self.state = State::EmptyTag;
                    return Ok((at, None));
                }
                (b'/', None) => return Err(XmlError::NotWellFormed("an empty stream header")),
                (opened, None) => quote = Some(opened),
            }
        }
        self.state = State::StartTag(quote);
        Ok((rest.len(), None))
    }

    /// Up to the `>` of an end tag or of an empty element.
    fn closing(&mut self, rest: &[u8]) -> Result<(usize, Option<Piece>), XmlError> {
        let at = match self.state {
            State::EmptyTag if rest[0] != b'>' => {
                return Err(XmlError::NotWellFormed("'/' within a tag"));
            }
            State::EmptyTag => 0,
            _ => match memchr::memchr2(b'>', b'<', rest) {
                Some(at) if rest[at] == b'<' => {
                    return Err(XmlError::NotWellFormed("'<' within a tag"));
                }
                Some(at) => at,
                None => return Ok((rest.len(), None)),
            },
        };
        self.state = State::Content;
        let piece = match self.depth {
            0 => Some(Piece::End),
            1 => Some(Piece::Element),
            _ => None,
        };
        self.depth = self.depth.saturating_sub(1);
        Ok((at + 1, piece))
    }
}

/// Resumable framer of one stream. Holds no heap memory between frames.
#[derive(Debug)]
pub struct Framer {
    scanner: Scanner,
    /// From `head`: the unfinished frame, scanned up to `scanned`; behind it, stashed input.
    buffer: Vec<u8>,
    head: usize,
    scanned: usize,
    /// Qualified name of the root element, which the end tag repeats.
    root: CompactString,
}

/// A completed piece as a range of the buffer or of the input.
struct Found {
    piece: Piece,
    buffered: bool,
    start: usize,
    end: usize,
}

impl Framer {
    pub fn new(limits: FrameLimits) -> Framer {
        Framer {
            scanner: Scanner::new(limits, Phase::Beginning),
            buffer: Vec::new(),
            head: 0,
            scanned: 0,
            root: CompactString::default(),
        }
    }

    /// Limits of the frames that begin after this call.
    pub fn set_limits(&mut self, limits: FrameLimits) {
        self.scanner.limits = limits;
    }

    /// Takes octets off the front of `input` up to the end of the next frame. `None`: all of it is
    /// consumed and the frame is unfinished. A frame that lies wholly in `input` is not copied.
    pub fn next<'a, 'i: 'a>(
        &'a mut self,
        input: &mut &'i [u8],
    ) -> Result<Option<Frame<'a>>, XmlError> {
        loop {
            let Some(found) = self.find(input)? else { return Ok(None) };
            let given: &'i [u8] = input;
            if !found.buffered {
                *input = &given[found.end..];
            }
            let source = if found.buffered { self.buffer.as_slice() } else { given };
            let piece = &source[found.start..found.end];
            match found.piece {
                Piece::Declaration => tag::check_declaration(piece)?,
                Piece::Header => {
                    self.root = tag::root_name(piece)?.into();
                    break Ok(Some(self.lend(found, given)));
                }
                Piece::Element => break Ok(Some(self.lend(found, given))),
                Piece::End if tag::is_end_of(piece, &self.root) => break Ok(Some(Frame::End)),
                Piece::End => {
                    break Err(XmlError::NotWellFormed("the end tag does not match the header"));
                }
            }
        }
    }

    /// The frame itself, once nothing of the framer changes any more.
    fn lend<'a>(&'a self, found: Found, input: &'a [u8]) -> Frame<'a> {
        let source = if found.buffered { self.buffer.as_slice() } else { input };
        let octets = &source[found.start..found.end];
        if found.piece == Piece::Header { Frame::Header(octets) } else { Frame::Element(octets) }
    }

    fn find(&mut self, input: &mut &[u8]) -> Result<Option<Found>, XmlError> {
        if let Some(found) = self.find_stashed()? {
            return Ok(Some(found));
        }
        let given = *input;
        let scan = self.scanner.scan(given)?;
        let Some((piece, end)) = scan.done else {
            self.keep(&given[scan.start..]);
            *input = &[];
            return Ok(None);
        };
        if self.buffer.is_empty() {
            return Ok(Some(Found { piece, buffered: false, start: scan.start, end }));
        }
        self.keep(&given[..end]);
        *input = &given[end..];
        Ok(Some(self.take(piece, self.buffer.len())))
    }

    /// Goes on in what [`stash`](Self::stash) has left, and drops the frame that was lent last.
    fn find_stashed(&mut self) -> Result<Option<Found>, XmlError> {
        if self.scanned < self.buffer.len() {
            let scan = self.scanner.scan(&self.buffer[self.scanned..])?;
            if self.head == self.scanned {
                self.head += scan.start;
            }
            match scan.done {
                Some((piece, end)) => return Ok(Some(self.take(piece, self.scanned + end))),
                None => self.scanned = self.buffer.len(),
            }
        }
        if self.head == self.buffer.len() {
            self.buffer = Vec::new();
        } else if self.head > 0 {
            self.buffer.drain(..self.head);
        }
        self.head = 0;
        self.scanned = self.buffer.len();
        Ok(None)
    }

    fn keep(&mut self, octets: &[u8]) {
        self.buffer.extend_from_slice(octets);
        self.scanned = self.buffer.len();
    }

    /// The buffered frame that ends at `end`; the next one begins there.
    fn take(&mut self, piece: Piece, end: usize) -> Found {
        let start = std::mem::replace(&mut self.head, end);
        self.scanned = end;
        Found { piece, buffered: true, start, end }
    }

    /// Keeps input that cannot be dealt with now. `next` goes on with it before it takes more.
    pub fn stash(&mut self, rest: &[u8]) {
        self.buffer.extend_from_slice(rest);
    }

    /// Awaits a new header (after TLS or SASL). True if unread octets of the old stream are left,
    /// which after STARTTLS is an attack (RFC 6120 §5.4.3.3); they are read next.
    pub fn restart(&mut self) -> bool {
        self.buffer.drain(..self.head);
        self.head = 0;
        self.scanned = 0;
        self.scanner = Scanner::new(self.scanner.limits, Phase::Beginning);
        !self.buffer.is_empty()
    }

    #[cfg(test)]
    pub(super) fn buffer_capacity(&self) -> usize {
        self.buffer.capacity()
    }

    /// Without further input [`next`](Self::next) has nothing to look at.
    pub fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }

    /// No frame is begun and nothing is stashed: no heap memory is held.
    pub fn is_idle(&self) -> bool {
        self.scanner.is_between() && self.head == self.buffer.len()
    }
}

/// Checks that `octets` are exactly one element (RFC 7395 §3.3.3: one per WebSocket message, no
/// white space around it).
pub fn single_element(octets: &[u8], limits: FrameLimits) -> Result<(), XmlError> {
    if octets.first() != Some(&b'<') {
        return Err(XmlError::BadFormat("a message must begin with '<'"));
    }
    let scan = Scanner::new(limits, Phase::Open).scan(octets)?;
    match scan.done {
        Some((Piece::Element, end)) if end == octets.len() => Ok(()),
        Some((Piece::Element, _)) => Err(XmlError::BadFormat("more than one element")),
        _ => Err(XmlError::NotWellFormed("the element is not complete")),
    }
}

/// Octet ranges of the elements that follow one another in canonical `octets`.
pub fn elements(octets: &[u8]) -> Result<SmallVec<[Range<usize>; 4]>, XmlError> {
    // One less than the maximum, so that the window arithmetic cannot overflow.
    let limits = FrameLimits { octets: u32::MAX - 1, depth: u16::MAX - 1, elements: u32::MAX - 1 };
    let mut scanner = Scanner::new(limits, Phase::Open);
    let mut ranges = SmallVec::new();
    let mut at = 0;
    while at < octets.len() {
        let scan = scanner.scan(&octets[at..])?;
        let Some((Piece::Element, end)) = scan.done else {
            return Err(XmlError::NotWellFormed("the element is not complete"));
        };
        ranges.push(at + scan.start..at + end);
        at += end;
    }
    Ok(ranges)
}
