//! Input for a compiler that cannot instrument: mutations of seeds, and of what was accepted.

/// What parsers look for; inserted more often than chance would.
const WORDS: &[&[u8]] = &[
    b"<",
    b">",
    b"/>",
    b"</",
    b"'",
    b"\"",
    b"=",
    b"&",
    b";",
    b":",
    b"/",
    b"@",
    b"xmlns",
    b"xmlns:",
    b"xml:",
    b"stream:",
    b"<![CDATA[",
    b"]]>",
    b"<!--",
    b"-->",
    b"<?",
    b"?>",
    b"<!DOCTYPE ",
    b"&#x",
    b"&#0;",
    b"&lt;",
    b"&amp;",
    b"&#xD800;",
    b"\0",
    b"\x7f",
    b"\xc0\xaf",
    b"\xed\xa0\x80",
    b"\xf5",
    b"\xef\xbf\xbe",
    b"\xef\xbb\xbf",
    b"\xe2\x80\xae",
    b"\xcc\x81",
    b"<a>",
    b"</a>",
    b"<a xmlns='b'>",
    b"</stream:stream>",
    b"n,,",
    b",r=",
    b",p=",
    b"=2C",
    b"=3D",
    b"4294967296",
    b"-1",
];

/// Inputs that are kept beside the seeds; beyond them an older one makes room.
const MOST: usize = 512;
/// Octets of an input at most.
const LONGEST: usize = 16 * 1024;

/// Seeds, and inputs that led somewhere.
#[derive(Debug)]
pub struct Pool {
    inputs: Vec<Vec<u8>>,
    seeds: usize,
    random: u64,
}

impl Pool {
    /// The same `number` gives the same inputs.
    pub fn new(seeds: &[&[u8]], number: u64) -> Pool {
        let inputs: Vec<_> = seeds.iter().map(|seed| seed.to_vec()).collect();
        // Any odd multiplier spreads small numbers; zero would stay zero.
        let random = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        Pool { seeds: inputs.len(), inputs, random }
    }

    /// A mutation of one of the inputs.
    pub fn draw(&mut self) -> Vec<u8> {
        let mut input = self.any().to_vec();
        for _ in 0..1 + self.below(6) {
            self.mutate(&mut input);
        }
        input.truncate(LONGEST);
        input
    }

    /// Keeps an input that was taken for good.
    pub fn learn(&mut self, input: Vec<u8>, is_taken: bool) {
        if !is_taken {
            return;
        }
        if self.inputs.len() < self.seeds + MOST {
            return self.inputs.push(input);
        }
        let at = self.seeds + self.below(MOST);
        self.inputs[at] = input;
    }

    fn any(&mut self) -> &[u8] {
        let at = self.below(self.inputs.len());
        &self.inputs[at]
    }

    fn mutate(&mut self, input: &mut Vec<u8>) {
        let (from, to) = self.range(input.len());
        match self.below(7) {
            0 => drop(input.drain(from..to)),
            1 => {
                let copy = input[from..to].to_vec();
                let at = self.below(input.len() + 1);
                input.splice(at..at, copy);
            }
            2 => {
                let word = WORDS[self.below(WORDS.len())];
                input.splice(from..from, word.iter().copied());
            }
            3 => {
                let other = self.any().to_vec();
                let (start, end) = self.range(other.len());
                input.splice(from..to, other[start..end].iter().copied());
            }
            4 => {
                let octet = self.below(256) as u8;
                input.insert(from, octet);
            }
            _ if from < input.len() => input[from] ^= 1 << self.below(8),
            _ => {}
        }
    }

    /// Two places within `length`, mostly close to each other.
    fn range(&mut self, length: usize) -> (usize, usize) {
        let from = self.below(length + 1);
        let most = if self.below(8) == 0 { length } else { 16 };
        (from, length.min(from + self.below(most + 1)))
    }

    /// Xorshift: repeatable, and good enough to choose by.
    fn below(&mut self, bound: usize) -> usize {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random % bound.max(1) as u64) as usize
    }
}
