//! The mark in each payload: who sent it, which one it is, when it was due.
//!
//! It stands in the body or status, which every server has to deliver unchanged.

use memchr::memmem;
use std::collections::BTreeSet;
use std::io::Write;
use std::sync::LazyLock;

const PREFIX: &[u8] = b"hl:";

/// Tells this run's marks from what a server stored in an earlier one and delivers only now.
static RUN: LazyLock<u64> = LazyLock::new(|| std::process::id().into());

/// Sender's index, its running number from 0, and the time in microseconds of the run's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Marker {
    pub sender: u32,
    pub sequence: u64,
    pub due: u64,
}

impl Marker {
    /// Writes the mark, then padding up to `length` bytes in all (never less than the mark).
    pub fn write(self, out: &mut Vec<u8>, length: usize) {
        let begin = out.len();
        let Self { sender, sequence, due } = self;
        out.extend_from_slice(PREFIX);
        write!(out, "{}:{sender}:{sequence}:{due}:", *RUN).expect("a vector takes every byte");
        out.resize(out.len().max(begin + length), b'x');
    }

    /// Writes a stanza id that is unique in the run; without [`PREFIX`], so that it is no mark.
    pub fn write_id(self, out: &mut Vec<u8>) {
        write!(out, "m{}-{}", self.sender, self.sequence).expect("a vector takes every byte");
    }

    /// The first mark in an element, if it is of this run.
    pub fn find(element: &[u8]) -> Option<Self> {
        let mut rest = &element[memmem::find(element, PREFIX)? + PREFIX.len()..];
        let mut number = || {
            let digits = rest.iter().position(|&b| b == b':')?;
            let add = |sum: u64, b: &u8| {
                let digit = u64::from(b.is_ascii_digit().then(|| b - b'0')?);
                sum.checked_mul(10)?.checked_add(digit)
            };
            let value = rest[..digits].iter().try_fold(0, add)?;
            rest = &rest[digits + 1..];
            Some(value)
        };
        let run = number()?;
        let (sender, sequence, due) = (number()?.try_into().ok()?, number()?, number()?);
        (run == *RUN).then_some(Self { sender, sequence, due })
    }
}

/// What a receiver expects from one sender.
#[derive(Debug, Default)]
pub struct Sequence {
    next: u64,
    /// Numbers below `next` that have not come.
    missing: BTreeSet<u64>,
}

/// What the arrival of a number means.
#[derive(Debug, PartialEq, Eq)]
pub enum Arrival {
    InOrder,
    /// It came for the first time, but after a later one.
    Late,
    Duplicate,
}

impl Sequence {
    /// Takes note of an arrived number.
    pub fn observe(&mut self, number: u64) -> Arrival {
        if number >= self.next {
            self.missing.extend(self.next..number);
            self.next = number + 1;
            Arrival::InOrder
        } else if self.missing.remove(&number) {
            Arrival::Late
        } else {
            Arrival::Duplicate
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marker_survives_the_way() {
        let marker = Marker { sender: 7, sequence: 123, due: 4_567_890 };
        let mut body = b"<message><body>".to_vec();
        marker.write(&mut body, 100);
        assert_eq!(body.len(), 115);
        body.extend_from_slice(b"</body></message>");
        assert_eq!(Marker::find(&body), Some(marker));
        let mut short = Vec::new();
        marker.write(&mut short, 1);
        assert_eq!(Marker::find(&short), Some(marker));
    }

    #[test]
    fn what_is_no_marker_is_not_found() {
        let run = *RUN;
        let broken = ["1:2", "1:x:3:", "99999999999:1:1:", ":1:1"];
        let broken = broken.map(|rest| format!("hl:{run}:{rest}"));
        let foreign = format!("hl:{}:1:2:3:", run + 1);
        for text in
            ["", "<presence/>", "hl:", &foreign].into_iter().chain(broken.iter().map(|t| &**t))
        {
            assert_eq!(Marker::find(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn a_sequence_tells_late_from_duplicate() {
        let mut sequence = Sequence::default();
        let arrivals = [0, 1, 4, 2, 2, 1, 3, 5].map(|number| sequence.observe(number));
        use Arrival::{Duplicate, InOrder, Late};
        let expected = [InOrder, InOrder, InOrder, Late, Duplicate, Duplicate, Late, InOrder];
        assert_eq!(arrivals, expected);
        assert!(sequence.missing.is_empty());
    }
}
