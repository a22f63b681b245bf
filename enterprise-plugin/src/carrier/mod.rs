//! Carries core's traffic between the members: what core hands over goes into the lanes, what comes
//! from them goes to core, in order, on the thread that read it. Nothing here waits for a node; a node
//! that leaves the view is dropped with all that waits for it, and core resolves that again.

mod compare;
mod keys;
mod peer;
mod questions;
mod seam;
pub mod wire;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use hearth_plugin_api::cluster::{
    Ack, Cluster, Delta, Envelope, Node, Outcome, Ownership, Queued, View,
};
use hearth_plugin_api::{ErrorKind, Host, Result};
use smallvec::SmallVec;

use crate::engine::{ForAll, Wake};
use crate::lanes::Sample;
use crate::membership::Member;
use crate::tasks::Tasks;
use keys::Keys;
use peer::{Heard, Peer};
use questions::Questions;
use wire::{Ask, Framed, Message};

pub use compare::Comparison;
pub use seam::Seam;

/// After which time a directory that core did not take is asked for again.
const AGAIN: Duration = Duration::from_millis(500);

/// The plugin's side of the seam. Clones share it.
pub struct Carrier<S>(Arc<Inner<S>>);

struct Inner<S> {
    host: Host,
    /// There once the plugin is registered; core calls nothing before.
    seam: OnceLock<S>,
    tasks: Tasks,
    ways: Ways,
    /// Core tells when to send what it handed over.
    is_flushed: bool,
    state: Mutex<State>,
    /// Held by who sends the directory: an older one never follows a newer one.
    directory: Mutex<()>,
}

/// How what is queued leaves: [`Carrier::samples`] has it.
pub struct Ways {
    /// Soon, on another thread.
    pub wake: Wake,
    /// Now.
    pub flush: Wake,
}

/// The level of servers that call [`Cluster::flush`].
const FLUSHES: u32 = 3;

#[derive(Default)]
struct State {
    me: Option<Member>,
    view: View,
    /// Members, and former ones that are not dropped yet.
    peers: BTreeMap<Member, Peer>,
    questions: Questions,
    keys: Keys,
}

impl<S> Clone for Carrier<S> {
    fn clone(&self) -> Self {
        Carrier(self.0.clone())
    }
}

impl<S: Seam> Carrier<S> {
    pub fn new(host: Host, tasks: Tasks, ways: Ways) -> Carrier<S> {
        let is_flushed = host.info().api_level >= FLUSHES;
        Carrier(Arc::new(Inner {
            host,
            seam: OnceLock::new(),
            tasks,
            ways,
            is_flushed,
            state: Mutex::default(),
            directory: Mutex::default(),
        }))
    }

    /// Core's side, which comes when this one is registered.
    pub fn join(&self, seam: S) {
        let _ = self.0.seam.set(seam);
    }

    /// The view in which this node is `me`. New members get this node's directory and keys. `version`
    /// tells which version of the protocol is spoken with a member.
    pub fn view(&self, me: Member, view: View, version: impl Fn(Member) -> u32) {
        if self.state().me.is_some_and(|before| before != me) {
            // Core has fenced itself meanwhile.
            self.reset();
        }
        let new = {
            let mut state = self.state();
            state.me = Some(me);
            let others = view.members.iter().map(|member| Member::from(member.node));
            let others = others.filter(|member| member.node != me.node);
            let new: Vec<_> = others.filter(|it| !state.peers.contains_key(it)).collect();
            for member in &new {
                state.peers.insert(*member, Peer::new(version(*member)));
            }
            state.view = view;
            new
        };
        self.send_directory(&new);
        self.send_keys(&new);
    }

    /// A former member whose part core has taken over: nothing is brought there any more.
    pub fn forget(&self, member: Member) {
        let (thawed, orphans) = {
            let mut state = self.state();
            state.peers.remove(&member);
            state.questions.forget(member);
            (state.questions.frozen_by(member), state.keys.of(member))
        };
        thawed.into_iter().for_each(|session| self.thaw(session));
        self.inherit(orphans);
    }

    /// This node serves no longer: everything is forgotten.
    pub fn reset(&self) {
        // What waits in here is answered as it is dropped, outside of the lock.
        let forgotten = std::mem::take(&mut *self.state());
        drop(forgotten);
    }

    /// What is to be sent, and to whom. `flush`: acknowledgements too that may wait for company; to be
    /// set each 100 ms.
    pub fn samples(&self, now: Duration, flush: bool) -> ForAll<Framed> {
        if flush {
            self.catch_up();
        }
        let mut state = self.state();
        let pack = |(member, peer): (&Member, &mut Peer)| (*member, peer.samples(now, flush));
        let all = state.peers.iter_mut().map(pack);
        all.filter(|(_, samples)| !samples.is_empty()).collect()
    }

    /// Peers that missed something get the directory once all else is sent.
    fn catch_up(&self) {
        let may = |(member, peer): (&Member, &mut Peer)| peer.may_catch_up().then_some(*member);
        let behind: Vec<_> = self.state().peers.iter_mut().filter_map(may).collect();
        self.send_directory(&behind);
    }

    /// Takes a sample from another node, from any thread. From one that is in no view yet nothing is
    /// taken: it sends again.
    pub fn hear(&self, from: Member, bytes: Bytes, now: Duration) {
        let Ok((lane, sample)) = wire::unframe(bytes) else { return };
        let Ok(sample) = Sample::decode(sample) else { return };
        let Heard { messages, is_ready, is_due, unreadable } = {
            let mut state = self.state();
            let Some(peer) = state.peers.get_mut(&from) else { return };
            peer.hear(lane, sample, now)
        };
        if unreadable > 0 {
            self.0.host.error(format!("{unreadable} messages of node {} are lost", from.node));
        }
        let Some(seam) = self.0.seam.get() else { return };
        if is_ready {
            seam.ready(from.into());
        }
        self.take_envelopes(seam, from, &messages);
        messages.into_iter().for_each(|message| self.take(seam, from, message));
        if is_due {
            (self.0.ways.wake)();
        }
    }

    /// All that one sample brought, at once.
    fn take_envelopes(&self, seam: &S, from: Member, messages: &[Message]) {
        let envelope = |message| match message {
            &Message::Envelope { lane, ticket, ref bytes } => {
                Some(Envelope { lane, ticket, bytes })
            }
            _ => None,
        };
        let mut envelopes: SmallVec<[Envelope<'_>; 1]> = SmallVec::with_capacity(messages.len());
        envelopes.extend(messages.iter().filter_map(envelope));
        if envelopes.is_empty() {
            return;
        }
        let Err(error) = seam.receive(from.into(), &envelopes) else { return };
        // That this node does not serve has been said once; many stanzas may come before others know.
        if error.kind != ErrorKind::Unavailable {
            self.0.host.error(format!("stanzas of node {} are refused: {error}", from.node));
        }
        let tickets = envelopes.iter().map(|envelope| envelope.ticket).filter(|it| *it != 0);
        let acks: Vec<_> =
            tickets.map(|ticket| Ack { ticket, outcome: Outcome::Refused }).collect();
        self.acknowledge(from.into(), &acks);
        (self.0.ways.wake)();
    }

    fn take(&self, seam: &S, from: Member, message: Message) {
        match message {
            Message::Envelope { .. } => {}
            Message::Acks(acks) => {
                if let Err(error) = seam.acknowledged(from.into(), &acks) {
                    self.0.host.error(format!("acknowledgements were not taken: {error}"));
                }
            }
            Message::Deltas { seq, deltas } => self.take_deltas(seam, from, seq, deltas),
            Message::Sessions(sessions) => {
                if let Some(peer) = self.state().peers.get_mut(&from) {
                    peer.sessions.part(sessions);
                }
            }
            Message::Directory { seq, sessions } => self.take_directory(seam, from, seq, sessions),
            Message::WantDirectory => self.send_directory(&[from]),
            Message::Invalidate { topic, key } => seam.invalidated(&topic, &key),
            Message::Ask { id, ask, body } => self.answer(from, id, ask, body),
            Message::Answer { id, answer } => self.state().questions.answered(id, answer),
            Message::Owner { topic, key, owner } => self.state().keys.set((topic, key), owner),
        }
    }

    fn take_deltas(&self, seam: &S, from: Member, seq: u64, deltas: Vec<Delta>) {
        {
            let mut state = self.state();
            let Some(peer) = state.peers.get_mut(&from) else { return };
            if !peer.sessions.is_known {
                return peer.sessions.keep(seq, deltas);
            }
        }
        let wanted = seam.apply(from.into(), seq, &deltas);
        let mut state = self.state();
        let Some(peer) = state.peers.get_mut(&from) else { return };
        if wanted.is_ok_and(|wanted| wanted >= seq + deltas.len() as u64) {
            return;
        }
        // A gap: until the directory is here, changes wait.
        peer.sessions.is_known = false;
        peer.sessions.keep(seq, deltas);
        peer.push(Message::WantDirectory.encode());
        drop(state);
        (self.0.ways.wake)();
    }

    fn take_directory(&self, seam: &S, from: Member, seq: u64, last: Vec<Delta>) {
        let sessions = match self.state().peers.get_mut(&from) {
            Some(peer) => peer.sessions.whole(last),
            None => return,
        };
        if let Err(error) = seam.replace(from.into(), seq, &sessions) {
            self.0.host.warn(format!("the directory of node {} was not taken: {error}", from.node));
            return self.want_later(from);
        }
        let early = match self.state().peers.get_mut(&from) {
            Some(peer) => peer.sessions.replaced(),
            None => return,
        };
        early.into_iter().for_each(|(seq, deltas)| self.take_deltas(seam, from, seq, deltas));
    }

    /// Core takes no directory yet.
    fn want_later(&self, from: Member) {
        let carrier = self.clone();
        self.0.tasks.spawn(async move {
            if carrier.0.host.sleep(AGAIN).await.is_ok() {
                let want = Message::WantDirectory.encode();
                carrier
                    .state()
                    .peers
                    .get_mut(&from)
                    .into_iter()
                    .for_each(|it| it.push(want.clone()));
                (carrier.0.ways.wake)();
            }
        });
    }

    /// Core is asked outside of the lock: it may be telling of a change.
    fn send_directory(&self, to: &[Member]) {
        let Some(seam) = self.0.seam.get().filter(|_| !to.is_empty()) else { return };
        let turn = self.0.directory.lock().unwrap_or_else(PoisonError::into_inner);
        // What changes from now on is queued again: the directory may not have it.
        for member in to {
            if let Some(peer) = self.state().peers.get_mut(member) {
                peer.is_behind = false;
            }
        }
        let (seq, sessions) = seam.directory();
        let directory = wire::directory(seq, sessions);
        // What it kept may have changed unheard.
        let all = Message::Invalidate { topic: String::new(), key: String::new() }.encode();
        let mut state = self.state();
        for member in to {
            let Some(peer) = state.peers.get_mut(member) else { continue };
            directory.iter().chain([&all]).for_each(|message| peer.push(message.clone()));
        }
        drop((state, turn));
        (self.0.ways.wake)();
    }

    /// Something for everybody.
    fn tell_all(&self, message: &Message) {
        let message = message.encode();
        self.state().peers.values_mut().for_each(|peer| peer.push_change(message.clone()));
        (self.0.ways.wake)();
    }

    fn wake_unless_flushed(&self) {
        if !self.0.is_flushed {
            (self.0.ways.wake)();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: Seam> Cluster for Carrier<S> {
    fn deliver(&self, to: Node, envelope: Envelope<'_>) -> Queued {
        match self.state().peers.get_mut(&to.into()).map(|peer| peer.push_envelope(&envelope)) {
            Some(true) => {}
            Some(false) => return Queued::Full,
            None => return Queued::Gone,
        }
        self.wake_unless_flushed();
        Queued::Queued
    }

    fn acknowledge(&self, origin: Node, acks: &[Ack]) {
        if let Some(peer) = self.state().peers.get_mut(&origin.into()) {
            peer.push_acks(acks);
        }
        self.wake_unless_flushed();
    }

    fn flush(&self) {
        (self.0.ways.flush)();
    }

    fn sessions_changed(&self, seq: u64, deltas: &[Delta]) {
        self.tell_all(&Message::Deltas { seq, deltas: deltas.to_vec() });
    }

    fn invalidate(&self, topic: &str, key: &str) {
        self.tell_all(&Message::Invalidate { topic: topic.to_owned(), key: key.to_owned() });
    }

    fn owner(&self, topic: &str, key: &str) -> Ownership {
        self.ownership(topic, key)
    }

    fn acquire(&self, topic: &str, key: &str) -> impl Future<Output = Result<Ownership>> + Send {
        self.take_key(topic, key)
    }

    fn give_up(&self, topic: &str, key: &str) -> impl Future<Output = Result<()>> + Send {
        self.give_key_up(topic, key)
    }

    async fn request(&self, to: Node, method: &str, body: Vec<u8>) -> Result<Vec<u8>> {
        self.ask(to.into(), Ask::Serve { method: method.to_owned() }, body.into()).await
    }

    async fn claim(&self, owner: Node, session: &str) -> Result<Vec<u8>> {
        let owner = self.living(owner)?;
        self.ask(owner, Ask::Claim { session: session.to_owned() }, Bytes::new()).await
    }

    async fn claimed(&self, owner: Node, session: &str, imported: bool) -> Result<()> {
        let owner = self.living(owner)?;
        let ask = Ask::Claimed { session: session.to_owned(), imported };
        self.ask(owner, ask, Bytes::new()).await.map(drop)
    }
}
