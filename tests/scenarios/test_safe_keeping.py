"""What the server answers for: when a sender is told that a message is safe, and that it then is."""

import pytest

from play import Stage, User, ns
from servers.database import locked
from servers.process import wait_until


def sm_client(stage: Stage, user: User):
    client = stage.login(user)
    client.enable_sm()
    return client


def wait_for_acknowledgement(client, count: int) -> None:
    wait_until(lambda: client.acknowledged() == count, f"{count} stanzas are acknowledged")


@pytest.mark.needs("databases")
def test_delivery_does_not_wait_for_the_commit_but_the_acknowledgement_does(private_server, postgres):
    stage = Stage(private_server({"archive.enabled": "true"}, postgres))
    romeo, juliet = sm_client(stage, stage.user("romeo")), stage.login(stage.user("juliet"))
    juliet.enable_sm()
    juliet.answers_acks = False
    with locked(postgres, "archive_messages, offline_messages"):
        romeo.message(juliet, "hi")
        juliet.expect_message("hi", from_=romeo)
        assert romeo.acknowledged() == 0
    wait_for_acknowledgement(romeo, 1)
    stage.close()


@pytest.mark.parametrize("recipient", ["nobody-at-all@localhost", "localhost", "romeo@elsewhere.example"])
def test_what_came_back_as_an_error_is_acknowledged(stage, recipient):
    romeo = sm_client(stage, stage.user("romeo"))
    romeo.message(recipient, "hi")
    romeo.expect(lambda stanza: stanza.get("type") == "error", f"error from {recipient}")
    wait_for_acknowledgement(romeo, 1)


@pytest.mark.parametrize("policy", ["bounce", "drop", "store", "store_and_bounce", "store_and_drop"])
@pytest.mark.needs("properties")
def test_under_every_policy_senders_are_acknowledged(private_server, policy):
    """One message exceeds the quota, another does not."""
    stage = Stage(private_server({"offline.policy": policy, "offline.quota-kb": "1"}))
    romeo, juliet = sm_client(stage, stage.user("romeo")), stage.user("juliet")
    for text in ("short", "long" * 1000):
        romeo.message(juliet, text)
    wait_for_acknowledgement(romeo, 2)
    stage.close()


def test_a_client_that_acknowledges_nothing_holds_up_no_sender(stage):
    """A copy is kept instead, and goes when the client has the message."""
    romeo, user = sm_client(stage, stage.user("romeo")), stage.user("juliet")
    juliet = sm_client(stage, user)
    juliet.answers_acks = False
    romeo.message(juliet, "hi")
    juliet.expect_message("hi", from_=romeo)
    wait_for_acknowledgement(romeo, 1)
    juliet.acknowledge()
    juliet.close()
    stage.online(user).expect_nothing()


@pytest.mark.needs("properties")
def test_two_sessions_that_never_come_back_leave_one_copy(private_server):
    stage = Stage(private_server({"c2s.resume-seconds": "1"}))
    romeo, user = sm_client(stage, stage.user("romeo")), stage.user("juliet")
    for resource in range(2):
        gone = sm_client(stage, user)
        gone.presence()
        gone.expect_presence(from_=gone)
        gone.cut()
    romeo.message(user, "hi")
    wait_for_acknowledgement(romeo, 1)
    juliet = stage.online(user)
    juliet.expect_message("hi", from_=romeo)
    wait_until(lambda: not stage.server.stored("offline_messages"), "nothing waits any more")
    assert not [stanza for stanza in juliet.inbox if ns.name(stanza) == "message"]
    stage.close()


def test_what_came_in_one_packet_with_the_end_of_the_stream_is_delivered(stage):
    romeo, juliet = stage.enter("romeo"), stage.enter("juliet")
    romeo.send(f"<message to='{juliet.jid}' type='chat'><body>bye</body></message></stream:stream>")
    juliet.expect_message("bye", from_=romeo)


def test_what_a_client_did_not_read_before_it_vanished_waits_for_the_next(stage):
    """Without stream management what the kernel took counts as delivered; the rest is kept."""
    romeo, user = stage.enter("romeo"), stage.user("juliet")
    deaf = stage.login(user)
    body = "x" * 100_000
    for number in range(100):
        romeo.message(deaf, f"{number} {body}")
    romeo.sync()
    deaf.cut()
    juliet = stage.online(user)
    assert (ns.body(juliet.expect_message(from_=romeo)) or "").endswith("x")
