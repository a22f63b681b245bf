use proptest::prelude::*;

use super::*;

const EVENTS: [Event; 4] =
    [Event::Subscribe, Event::Subscribed, Event::Unsubscribe, Event::Unsubscribed];

/// The tables of RFC 6121 §A.2 as the RFC prints them: existing state, MUST route?, new state.
const ROUTED: [(Event, &str); 4] = [
    (
        Event::Subscribe,
        "None|yes|None+Out
         None+Out|yes|None+Out
         None+In|yes|None+OutIn
         None+OutIn|yes|None+OutIn
         To|yes|To
         To+In|yes|To+In
         From|yes|From+Out
         From+Out|yes|From+Out
         Both|yes|Both",
    ),
    (
        Event::Unsubscribe,
        "None|yes|None
         None+Out|yes|None
         None+In|yes|None+In
         None+OutIn|yes|None+In
         To|yes|None
         To+In|yes|None+In
         From|yes|From
         From+Out|yes|From
         Both|yes|From",
    ),
    (
        Event::Subscribed,
        "None|no|None
         None+Out|no|None+Out
         None+In|yes|From
         None+OutIn|yes|From+Out
         To|no|To
         To+In|yes|Both
         From|no|From
         From+Out|no|From+Out
         Both|no|Both",
    ),
    (
        Event::Unsubscribed,
        "None|no|None
         None+Out|no|None+Out
         None+In|yes|None
         None+OutIn|yes|None+Out
         To|no|To
         To+In|yes|To
         From|yes|None
         From+Out|yes|None+Out
         Both|yes|To",
    ),
];

/// The tables of §A.3: existing state, MUST deliver?, new state.
const DELIVERED: [(Event, &str); 4] = [
    (
        Event::Subscribe,
        "None|yes|None+In
         None+Out|yes|None+OutIn
         None+In|no|None+In
         None+OutIn|no|None+OutIn
         To|yes|To+In
         To+In|no|To+In
         From|reply|From
         From+Out|reply|From+Out
         Both|reply|Both",
    ),
    (
        Event::Unsubscribe,
        "None|no|None
         None+Out|no|None+Out
         None+In|yes|None
         None+OutIn|yes|None+Out
         To|no|To
         To+In|yes|To
         From|yes|None
         From+Out|yes|None+Out
         Both|yes|To",
    ),
    (
        Event::Subscribed,
        "None|no|None
         None+Out|yes|To
         None+In|no|None+In
         None+OutIn|yes|To+In
         To|no|To
         To+In|no|To+In
         From|no|From
         From+Out|yes|Both
         Both|no|Both",
    ),
    (
        Event::Unsubscribed,
        "None|no|None
         None+Out|yes|None
         None+In|no|None+In
         None+OutIn|yes|None+In
         To|yes|None
         To+In|yes|None+In
         From|no|From
         From+Out|yes|From
         Both|yes|From",
    ),
];

/// §3.4.2: a request from a contact that the account approved ahead.
const PRE_APPROVED: &str = "None|reply|From
    None+Out|reply|From+Out
    None+In|reply|From
    None+OutIn|reply|From+Out
    To|reply|Both
    To+In|reply|Both
    From|reply|From
    From+Out|reply|From+Out
    Both|reply|Both";

fn state(name: &str) -> State {
    let (subscription, pending) = name.split_once('+').unwrap_or((name, ""));
    let subscription = subscription.to_lowercase();
    State::from_parts(&subscription, pending.contains("Out"), pending.contains("In")).unwrap()
}

fn check(table: &str, what: &str, act: impl Fn(State) -> Step) {
    let rows: Vec<&str> = table.lines().map(str::trim).collect();
    assert_eq!(rows.len(), 9, "a cell for every state");
    for row in rows {
        let mut columns = row.split('|');
        let (before, pass, after) = (columns.next(), columns.next(), columns.next());
        let step = act(state(before.unwrap()));
        assert_eq!(step.next, state(after.unwrap()), "{what} in {row}: new state");
        assert_eq!(step.pass, pass == Some("yes"), "{what} in {row}: route or deliver");
        assert_eq!(step.reply, pass == Some("reply"), "{what} in {row}: reply");
    }
}

#[test]
fn every_outbound_cell_is_that_of_appendix_a_2() {
    for (event, table) in ROUTED {
        check(table, &format!("outbound {event:?}"), |state| outbound(event, state, false));
    }
}

#[test]
fn every_inbound_cell_is_that_of_appendix_a_3() {
    for (event, table) in DELIVERED {
        check(table, &format!("inbound {event:?}"), |state| inbound(event, state, false));
    }
}

#[test]
fn an_approved_contact_is_answered_at_once() {
    check(PRE_APPROVED, "inbound subscribe", |state| inbound(Event::Subscribe, state, true));
}

#[test]
fn approval_is_noted_where_there_is_no_request_to_answer() {
    for state in State::ALL {
        let noted = outbound(Event::Subscribed, state, false).approved;
        assert_eq!(noted, !state.from() && !state.pending_in(), "{state:?}");
        assert!(!outbound(Event::Unsubscribed, state, true).approved, "{state:?}: taken back");
        for event in [Event::Subscribe, Event::Unsubscribe, Event::Subscribed] {
            assert!(outbound(event, state, true).approved, "{state:?} {event:?}: stays");
        }
        for event in EVENTS {
            assert!(inbound(event, state, true).approved, "{state:?} {event:?}: stays");
        }
    }
}

#[test]
fn parts_and_state_are_the_same_thing() {
    for state in State::ALL {
        let parts = (state.subscription(), state.pending_out(), state.pending_in());
        assert_eq!(State::from_parts(parts.0, parts.1, parts.2), Some(state));
    }
    assert_eq!(State::from_parts("both", true, false), None);
    assert_eq!(State::from_parts("to", true, false), None);
}

/// Two accounts and the stanzas under way between them, in order.
#[derive(Default)]
struct Pair {
    states: [(State, bool); 2],
    under_way: [std::collections::VecDeque<Event>; 2],
}

impl Pair {
    fn send(&mut self, side: usize, event: Event) {
        let (state, approved) = self.states[side];
        let step = outbound(event, state, approved);
        self.states[side] = (step.next, step.approved);
        if step.pass {
            self.under_way[1 - side].push_back(event);
        }
    }

    fn receive(&mut self, side: usize) -> bool {
        let Some(event) = self.under_way[side].pop_front() else { return false };
        let (state, approved) = self.states[side];
        let step = inbound(event, state, approved);
        self.states[side] = (step.next, step.approved);
        if step.reply {
            self.under_way[1 - side].push_back(Event::Subscribed);
        }
        true
    }

    fn settle(&mut self) {
        while self.receive(0) | self.receive(1) {}
    }
}

proptest! {
    /// Whatever two people do, once all stanzas have arrived the two rosters say the same.
    #[test]
    fn two_rosters_agree_when_each_act_settles(
        acts in prop::collection::vec((0usize..2, 0usize..4), 0..40)
    ) {
        let mut pair = Pair::default();
        for (side, event) in acts {
            pair.send(side, EVENTS[event]);
            pair.settle();
            for (one, other) in [(0, 1), (1, 0)] {
                let (one, other) = (pair.states[one].0, pair.states[other].0);
                prop_assert_eq!(one.to(), other.from());
                prop_assert_eq!(one.pending_out(), other.pending_in());
            }
        }
    }

    /// Acts that cross each other end, and nobody gets presence that the other does not send.
    #[test]
    fn crossing_acts_come_to_rest(
        acts in prop::collection::vec((0usize..2, 0usize..5), 0..40)
    ) {
        let mut pair = Pair::default();
        for (side, act) in acts {
            match EVENTS.get(act) {
                Some(event) => pair.send(side, *event),
                None => { pair.receive(side); }
            }
        }
        pair.settle();
        prop_assert!(pair.under_way.iter().all(|queue| queue.is_empty()));
    }
}
