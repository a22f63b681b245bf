//! Presence, subscriptions and rosters between nodes.

use super::*;
use crate::im::testing::envelopes;

/// Makes two accounts subscribe to each other, from one node.
async fn befriend(town: &Town, site: &Site, one: &str, other: &str) {
    let mut sessions =
        [site.online(&format!("{one}/setup")).await, site.online(&format!("{other}/setup")).await];
    let names = [one, other];
    for (from, to) in [(0, 1), (1, 0)] {
        let ask = format!("<presence type='subscribe' to='{}@hearth.example'/>", names[to]);
        let yes = format!("<presence type='subscribed' to='{}@hearth.example'/>", names[from]);
        site.send(&mut sessions[from], &ask).await;
        site.send(&mut sessions[to], &yes).await;
    }
    for session in sessions {
        site.end(session, Vec::new()).await;
    }
    town.carry().await;
}

/// The presences that came: sender and type.
fn presences(session: &Session) -> Vec<String> {
    let attribute = |text: &str, name: &str| {
        let (_, rest) = text.split_once(&format!(" {name}='"))?;
        Some(rest.split_once('\'')?.0.to_owned())
    };
    let presence = |text: &String| {
        let head = text.split('>').next().unwrap();
        let from = attribute(head, "from").unwrap_or_default().replace("@hearth.example", "");
        let kind = attribute(head, "type").unwrap_or_else(|| "available".to_owned());
        text.starts_with("<presence").then(|| format!("{from} {kind}"))
    };
    let mut found: Vec<_> = inbox(session).iter().filter_map(presence).collect();
    found.sort();
    found
}

#[tokio::test]
async fn contacts_on_two_nodes_see_each_other() {
    let (town, [one, two]) = Town::new().await;
    befriend(&town, &one, "romeo", "juliet").await;
    let romeo = one.online("romeo/x").await;
    town.carry().await;
    envelopes(&romeo);
    let juliet = two.online("juliet/y").await;
    town.carry().await;
    assert_eq!(presences(&romeo), ["juliet/y available"]);
    assert_eq!(presences(&juliet), ["juliet/y available", "romeo/x available"]);
    two.end(juliet, Vec::new()).await;
    town.carry().await;
    assert_eq!(presences(&romeo), ["juliet/y unavailable"]);
}

#[tokio::test]
async fn a_late_end_does_not_hide_the_session_that_came_after_it() {
    let (town, [one, two, three]) = Town::new().await;
    befriend(&town, &one, "romeo", "juliet").await;
    let old = one.online("juliet/y").await;
    let (near, far) = (two.online("romeo/near").await, three.online("romeo/far").await);
    town.carry().await;
    envelopes(&near);
    envelopes(&far);
    town.roads.slow.lock().insert(one.node);
    one.end(old, Vec::new()).await;
    town.carry().await;
    let new = two.online("juliet/y").await;
    town.carry().await;
    town.roads.slow.lock().clear();
    town.carry().await;
    for romeo in [&near, &far] {
        assert_eq!(presences(romeo), ["juliet/y available"], "{}", romeo.jid());
    }
    two.end(new, Vec::new()).await;
    town.carry().await;
    for romeo in [&near, &far] {
        assert_eq!(presences(romeo), ["juliet/y unavailable"], "{}", romeo.jid());
    }
}

#[tokio::test]
async fn who_gets_a_presence_knows_where_it_comes_from() {
    let (town, [one, two]) = Town::new().await;
    befriend(&town, &one, "romeo", "juliet").await;
    let _romeo = one.online("romeo/x").await;
    town.carry().await;
    let _juliet = two.online("juliet/y").await;
    let sent = town.roads.sent_by(two.node);
    let at = |what| sent.iter().position(|sent| *sent == what);
    assert!(at("available") < at("stanza") && at("available").is_some(), "{sent:?}");
}

#[tokio::test]
async fn resources_of_one_account_on_two_nodes_see_each_other() {
    let (town, [one, two]) = Town::new().await;
    let first = one.online("juliet/a").await;
    town.carry().await;
    envelopes(&first);
    let second = two.online("juliet/b").await;
    town.carry().await;
    assert_eq!(presences(&first), ["juliet/b available"]);
    assert_eq!(presences(&second), ["juliet/a available", "juliet/b available"]);
}

#[tokio::test]
async fn a_broadcast_crosses_once_per_node() {
    let (town, [one, two]) = Town::new().await;
    befriend(&town, &one, "romeo", "juliet").await;
    befriend(&town, &one, "romeo", "nurse").await;
    let mut romeo = one.online("romeo/x").await;
    let others = [
        two.online("juliet/a").await,
        two.online("juliet/b").await,
        two.online("nurse/c").await,
        two.online("romeo/d").await,
    ];
    town.carry().await;
    others.iter().for_each(|session| drop(envelopes(session)));
    let before = *town.roads.parcels.lock();
    one.send(&mut romeo, "<presence><show>away</show></presence>").await;
    town.carry().await;
    assert_eq!(*town.roads.parcels.lock(), before + 1);
    for other in &others {
        assert_eq!(presences(other), ["romeo/x available"], "{}", other.jid());
    }
}

#[tokio::test]
async fn directed_presence_and_its_end_reach_the_other_node() {
    let (town, [one, two]) = Town::new().await;
    let (mut romeo, juliet) = (one.bind("romeo/x"), two.online("juliet/y").await);
    town.carry().await;
    envelopes(&juliet);
    one.send(&mut romeo, "<presence to='juliet@hearth.example/y'/>").await;
    town.carry().await;
    assert_eq!(presences(&juliet), ["romeo/x available"]);
    one.end(romeo, Vec::new()).await;
    town.carry().await;
    assert_eq!(presences(&juliet), ["romeo/x unavailable"]);
}

#[tokio::test]
async fn a_probe_is_answered_by_the_node_that_has_the_presence() {
    let (town, [one, two]) = Town::new().await;
    befriend(&town, &one, "romeo", "juliet").await;
    let (mut romeo, _juliet) = (one.online("romeo/x").await, two.online("juliet/y").await);
    town.carry().await;
    envelopes(&romeo);
    one.send(&mut romeo, "<presence type='probe' to='juliet@hearth.example'/>").await;
    town.carry().await;
    assert_eq!(presences(&romeo), ["juliet/y available"]);
}

#[tokio::test]
async fn who_may_not_see_a_presence_does_not_get_it_from_another_node() {
    let (town, [one, two]) = Town::new().await;
    let (mut romeo, _juliet) = (one.online("romeo/x").await, two.online("juliet/y").await);
    town.carry().await;
    envelopes(&romeo);
    one.send(&mut romeo, "<presence type='probe' to='juliet@hearth.example'/>").await;
    town.carry().await;
    assert!(presences(&romeo).is_empty());
}

#[tokio::test]
async fn a_subscription_is_asked_and_granted_across_nodes() {
    let (town, [one, two]) = Town::new().await;
    let (mut romeo, mut juliet) = (one.online("romeo/x").await, two.online("juliet/y").await);
    town.carry().await;
    envelopes(&romeo);
    envelopes(&juliet);
    one.send(&mut romeo, "<presence type='subscribe' to='juliet@hearth.example'/>").await;
    town.carry().await;
    assert_eq!(presences(&juliet), ["romeo subscribe"]);
    envelopes(&romeo);
    two.send(&mut juliet, "<presence type='subscribed' to='romeo@hearth.example'/>").await;
    town.carry().await;
    let seen = inbox(&romeo);
    let has = |part: &str| seen.iter().any(|text| text.contains(part));
    assert!(has("subscription='to'") && has("type='subscribed'"), "{seen:?}");
    assert!(has("from='juliet@hearth.example/y'"), "{seen:?}");
}

#[tokio::test]
async fn a_roster_changed_on_one_node_is_pushed_and_read_anew_on_another() {
    let (town, [one, two]) = Town::new().await;
    let (mut here, mut there) = (one.online("romeo/x").await, two.online("romeo/y").await);
    town.carry().await;
    envelopes(&there);
    let set = "<iq id='s' type='set'><query xmlns='jabber:iq:roster'>\
               <item jid='nurse@hearth.example' name='Nurse'/></query></iq>";
    one.send(&mut here, set).await;
    town.carry().await;
    let pushed = inbox(&there);
    assert!(pushed.len() == 1 && pushed[0].contains("name='Nurse'"), "{pushed:?}");
    two.send(&mut there, "<iq id='r' type='get'><query xmlns='jabber:iq:roster'/></iq>").await;
    let read = inbox(&there);
    assert!(read[0].contains("name='Nurse'"), "{read:?}");
}

#[tokio::test]
async fn contacts_who_come_at_one_moment_see_each_other() {
    let (town, [one, two]) = Town::new().await;
    befriend(&town, &one, "romeo", "juliet").await;
    town.roads.mute.lock().extend([one.node, two.node]);
    let (mut romeo, juliet) = (one.online("romeo/x").await, two.online("juliet/y").await);
    town.carry().await;
    let sees = |seen: &[String], other: &str| seen.iter().any(|line| line == other);
    assert!(sees(&presences(&romeo), "juliet/y available"));
    assert!(sees(&presences(&juliet), "romeo/x available"));
    one.send(&mut romeo, "<presence type='unavailable'/>").await;
    town.carry().await;
    assert_eq!(presences(&juliet), ["romeo/x unavailable"]);
}

#[tokio::test]
async fn resources_of_one_account_that_come_at_one_moment_see_each_other() {
    let (town, [one, two]) = Town::new().await;
    town.roads.mute.lock().extend([one.node, two.node]);
    let (first, second) = (one.online("juliet/a").await, two.online("juliet/b").await);
    town.carry().await;
    assert!(presences(&first).contains(&"juliet/b available".to_owned()));
    assert!(presences(&second).contains(&"juliet/a available".to_owned()));
}

#[tokio::test]
async fn a_request_and_directed_presence_reach_who_has_just_come() {
    let (town, [one, two]) = Town::new().await;
    let mut romeo = one.online("romeo/x").await;
    town.carry().await;
    town.roads.mute.lock().insert(two.node);
    let juliet = two.online("juliet/y").await;
    envelopes(&juliet);
    one.send(&mut romeo, "<presence type='subscribe' to='juliet@hearth.example'/>").await;
    one.send(&mut romeo, "<presence to='juliet@hearth.example/y'/>").await;
    town.carry().await;
    assert_eq!(presences(&juliet), ["romeo subscribe", "romeo/x available"]);
}

#[tokio::test]
async fn an_approval_shows_a_resource_that_has_just_come() {
    let (town, [one, two]) = Town::new().await;
    let (mut romeo, mut juliet) = (one.online("romeo/x").await, one.online("juliet/y").await);
    town.carry().await;
    one.send(&mut romeo, "<presence type='subscribe' to='juliet@hearth.example'/>").await;
    town.roads.mute.lock().insert(two.node);
    let _second = two.online("juliet/z").await;
    town.carry().await;
    envelopes(&romeo);
    one.send(&mut juliet, "<presence type='subscribed' to='romeo@hearth.example'/>").await;
    let mut seen = Vec::new();
    let shown = "juliet/z available".to_owned();
    town.until("the second resource is shown", async || {
        seen.extend(presences(&romeo));
        seen.contains(&shown)
    })
    .await;
}

/// A roster set that gives the nurse a name.
fn name_nurse(name: &str) -> String {
    format!(
        "<iq id='s' type='set'><query xmlns='jabber:iq:roster'>\
         <item jid='nurse@hearth.example' name='{name}'/></query></iq>"
    )
}

/// The pushes among what the session was sent: version and name.
fn pushes(session: &Session) -> Vec<(i64, String)> {
    let part = |text: &str, name: &str| {
        let (_, rest) = text.split_once(&format!(" {name}='"))?;
        Some(rest.split_once('\'')?.0.to_owned())
    };
    let push = |text: &String| {
        let version = part(text, "ver")?.parse().unwrap();
        text.contains("id='push-").then(|| (version, part(text, "name").unwrap_or_default()))
    };
    inbox(session).iter().filter_map(push).collect()
}

#[tokio::test]
async fn a_push_reaches_who_has_just_asked_for_the_roster() {
    let (town, [one, two]) = Town::new().await;
    let mut here = one.online("romeo/x").await;
    town.carry().await;
    town.roads.mute.lock().insert(two.node);
    let there = two.online("romeo/y").await;
    envelopes(&there);
    one.send(&mut here, &name_nurse("Nurse")).await;
    town.carry().await;
    let pushed = pushes(&there);
    assert!(pushed.len() == 1 && pushed[0].1 == "Nurse", "{pushed:?}");
}

#[tokio::test]
async fn of_two_changes_on_two_nodes_every_client_ends_with_the_last() {
    let (town, [one, two, three]) = Town::new().await;
    let (mut first, mut second) = (one.online("romeo/x").await, two.online("romeo/y").await);
    let third = three.online("romeo/z").await;
    town.carry().await;
    for session in [&first, &second, &third] {
        envelopes(session);
    }
    one.send(&mut first, &name_nurse("old")).await;
    two.send(&mut second, &name_nurse("new")).await;
    // What the second node tells is there first.
    town.roads.reverse();
    town.carry().await;
    for session in [&first, &second, &third] {
        let names: Vec<_> = pushes(session).into_iter().map(|push| push.1).collect();
        assert_eq!(names.last().map(String::as_str), Some("new"), "{}: {names:?}", session.jid());
        assert!(names.iter().filter(|name| *name == "new").count() == 1, "{names:?}");
    }
    for (site, session) in [(&one, &mut first), (&two, &mut second)] {
        site.send(session, &name_nurse("newest")).await;
        site.send(session, &name_nurse("again")).await;
        town.carry().await;
    }
    let roster = one.im.roster(crate::im::testing::key("romeo")).await.unwrap();
    for session in [&first, &second, &third] {
        let after = pushes(session);
        assert_eq!(after.len(), 4, "nothing comes twice: {after:?}");
        assert!(after.is_sorted_by(|one, next| one.0 < next.0), "{after:?}");
        assert_eq!(after[3].0, roster.version);
    }
}

/// Romeo is on one node, and the other one, with his friend Juliet, is lost: whoever was to tell it has gone
/// before he did.
async fn losing_juliet() -> (Town, [Site; 2], Session) {
    let (town, [one, two]) = Town::new().await;
    befriend(&town, &one, "romeo", "juliet").await;
    let (romeo, _juliet) = (one.online("romeo/x").await, two.online("juliet/y").await);
    town.carry().await;
    envelopes(&romeo);
    town.lose(&two);
    one.nodes.drop_node(two.node, false).await;
    assert!(presences(&romeo).is_empty());
    (town, [one, two], romeo)
}

#[tokio::test]
async fn the_contacts_of_a_lost_nodes_users_learn_of_it() {
    let (_town, [one, two], romeo) = losing_juliet().await;
    one.nodes.drop_node(two.node, true).await;
    assert_eq!(presences(&romeo), ["juliet/y unavailable"]);
}

#[tokio::test]
async fn runs_without_sessions_take_no_place_among_those_to_be_told_of() {
    let (_town, [one, two], romeo) = losing_juliet().await;
    for id in 10..20 {
        one.nodes.drop_node(Node { id, incarnation: 1 }, true).await;
    }
    one.nodes.drop_node(two.node, true).await;
    assert_eq!(presences(&romeo), ["juliet/y unavailable"]);
}

#[tokio::test]
async fn who_is_back_before_it_is_told_does_not_become_unavailable() {
    let (_town, [one, two], romeo) = losing_juliet().await;
    let _back = one.online("juliet/y").await;
    envelopes(&romeo);
    one.nodes.drop_node(two.node, true).await;
    assert!(presences(&romeo).is_empty());
}

#[tokio::test]
async fn only_the_last_resource_of_all_nodes_leaves_a_last_presence() {
    let (town, [one, two]) = Town::new().await;
    let (first, second) = (one.online("juliet/a").await, two.online("juliet/b").await);
    town.carry().await;
    let key = crate::im::testing::key("juliet");
    one.end(first, Vec::new()).await;
    town.carry().await;
    assert!(one.im.last_presence(key).await.is_none());
    two.end(second, Vec::new()).await;
    town.until("it is noted", async || one.im.last_presence(key).await.is_some()).await;
}
