//! What this node knows of the others over its links: which are up, and what was said there. A word
//! echoes the stamp of the last one that it answers, so that it is known not to be older than that.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::Member;
use super::judge::Link;
use super::node::{Peer, Word};
use crate::engine::Event;

/// First octet of a sample that is a word; lanes have others.
const WORD: u8 = 0;
/// Kind, stamp, echo, epoch, whether it misses the database.
const LENGTH: usize = 1 + 8 + 8 + 8 + 1;

/// Whether a sample is a word.
pub fn is_word(sample: &[u8]) -> bool {
    sample.first() == Some(&WORD)
}

/// The links of one incarnation.
#[derive(Debug, Default)]
pub struct Links(BTreeMap<Member, Known>);

#[derive(Debug)]
struct Known {
    link: State,
    /// The stamp of its last word, to be echoed.
    stamp: u64,
    word: Option<(Duration, Word)>,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Up,
    DownSince(Duration),
    Refused,
}

impl Links {
    /// Takes what an engine told.
    pub fn hear(&mut self, event: Event, now: Duration) {
        match event {
            Event::Up(member) => self.known(member, now).link = State::Up,
            Event::Down(member) => {
                let known = self.known(member, now);
                if let State::Up = known.link {
                    known.link = State::DownSince(now);
                }
            }
            Event::Refused(member) => self.known(member, now).link = State::Refused,
            Event::Sample { from, bytes } => {
                if let Some((stamp, asked, word)) = decode(bytes) {
                    let known = self.known(from, now);
                    (known.stamp, known.word) = (stamp, Some((asked, word)));
                }
            }
        }
    }

    /// What is to be said to each node with a link.
    pub fn say(&self, word: Word, now: Duration) -> Vec<(Member, Bytes)> {
        let say = |(member, known): (&Member, &Known)| {
            (*member, encode(now.as_millis() as u64, known.stamp, word))
        };
        self.0.iter().filter(|(_, known)| matches!(known.link, State::Up)).map(say).collect()
    }

    /// Nodes with a link.
    pub fn up(&self) -> Vec<Member> {
        let up = self.0.iter().filter(|(_, known)| matches!(known.link, State::Up));
        up.map(|(member, _)| *member).collect()
    }

    /// Of the newest view that a node with a link spoke of; 0 for none.
    pub fn newest_epoch(&self) -> i64 {
        let up = self.0.values().filter(|known| matches!(known.link, State::Up));
        up.filter_map(|known| known.word.map(|(_, word)| word.epoch)).max().unwrap_or_default()
    }

    /// A member has no link: soon somebody is to be put out.
    pub fn is_any_missing(&self) -> bool {
        self.0.values().any(|known| !matches!(known.link, State::Up))
    }

    /// How these members look over the links. One that was never seen counts as down from now on; what
    /// is neither up nor asked for is forgotten.
    pub fn peers(&mut self, members: &[Member], now: Duration) -> Vec<Peer> {
        self.0.retain(|member, known| matches!(known.link, State::Up) || members.contains(member));
        let look = |member: &Member| {
            let known = self.known(*member, now);
            let link = match known.link {
                State::Up => Link::Up,
                State::DownSince(since) => Link::Down(now.saturating_sub(since)),
                State::Refused => Link::Refused,
            };
            Peer { member: *member, link, word: known.word }
        };
        members.iter().map(look).collect()
    }

    fn known(&mut self, member: Member, now: Duration) -> &mut Known {
        let unseen = || Known { link: State::DownSince(now), stamp: 0, word: None };
        self.0.entry(member).or_insert_with(unseen)
    }
}

fn encode(stamp: u64, echo: u64, word: Word) -> Bytes {
    let mut out = BytesMut::with_capacity(LENGTH);
    out.put_u8(WORD);
    out.put_u64(stamp);
    out.put_u64(echo);
    out.put_i64(word.epoch);
    out.put_u8(word.misses_database.into());
    out.freeze()
}

/// The sender's stamp, when it was asked, and what it says. Longer words are of a newer protocol.
fn decode(mut input: Bytes) -> Option<(u64, Duration, Word)> {
    if input.len() < LENGTH || input.get_u8() != WORD {
        return None;
    }
    let (stamp, asked) = (input.get_u64(), Duration::from_millis(input.get_u64()));
    Some((stamp, asked, Word { epoch: input.get_i64(), misses_database: input.get_u8() == 1 }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_word_is_as_old_as_the_question_that_it_answers() {
        let [one, two] = [1, 2].map(|node| Member { node, incarnation: 7 });
        let (mut first, mut second) = (Links::default(), Links::default());
        first.hear(Event::Up(two), 10 * MS);
        second.hear(Event::Up(one), 9000 * MS);
        let word = Word { epoch: 3, misses_database: true };
        for (_, bytes) in first.say(word, 20 * MS) {
            second.hear(Event::Sample { from: one, bytes }, 9001 * MS);
        }
        for (_, bytes) in second.say(word, 9002 * MS) {
            first.hear(Event::Sample { from: two, bytes }, 500 * MS);
        }
        let peers = first.peers(&[two], 500 * MS);
        assert_eq!((peers[0].link, peers[0].word), (Link::Up, Some((20 * MS, word))));
        first.hear(Event::Down(two), 600 * MS);
        assert_eq!(first.peers(&[two], 900 * MS)[0].link, Link::Down(300 * MS));
        assert_eq!(first.up(), []);
    }

    #[test]
    fn a_word_is_written_as_nodes_of_version_1_read_it() {
        let word = encode(1, 2, Word { epoch: 3, misses_database: true });
        let octets = b"\0\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0\x03\x01";
        assert_eq!(word, Bytes::from_static(octets));
    }

    #[test]
    fn what_is_no_word_is_left_to_the_lanes() {
        assert!(!is_word(b"\x01abc") && !is_word(b""));
        assert!(is_word(b"\x00short"));
        let mut links = Links::default();
        let (from, bytes) = (Member { node: 1, incarnation: 1 }, Bytes::from_static(b"\x00short"));
        links.hear(Event::Sample { from, bytes }, MS);
        assert!(links.peers(&[from], MS)[0].word.is_none());
    }
}
