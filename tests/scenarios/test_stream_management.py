"""Acknowledgements and resumption: XEP-0198."""

from itertools import pairwise

import pytest

from play import Login, Stage, StreamClosed, ns
from servers.process import wait_until


def with_sm(stage, user, resource=None):
    client = stage.login(user, Login(resource))
    client.enable_sm()
    client.presence()
    client.expect_presence(from_=client)
    return client


@pytest.fixture
def pair(stage):
    """Romeo, and Juliet with stream management."""
    return stage.enter("romeo"), with_sm(stage, stage.user("juliet"))


def resume(stage, user, previous, h=None):
    """A new connection that asks to go on; the client and the answer."""
    client = stage.authenticate(user)
    return client, client.resume(previous, h)


def test_it_is_offered_behind_login(stage):
    assert ns.has(stage.authenticate(stage.user("juliet")).features, ns.SM, "sm")


def test_enabling_before_bind_fails(stage):
    client = stage.authenticate(stage.user("juliet"))
    client.send(f"<enable xmlns='{ns.SM}'/>")
    assert ns.name(client.next_element()) == "failed"


def test_enabling_twice_fails(stage):
    client = with_sm(stage, stage.user("juliet"))
    client.send(f"<enable xmlns='{ns.SM}' resume='true'/>")
    try:
        assert ns.name(client.expect(lambda s: s.tag.startswith(f"{{{ns.SM}}}"), "<failed/>")) == "failed"
    except StreamClosed:
        pass


def test_the_server_counts_stanzas(stage):
    """Everything of the three kinds, nothing else; since <enable/>."""
    juliet = stage.login(stage.user("juliet"))
    juliet.enable_sm()
    juliet.presence()
    juliet.message("nobody-at-all@localhost", "hi", "headline")
    juliet.sync()
    assert juliet.acknowledged() == 3


def test_a_request_right_behind_something_that_takes_time_is_answered(stage):
    """The probed account is not in memory: the server must look it up."""
    juliet, romeo = with_sm(stage, stage.user("juliet")), stage.user("romeo")
    juliet.send(f"<presence type='probe' to='{romeo}'/><r xmlns='{ns.SM}'/>")
    juliet.expect(lambda s: s.tag == f"{{{ns.SM}}}a", "<a/>")


@pytest.mark.needs("strict")
def test_a_recipient_that_does_not_read_holds_up_no_acknowledgement(stage):
    """More than the kernel takes waits for Juliet; copies of it are kept instead."""
    romeo, juliet = with_sm(stage, stage.user("romeo")), stage.enter("juliet")
    for _ in range(200):
        romeo.message(juliet, "x" * 60_000)
    wait_until(lambda: romeo.acknowledged() == 201, "all messages are acknowledged")


@pytest.mark.needs("strict")
def test_the_server_asks_for_acknowledgement(pair):
    romeo, juliet = pair
    # Answers what is asked so far: nothing is asked twice at a time.
    juliet.sync()
    romeo.message(juliet, "hi")
    while juliet.next_element().tag != f"{{{ns.SM}}}r":
        pass


@pytest.mark.needs("strict")
def test_acknowledging_more_than_was_sent_ends_the_stream(pair):
    """XEP-0198 §4: an h above what was sent is a stream error."""
    _, juliet = pair
    juliet.acknowledge(h=1000)
    assert juliet.expect_end() == "undefined-condition"


def test_a_cut_session_is_resumed_and_loses_nothing(stage):
    romeo, user = stage.enter("romeo"), stage.user("juliet")
    juliet = with_sm(stage, user)
    romeo.message(juliet, "seen")
    juliet.expect_message("seen")
    juliet.cut()
    romeo.message(juliet, "while away")
    romeo.sync()
    again, answer = resume(stage, user, juliet)
    assert ns.name(answer) == "resumed" and answer.get("previd") == juliet.resumption
    again.expect_message("while away", from_=romeo)
    again.expect_nothing(romeo)


def test_what_was_not_acknowledged_comes_again(stage):
    romeo, user = stage.enter("romeo"), stage.user("juliet")
    juliet = with_sm(stage, user)
    juliet.answers_acks = False
    before = juliet.handled
    for body in ("one", "two", "three"):
        romeo.message(juliet, body)
        juliet.expect_message(body)
    juliet.cut()
    again, _ = resume(stage, user, juliet, h=before + 1)
    assert [ns.body(again.expect_message(from_=romeo)) for _ in range(2)] == ["two", "three"]


def test_the_answer_says_what_the_server_has(stage):
    user = stage.user("juliet")
    juliet = stage.login(user)
    juliet.enable_sm()
    for number in range(3):
        juliet.message("nobody-at-all@localhost", str(number), "headline")
    assert juliet.acknowledged() == 3
    juliet.cut()
    _, answer = resume(stage, user, juliet)
    assert answer.get("h") == "3"


def test_contacts_do_not_notice_a_resumption(stage):
    romeo, user = stage.enter("romeo"), stage.user("juliet")
    juliet = with_sm(stage, user)
    stage.befriend(romeo, juliet)
    juliet.cut()
    again, answer = resume(stage, user, juliet)
    assert ns.name(answer) == "resumed"
    romeo.expect_nothing(again)


def test_a_session_still_connected_can_be_resumed_elsewhere(stage):
    user = stage.user("juliet")
    juliet = with_sm(stage, user)
    _, answer = resume(stage, user, juliet)
    assert ns.name(answer) == "resumed"
    juliet.expect_end()


def test_nobody_else_can_resume_it(stage):
    """ATTACKS 29."""
    juliet = with_sm(stage, stage.user("juliet"))
    juliet.cut()
    _, answer = resume(stage, stage.user("mallory"), juliet)
    assert ns.name(answer) == "failed"


def test_the_ids_of_sessions_cannot_be_guessed(stage):
    """ATTACKS 14: 128 bits or more, and none like another, behind what names the node."""
    user = stage.user("juliet")
    ids = [(with_sm(stage, user).resumption or "").rpartition(".")[2] for _ in range(20)]
    assert len(set(ids)) == len(ids) and all(len(set(id)) > 8 and len(id) >= 22 for id in ids)
    shared = [sum(a == b for a, b in zip(one, other, strict=True)) for one, other in pairwise(ids)]
    assert sum(shared) < len(ids[0]) * len(ids) / 8, ids


def test_an_unknown_id_fails_and_bind_still_works(stage):
    user = stage.user("juliet")
    juliet = with_sm(stage, user)
    juliet.resumption = "no-such-session"
    client, answer = resume(stage, user, juliet)
    assert ns.name(answer) == "failed"
    client.bind("fresh")


def test_a_wrong_h_at_resumption_is_refused(stage):
    """ATTACKS 28: nobody acknowledges what was never sent."""
    user = stage.user("juliet")
    juliet = with_sm(stage, user)
    juliet.cut()
    try:
        _, answer = resume(stage, user, juliet, h=1_000_000)
    except StreamClosed:
        return
    assert ns.name(answer) == "failed"


def test_an_orderly_close_cannot_be_resumed(stage):
    user = stage.user("juliet")
    juliet = with_sm(stage, user)
    juliet.send("</stream:stream>")
    juliet.expect_disconnect()
    _, answer = resume(stage, user, juliet)
    assert ns.name(answer) == "failed"


def test_an_orderly_close_gives_back_what_was_not_acknowledged(stage):
    romeo, user = stage.enter("romeo"), stage.user("juliet")
    juliet = with_sm(stage, user)
    juliet.answers_acks = False
    romeo.message(juliet, "unseen")
    juliet.expect_message("unseen")
    juliet.send("</stream:stream>")
    juliet.expect_disconnect()
    stage.online(user).expect_message("unseen", from_=romeo)


@pytest.mark.needs("properties")
def test_after_the_time_out_messages_wait_offline(private_server):
    stage = Stage(private_server({"c2s.resume-seconds": "1"}))
    romeo, user = stage.enter("romeo"), stage.user("juliet")
    juliet = with_sm(stage, user)
    stage.befriend(romeo, juliet)
    juliet.answers_acks = False
    romeo.message(juliet, "unseen")
    juliet.expect_message("unseen")
    juliet.cut()
    romeo.expect_presence("unavailable", from_=juliet)
    again = stage.online(user)
    again.expect_message("unseen", from_=romeo)
    again.expect_nothing(besides=lambda s: ns.name(s) == "presence")
    stage.close()


@pytest.mark.needs("properties")
def test_a_stalled_reader_is_detached_and_loses_nothing(private_server):
    """Its queue is bounded; what was durable is kept for it, its senders never wait. What was not is
    lost to it, so that the client begins anew."""
    settings = {"limits.mailbox-kb": "1024", "offline.quota-kb": "100000"}
    stage = Stage(private_server(settings))
    romeo, user = stage.enter("romeo"), stage.user("juliet")
    juliet = with_sm(stage, user)
    count, body = 3000, "x" * 10_000
    for number in range(count):
        romeo.message(juliet, f"{number} {body}")
        if number % 50 == 0:
            romeo.sync()
    romeo.sync()
    juliet.cut()
    again, answer = resume(stage, user, juliet)
    assert (ns.name(answer), answer.get("h")) == ("failed", "1")
    again.bind("balcony")
    again.presence()
    numbers = [int(ns.body(again.expect_message(from_=romeo)).split()[0]) for _ in range(count)]
    stage.close()
    assert numbers == list(range(count))
