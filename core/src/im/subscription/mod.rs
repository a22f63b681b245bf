//! Presence subscriptions as RFC 6121 Appendix A has them: a table of states and events, and
//! nothing else. What follows from a step (pushes, presence) is decided by whoever performs it.

#[cfg(test)]
mod tests;

use crate::stanza::PresenceType;

/// One side's view of the subscriptions between an account and a contact (RFC 6121 §A.1), in the
/// order of the columns of the tables below.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum State {
    #[default]
    None,
    NonePendingOut,
    NonePendingIn,
    NonePendingOutIn,
    To,
    ToPendingIn,
    From,
    FromPendingOut,
    Both,
}

/// The four types of presence that manage subscriptions (RFC 6121 §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    Subscribe,
    Subscribed,
    Unsubscribe,
    Unsubscribed,
}

/// What an event leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    pub next: State,
    /// RFC 6121 §3.4: the contact may subscribe without asking.
    pub approved: bool,
    /// Outbound: the stanza is routed to the contact. Inbound: it is delivered to the account.
    pub pass: bool,
    /// Inbound: the server answers `subscribed` on behalf of the account.
    pub reply: bool,
}

impl State {
    pub const ALL: [State; 9] = [
        State::None,
        State::NonePendingOut,
        State::NonePendingIn,
        State::NonePendingOutIn,
        State::To,
        State::ToPendingIn,
        State::From,
        State::FromPendingOut,
        State::Both,
    ];

    /// The account gets the contact's presence.
    pub fn to(self) -> bool {
        matches!(self, State::To | State::ToPendingIn | State::Both)
    }

    /// The contact gets the account's presence.
    pub fn from(self) -> bool {
        matches!(self, State::From | State::FromPendingOut | State::Both)
    }

    /// The account has asked and has no answer: `ask='subscribe'` in the roster.
    pub fn pending_out(self) -> bool {
        use State::*;
        matches!(self, NonePendingOut | NonePendingOutIn | FromPendingOut)
    }

    /// The contact has asked and has no answer.
    pub fn pending_in(self) -> bool {
        use State::*;
        matches!(self, NonePendingIn | NonePendingOutIn | ToPendingIn)
    }

    /// The value of `subscription` in a roster item (RFC 6121 §2.1.2.5).
    pub fn subscription(self) -> &'static str {
        match (self.to(), self.from()) {
            (false, false) => "none",
            (true, false) => "to",
            (false, true) => "from",
            (true, true) => "both",
        }
    }

    /// The state of its four parts; `None` for a combination that cannot be.
    pub fn from_parts(subscription: &str, pending_out: bool, pending_in: bool) -> Option<State> {
        State::ALL.into_iter().find(|state| {
            state.subscription() == subscription
                && state.pending_out() == pending_out
                && state.pending_in() == pending_in
        })
    }
}

impl Event {
    pub fn of(kind: PresenceType) -> Option<Event> {
        match kind {
            PresenceType::Subscribe => Some(Event::Subscribe),
            PresenceType::Subscribed => Some(Event::Subscribed),
            PresenceType::Unsubscribe => Some(Event::Unsubscribe),
            PresenceType::Unsubscribed => Some(Event::Unsubscribed),
            _ => None,
        }
    }
}

/// A cell of the tables.
#[derive(Clone, Copy)]
enum Cell {
    /// Pass the stanza on, go to the state.
    Go(State),
    /// Pass the stanza on, stay.
    Pass,
    /// Neither pass nor change anything.
    Stop,
    /// Stay, do not pass, note an approval ahead of the request (§3.4).
    Approve,
    /// Stay, do not pass, answer `subscribed`.
    Reply,
    /// Do not pass, answer `subscribed`, go to the state.
    Grant(State),
}

type Line = [Cell; 9];

use Cell::{Approve, Go, Grant, Pass, Reply, Stop};
use State::{
    Both, From, FromPendingOut, None as Nil, NonePendingIn, NonePendingOut, NonePendingOutIn, To,
    ToPendingIn,
};

/// RFC 6121 §A.2: what the account sends.
#[rustfmt::skip]
const OUTBOUND: [Line; 4] = [
    // subscribe (§A.2.1)
    [Go(NonePendingOut), Pass, Go(NonePendingOutIn), Pass, Pass, Pass, Go(FromPendingOut), Pass, Pass],
    // subscribed (§A.2.3, §3.4.2)
    [Approve, Approve, Go(From), Go(FromPendingOut), Approve, Go(Both), Stop, Stop, Stop],
    // unsubscribe (§A.2.2)
    [Pass, Go(Nil), Pass, Go(NonePendingIn), Go(Nil), Go(NonePendingIn), Pass, Go(From), Go(From)],
    // unsubscribed (§A.2.4)
    [Stop, Stop, Go(Nil), Go(NonePendingOut), Stop, Go(To), Go(Nil), Go(NonePendingOut), Go(To)],
];

/// RFC 6121 §A.3: what the contact sends.
#[rustfmt::skip]
const INBOUND: [Line; 4] = [
    // subscribe (§A.3.1)
    [Go(NonePendingIn), Go(NonePendingOutIn), Stop, Stop, Go(ToPendingIn), Stop, Reply, Reply, Reply],
    // subscribed (§A.3.3)
    [Stop, Go(To), Stop, Go(ToPendingIn), Stop, Stop, Stop, Go(Both), Stop],
    // unsubscribe (§A.3.2)
    [Stop, Stop, Go(Nil), Go(NonePendingOut), Stop, Go(To), Go(Nil), Go(NonePendingOut), Go(To)],
    // unsubscribed (§A.3.4)
    [Stop, Go(Nil), Stop, Go(NonePendingIn), Go(Nil), Go(NonePendingIn), Stop, Go(From), Go(From)],
];

/// RFC 6121 §3.4.2: `subscribe` from a contact who was approved ahead.
#[rustfmt::skip]
const APPROVED: Line = [
    Grant(From), Grant(FromPendingOut), Grant(From), Grant(FromPendingOut), Grant(Both), Grant(Both),
    Reply, Reply, Reply,
];

/// The account sends `event` to the contact.
pub fn outbound(event: Event, state: State, approved: bool) -> Step {
    let step = OUTBOUND[event as usize][state as usize].step(state, approved);
    // §A.2.4: a cancellation takes an approval back in every state.
    Step { approved: step.approved && event != Event::Unsubscribed, ..step }
}

/// The contact sent `event` to the account.
pub fn inbound(event: Event, state: State, approved: bool) -> Step {
    let line = match event {
        Event::Subscribe if approved => &APPROVED,
        _ => &INBOUND[event as usize],
    };
    line[state as usize].step(state, approved)
}

impl Cell {
    fn step(self, state: State, approved: bool) -> Step {
        let stay = Step { next: state, approved, pass: false, reply: false };
        match self {
            Go(next) => Step { next, pass: true, ..stay },
            Pass => Step { pass: true, ..stay },
            Stop => stay,
            Approve => Step { approved: true, ..stay },
            Reply => Step { reply: true, ..stay },
            Grant(next) => Step { next, reply: true, ..stay },
        }
    }
}
