"""Presence: RFC 6121 §4."""

import pytest


@pytest.fixture
def friends(stage):
    """Romeo and Juliet, subscribed to each other."""
    friends = stage.enter("romeo"), stage.enter("juliet")
    stage.befriend(*friends)
    return friends


def test_contacts_see_initial_presence(stage):
    romeo, juliet = stage.enter("romeo"), stage.user("juliet")
    client = stage.online(juliet)
    stage.befriend(romeo, client)
    second = stage.online(juliet, "second")
    romeo.expect_presence(from_=second)


def test_a_newcomer_sees_who_is_there(stage, friends):
    """RFC 6121 §4.3: the server probes on the user's behalf."""
    romeo, juliet = friends
    user = stage.user("paris")
    paris = stage.online(user)
    stage.befriend(paris, juliet)
    paris.close()
    juliet.expect_presence("unavailable", from_=paris)
    stage.online(user).expect_presence(from_=juliet)


def test_own_resources_see_each_other(stage):
    user = stage.user("juliet")
    phone = stage.online(user, "phone")
    tablet = stage.online(user, "tablet")
    phone.expect_presence(from_=tablet)
    tablet.expect_presence(from_=phone)


def test_changes_reach_contacts_with_their_content(friends):
    romeo, juliet = friends
    romeo.presence(inside="<show>away</show><status>at the &lt;ball&gt;</status><priority>5</priority>")
    seen = juliet.expect_presence(from_=romeo)
    texts = [child.text for child in seen if child.tag.rpartition("}")[2] in ("show", "status", "priority")]
    assert texts == ["away", "at the <ball>", "5"]


def test_strangers_see_nothing(stage):
    romeo, juliet = stage.enter("romeo"), stage.enter("juliet")
    romeo.presence(inside="<show>dnd</show>")
    juliet.expect_nothing(romeo)


def test_the_last_presence_answers_a_probe(stage, friends):
    romeo, juliet = friends
    romeo.presence(inside="<status>masked</status>")
    juliet.expect_presence(from_=romeo)
    juliet.presence("probe", to=romeo.bare)
    answer = juliet.expect_presence(from_=romeo)
    assert answer.findtext("{jabber:client}status") == "masked"


def test_a_probe_of_a_stranger_tells_nothing(stage):
    romeo, juliet = stage.enter("romeo"), stage.enter("juliet")
    romeo.presence("probe", to=juliet.bare)
    romeo.expect_nothing(besides=lambda s: s.get("type") == "unsubscribed")


def test_directed_presence_reaches_a_stranger(stage):
    romeo, juliet = stage.enter("romeo"), stage.enter("juliet")
    romeo.presence(to=juliet.jid, inside="<status>hello</status>")
    juliet.expect_presence(from_=romeo)


def test_who_got_directed_presence_hears_of_the_end(stage):
    """RFC 6121 §4.6.3."""
    romeo, juliet = stage.enter("romeo"), stage.enter("juliet")
    romeo.presence(to=juliet.jid)
    juliet.expect_presence(from_=romeo)
    romeo.cut()
    juliet.expect_presence("unavailable", from_=romeo)


def test_directed_unavailable_ends_it(stage):
    romeo, juliet = stage.enter("romeo"), stage.enter("juliet")
    romeo.presence(to=juliet.jid)
    juliet.expect_presence(from_=romeo)
    romeo.presence("unavailable", to=juliet.jid)
    juliet.expect_presence("unavailable", from_=romeo)
    romeo.presence("unavailable")
    juliet.expect_nothing(romeo)


def say_unavailable(client):
    client.presence("unavailable")


def end_the_stream(client):
    client.close()


def reset_the_connection(client):
    client.cut()


def end_by_error(client):
    client.send("<broken></xml>")


@pytest.mark.parametrize("leave", [say_unavailable, end_the_stream, reset_the_connection, end_by_error])
def test_contacts_hear_of_every_way_to_leave(friends, leave):
    romeo, juliet = friends
    leave(romeo)
    juliet.expect_presence("unavailable", from_=romeo)
    juliet.expect_nothing()


def test_a_replaced_session_does_not_leave_twice(stage, friends):
    """The same resource bound anew: contacts see the newcomer's presence last."""
    romeo, juliet = friends
    user = stage.user("paris")
    paris = stage.online(user, "home")
    stage.befriend(paris, juliet)
    again = stage.online(user, "home")
    juliet.expect_presence("unavailable", from_=again)
    juliet.expect_presence(from_=again)
    juliet.expect_nothing(again)


def test_one_resource_leaves_the_other_stays(stage, friends):
    _, juliet = friends
    user = stage.user("paris")
    phone = stage.online(user, "phone")
    stage.befriend(phone, juliet)
    tablet = stage.online(user, "tablet")
    juliet.expect_presence(from_=tablet)
    phone.close()
    juliet.expect_presence("unavailable", from_=phone)
    juliet.expect_nothing(tablet)


@pytest.mark.needs("strict")
def test_a_priority_out_of_range_is_refused(stage):
    """RFC 6121 §4.7.2.3: -128 to 127."""
    juliet = stage.login(stage.user("juliet"))
    juliet.presence(inside="<priority>128</priority>")
    juliet.expect_error("bad-request")


@pytest.mark.parametrize("kind", [None, "unavailable", "probe", "error"])
def test_presence_for_the_server_itself_is_ignored(stage, kind):
    """RFC 6120 §10.5.1: it is handled, by nothing."""
    romeo = stage.enter("romeo")
    romeo.presence(kind, to="localhost")
    romeo.expect_nothing()
