//! What one carrier says to another: the messages in the parcels of a lane, and the frame of a sample.
//! Version 1. The head of a sample names the version that both ends speak: the older of theirs. Within
//! a version fields grow only at the end of a message, where an older reader passes them over, as it
//! does with a message of an unknown kind.

use bytes::{Buf, BufMut, Bytes, BytesMut, TryGetError};
use hearth_plugin_api::cluster::{Ack, Delta, Envelope, Outcome};
use hearth_plugin_api::{Error, ErrorKind, json};
use serde::{Deserialize, Serialize};

use crate::engine::Piece;
use crate::lanes::Sample;
use crate::membership::Member;
use crate::protocol;

/// First octet of a sample that belongs to a lane; words of membership begin with another one.
const LANE: u8 = 1;
/// First octet of a parcel: the message goes on in the next one.
const MORE: u8 = 1;
const LAST: u8 = 0;
/// Octets of a message that a parcel holds: with its head it stays below what a sample may have.
const PART: usize = 48 * 1024;
/// Octets for parcels for which there is room at a time.
const ROOM: usize = 64 * 1024;
/// Octets of an acknowledgement.
const ACK: usize = 8 + 1;
/// Octets before the stanza in the message that brings it.
const ENVELOPE: usize = 1 + 4 + 8;
/// A message that grows beyond this is a bug or an attack.
pub const MOST: usize = 64 * 1024 * 1024;
/// Octets of what core hands over in one piece.
pub const LARGEST: usize = MOST / 2;
/// Sessions that a message tells of: with the longest names there are it is 20 MiB.
const SESSIONS: usize = 10_000;

/// Directory, acknowledgements, requests: never held up by stanzas.
pub const CONTROL: u8 = 0;
/// Stanzas, in their order.
pub const STANZAS: u8 = 1;
pub const LANES: usize = 2;

/// What crosses in one piece, whatever its size.
#[derive(Clone, Debug, PartialEq)]
pub enum Message {
    Envelope {
        lane: u32,
        ticket: u64,
        bytes: Bytes,
    },
    Acks(Vec<Ack>),
    Deltas {
        seq: u64,
        deltas: Vec<Delta>,
    },
    /// Some sessions of the sender; the others follow.
    Sessions(Vec<Delta>),
    /// All sessions of the sender, as of its change `seq`, with those that came just before.
    Directory {
        seq: u64,
        sessions: Vec<Delta>,
    },
    /// The receiver shall send its directory: there was a gap.
    WantDirectory,
    Invalidate {
        topic: String,
        key: String,
    },
    Ask {
        id: u64,
        ask: Ask,
        body: Bytes,
    },
    Answer {
        id: u64,
        answer: Result<Bytes, Error>,
    },
    /// Somebody owns a key now, or nobody.
    Owner {
        topic: String,
        key: String,
        owner: Option<Member>,
    },
}

/// A question of one node to another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "kebab-case")]
pub enum Ask {
    /// Of one core to the other.
    Serve { method: String },
    /// Freeze and export a session.
    Claim { session: String },
    /// Whether the claimed session lives on at the asking node.
    Claimed { session: String, imported: bool },
    /// The directory, as [`Message::Directory`], for comparing.
    Directory,
    /// Of a newer version.
    #[serde(other)]
    Unknown,
}

/// The octets have not the form of version 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a message of another node cannot be read")]
pub struct Unreadable;

impl From<TryGetError> for Unreadable {
    fn from(_: TryGetError) -> Unreadable {
        Unreadable
    }
}

/// The sample of a lane, for a node with which that version is spoken.
#[derive(Debug)]
pub struct Framed {
    pub version: u32,
    pub lane: u8,
    pub sample: Sample,
}

impl Piece for Framed {
    fn octets(&self) -> usize {
        self.sample.octets() + 3
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.put_slice(&[LANE, self.version as u8, self.lane]);
        self.sample.encode(out);
    }
}

/// The lane of a framed sample and the sample. Of a version that this one does not work with: none.
pub fn unframe(mut bytes: Bytes) -> Result<(usize, Bytes), Unreadable> {
    let (kind, version, lane) = (bytes.try_get_u8()?, bytes.try_get_u8()?, bytes.try_get_u8()?);
    let is_ours = kind == LANE && protocol::is_read(version.into());
    if !is_ours || usize::from(lane) >= LANES {
        return Err(Unreadable);
    }
    Ok((lane.into(), bytes))
}

/// Cuts a message into parcels.
pub fn parcels(message: Bytes) -> Vec<Bytes> {
    let count = message.len().div_ceil(PART).max(1);
    let part = |n: usize| {
        let part = &message[n * PART..message.len().min((n + 1) * PART)];
        let mut out = BytesMut::with_capacity(part.len() + 1);
        out.put_u8(if n + 1 == count { LAST } else { MORE });
        out.put_slice(part);
        out.freeze()
    };
    (0..count).map(part).collect()
}

/// A directory as messages: a large one in several.
pub fn directory(seq: u64, mut sessions: Vec<Delta>) -> Vec<Bytes> {
    let mut all = Vec::new();
    while sessions.len() > SESSIONS {
        let rest = sessions.split_off(SESSIONS);
        let some = std::mem::replace(&mut sessions, rest);
        all.push(Message::Sessions(some).encode());
    }
    all.push(Message::Directory { seq, sessions }.encode());
    all
}

/// The parcels of an envelope. What fits into one is copied once, to where there is `room`.
pub fn envelope_parcels(
    room: &mut BytesMut,
    &Envelope { lane, ticket, bytes }: &Envelope<'_>,
) -> impl Iterator<Item = Bytes> {
    let octets = 1 + ENVELOPE + bytes.len();
    let (one, cut) = if octets <= PART {
        (Some(parcel(room, octets, |out| put_envelope(out, lane, ticket, bytes))), Vec::new())
    } else {
        let mut whole = BytesMut::with_capacity(octets);
        put_envelope(&mut whole, lane, ticket, bytes);
        (None, parcels(whole.freeze()))
    };
    one.into_iter().chain(cut)
}

/// The parcels of acknowledgements, written where there is `room`: each is a message of its own.
pub fn ack_parcels(room: &mut BytesMut, acks: &[Ack]) -> impl Iterator<Item = Bytes> {
    acks.chunks((PART - 2) / ACK)
        .map(|acks| parcel(room, 2 + ACK * acks.len(), |out| put_acks(out, acks)))
}

/// A parcel of so many octets for a whole message, written where there is `room`.
fn parcel(room: &mut BytesMut, octets: usize, put: impl FnOnce(&mut BytesMut)) -> Bytes {
    if room.capacity() < octets {
        room.reserve(ROOM);
    }
    room.put_u8(LAST);
    put(room);
    room.split().freeze()
}

/// Puts parcels together again.
#[derive(Debug, Default)]
pub struct Joiner {
    parts: BytesMut,
    /// The message grows too large: it is let go, up to its last part.
    is_lost: bool,
}

impl Joiner {
    /// The message that ends with this parcel, if one does.
    pub fn join(&mut self, mut parcel: Bytes) -> Result<Option<Bytes>, Unreadable> {
        let flag = parcel.try_get_u8()?;
        if flag > MORE {
            return Err(Unreadable);
        }
        let is_last = flag == LAST;
        if is_last && self.parts.is_empty() && !self.is_lost {
            return Ok(Some(parcel));
        }
        self.is_lost |= self.parts.len() + parcel.len() > MOST;
        if self.is_lost {
            self.parts = BytesMut::new();
            self.is_lost = !is_last;
            return if is_last { Err(Unreadable) } else { Ok(None) };
        }
        self.parts.put_slice(&parcel);
        Ok(is_last.then(|| self.parts.split().freeze()))
    }
}

impl Message {
    pub fn encode(&self) -> Bytes {
        let mut out = BytesMut::new();
        match self {
            Message::Envelope { lane, ticket, bytes } => {
                put_envelope(&mut out, *lane, *ticket, bytes);
            }
            Message::Acks(acks) => put_acks(&mut out, acks),
            Message::Deltas { seq, deltas } => put_deltas(&mut out, 3, *seq, deltas),
            Message::Directory { seq, sessions } => put_deltas(&mut out, 4, *seq, sessions),
            Message::Sessions(sessions) => put_deltas(&mut out, 10, 0, sessions),
            Message::WantDirectory => out.put_u8(5),
            Message::Invalidate { topic, key } => {
                out.put_u8(6);
                put_text(&mut out, topic);
                put_text(&mut out, key);
            }
            Message::Ask { id, ask, body } => {
                out.put_u8(7);
                out.put_u64(*id);
                put_text(&mut out, &json::to_string(ask).unwrap_or_default());
                out.put_slice(body);
            }
            Message::Answer { id, answer } => put_answer(&mut out, *id, answer),
            Message::Owner { topic, key, owner } => {
                out.put_u8(9);
                put_text(&mut out, topic);
                put_text(&mut out, key);
                out.put_u32(owner.map_or(0, |owner| owner.node));
                out.put_i64(owner.map_or(0, |owner| owner.incarnation));
            }
        }
        out.freeze()
    }

    /// `None` for a kind that this version does not know.
    pub fn decode(mut input: Bytes) -> Result<Option<Message>, Unreadable> {
        Ok(Some(match input.try_get_u8()? {
            1 => {
                let (lane, ticket) = (input.try_get_u32()?, input.try_get_u64()?);
                Message::Envelope { lane, ticket, bytes: input }
            }
            2 => Message::Acks(acks(input)?),
            3 => {
                let (seq, deltas) = get_deltas(&mut input)?;
                Message::Deltas { seq, deltas }
            }
            4 => {
                let (seq, sessions) = get_deltas(&mut input)?;
                Message::Directory { seq, sessions }
            }
            10 => Message::Sessions(get_deltas(&mut input)?.1),
            5 => Message::WantDirectory,
            6 => {
                let (topic, key) = (get_text(&mut input)?, get_text(&mut input)?);
                Message::Invalidate { topic, key }
            }
            7 => {
                let (id, ask) = (input.try_get_u64()?, get_text(&mut input)?);
                let ask = json::from_str(&ask).unwrap_or(Ask::Unknown);
                Message::Ask { id, ask, body: input }
            }
            8 => {
                let (id, code) = (input.try_get_u64()?, input.try_get_u32()?);
                Message::Answer { id, answer: get_answer(code, input) }
            }
            9 => {
                let (topic, key) = (get_text(&mut input)?, get_text(&mut input)?);
                let (node, incarnation) = (input.try_get_u32()?, input.try_get_i64()?);
                let owner = (node != 0).then_some(Member { node, incarnation });
                Message::Owner { topic, key, owner }
            }
            _ => return Ok(None),
        }))
    }
}

fn put_envelope(out: &mut BytesMut, lane: u32, ticket: u64, bytes: &[u8]) {
    out.put_u8(1);
    out.put_u32(lane);
    out.put_u64(ticket);
    out.put_slice(bytes);
}

fn put_acks(out: &mut BytesMut, acks: &[Ack]) {
    out.put_u8(2);
    for ack in acks {
        out.put_u64(ack.ticket);
        out.put_u8(outcome_code(ack.outcome));
    }
}

fn outcome_code(outcome: Outcome) -> u8 {
    match outcome {
        Outcome::Delivered => 0,
        Outcome::Committed => 1,
        Outcome::Refused => 2,
    }
}

fn acks(mut input: Bytes) -> Result<Vec<Ack>, Unreadable> {
    let mut all = Vec::with_capacity(input.len() / ACK);
    while input.has_remaining() {
        let ticket = input.try_get_u64()?;
        let outcome = match input.try_get_u8()? {
            0 => Outcome::Delivered,
            1 => Outcome::Committed,
            // An outcome of a newer version: the origin resolves it again.
            _ => Outcome::Refused,
        };
        all.push(Ack { ticket, outcome });
    }
    Ok(all)
}

fn put_answer(out: &mut BytesMut, id: u64, answer: &Result<Bytes, Error>) {
    out.put_u8(8);
    out.put_u64(id);
    match answer {
        Ok(body) => {
            out.put_u32(u32::MAX);
            out.put_slice(body);
        }
        Err(error) => {
            out.put_u32(error.kind.code());
            out.put_slice(error.message.as_bytes());
        }
    }
}

fn get_answer(code: u32, body: Bytes) -> Result<Bytes, Error> {
    if code == u32::MAX {
        return Ok(body);
    }
    Err(Error::new(ErrorKind::from_code(code), String::from_utf8_lossy(&body)))
}

fn put_deltas(out: &mut BytesMut, kind: u8, seq: u64, deltas: &[Delta]) {
    out.put_u8(kind);
    out.put_u64(seq);
    out.put_u32(deltas.len() as u32);
    for delta in deltas {
        put_delta(out, delta);
    }
}

/// One session; also what it is compared by.
pub fn put_delta(out: &mut BytesMut, delta: &Delta) {
    out.put_u8(delta.gone.into());
    out.put_u32(delta.host);
    put_text(out, &delta.account);
    put_text(out, &delta.resource);
    out.put_u64(delta.session);
    out.put_i64(delta.epoch);
    out.put_i64(delta.bound_ms);
    out.put_i8(delta.priority);
    out.put_u32(delta.flags);
}

fn get_deltas(input: &mut Bytes) -> Result<(u64, Vec<Delta>), Unreadable> {
    let (seq, count) = (input.try_get_u64()?, input.try_get_u32()?);
    let delta = |input: &mut Bytes| {
        Ok(Delta {
            gone: input.try_get_u8()? == 1,
            host: input.try_get_u32()?,
            account: get_text(input)?,
            resource: get_text(input)?,
            session: input.try_get_u64()?,
            epoch: input.try_get_i64()?,
            bound_ms: input.try_get_i64()?,
            priority: input.try_get_i8()?,
            flags: input.try_get_u32()?,
        })
    };
    Ok((seq, (0..count).map(|_| delta(input)).collect::<Result<_, Unreadable>>()?))
}

fn put_text(out: &mut BytesMut, text: &str) {
    out.put_u32(text.len() as u32);
    out.put_slice(text.as_bytes());
}

fn get_text(input: &mut Bytes) -> Result<String, Unreadable> {
    let length = input.try_get_u32()? as usize;
    if input.len() < length {
        return Err(Unreadable);
    }
    String::from_utf8(input.split_to(length).into()).map_err(|_| Unreadable)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::carrier::peer::Peer;

    fn delta(account: &str) -> Delta {
        Delta {
            gone: false,
            host: 1,
            account: account.to_owned(),
            resource: "phone".to_owned(),
            session: 7,
            epoch: 3,
            bound_ms: 99,
            priority: -1,
            flags: Delta::AVAILABLE,
        }
    }

    fn frame(version: u32, lane: u8, sample: Sample) -> Bytes {
        Framed { version, lane, sample }.to_bytes()
    }

    /// One of each kind.
    fn messages() -> Vec<Message> {
        let owner = Some(Member { node: 2, incarnation: 9 });
        let (topic, key) = ("room".to_owned(), "tea".to_owned());
        let body = Bytes::from_static(b"body");
        let error = Error::not_found("not here");
        vec![
            Message::Envelope { lane: 4, ticket: 5, bytes: body.clone() },
            Message::Acks(vec![Ack { ticket: 8, outcome: Outcome::Committed }]),
            Message::Deltas { seq: 1, deltas: vec![delta("a"), delta("b")] },
            Message::Sessions(vec![delta("a")]),
            Message::Directory { seq: 2, sessions: Vec::new() },
            Message::WantDirectory,
            Message::Invalidate { topic: topic.clone(), key: key.clone() },
            Message::Ask { id: 1, ask: Ask::Claim { session: "x".to_owned() }, body: body.clone() },
            Message::Answer { id: 1, answer: Ok(body) },
            Message::Answer { id: 2, answer: Err(error) },
            Message::Owner { topic, key, owner },
        ]
    }

    /// Their octets in version 1 of the protocol: nodes of the version before and of the next one rely on
    /// them. What is to be otherwise needs a new version, and goes only to who speaks it.
    const VERSION_1: [&[u8]; 11] = [
        b"\x01\0\0\0\x04\0\0\0\0\0\0\0\x05body",
        b"\x02\0\0\0\0\0\0\0\x08\x01",
        b"\x03\0\0\0\0\0\0\0\x01\0\0\0\x02\
          \0\0\0\0\x01\0\0\0\x01a\0\0\0\x05phone\0\0\0\0\0\0\0\x07\0\0\0\0\0\0\0\x03\0\0\0\0\0\0\0c\xff\0\0\0\x01\
          \0\0\0\0\x01\0\0\0\x01b\0\0\0\x05phone\0\0\0\0\0\0\0\x07\0\0\0\0\0\0\0\x03\0\0\0\0\0\0\0c\xff\0\0\0\x01",
        b"\x0a\0\0\0\0\0\0\0\0\0\0\0\x01\
          \0\0\0\0\x01\0\0\0\x01a\0\0\0\x05phone\0\0\0\0\0\0\0\x07\0\0\0\0\0\0\0\x03\0\0\0\0\0\0\0c\xff\0\0\0\x01",
        b"\x04\0\0\0\0\0\0\0\x02\0\0\0\0",
        b"\x05",
        b"\x06\0\0\0\x04room\0\0\0\x03tea",
        b"\x07\0\0\0\0\0\0\0\x01\0\0\0\x1d{\"ask\":\"claim\",\"session\":\"x\"}body",
        b"\x08\0\0\0\0\0\0\0\x01\xff\xff\xff\xffbody",
        b"\x08\0\0\0\0\0\0\0\x02\0\0\0\x02not here",
        b"\x09\0\0\0\x04room\0\0\0\x03tea\0\0\0\x02\0\0\0\0\0\0\0\x09",
    ];

    #[test]
    fn messages_are_written_as_nodes_of_version_1_read_them() {
        for (message, octets) in messages().iter().zip(VERSION_1) {
            assert_eq!(message.encode(), Bytes::from_static(octets), "{message:?}");
        }
        let parcels = ["one", "two"].map(Bytes::from);
        let sample =
            Sample { first: 7, received: 3, gap: true, parcels: parcels.into_iter().collect() };
        let octets = b"\x01\x01\x01\0\0\0\0\0\0\0\x07\0\0\0\0\0\0\0\x03\x01\0\0\0\x02\
            \0\0\0\x03one\0\0\0\x03two";
        assert_eq!(frame(1, STANZAS, sample), Bytes::from_static(octets));
    }

    #[test]
    fn every_message_comes_back() {
        for message in messages() {
            assert_eq!(Message::decode(message.encode()), Ok(Some(message.clone())));
            // Whatever is cut off: an error or another message, never a panic.
            let octets = message.encode();
            for end in 0..octets.len() {
                let _ = Message::decode(octets.slice(..end));
            }
        }
    }

    #[test]
    fn kinds_and_questions_of_a_newer_version_are_passed_over() {
        assert_eq!(Message::decode(Bytes::from_static(&[200, 1, 2])), Ok(None));
        let mut octets = BytesMut::new();
        octets.put_u8(7);
        octets.put_u64(3);
        put_text(&mut octets, r#"{"ask":"dance"}"#);
        let ask = Message::Ask { id: 3, ask: Ask::Unknown, body: Bytes::new() };
        assert_eq!(Message::decode(octets.freeze()), Ok(Some(ask)));
    }

    #[test]
    fn large_messages_are_cut_and_joined() {
        let message = Bytes::from(vec![7; 3 * PART + 1]);
        let parcels = parcels(message.clone());
        assert_eq!(parcels.len(), 4);
        let mut joiner = Joiner::default();
        let joined: Vec<_> =
            parcels.into_iter().filter_map(|it| joiner.join(it).unwrap()).collect();
        assert_eq!(joined, [message]);
        assert_eq!(joiner.join(Bytes::from_static(&[LAST, 5])), Ok(Some(Bytes::from_static(&[5]))));
        assert_eq!(joiner.join(Bytes::new()), Err(Unreadable));
    }

    #[test]
    fn many_acknowledgements_are_several_messages() {
        let ack = |ticket| Ack { ticket, outcome: Outcome::Committed };
        let acks: Vec<_> = (0..12_000).map(ack).collect();
        let (mut room, mut joiner) = (BytesMut::new(), Joiner::default());
        let messages: Vec<_> = ack_parcels(&mut room, &acks)
            .inspect(|parcel| assert!(parcel.len() <= PART))
            .map(|parcel| Message::decode(joiner.join(parcel).unwrap().expect("it is whole")))
            .collect();
        assert_eq!(messages.len(), 3);
        let told = messages.into_iter().flat_map(|message| match message {
            Ok(Some(Message::Acks(acks))) => acks,
            other => panic!("{other:?}"),
        });
        assert_eq!(told.collect::<Vec<_>>(), acks);
        assert_eq!(ack_parcels(&mut room, &[]).count(), 0);
    }

    #[test]
    fn a_message_that_is_too_large_costs_no_other_one() {
        let mut joiner = Joiner::default();
        let part = Bytes::from(vec![MORE; MOST / 2]);
        let parts = [&part; 4].map(|part| joiner.join(part.clone()));
        assert_eq!(parts, [Ok(None), Ok(None), Ok(None), Ok(None)]);
        assert_eq!(joiner.join(Bytes::from_static(&[LAST, 1])), Err(Unreadable));
        assert_eq!(joiner.join(Bytes::from_static(&[LAST, 5])), Ok(Some(Bytes::from_static(&[5]))));
    }

    #[test]
    fn an_envelope_is_cut_like_every_message() {
        let mut room = BytesMut::new();
        for octets in [0, 5, PART - ENVELOPE, PART - ENVELOPE + 1, 2 * PART] {
            let bytes = Bytes::from(vec![7; octets]);
            let envelope = Envelope { lane: 4, ticket: 5, bytes: &bytes };
            let own: Vec<_> = envelope_parcels(&mut room, &envelope).collect();
            assert_eq!(own, parcels(Message::Envelope { lane: 4, ticket: 5, bytes }.encode()));
        }
    }

    #[test]
    fn a_sample_of_a_version_too_far_away_is_refused() {
        let (own, sample) = (protocol::own(), Sample { first: 7, ..Sample::default() });
        for version in [own, own - 1] {
            let (lane, framed) = unframe(frame(version, STANZAS, sample.clone())).expect("ours");
            assert_eq!(
                (lane, Sample::decode(framed)),
                (1, Ok(sample.clone())),
                "version {version}"
            );
        }
        // The next version speaks ours to us.
        assert_eq!(unframe(frame(own + 1, STANZAS, sample)), Err(Unreadable));
    }

    #[test]
    fn fields_of_a_newer_version_are_passed_over() {
        let [topic, key] = ["room", "tea"].map(str::to_owned);
        let all = [
            Message::Deltas { seq: 1, deltas: vec![delta("a")] },
            Message::Directory { seq: 2, sessions: vec![delta("b")] },
            Message::WantDirectory,
            Message::Invalidate { topic: topic.clone(), key: key.clone() },
            Message::Owner { topic, key, owner: None },
        ];
        for message in all {
            let longer = [&message.encode()[..], b"more"].concat();
            assert_eq!(Message::decode(longer.into()), Ok(Some(message)));
        }
    }

    /// A message, or the sample with it, of which some octets are others, too many or not there.
    fn damaged() -> impl Strategy<Value = Bytes> {
        let all = messages().into_iter().map(|message| message.encode());
        let sample = |message: Bytes| {
            let parcels = vec![parcels(message.clone()).concat().into(), message];
            frame(1, CONTROL, Sample { parcels: parcels.into(), ..Sample::default() })
        };
        let all: Vec<_> = all.flat_map(|message| [sample(message.clone()), message]).collect();
        let damage =
            prop::collection::vec((any::<prop::sample::Index>(), 0..4u8, any::<u8>()), 0..6);
        (prop::sample::select(all), damage).prop_map(|(octets, damage)| {
            let mut octets = octets.to_vec();
            for (at, what, octet) in damage {
                let at = at.index(octets.len());
                match what {
                    0 => octets.insert(at, octet),
                    1 if octets.len() > 1 => drop(octets.remove(at)),
                    2 if at > 0 => octets.truncate(at),
                    _ => octets[at] = octet,
                }
            }
            octets.into()
        })
    }

    proptest! {
        /// Whatever comes over a link is read or refused; `PROPTEST_CASES` looks longer.
        #[test]
        fn any_octets_are_read_or_refused(octets in damaged()) {
            if let Ok((lane, sample)) = unframe(octets.clone())
                && let Ok(sample) = Sample::decode(sample)
            {
                let mut again = Vec::new();
                sample.encode(&mut again);
                prop_assert_eq!(Sample::decode(again.into()), Ok(sample.clone()));
                let heard = Peer::new(1).hear(lane, sample.clone(), std::time::Duration::ZERO);
                prop_assert!(heard.messages.len() + heard.unreadable <= sample.parcels.len());
            }
            if let Ok(Some(message)) = Message::decode(octets) {
                prop_assert_eq!(Message::decode(message.encode()), Ok(Some(message)));
            }
        }
    }
}
