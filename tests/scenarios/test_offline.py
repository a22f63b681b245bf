"""Messages for users who are away: RFC 6121 §8.5.2.2, XEP-0160, XEP-0203."""

from datetime import datetime

import pytest

from play import Login, Stage, ns


def test_messages_wait_in_order_with_a_stamp(stage):
    romeo, juliet = stage.enter("romeo"), stage.user("juliet")
    for body in ("first", "second", "third"):
        romeo.message(juliet, body)
    romeo.sync()
    client = stage.online(juliet)
    messages = [client.expect_message(from_=romeo) for _ in range(3)]
    assert [ns.body(message) for message in messages] == ["first", "second", "third"]
    stamps = [ns.child(message, ns.DELAY, "delay").get("stamp") for message in messages]
    assert stamps == sorted(stamps)
    assert datetime.fromisoformat(stamps[0].replace("Z", "+00:00")).tzinfo


def test_they_are_delivered_once(stage):
    romeo, juliet = stage.enter("romeo"), stage.user("juliet")
    romeo.message(juliet, "hi")
    romeo.sync()
    first = stage.online(juliet)
    first.expect_message("hi")
    first.close()
    stage.online(juliet).expect_nothing()


@pytest.mark.needs("strict")
def test_they_wait_for_a_priority_that_is_not_negative(stage):
    romeo, juliet = stage.enter("romeo"), stage.user("juliet")
    romeo.message(juliet, "hi")
    romeo.sync()
    client = stage.online(juliet, priority=-1)
    client.expect_nothing()
    client.presence(inside="<priority>0</priority>")
    client.expect_message("hi", from_=romeo)


def test_a_resource_that_is_not_available_gets_none(stage):
    romeo, juliet = stage.enter("romeo"), stage.user("juliet")
    client = stage.login(juliet, Login("quiet"))
    romeo.message(juliet, "hi")
    client.expect_nothing(romeo)
    client.presence()
    client.expect_message("hi", from_=romeo)


def test_a_normal_message_waits_too(stage):
    romeo, juliet = stage.enter("romeo"), stage.user("juliet")
    romeo.message(juliet, "hi", "normal")
    romeo.sync()
    stage.online(juliet).expect_message("hi", from_=romeo, kind="normal")


@pytest.mark.parametrize("kind", ["headline", "groupchat"])
def test_what_is_not_durable_does_not_wait(stage, kind):
    romeo, juliet = stage.enter("romeo"), stage.user("juliet")
    romeo.message(juliet, "hi", kind)
    romeo.sync()
    stage.online(juliet).expect_nothing()


@pytest.mark.needs("strict")
def test_a_chat_state_alone_does_not_wait(stage):
    romeo, juliet = stage.enter("romeo"), stage.user("juliet")
    romeo.message(juliet, extra="<composing xmlns='http://jabber.org/protocol/chatstates'/>")
    romeo.sync()
    stage.online(juliet).expect_nothing()


@pytest.mark.needs("strict")
def test_offline_storage_is_announced(stage):
    features = stage.enter("juliet").query(ns.DISCO_INFO, "localhost")
    assert "msgoffline" in [f.get("var") for f in features]


@pytest.mark.parametrize(
    ("policy", "kept", "bounced"),
    [
        ("bounce", [], ["1", "2"]),
        ("drop", [], []),
        ("store", ["1", "2"], []),
        ("store_and_bounce", ["1"], ["2"]),
        ("store_and_drop", ["1"], []),
    ],
)
@pytest.mark.needs("properties")
def test_the_policy_decides(private_server, policy, kept, bounced):
    """Openfire's five policies; the quota is such that one of the two messages fits."""
    stage = Stage(private_server({"offline.policy": policy, "offline.quota-kb": "1"}))
    romeo, juliet = stage.enter("romeo"), stage.user("juliet")
    texts = {number: number * 700 for number in "12"}
    for text in texts.values():
        romeo.message(juliet, text)
    romeo.sync()
    errors = [stanza for stanza in romeo.inbox if stanza.get("type") == "error"]
    client = stage.online(juliet)
    client.sync()
    received = [ns.body(stanza)[0] for stanza in client.inbox if ns.body(stanza)]
    stage.close()
    assert received == kept
    assert [ns.condition(error) for error in errors] == ["service-unavailable"] * len(bounced)
