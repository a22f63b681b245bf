//! What one node does about its membership, sans-IO: rows, words of peers and the boot-time clock
//! come in, actions come out.
//!
//! Two rules keep a node from acting while others take over from it. A beat (this node's row renewed
//! and the view read, in one transaction) is a lease that ends before others may call the row
//! [`SILENT`]; who is put out of the view while his row is fresh is dropped by the others only after
//! that time. And without the database a node goes on only while each member of its view answers,
//! in the same epoch, that it misses the database too. Only members change the view, and who has
//! changed it does not answer in the old epoch any more; the one exception, the founding of a view
//! whose members are all gone, waits until no such agreement can last ([`COLD`]).

use std::collections::BTreeSet;
use std::time::Duration;

use super::judge::{Link, SILENT, Seen, judge};
use super::{Change, Departed, Happened, Member, NodeRow, Snapshot, State, View};

mod admission;

use admission::NotAdmitted;
pub use admission::Terms;

/// From one beat to the next.
pub const BEAT: Duration = Duration::from_millis(500);
/// The same when something is about to happen.
pub const HASTE: Duration = Duration::from_millis(100);
/// How long a node may act after it sent a beat.
pub const LEASE: Duration = Duration::from_millis(2500);
/// A node without a beat for this time says that it misses the database.
pub const MISSED: Duration = Duration::from_millis(1500);
/// How long a word of a peer counts, and what it lets a node act on top of that. Both together are
/// shorter than [`SILENT`]: who has the database again waits that long before he judges.
const WORD: Duration = Duration::from_millis(1000);
const WORD_LEASE: Duration = Duration::from_millis(1500);
/// How long the members go on without the database.
pub const FREEZE: Duration = Duration::from_secs(30);
/// A view whose members have all been silent for this time may be founded anew.
pub const COLD: Duration = FREEZE.saturating_add(SILENT);
/// Those that left before are of no interest to anybody.
const REMEMBERED: usize = 16;
/// Longer than a senior needs to announce what he has dropped, the database being away meanwhile.
const TOLD: Duration = COLD.saturating_add(Duration::from_secs(30));

/// What a beat brought.
#[derive(Clone, Debug)]
pub struct Beat {
    /// When it was sent, by the boot-time clock.
    pub sent: Duration,
    pub snapshot: Snapshot,
}

/// What a member says to its peers all the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Word {
    /// Of the newest view that it has, or has proposed.
    pub epoch: i64,
    pub misses_database: bool,
}

/// Another node over the links.
#[derive(Clone, Debug)]
pub struct Peer {
    pub member: Member,
    pub link: Link,
    /// Its last word, and when it was asked for it: it was said later than that.
    pub word: Option<(Duration, Word)>,
}

/// What there is to decide by. Times are of the boot-time clock.
#[derive(Debug)]
pub struct Input<'a> {
    pub now: Duration,
    /// This run of this node; another one after a fence.
    pub me: Member,
    pub beat: Option<Beat>,
    pub peers: &'a [Peer],
    pub terms: &'a Terms,
}

/// What is to be done, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Serve in this view.
    Enter(View),
    /// Go on in this view.
    View(View),
    /// Serve until then, by the boot-time clock.
    Hold { epoch: i64, until: Duration },
    /// A former member does nothing any more: take over. The senior announces it.
    DropNode { member: Member, announce: bool },
    /// Close all sessions and stand by, now.
    Fence(Fence),
    /// Clustering is disabled and nobody acts any more: serve alone, if core can.
    Leave,
    /// Change the view, then beat again at once.
    Propose(Change),
    /// Move so many sessions per second to the others; 0 stops it.
    Drain(u32),
}

/// Why a node stands by. Each sentence is for the administrator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fence {
    #[error("the database did not answer in time; the node joins again once it does")]
    LeaseOver,
    #[error("the other nodes took this one out of the cluster; it joins again by itself")]
    PutOut,
    #[error("clustering was disabled; one node goes on alone")]
    Disabled,
    #[error("the plugin stops; the other nodes go on")]
    Stopping,
}

/// The machine.
#[derive(Debug, Default)]
pub struct Node {
    acting: Option<Acting>,
    /// When the last beat was sent, and since when none failed.
    last_beat: Option<Duration>,
    unbroken: Option<Duration>,
    /// The newest epoch that this node has proposed.
    proposed: i64,
    /// [`Action::Leave`] was done.
    has_left: bool,
    /// Another process that has this node's row, and since when it is known.
    rival: Option<(Member, Duration)>,
    state: State,
    refused: String,
}

#[derive(Debug)]
struct Acting {
    me: Member,
    view: View,
    /// Since it entered, and until when it may act.
    since: Duration,
    until: Duration,
    /// Former members that may still act, and since when this node knows that they are out.
    gone: Vec<(Departed, Duration)>,
    /// Members that were dropped, and when: the senior was to announce it.
    untold: Vec<(Member, Duration)>,
    drain: u32,
    /// Members that are about to leave, as core was told.
    draining: Vec<Member>,
}

impl Node {
    pub fn step(&mut self, input: Input<'_>) -> Vec<Action> {
        let mut out = Vec::new();
        if self.acting.as_ref().is_some_and(|acting| acting.me != input.me) {
            // Core has fenced itself.
            self.acting = None;
        }
        if self.acting.as_ref().is_some_and(|acting| input.now >= acting.until) {
            self.fence(Fence::LeaseOver, &mut out);
            return out;
        }
        match &input.beat {
            Some(beat) => self.hear_database(&input, beat, &mut out),
            None => self.go_on_without(&input, &mut out),
        }
        self.take_over(input.now, &mut out);
        out
    }

    /// What this node tells its peers.
    pub fn word(&self, now: Duration) -> Word {
        let epoch = self.acting.as_ref().map_or(0, |acting| acting.view.epoch);
        Word { epoch: epoch.max(self.proposed), misses_database: self.misses_database(now) }
    }

    pub fn state(&self) -> State {
        self.state
    }

    /// From one beat to the next: who waits to be admitted looks more often.
    pub fn pace(&self) -> Duration {
        match self.state {
            State::Joining => HASTE,
            _ => BEAT,
        }
    }

    /// Why this node may not join; empty when it may.
    pub fn refused(&self) -> &str {
        &self.refused
    }

    /// The view in which this node acts.
    pub fn view(&self) -> Option<&View> {
        self.acting.as_ref().map(|acting| &acting.view)
    }

    /// This node does what must be done once: it is the first, and no former member may still act.
    pub fn is_senior(&self) -> bool {
        let senior =
            |acting: &Acting| acting.gone.is_empty() && acting.view.senior() == Some(acting.me);
        self.acting.as_ref().is_some_and(senior)
    }

    /// Leaves for good; `snapshot` is the last one.
    pub fn stop(&mut self, snapshot: &Snapshot) -> Vec<Action> {
        let mut out = Vec::new();
        self.go(Fence::Stopping, snapshot, &mut out);
        out
    }

    /// Core could not enter: the next beat tries again.
    pub fn did_not_enter(&mut self) {
        self.acting = None;
        self.state = State::Joining;
    }

    /// Core could not leave: the next beat tries again.
    pub fn did_not_leave(&mut self) {
        self.has_left = false;
    }

    fn misses_database(&self, now: Duration) -> bool {
        self.last_beat.is_none_or(|sent| now.saturating_sub(sent) >= MISSED)
    }

    fn fence(&mut self, why: Fence, out: &mut Vec<Action>) {
        self.acting = None;
        self.state = State::Off;
        out.push(Action::Fence(why));
    }

    /// Fences and takes itself out of the view.
    fn go(&mut self, why: Fence, snapshot: &Snapshot, out: &mut Vec<Action>) {
        let Some(Acting { me, .. }) = self.acting else { return };
        self.fence(why, out);
        if snapshot.view.contains(me) {
            let mut draft = Draft::of(snapshot);
            draft.remove(me, Happened::Left, true);
            self.propose(draft, out);
        }
    }

    fn propose(&mut self, draft: Draft, out: &mut Vec<Action>) {
        let change = draft.finish();
        self.proposed = change.view.epoch;
        out.push(Action::Propose(change));
    }

    fn hear_database(&mut self, input: &Input<'_>, beat: &Beat, out: &mut Vec<Action>) {
        if self.misses_database(input.now) {
            // From its arrival: until then this node has said that it misses the database.
            self.unbroken = Some(input.now);
        }
        self.last_beat = Some(beat.sent);
        let snapshot = &beat.snapshot;
        if snapshot.view.epoch >= self.proposed {
            self.proposed = 0;
        }
        match (snapshot.enabled, self.acting.is_some()) {
            (false, true) => self.go(Fence::Disabled, snapshot, out),
            (false, false) => self.rest(snapshot, out),
            (true, true) => self.go_on(input, beat, out),
            (true, false) => self.join(input, beat, out),
        }
    }

    /// Clustering is disabled: core serves alone again as soon as no member acts any more.
    fn rest(&mut self, snapshot: &Snapshot, out: &mut Vec<Action>) {
        (self.state, self.refused) = (State::Off, String::new());
        if !self.has_left && snapshot.view.members.iter().all(|member| is_over(*member, snapshot)) {
            self.has_left = true;
            out.push(Action::Leave);
        }
    }

    fn go_on(&mut self, input: &Input<'_>, beat: &Beat, out: &mut Vec<Action>) {
        let snapshot = &beat.snapshot;
        if !snapshot.view.contains(input.me) {
            return self.fence(Fence::PutOut, out);
        }
        let Some(acting) = &mut self.acting else { return };
        if snapshot.view.epoch != acting.view.epoch || snapshot.draining() != acting.draining {
            acting.change(snapshot, input.now);
            out.push(Action::View(snapshot.view.clone()));
        }
        acting.until = beat.sent + LEASE;
        out.push(Action::Hold { epoch: acting.view.epoch, until: acting.until });
        let drain = snapshot.node(input.me.node).map_or(0, |row| row.drain);
        if drain != acting.drain {
            acting.drain = drain;
            out.push(Action::Drain(drain));
        }
        self.state = if drain > 0 { State::Draining } else { State::Member };
        if let Some(draft) = self.proposal(input, snapshot) {
            self.propose(draft, out);
        }
    }

    fn join(&mut self, input: &Input<'_>, beat: &Beat, out: &mut Vec<Action>) {
        let snapshot = &beat.snapshot;
        self.has_left = false;
        if snapshot.view.contains(input.me) {
            return self.enter(input, beat, out);
        }
        if has_departed(input.me, snapshot) {
            // It never acted, but core gives it another incarnation.
            return self.fence(Fence::PutOut, out);
        }
        if let Some(row) = snapshot.node(input.me.node).filter(|row| row.member != input.me) {
            return self.wait_for_row(row.member, input.now);
        }
        if let Err(refusal) = input.terms.admits_me(input.me, snapshot) {
            (self.state, self.refused) = (State::Refused, refusal.to_string());
            return;
        }
        (self.state, self.refused) = (State::Joining, String::new());
        let all_over = snapshot.view.members.iter().all(|member| is_over(*member, snapshot));
        if all_over && input.terms.may_found {
            let mut draft = Draft::of(snapshot);
            for member in &snapshot.view.members {
                draft.remove(*member, Happened::Restarted, true);
            }
            draft.add(input.me);
            self.propose(draft, out);
        }
    }

    /// The row under this node's number is another process's, which has ended or lives.
    fn wait_for_row(&mut self, rival: Member, now: Duration) {
        let known = self.rival.filter(|(member, _)| *member == rival);
        let (_, since) = *self.rival.insert(known.unwrap_or((rival, now)));
        // One that has ended had lost its row by now.
        (self.state, self.refused) = match now.saturating_sub(since) >= SILENT {
            true => (State::Refused, NotAdmitted::Number(rival.node).to_string()),
            false => (State::Joining, String::new()),
        };
    }

    fn enter(&mut self, input: &Input<'_>, beat: &Beat, out: &mut Vec<Action>) {
        let view = beat.snapshot.view.clone();
        let until = beat.sent + LEASE;
        if input.now >= until {
            return;
        }
        let gone = beat.snapshot.departed.iter().filter(|departed| departed.member != input.me);
        let gone = gone.map(|departed| (*departed, input.now)).collect();
        let (epoch, draining) = (view.epoch, beat.snapshot.draining());
        out.push(Action::Enter(view.clone()));
        out.push(Action::Hold { epoch, until });
        let (me, since) = (input.me, input.now);
        let untold = Vec::new();
        self.acting = Some(Acting { me, view, since, until, gone, untold, drain: 0, draining });
        (self.state, self.refused) = (State::Member, String::new());
    }

    /// No beat: the view is frozen while all its members say the same.
    fn go_on_without(&mut self, input: &Input<'_>, out: &mut Vec<Action>) {
        let (misses, proposed) = (self.misses_database(input.now), self.proposed);
        let (Some(acting), Some(last_beat)) = (&mut self.acting, self.last_beat) else { return };
        let same = Word { epoch: acting.view.epoch, misses_database: true };
        let agrees = |member: &Member| {
            *member == acting.me
                || input.peers.iter().any(|peer| {
                    let is_fresh = |asked: Duration| input.now.saturating_sub(asked) <= WORD;
                    peer.member == *member
                        && peer.link == Link::Up
                        && peer.word.is_some_and(|(asked, word)| is_fresh(asked) && word == same)
                })
        };
        if !misses || proposed > acting.view.epoch || !acting.view.members.iter().all(agrees) {
            return;
        }
        let until = (input.now + WORD_LEASE).min(last_beat + FREEZE);
        if until > acting.until {
            acting.until = until;
            out.push(Action::Hold { epoch: acting.view.epoch, until });
        }
    }

    /// Former members that do nothing any more are dropped. Who was to announce it may have gone before he
    /// had done so: the next senior announces it again.
    fn take_over(&mut self, now: Duration, out: &mut Vec<Action>) {
        let Some(Acting { me, view, gone, untold, .. }) = &mut self.acting else { return };
        let announce = view.senior() == Some(*me);
        untold.retain(|(_, since)| now.saturating_sub(*since) < TOLD);
        if announce {
            out.extend(untold.drain(..).map(|(member, _)| Action::DropNode { member, announce }));
        }
        gone.retain(|(Departed { member, is_certain, .. }, since)| {
            let is_over = *is_certain || now.saturating_sub(*since) >= SILENT;
            if is_over {
                out.push(Action::DropNode { member: *member, announce });
                untold.extend((!announce).then_some((*member, now)));
            }
            !is_over
        });
    }

    /// Long enough a member with a database for those to have noticed who went on without it: they
    /// may have had an agreement until then.
    fn may_judge(&self, now: Duration) -> bool {
        let entered = self.acting.as_ref().map(|acting| acting.since);
        let since = entered.max(self.unbroken);
        since.is_some_and(|since| now.saturating_sub(since) >= SILENT)
    }

    /// What this member has to say against others, or for those who want to join.
    fn proposal(&self, input: &Input<'_>, snapshot: &Snapshot) -> Option<Draft> {
        let mut draft = Draft::of(snapshot);
        for member in snapshot.view.members.iter().filter(|member| **member != input.me) {
            let newer = snapshot.node(member.node).filter(|row| row.member != *member);
            if newer.is_some() {
                // Perhaps it runs on a copied folder: the lease decides when it is over.
                draft.remove(*member, Happened::Restarted, false);
            }
        }
        let others = seen(input, snapshot, &draft.view);
        if let Some(sentence) =
            judge(&draft.view, input.me, &others).filter(|_| self.may_judge(input.now))
        {
            let is_certain = !matches!(sentence, super::judge::Sentence::CutOff(_));
            draft.remove(sentence.member(), Happened::Evicted(sentence), is_certain);
        }
        for row in &snapshot.nodes {
            if may_come(row, snapshot) && input.terms.admits(row, &draft.view, snapshot).is_ok() {
                draft.add(row.member);
            }
        }
        (!draft.happened.is_empty()).then_some(draft)
    }
}

impl Acting {
    fn change(&mut self, snapshot: &Snapshot, now: Duration) {
        let left = self.view.members.iter().filter(|member| !snapshot.view.contains(**member));
        for member in left {
            let known = snapshot.departed.iter().find(|departed| departed.member == *member);
            let unknown =
                Departed { member: *member, epoch: snapshot.view.epoch, is_certain: false };
            self.gone.push((known.copied().unwrap_or(unknown), now));
        }
        self.view = snapshot.view.clone();
        self.draining = snapshot.draining();
    }
}

/// Nobody acts for this member any more, not even in agreement with others.
fn is_over(member: Member, snapshot: &Snapshot) -> bool {
    snapshot
        .node(member.node)
        .is_none_or(|row| row.member != member || row.silent_ms >= COLD.as_millis() as i64)
}

/// A node that lives, wants to be a member, and has a link to each living one: otherwise it would be
/// put out again.
fn may_come(row: &NodeRow, snapshot: &Snapshot) -> bool {
    let is_fresh = |row: &NodeRow| row.silent_ms < SILENT.as_millis() as i64;
    let is_linked = |member: &Member| {
        let other = snapshot.node(member.node);
        let lives = other.is_some_and(|other| other.member == *member && is_fresh(other));
        !lives || row.member.node == member.node || row.links.contains(member)
    };
    row.about.state == State::Joining
        && is_fresh(row)
        && !snapshot.view.contains(row.member)
        && !has_departed(row.member, snapshot)
        && snapshot.view.members.iter().all(is_linked)
}

/// What was put out does not come back: it is dropped by the others. The node may, as another run.
fn has_departed(member: Member, snapshot: &Snapshot) -> bool {
    snapshot.departed.iter().any(|departed| departed.member == member)
}

/// How the other members of `view` look from here.
fn seen(input: &Input<'_>, snapshot: &Snapshot, view: &View) -> Vec<Seen> {
    let others = view.members.iter().filter(|member| **member != input.me);
    let look = |member: &Member| {
        let row = snapshot.node(member.node).filter(|row| row.member == *member)?;
        let peer = input.peers.iter().find(|peer| peer.member == *member);
        Some(Seen {
            member: *member,
            silent_for: Duration::from_millis(row.silent_ms.max(0) as u64),
            links: row.links.iter().copied().collect::<BTreeSet<_>>(),
            mine: peer.map_or(Link::Down(Duration::ZERO), |peer| peer.link),
        })
    };
    others.filter_map(look).collect()
}

/// A change that is being made up.
struct Draft {
    view: View,
    departed: Vec<Departed>,
    happened: Vec<(Member, Happened)>,
    epoch: i64,
}

impl Draft {
    fn of(snapshot: &Snapshot) -> Draft {
        let (view, departed) = (snapshot.view.clone(), snapshot.departed.clone());
        Draft { epoch: view.epoch + 1, view, departed, happened: Vec::new() }
    }

    fn remove(&mut self, member: Member, why: Happened, is_certain: bool) {
        self.view = self.view.without(member);
        self.departed.push(Departed { member, epoch: self.epoch, is_certain });
        self.happened.push((member, why));
    }

    fn add(&mut self, member: Member) {
        self.view = self.view.with(member);
        self.happened.push((member, Happened::Joined));
    }

    fn finish(mut self) -> Change {
        self.view.epoch = self.epoch;
        let many = self.departed.len().saturating_sub(REMEMBERED);
        self.departed.drain(..many);
        Change { view: self.view, departed: self.departed, happened: self.happened }
    }
}

#[cfg(test)]
mod tests;
