//! Messages and requests between nodes.

use std::sync::atomic::Ordering;

use futures_util::FutureExt;
use tokio::sync::Notify;

use super::town::safe;
use super::*;
use crate::im::testing::envelopes;
use crate::router::guests::{Answer, At, GuestStep, Hung, Interest, Phase, Verdict};
use crate::router::phase::Failure;

#[tokio::test]
async fn a_sender_is_safe_once_the_client_on_the_other_node_has_the_message() {
    let (town, [one, two]) = Town::new().await;
    let (mut romeo, juliet) = (one.online("romeo/x").await, two.online("juliet/y").await);
    town.carry().await;
    envelopes(&juliet);
    let before = safe(&romeo);
    one.send(&mut romeo, &chat("juliet@hearth.example", "hi")).await;
    town.carry().await;
    assert_eq!((safe(&romeo), one.nodes.waiting().0), (before, 1), "nobody has it yet");
    let taken = two.acknowledge(&juliet);
    assert_eq!(taken.len(), 1);
    town.carry().await;
    assert_eq!((safe(&romeo), one.nodes.waiting()), (before + 1, (0, 0)));
    assert!(town.stored().await.is_empty());
}

#[tokio::test]
async fn what_the_other_node_commits_is_nobody_elses_any_more() {
    let (town, [one, two]) = Town::new().await;
    let (mut romeo, juliet) = (one.online("romeo/x").await, two.online("juliet/y").await);
    town.carry().await;
    envelopes(&juliet);
    let before = safe(&romeo);
    one.send(&mut romeo, &chat("juliet@hearth.example", "hi")).await;
    town.carry().await;
    // Her client is slow: what was written is spooled after a while.
    let taken: Vec<_> = envelopes(&juliet).into();
    let late = taken.iter().filter_map(|envelope| envelope.start_spool()).collect();
    two.im.spool(&juliet.shared, late);
    town.until("the commit", async || safe(&romeo) == before + 1).await;
    assert_eq!(one.nodes.waiting(), (0, 0));
    assert_eq!(town.stored().await.len(), 1);
    town.lose(&two);
    one.nodes.drop_node(two.node, true).await;
    assert_eq!(town.stored().await.len(), 1, "it is not stored a second time");
}

#[tokio::test]
async fn a_message_for_somebody_who_has_just_gone_is_kept_for_him() {
    let (town, [one, two]) = Town::new().await;
    let (mut romeo, juliet) = (one.online("romeo/x").await, two.online("juliet/y").await);
    town.carry().await;
    town.roads.mute.lock().insert(two.node);
    two.end(juliet, Vec::new()).await;
    let before = safe(&romeo);
    one.send(&mut romeo, &chat("juliet@hearth.example", "hi")).await;
    town.until("it is stored", async || safe(&romeo) == before + 1).await;
    assert_eq!(town.stored().await.len(), 1);
    let juliet = two.online("juliet/z").await;
    assert_eq!(bodies(&juliet), ["hi"]);
}

#[tokio::test]
async fn who_comes_while_the_account_is_looked_up_gets_the_message() {
    let (town, [one, _two]) = Town::new().await;
    let mut romeo = one.online("romeo/x").await;
    let mut out = crate::router::Out::default();
    let message = stanza(&chat("juliet@hearth.example/y", "hi"));
    one.router.from_session(&mut romeo, message, &mut out);
    assert!(one.router.perform_now(&mut out), "the account is not in the cache");
    let juliet = one.online("juliet/y").await;
    inbox(&juliet);
    let work = out.work.pop_front().unwrap();
    let caused = work.await;
    assert_eq!((caused.deliveries.len(), caused.work.len()), (1, 0), "it is not stored first");
    assert!(town.stored().await.is_empty());
}

#[tokio::test]
async fn another_resource_takes_what_the_first_could_not() {
    let (town, [one, two]) = Town::new().await;
    let mut romeo = one.online("romeo/x").await;
    let gone = two.online("juliet/gone").await;
    let mut there = one.bind("juliet/there");
    one.send(&mut there, "<presence><priority>-1</priority></presence>").await;
    town.carry().await;
    envelopes(&there);
    town.roads.mute.lock().insert(two.node);
    two.end(gone, Vec::new()).await;
    one.send(&mut romeo, &chat("juliet@hearth.example/gone", "hi")).await;
    one.send(&mut there, "<presence><priority>1</priority></presence>").await;
    town.carry().await;
    assert_eq!(bodies(&there), ["hi"]);
}

/// Her session ends with a message that her client has not acknowledged.
async fn goes_elsewhere_with_the_same_id(town: &Town, site: &Site, juliet: Session) {
    let taken: Vec<_> = envelopes(&juliet).into();
    let id = taken[0].duty.as_ref().unwrap().id.to_string();
    site.end(juliet, taken).await;
    town.until("it is stored", async || !town.stored().await.is_empty()).await;
    assert_eq!(town.stored().await, [(id, false)]);
}

#[tokio::test]
async fn what_a_lost_session_had_not_acknowledged_goes_elsewhere_with_the_same_id() {
    let (town, [one, two]) = Town::new().await;
    let (mut romeo, juliet) = (one.online("romeo/x").await, two.online("juliet/y").await);
    town.carry().await;
    envelopes(&juliet);
    one.send(&mut romeo, &chat("juliet@hearth.example", "hi")).await;
    town.carry().await;
    goes_elsewhere_with_the_same_id(&town, &two, juliet).await;
}

#[tokio::test]
async fn a_copy_for_which_nobody_waits_goes_elsewhere_with_the_same_id() {
    let (town, [one, two]) = Town::new().await;
    let juliet = two.online("juliet/y").await;
    town.carry().await;
    envelopes(&juliet);
    let mut out = crate::router::Out::default();
    let message = stanza(&chat("juliet@hearth.example", "hi"));
    one.router.route(message.with_from(jid("romeo@far.example/x")), &mut out);
    one.router.perform(&mut out).await;
    town.carry().await;
    goes_elsewhere_with_the_same_id(&town, &two, juliet).await;
}

#[tokio::test]
async fn one_sender_keeps_his_order_whatever_the_lanes_do() {
    let (town, [one, two]) = Town::new().await;
    let mut senders = [one.online("romeo/x").await, one.online("nurse/x").await];
    let juliet = two.online("juliet/y").await;
    town.carry().await;
    envelopes(&juliet);
    for count in 0..20 {
        for (number, sender) in senders.iter_mut().enumerate() {
            let body = format!("{number} {count:02}");
            one.send(sender, &chat("juliet@hearth.example/y", &body)).await;
        }
    }
    town.carry().await;
    let bodies = bodies(&juliet);
    assert_eq!(bodies.len(), 40);
    for number in ["0 ", "1 "] {
        let of_one: Vec<_> = bodies.iter().filter(|body| body.starts_with(number)).collect();
        assert!(of_one.len() == 20 && of_one.is_sorted(), "{of_one:?}");
    }
}

#[tokio::test]
async fn two_resources_on_one_node_cost_one_parcel() {
    let (town, [one, two]) = Town::new().await;
    let mut romeo = one.online("romeo/x").await;
    let both = [two.online("juliet/a").await, two.online("juliet/b").await];
    town.carry().await;
    both.iter().for_each(|session| drop(envelopes(session)));
    let before = (*town.roads.parcels.lock(), safe(&romeo));
    one.send(&mut romeo, &chat("juliet@hearth.example", "hi")).await;
    town.carry().await;
    assert_eq!(*town.roads.parcels.lock(), before.0 + 1);
    assert_eq!(two.acknowledge(&both[0]).len(), 1);
    town.carry().await;
    assert_eq!(safe(&romeo), before.1 + 1);
    let [_, other] = both;
    let taken: Vec<_> = envelopes(&other).into();
    assert_eq!(taken.len(), 1);
    two.end(other, taken).await;
    town.carry().await;
    assert!(town.stored().await.is_empty(), "one of them has it");
}

#[tokio::test]
async fn what_is_too_large_for_the_way_goes_back_to_its_sender() {
    let (town, [one, two]) = Town::new().await;
    let (mut romeo, juliet) = (one.online("romeo/x").await, two.online("juliet/y").await);
    town.carry().await;
    envelopes(&romeo);
    envelopes(&juliet);
    let before = safe(&romeo);
    town.roads.largest.store(1000, Ordering::Relaxed);
    let (to, long) = ("juliet@hearth.example", "x".repeat(1000));
    one.send(&mut romeo, &chat(to, &long)).await;
    let ask = format!("<iq id='v1' type='get' to='{to}/y'><query xmlns='q'>{long}</query></iq>");
    one.send(&mut romeo, &ask).await;
    one.send(&mut romeo, &format!("<presence to='{to}/y'><status>{long}</status></presence>"))
        .await;
    town.carry().await;
    let errors = inbox(&romeo);
    let says = |text: &String| text.contains("<policy-violation ") && text.contains("too large");
    assert!(errors.len() == 3 && errors.iter().all(says), "{errors:?}");
    assert_eq!((safe(&romeo), one.nodes.waiting()), (before + 3, (0, 0)), "he has his answer");
    assert!(town.stored().await.is_empty());
    one.send(&mut romeo, &chat(to, "hi")).await;
    town.carry().await;
    assert_eq!(bodies(&juliet), ["hi"], "it is not the session's fault");
}

#[tokio::test]
async fn recipients_that_are_too_many_for_one_parcel_share_several() {
    let (town, [one, two]) = Town::new().await;
    let mut romeo = one.online("romeo/x").await;
    let names: Vec<_> = (0..5).map(|n| format!("juliet/{n:0>300}")).collect();
    let mut all = Vec::new();
    for name in &names {
        all.push(two.online(name).await);
    }
    town.carry().await;
    all.iter().for_each(|session| drop(envelopes(session)));
    let before = (*town.roads.parcels.lock(), safe(&romeo));
    town.roads.largest.store(1000, Ordering::Relaxed);
    one.send(&mut romeo, &chat("juliet@hearth.example", "hi")).await;
    town.carry().await;
    assert!(all.iter().all(|session| two.acknowledge(session).len() == 1));
    town.carry().await;
    assert_eq!((*town.roads.parcels.lock(), safe(&romeo)), (before.0 + 3, before.1 + 1));
    assert_eq!(one.nodes.waiting(), (0, 0));
}

#[tokio::test]
async fn resources_on_several_nodes_share_one_duty() {
    let (town, [one, two]) = Town::new().await;
    let mut romeo = one.online("romeo/x").await;
    let (here, there) = (one.online("juliet/a").await, two.online("juliet/b").await);
    town.carry().await;
    envelopes(&here);
    envelopes(&there);
    let before = safe(&romeo);
    one.send(&mut romeo, &chat("juliet@hearth.example", "hi")).await;
    town.carry().await;
    let taken: Vec<_> = envelopes(&here).into();
    one.end(here, taken).await;
    assert!(town.stored().await.is_empty(), "the other may still take it");
    two.acknowledge(&there);
    town.carry().await;
    assert_eq!((safe(&romeo), town.stored().await.len()), (before + 1, 0));
}

#[tokio::test]
async fn a_request_and_its_answer_find_their_ways() {
    let (town, [one, two]) = Town::new().await;
    let (mut romeo, mut juliet) = (one.online("romeo/x").await, two.online("juliet/y").await);
    town.carry().await;
    envelopes(&romeo);
    envelopes(&juliet);
    let ask = "<iq id='v1' type='get' to='juliet@hearth.example/y'><query xmlns='q'/></iq>";
    one.send(&mut romeo, ask).await;
    town.carry().await;
    let asked = inbox(&juliet);
    assert!(asked[0].contains("id='v1'") && asked[0].contains("<query xmlns='q'/>"), "{asked:?}");
    two.send(&mut juliet, "<iq id='v1' type='result' to='romeo@hearth.example/x'/>").await;
    town.carry().await;
    let answers = inbox(&romeo);
    assert!(answers.len() == 1 && answers[0].contains("type='result'"), "{answers:?}");
    town.lose(&two);
    one.nodes.drop_node(two.node, false).await;
    assert!(inbox(&romeo).is_empty(), "it was answered already");
}

#[tokio::test]
async fn a_request_to_a_session_that_has_just_gone_is_answered() {
    let (town, [one, two]) = Town::new().await;
    let (mut romeo, juliet) = (one.online("romeo/x").await, two.online("juliet/y").await);
    town.carry().await;
    envelopes(&romeo);
    town.roads.mute.lock().insert(two.node);
    two.end(juliet, Vec::new()).await;
    let ask = "<iq id='v1' type='get' to='juliet@hearth.example/y'><query xmlns='q'/></iq>";
    one.send(&mut romeo, ask).await;
    town.carry().await;
    let answers = inbox(&romeo);
    assert!(answers.len() == 1 && answers[0].contains("service-unavailable"), "{answers:?}");
}

/// A plugin's step that lets messages on when it is told to.
struct Gate(Interest, Arc<Notify>);

impl GuestStep for Gate {
    fn interest(&self) -> &Interest {
        &self.0
    }

    fn check(&self, _: &At, _: &Stanza) -> Answer {
        let open = self.1.clone();
        Answer::Later(async move { open.notified().await }.map(|()| Ok(Verdict::Pass)).boxed())
    }
}

#[tokio::test]
async fn who_comes_while_a_plugin_looks_at_a_message_gets_it_at_once() {
    let (town, [one, two]) = Town::new().await;
    let mut romeo = one.online("romeo/x").await;
    let interest = Interest {
        name: "test/gate".to_owned(),
        phase: Phase::ToAccount,
        kinds: vec!["message"],
        namespaces: Vec::new(),
        priority: 0,
        failure: Failure::Open,
        origin: 1,
    };
    let open = Arc::new(Notify::new());
    let hung = Hung { steps: vec![Arc::new(Gate(interest, open.clone()))], ..Hung::default() };
    one.router.guests.swap(&Hung::default(), &hung).expect("nobody is in the way");
    let text = chat("juliet@hearth.example", "hi");
    let coming = async {
        let juliet = two.online("juliet/y").await;
        town.carry().await;
        open.notify_one();
        juliet
    };
    let ((), juliet) = tokio::join!(one.send(&mut romeo, &text), coming);
    town.carry().await;
    assert_eq!((bodies(&juliet), town.stored().await.len()), (vec!["hi".to_owned()], 0));
}
