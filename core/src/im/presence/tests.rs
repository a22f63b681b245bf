use super::*;
use crate::im::testing::{NAMES, World, inbox, key, stanza};
use proptest::prelude::*;

#[test]
fn a_priority_is_an_octet_with_sign() {
    let rows = [
        ("<presence/>", Ok(0)),
        ("<presence><show>away</show></presence>", Ok(0)),
        ("<presence><priority>-128</priority></presence>", Ok(-128)),
        ("<presence><priority> 127\n</priority></presence>", Ok(127)),
        ("<presence><priority>128</priority></presence>", Err(BadPriority)),
        ("<presence><priority>-129</priority></presence>", Err(BadPriority)),
        ("<presence><priority>high</priority></presence>", Err(BadPriority)),
        ("<presence><priority/></presence>", Err(BadPriority)),
    ];
    for (text, expected) in rows {
        assert_eq!(priority(&stanza(text)), expected, "{text}");
    }
}

#[tokio::test]
async fn a_bad_priority_is_a_bad_request_and_changes_nothing() {
    let mut world = World::new().await;
    let mut juliet = world.session("juliet/balcony");
    world.send(&mut juliet, "<presence><priority>x</priority></presence>").await;
    assert!(inbox(&juliet)[0].contains("<bad-request "));
    assert!(!juliet.shared.is_available());
}

#[tokio::test]
async fn initial_presence_goes_to_subscribers_and_own_resources() {
    let mut world = World::new().await;
    world.befriend("juliet", "romeo").await;
    let (romeo, phone) = (world.online("romeo/orchard").await, world.online("romeo/phone").await);
    inbox(&romeo);
    let nurse = world.online("nurse/kitchen").await;
    let mut juliet = world.session("juliet/balcony");
    world.send(&mut juliet, "<presence><show>chat</show></presence>").await;
    let presence = |to: &str| {
        format!(
            "<presence to='{to}' from='juliet@hearth.example/balcony'><show>chat</show></presence>"
        )
    };
    assert_eq!(inbox(&romeo), [presence("romeo@hearth.example/orchard")]);
    assert_eq!(inbox(&phone), [presence("romeo@hearth.example/phone")]);
    assert!(inbox(&nurse).is_empty());
    let got = inbox(&juliet);
    assert_eq!(got[0], presence("juliet@hearth.example/balcony"), "§4.2.2: to itself, too");
    let mut contacts = got[1..].to_vec();
    contacts.sort();
    let from = |resource: &str| {
        format!(
            "<presence to='juliet@hearth.example/balcony' from='romeo@hearth.example/{resource}'/>"
        )
    };
    assert_eq!(contacts, [from("orchard"), from("phone")]);
}

#[tokio::test]
async fn siblings_see_each_other() {
    let mut world = World::new().await;
    let phone = world.online("juliet/phone").await;
    let mut juliet = world.session("juliet/balcony");
    world.send(&mut juliet, "<presence/>").await;
    assert_eq!(inbox(&phone).len(), 1);
    assert!(inbox(&juliet)[1].contains("from='juliet@hearth.example/phone'"));
}

#[tokio::test]
async fn an_update_asks_for_no_presence_again() {
    let mut world = World::new().await;
    world.befriend("juliet", "romeo").await;
    let romeo = world.online("romeo/orchard").await;
    let mut juliet = world.online("juliet/balcony").await;
    inbox(&romeo);
    world.send(&mut juliet, "<presence><priority>-1</priority></presence>").await;
    assert_eq!(inbox(&romeo).len(), 1);
    assert_eq!(inbox(&juliet).len(), 1, "only its own");
    assert_eq!(juliet.shared.priority(), -1);
}

#[tokio::test]
async fn a_one_sided_subscription_shows_one_side() {
    let mut world = World::new().await;
    let mut juliet = world.online("juliet/balcony").await;
    let mut romeo = world.online("romeo/orchard").await;
    world.send(&mut juliet, "<presence type='subscribe' to='romeo@hearth.example'/>").await;
    world.send(&mut romeo, "<presence type='subscribed' to='juliet@hearth.example'/>").await;
    inbox(&juliet);
    inbox(&romeo);
    world.send(&mut juliet, "<presence><show>away</show></presence>").await;
    assert!(inbox(&romeo).is_empty());
    inbox(&juliet);
    world.send(&mut romeo, "<presence><show>away</show></presence>").await;
    assert_eq!(inbox(&juliet).len(), 1);
}

#[tokio::test]
async fn contacts_elsewhere_are_sent_to_and_probed() {
    let mut world = World::new().await;
    let mut juliet = world.online("juliet/balcony").await;
    let romeo = "romeo@other.example";
    world.send(&mut juliet, &format!("<presence type='subscribe' to='{romeo}/x'/>")).await;
    let ask = "<presence to='romeo@other.example' from='juliet@hearth.example' type='subscribe'/>";
    assert_eq!(std::mem::take(&mut world.remote), [ask]);
    let from = "from='romeo@other.example/orchard' to='juliet@hearth.example'";
    world.receive(&format!("<presence type='subscribed' {from}/>")).await;
    world.receive(&format!("<presence type='subscribe' {from}/>")).await;
    world.send(&mut juliet, &format!("<presence type='subscribed' to='{romeo}'/>")).await;
    let sent = std::mem::take(&mut world.remote);
    assert_eq!(sent[0], ask.replace("'subscribe'", "'subscribed'"));
    assert_eq!(
        sent[1],
        "<presence to='romeo@other.example' from='juliet@hearth.example/balcony'/>"
    );
    world.end(juliet).await;
    assert!(world.remote[0].contains("type='unavailable'"));
    world.remote.clear();
    let mut juliet = world.session("juliet/phone");
    world.send(&mut juliet, "<presence/>").await;
    let sent = std::mem::take(&mut world.remote);
    assert_eq!(sent[0], "<presence to='romeo@other.example' from='juliet@hearth.example/phone'/>");
    let probe = "<presence to='romeo@other.example' from='juliet@hearth.example/phone' \
                 type='probe'/>";
    assert_eq!(sent[1], probe);
}

#[tokio::test]
async fn presence_from_elsewhere_reaches_every_available_resource() {
    let mut world = World::new().await;
    let (one, two) = (world.online("juliet/one").await, world.online("juliet/two").await);
    inbox(&one);
    let silent = world.session("juliet/silent");
    world.receive("<presence from='romeo@other.example/x' to='juliet@hearth.example'/>").await;
    assert_eq!((inbox(&one).len(), inbox(&two).len(), inbox(&silent).len()), (1, 1, 0));
    world
        .receive("<presence from='romeo@other.example/x' to='juliet@hearth.example/silent'/>")
        .await;
    assert_eq!((inbox(&one).len(), inbox(&two).len(), inbox(&silent).len()), (0, 0, 1));
    world
        .receive("<presence type='error' from='x@other.example' to='juliet@hearth.example'/>")
        .await;
    assert!(inbox(&one).is_empty());
}

#[tokio::test]
async fn every_end_of_a_session_is_told_to_subscribers() {
    let mut world = World::new().await;
    world.befriend("juliet", "romeo").await;
    let romeo = world.online("romeo/orchard").await;
    for said_so in [true, false] {
        let mut juliet = world.online("juliet/balcony").await;
        inbox(&romeo);
        if said_so {
            world
                .send(&mut juliet, "<presence type='unavailable'><status>bye</status></presence>")
                .await;
        }
        world.end(juliet).await;
        let told = inbox(&romeo);
        assert_eq!(told.len(), 1, "once: {told:?}");
        assert!(told[0].contains("from='juliet@hearth.example/balcony' type='unavailable'"));
        assert_eq!(told[0].contains("bye"), said_so);
    }
}

#[tokio::test]
async fn the_end_of_a_replaced_session_does_not_hide_its_successor() {
    let mut world = World::new().await;
    world.befriend("juliet", "romeo").await;
    let romeo = world.online("romeo/orchard").await;
    let old = world.online("juliet/balcony").await;
    let _new = world.online("juliet/balcony").await;
    inbox(&romeo);
    world.end(old).await;
    assert!(inbox(&romeo).is_empty());
}

#[tokio::test]
async fn a_session_that_was_never_available_ends_in_silence() {
    let mut world = World::new().await;
    world.befriend("juliet", "romeo").await;
    let romeo = world.online("romeo/orchard").await;
    let juliet = world.session("juliet/balcony");
    world.end(juliet).await;
    assert!(inbox(&romeo).is_empty());
}

#[tokio::test]
async fn directed_presence_is_ended_with_the_session() {
    let mut world = World::new().await;
    let nurse = world.online("nurse/kitchen").await;
    let mut juliet = world.session("juliet/balcony");
    world.send(&mut juliet, "<presence to='nurse@hearth.example/kitchen'/>").await;
    world.send(&mut juliet, "<presence to='room@muc.example/juliet'/>").await;
    world.send(&mut juliet, "<presence to='other@muc.example/juliet'/>").await;
    world.send(&mut juliet, "<presence type='unavailable' to='other@muc.example/juliet'/>").await;
    assert_eq!(inbox(&nurse).len(), 1);
    assert_eq!(std::mem::take(&mut world.remote).len(), 3);
    world.end(juliet).await;
    assert!(inbox(&nurse)[0].contains("type='unavailable'"));
    assert_eq!(world.remote.len(), 1, "the other room knows already");
    assert!(world.remote[0].contains("to='room@muc.example/juliet'"));
}

#[tokio::test]
async fn directed_presence_is_bounded() {
    let mut world = World::new().await;
    let mut juliet = world.session("juliet/balcony");
    for n in 0..=MAX_DIRECTED {
        world.send(&mut juliet, &format!("<presence to='room{n}@muc.example/j'/>")).await;
    }
    assert!(inbox(&juliet)[0].contains("<resource-constraint "));
    assert_eq!(world.remote.len(), MAX_DIRECTED);
}

#[tokio::test]
async fn a_probe_of_a_stranger_is_answered_as_if_nobody_were_there() {
    let mut world = World::new().await;
    let _juliet = world.online("juliet/balcony").await;
    for name in ["juliet", "nobody", "nurse"] {
        let to = format!("{name}@hearth.example");
        world
            .receive(&format!("<presence type='probe' from='x@other.example/r' to='{to}'/>"))
            .await;
        let expected = format!("<presence to='x@other.example' from='{to}' type='unsubscribed'/>");
        assert_eq!(std::mem::take(&mut world.remote), [expected]);
    }
}

const PROBE: &str = "<presence type='probe' from='x@other.example/r' to='juliet@hearth.example'/>";

async fn subscribed_from_elsewhere(world: &mut World) {
    let mut juliet = world.online("juliet/balcony").await;
    world.send(&mut juliet, "<presence type='subscribed' to='x@other.example'/>").await;
    world.receive(&PROBE.replace("'probe'", "'subscribe'")).await;
    world.end(juliet).await;
    world.remote.clear();
}

#[tokio::test]
async fn a_probe_of_a_subscriber_is_answered_per_resource() {
    let mut world = World::new().await;
    subscribed_from_elsewhere(&mut world).await;
    let (_one, mut two) = (world.online("juliet/one").await, world.online("juliet/two").await);
    world.send(&mut two, "<presence><show>dnd</show></presence>").await;
    world.remote.clear();
    world.receive(PROBE).await;
    let mut answers = std::mem::take(&mut world.remote);
    answers.sort();
    let from = "<presence to='x@other.example/r' from='juliet@hearth.example";
    assert_eq!(answers[0], format!("{from}/one'/>"));
    assert_eq!(answers[1], format!("{from}/two'><show>dnd</show></presence>"));
}

#[tokio::test]
async fn a_probe_of_somebody_who_is_gone_says_how_he_went() {
    let mut world = World::new().await;
    subscribed_from_elsewhere(&mut world).await;
    let mut juliet = world.online("juliet/balcony").await;
    world.clock.advance(std::time::Duration::from_secs(60));
    world.send(&mut juliet, "<presence type='unavailable'><status>gone</status></presence>").await;
    world.end(juliet).await;
    let im = world.im.clone();
    crate::im::testing::eventually("the last presence is noted", async || {
        let last = im.last_presence(key("juliet")).await;
        last.is_some_and(|(_, stanza)| stanza.child("status", ns::CLIENT).is_some())
    })
    .await;
    world.remote.clear();
    world.receive(PROBE).await;
    let expected = "<presence to='x@other.example/r' from='juliet@hearth.example' \
        type='unavailable'><status>gone</status><delay xmlns='urn:xmpp:delay' \
        from='hearth.example' stamp='2023-11-14T22:14:20.000Z'/></presence>";
    assert_eq!(world.remote, [expected]);
}

const ASK: &str = "<presence type='subscribe' to='romeo@hearth.example'>\
                   <status>It is the east</status></presence>";

#[tokio::test]
async fn a_request_waits_until_it_is_answered() {
    let mut world = World::new().await;
    let mut juliet = world.online("juliet/balcony").await;
    world.send(&mut juliet, ASK).await;
    assert_eq!(world.subscription("juliet", "romeo@hearth.example").await, "none ask");
    let request = "<presence to='romeo@hearth.example' from='juliet@hearth.example' \
                   type='subscribe'><status>It is the east</status></presence>";
    for log_in in 0..2 {
        let mut romeo = world.session("romeo/orchard");
        let get = "<iq id='r' type='get'><query xmlns='jabber:iq:roster'/></iq>";
        world.send(&mut romeo, get).await;
        assert!(!inbox(&romeo)[0].contains("<item "), "§3.1.3: not in the roster yet");
        world.send(&mut romeo, "<presence/>").await;
        assert!(inbox(&romeo).contains(&request.to_owned()), "log-in {log_in}");
        world.end(romeo).await;
    }
    let mut romeo = world.online("romeo/orchard").await;
    world.send(&mut romeo, "<presence type='unsubscribed' to='juliet@hearth.example'/>").await;
    assert_eq!(world.subscription("juliet", "romeo@hearth.example").await, "none");
    assert_eq!(world.subscription("romeo", "juliet@hearth.example").await, "absent");
    assert!(inbox(&juliet).iter().any(|text| text.contains("type='unsubscribed'")));
    world.end(romeo).await;
    let mut romeo = world.session("romeo/orchard");
    world.send(&mut romeo, "<presence/>").await;
    assert!(!inbox(&romeo).contains(&request.to_owned()));
}

#[tokio::test]
async fn approval_pushes_and_shows_presence() {
    let mut world = World::new().await;
    let mut juliet = world.online("juliet/balcony").await;
    let mut romeo = world.online("romeo/orchard").await;
    world.send(&mut juliet, ASK).await;
    inbox(&juliet);
    assert!(inbox(&romeo)[0].contains("type='subscribe'"));
    world.send(&mut romeo, "<presence type='subscribed' to='juliet@hearth.example/x'/>").await;
    let told = inbox(&juliet);
    assert!(told[0].contains("from='romeo@hearth.example' type='subscribed'"), "{told:?}");
    assert!(told[1].contains("<item jid='romeo@hearth.example' subscription='to'/>"), "{told:?}");
    let presence = "<presence to='juliet@hearth.example' from='romeo@hearth.example/orchard'/>";
    assert_eq!(told[2..], [presence]);
    let pushed = inbox(&romeo);
    assert_eq!(pushed.len(), 1);
    assert!(pushed[0].contains("<item jid='juliet@hearth.example' subscription='from'/>"));
}

#[tokio::test]
async fn a_request_ahead_of_which_approval_was_given_is_answered_at_once() {
    let mut world = World::new().await;
    let mut juliet = world.online("juliet/balcony").await;
    let mut romeo = world.online("romeo/orchard").await;
    world.send(&mut romeo, "<presence type='subscribed' to='juliet@hearth.example'/>").await;
    let item = "<item jid='juliet@hearth.example' approved='true' subscription='none'/>";
    assert!(inbox(&romeo)[0].contains(item));
    assert!(inbox(&juliet).is_empty(), "§3.4.2: nothing is sent to the contact");
    world.send(&mut juliet, ASK).await;
    assert_eq!(world.subscription("juliet", "romeo@hearth.example").await, "to");
    let told = inbox(&romeo);
    assert_eq!(told.len(), 1, "no request: {told:?}");
    assert!(told[0].contains("subscription='from'"));
    assert!(inbox(&juliet).last().unwrap().contains("from='romeo@hearth.example/orchard'"));
}

#[tokio::test]
async fn cancelling_hides_presence() {
    let mut world = World::new().await;
    world.befriend("juliet", "romeo").await;
    let mut juliet = world.online("juliet/balcony").await;
    let romeo = world.online("romeo/orchard").await;
    inbox(&juliet);
    world.send(&mut juliet, "<presence type='unsubscribed' to='romeo@hearth.example'/>").await;
    let told = inbox(&romeo);
    assert!(told[0].contains("from='juliet@hearth.example/balcony' type='unavailable'"));
    assert!(told[1].contains("from='juliet@hearth.example' type='unsubscribed'"));
    assert!(told[2].contains("subscription='from'"));
    assert_eq!(world.subscription("juliet", "romeo@hearth.example").await, "to");
    world.send(&mut juliet, "<presence type='unsubscribe' to='romeo@hearth.example'/>").await;
    assert_eq!(world.subscription("juliet", "romeo@hearth.example").await, "none");
    assert_eq!(world.subscription("romeo", "juliet@hearth.example").await, "none");
    assert!(inbox(&juliet).iter().any(|text| text.contains("type='unavailable'")));
}

#[tokio::test]
async fn requests_of_and_to_nobody_are_met_with_silence() {
    let mut world = World::new().await;
    for kind in ["subscribe", "subscribed", "unsubscribe", "unsubscribed"] {
        let text = "<presence from='x@other.example' to='nobody@hearth.example' type='KIND'/>";
        world.receive(&text.replace("KIND", kind)).await;
    }
    assert!(world.remote.is_empty());
}

#[tokio::test]
async fn nobody_subscribes_to_himself() {
    let mut world = World::new().await;
    let mut juliet = world.online("juliet/balcony").await;
    world.send(&mut juliet, "<presence type='subscribe' to='juliet@hearth.example'/>").await;
    assert!(inbox(&juliet)[0].contains("<not-allowed "));
}

#[tokio::test]
async fn a_flood_of_requests_is_bounded_and_leaves_room_for_contacts() {
    let mut world = World::new().await;
    for n in 0..110 {
        let from = format!("from='spam{n}@other.example'");
        world
            .receive(&format!("<presence type='subscribe' {from} to='juliet@hearth.example'/>"))
            .await;
    }
    assert_eq!(world.stored("juliet").await.items().len(), 100);
    assert!(world.remote.is_empty(), "nothing shows that there is such an account");
    let mut juliet = world.online("juliet/balcony").await;
    world.send(&mut juliet, "<presence type='subscribe' to='romeo@hearth.example'/>").await;
    assert_eq!(world.subscription("juliet", "romeo@hearth.example").await, "none ask");
}

/// What two of the four do to each other.
fn act() -> impl Strategy<Value = (usize, usize, &'static str)> {
    let acts = ["subscribe", "subscribed", "unsubscribe", "unsubscribed", "remove", "online"];
    (0..4usize, 0..4usize, prop::sample::select(acts.to_vec()))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// After any sequence of acts the rosters of both sides say the same, in the database and in
    /// the cache.
    #[test]
    fn rosters_stay_consistent(acts in prop::collection::vec(act(), 1..25)) {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1).enable_all().build().unwrap();
        runtime.block_on(play(acts));
    }
}

async fn play(acts: Vec<(usize, usize, &'static str)>) {
    let mut world = World::new().await;
    let mut sessions = Vec::new();
    for name in NAMES {
        sessions.push(world.online(&format!("{name}/x")).await);
    }
    for (who, whom, what) in acts {
        let to = format!("{}@hearth.example", NAMES[whom]);
        let text = match what {
            "online" => "<presence/>".to_owned(),
            "remove" => format!(
                "<iq id='1' type='set'><query xmlns='jabber:iq:roster'>\
                 <item jid='{to}' subscription='remove'/></query></iq>"
            ),
            kind => format!("<presence type='{kind}' to='{to}'/>"),
        };
        world.send(&mut sessions[who], &text).await;
        sessions.iter().for_each(|session| drop(inbox(session)));
    }
    for one in NAMES {
        let mine = world.stored(one).await;
        let cached = world.im.roster(key(one)).await.unwrap();
        assert_eq!((cached.version, cached.items()), (mine.version, mine.items()));
        for other in NAMES {
            let theirs = world.stored(other).await;
            let state = |roster: &Roster, name: &str| {
                let item = roster.item(&format!("{name}@hearth.example"));
                item.map_or_else(Default::default, |item| item.state)
            };
            let (mine, theirs) = (state(&mine, other), state(&theirs, one));
            assert_eq!(mine.to(), theirs.from(), "{one} and {other}");
            assert_eq!(mine.pending_out(), theirs.pending_in(), "{one} and {other}");
        }
    }
}
