//! What is sent at once: for each node envelopes of letters, in order. What one client sent in one breath is
//! one envelope, so that carrying and keeping it costs once.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use smallvec::SmallVec;

use super::Parcel;
use super::codec::{self, MAX_RECIPIENTS};
use super::copies::LETTERS;
use super::kept::{Held, Kept};
use crate::clock::Clock;
use crate::jid::Jid;
use crate::router::{Out, bounce};
use crate::session::duty::is_durable;
use crate::session::{Envelope, Node, RemoteSession};
use crate::stanza::Stanza;

/// An envelope on its way.
pub(super) struct Packed {
    pub lane: u32,
    pub bytes: Bytes,
    pub stays: Stays,
}

/// What stays here of an envelope.
pub(super) enum Stays {
    Nothing,
    /// What is not durable goes back as it is.
    Stanzas(SmallVec<[Envelope; 1]>),
    /// Copies that have no ticket yet.
    Copies(Kept),
    Ticket(u64),
}

/// One stanza for sessions of one node.
pub(super) struct Group {
    sessions: SmallVec<[Arc<RemoteSession>; 1]>,
    envelope: Envelope,
}

/// All that is sent at once.
pub(super) struct Sending<'c> {
    clock: &'c Clock,
    /// Octets of the largest envelope.
    largest: usize,
    /// Letters that there will be, unless some are for many sessions.
    count: usize,
    posts: SmallVec<[Post; 1]>,
}

/// What is sent to one node.
struct Post {
    node: Node,
    packed: Vec<Packed>,
    /// The last envelope, which may get more letters.
    open: Option<Open>,
}

/// All letters of an envelope are durable, or none.
struct Open {
    lane: u32,
    octets: BytesMut,
    copies: SmallVec<[Held; 1]>,
    stanzas: SmallVec<[Envelope; 1]>,
}

impl Sending<'_> {
    pub fn new(clock: &Clock, largest: usize, count: usize) -> Sending<'_> {
        Sending { clock, largest, count, posts: SmallVec::new() }
    }

    /// Adds a stanza; what cannot be sent goes back to its sender.
    pub fn add(&mut self, group: Group, out: &mut Out) {
        let letter = group.encode(self.clock);
        if letter.len() > self.largest {
            return match group.halve() {
                Ok(both) => both.into_iter().for_each(|group| self.add(group, out)),
                Err(envelope) => bounce::too_large(envelope, out),
            };
        }
        let is_durable = group.is_durable();
        let (largest, copies) = (self.largest, if is_durable { self.count } else { 0 });
        let post = self.post(group.sessions[0].node);
        let lane = lane(&group.envelope.stanza);
        let has_place = |open: &Open| {
            let is_of_it = open.lane == lane && open.is_durable() == is_durable;
            is_of_it && open.has_room(&letter, largest)
        };
        if !post.open.as_ref().is_some_and(has_place) {
            post.seal();
        }
        post.open.get_or_insert_with(|| Open::new(lane, copies)).add(letter, group);
    }

    /// Adds what each node hands out itself. False: it is too large.
    pub fn add_for(&mut self, others: &[Node], accounts: &[Jid], envelope: &Envelope) -> bool {
        let Envelope { stanza, to, .. } = envelope;
        let encode = || codec::encode(accounts.iter(), *to, None, stanza).freeze();
        let bytes = (accounts.len() <= MAX_RECIPIENTS).then(encode);
        let Some(bytes) = bytes.filter(|bytes| bytes.len() <= self.largest) else {
            let (some, rest) = accounts.split_at(accounts.len() / 2);
            return accounts.len() > 1
                && self.add_for(others, some, envelope)
                && self.add_for(others, rest, envelope);
        };
        for node in others {
            let packed = Packed { lane: lane(stanza), bytes: bytes.clone(), stays: Stays::Nothing };
            let post = self.post(*node);
            post.seal();
            post.packed.push(packed);
        }
        true
    }

    /// For each node its envelopes, in order.
    pub fn into_posts(self) -> impl Iterator<Item = (Node, Vec<Packed>)> {
        self.posts.into_iter().map(|mut post| {
            post.seal();
            (post.node, post.packed)
        })
    }

    fn post(&mut self, node: Node) -> &mut Post {
        let known = self.posts.iter().position(|post| post.node == node);
        let at = known.unwrap_or_else(|| {
            self.posts.push(Post { node, packed: Vec::new(), open: None });
            self.posts.len() - 1
        });
        &mut self.posts[at]
    }
}

impl Post {
    fn seal(&mut self) {
        let Some(Open { lane, octets, copies, stanzas }) = self.open.take() else { return };
        let bytes = octets.freeze();
        let stays = match copies.is_empty() {
            true => Stays::Stanzas(stanzas),
            false => Stays::Copies(Kept::new(self.node, bytes.clone(), copies)),
        };
        self.packed.push(Packed { lane, bytes, stays });
    }
}

impl Open {
    /// With room for so many copies.
    fn new(lane: u32, copies: usize) -> Open {
        let copies = SmallVec::with_capacity(copies.min(LETTERS));
        Open { lane, octets: BytesMut::new(), copies, stanzas: SmallVec::new() }
    }

    fn is_durable(&self) -> bool {
        !self.copies.is_empty()
    }

    /// A letter goes into it that lies behind it anyway: none is moved.
    fn has_room(&self, letter: &BytesMut, largest: usize) -> bool {
        self.octets.as_ptr_range().end == letter.as_ptr()
            && self.octets.len() + letter.len() <= largest
            && self.copies.len() + self.stanzas.len() < LETTERS
    }

    fn add(&mut self, letter: BytesMut, Group { sessions, envelope }: Group) {
        let at = self.octets.len();
        self.octets.unsplit(letter);
        match is_kept(&envelope) {
            true => self.copies.push(Held::new(at, sessions, envelope.duty)),
            false => self.stanzas.push(envelope),
        }
    }
}

impl Group {
    pub fn new(session: Arc<RemoteSession>, envelope: Envelope) -> Group {
        Group { sessions: SmallVec::from_elem(session, 1), envelope }
    }

    pub fn brings(&self, stanza: &Arc<Stanza>) -> bool {
        Arc::ptr_eq(&self.envelope.stanza, stanza)
    }

    pub fn takes(&self, session: &RemoteSession, envelope: &Envelope) -> bool {
        self.brings(&envelope.stanza)
            && self.sessions[0].node == session.node
            && self.sessions.len() < MAX_RECIPIENTS
            && self.envelope.to == envelope.to
            && self.is_durable() == is_kept(envelope)
    }

    pub fn push(&mut self, session: Arc<RemoteSession>) {
        self.sessions.push(session);
    }

    fn is_durable(&self) -> bool {
        is_kept(&self.envelope)
    }

    fn encode(&self, clock: &Clock) -> BytesMut {
        let Envelope { stanza, to, duty } = &self.envelope;
        let id = || duty.as_ref().map_or_else(|| clock.stanza_id(), |duty| duty.id);
        let id = self.is_durable().then(id);
        let addresses = self.sessions.iter().map(|session| &session.jid);
        codec::encode(addresses, *to, id, stanza)
    }

    /// Two for half of the sessions each; the envelope when there is but one.
    fn halve(mut self) -> Result<[Group; 2], Envelope> {
        if self.sessions.len() < 2 {
            return Err(self.envelope);
        }
        let sessions = self.sessions.drain(self.sessions.len() / 2..).collect();
        let other = Group { sessions, envelope: self.envelope.clone() };
        Ok([self, other])
    }
}

impl Packed {
    /// 0: nobody tells what becomes of it.
    pub fn ticket(&self) -> u64 {
        match self.stays {
            Stays::Ticket(ticket) => ticket,
            _ => 0,
        }
    }

    pub fn parcel(&self) -> Parcel<'_> {
        Parcel { lane: self.lane, ticket: self.ticket(), bytes: &self.bytes }
    }
}

/// A copy of it stays here. Without a duty the envelope is the only holder of a durable message.
fn is_kept(envelope: &Envelope) -> bool {
    envelope.duty.is_some() || is_durable(&envelope.stanza)
}

/// One sender's stanzas keep their order: FNV-1a of his bare address.
fn lane(stanza: &Stanza) -> u32 {
    let from = stanza.head.from.as_ref().map(Jid::bare_str).unwrap_or_default();
    from.bytes()
        .fold(0x811c_9dc5, |hash, octet| (hash ^ u32::from(octet)).wrapping_mul(0x0100_0193))
}
