use super::*;
use crate::stanza::{IqType, MessageType};
use crate::xml::Element;

type Decide = fn(&Stanza) -> Answer;

struct Step(Interest, Decide);

impl GuestStep for Step {
    fn interest(&self) -> &Interest {
        &self.0
    }

    fn check(&self, _: &At, stanza: &Stanza) -> Answer {
        (self.1)(stanza)
    }
}

fn interest() -> Interest {
    Interest {
        name: "test/step".to_owned(),
        phase: Phase::Sent,
        kinds: vec!["message"],
        namespaces: Vec::new(),
        priority: 0,
        failure: Failure::Open,
        origin: 1,
    }
}

fn step(interest: Interest, decide: Decide) -> Arc<dyn GuestStep> {
    Arc::new(Step(interest, decide))
}

fn drop_it(_: &Stanza) -> Answer {
    Answer::Now(Ok(Verdict::Drop))
}

fn shout(_: &Stanza) -> Answer {
    let payload = Payload::from_canonical(&b"<body>HI</body>"[..]).expect("canonical");
    let kind = Kind::Message(MessageType::Chat);
    Answer::Now(Ok(Verdict::Replace(Replacement { kind, lang: None, payload })))
}

fn at() -> At {
    let account = Jid::parse("romeo@example.org").expect("an address");
    At { phase: Phase::Sent, account, session: None, id: None }
}

fn message() -> Stanza {
    Stanza::message(MessageType::Chat).with_child(&Element::new("x", "urn:x"))
}

fn guests(steps: impl IntoIterator<Item = Arc<dyn GuestStep>>) -> Guests {
    let guests = Guests::default();
    let hung = Hung { steps: steps.into_iter().collect(), ..Hung::default() };
    guests.swap(&Hung::default(), &hung).expect("nobody is in the way");
    guests
}

#[test]
fn only_what_is_watched_is_seen() {
    let guests =
        guests([step(Interest { namespaces: vec!["urn:x".into()], ..interest() }, drop_it)]);
    assert!(guests.watch(Phase::Sent, Kind::Message(MessageType::Chat)));
    assert!(!guests.watch(Phase::ToAccount, Kind::Message(MessageType::Chat)));
    assert!(!guests.watch(Phase::Sent, Kind::Iq(IqType::Get)));
    assert!(matches!(guests.pass(at(), message()), Passed::Dropped));
    let other = Stanza::message(MessageType::Chat).with_child(&Element::new("x", "urn:other"));
    assert!(matches!(guests.pass(at(), other), Passed::On(_)));
}

#[test]
fn a_guest_does_not_meet_what_it_sent() {
    let guests = guests([step(interest(), drop_it)]);
    let own = Stanza { origin: 1, ..message() };
    assert!(matches!(guests.pass(at(), own), Passed::On(_)));
    let anothers = Stanza { origin: 2, ..message() };
    assert!(matches!(guests.pass(at(), anothers), Passed::Dropped));
}

#[test]
fn steps_run_by_priority_and_each_sees_what_the_one_before_made() {
    let only_shouts: Decide = |stanza| {
        let body = stanza.child("body", crate::ns::CLIENT);
        assert!(body.is_some(), "the other step runs first");
        Answer::Now(Ok(Verdict::Pass))
    };
    let late = step(Interest { priority: 5, ..interest() }, only_shouts);
    let early = step(Interest { priority: -5, ..interest() }, shout);
    let Passed::On(stanza) = guests([late, early]).pass(at(), message()) else {
        panic!("it goes on")
    };
    assert_eq!(&stanza.payload.bytes[..], b"<body>HI</body>");
}

#[test]
fn a_failure_is_open_or_closed_as_declared() {
    let fail: Decide = |_| Answer::Now(Err(StepError("broken".to_owned())));
    assert!(matches!(guests([step(interest(), fail)]).pass(at(), message()), Passed::On(_)));
    let closed = step(Interest { failure: Failure::Closed, ..interest() }, fail);
    assert!(matches!(guests([closed]).pass(at(), message()), Passed::Bounced(..)));
}

#[test]
fn a_request_is_never_dropped_without_an_answer() {
    let guests = guests([step(Interest { kinds: vec!["iq"], ..interest() }, drop_it)]);
    let request = Stanza::iq(IqType::Get, "1").with_child(&Element::new("x", "urn:x"));
    assert!(matches!(guests.pass(at(), request), Passed::Bounced(..)));
}

#[tokio::test]
async fn a_later_answer_is_awaited_and_the_rest_runs_then() {
    let later: Decide = |_| Answer::Later(Box::pin(async { Ok(Verdict::Pass) }));
    let first = step(Interest { priority: -1, ..interest() }, later);
    let guests = guests([first, step(interest(), shout)]);
    let Passed::Later(passed) = guests.pass(at(), message()) else { panic!("it waits") };
    let Passed::On(stanza) = passed.await else { panic!("it goes on") };
    assert_eq!(&stanza.payload.bytes[..], b"<body>HI</body>");
}

#[test]
fn who_leaves_is_no_longer_asked() {
    let leaving = step(interest(), drop_it);
    let guests = guests([leaving.clone()]);
    let gone = Hung { steps: vec![leaving.clone()], ..Hung::default() };
    guests.swap(&gone, &Hung::default()).expect("nobody is in the way");
    assert!(!guests.watch(Phase::Sent, Kind::Message(MessageType::Chat)));
    assert!(matches!(guests.pass(at(), message()), Passed::On(_)));
}

#[test]
fn a_successor_takes_over_and_a_stranger_does_not() {
    let guests = Guests::default();
    let handler = || -> Arc<dyn IqHandler> {
        Arc::new(|_: super::super::Request, _: &mut crate::router::Out| {})
    };
    let has = |handler: Arc<dyn IqHandler>| Hung {
        steps: vec![step(interest(), drop_it)],
        iqs: vec![(Target::Server, "urn:x".to_owned(), handler)],
        ..Hung::default()
    };
    let (old, new) = (has(handler()), has(handler()));
    guests.swap(&Hung::default(), &old).expect("nobody is in the way");
    let taken = guests.swap(&Hung::default(), &new);
    assert_eq!(taken, Err("the requests of urn:x".to_owned()));
    assert_eq!(guests.steps.load().len(), 1, "nothing of the stranger stays");
    guests.swap(&old, &new).expect("the successor may");
    assert!(Arc::ptr_eq(&guests.steps.load()[0], &new.steps[0]));
    let found = guests.iq(Target::Server, "urn:x").expect("a handler");
    assert!(Arc::ptr_eq(&found, &new.iqs[0].2));
    guests.swap(&old, &Hung::default()).expect("it is gone already");
    assert!(guests.watch(Phase::Sent, message().head.kind));
}
