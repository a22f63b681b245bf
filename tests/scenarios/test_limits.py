"""Clients that say nothing, want too much or never read."""

import time

import pytest

from play import Client, Login, Stage, StreamClosed, ns

pytestmark = pytest.mark.needs("properties")


def next_ping(client: Client):
    return client.expect(lambda s: ns.has(s, ns.PING, "ping"), "a ping")


def resume(stage: Stage, user, previous: Client):
    client = stage.authenticate(user)
    return client, client.resume(previous)


def test_a_connection_that_says_nothing_is_closed(private_server):
    stage = Stage(private_server({"limits.header-seconds": "1"}))
    assert stage.connect().expect_end() == "connection-timeout"
    stage.close()


def test_strangers_of_one_address_are_counted(private_server):
    stage = Stage(private_server({"limits.unauthenticated-per-address": "2"}))
    for _ in range(2):
        stage.connect("plain").open()
    with pytest.raises((StreamClosed, OSError)):
        stage.connect("plain").open()
    stage.close()


def test_who_has_signed_in_is_no_stranger(private_server):
    stage = Stage(private_server({"limits.unauthenticated-per-address": "1"}))
    juliet, romeo = stage.enter("juliet"), stage.enter("romeo")
    juliet.message(romeo, "hi")
    romeo.expect_message("hi")
    stage.close()


def test_an_account_has_so_many_sessions(private_server):
    stage = Stage(private_server({"limits.sessions-per-account": "1"}))
    juliet = stage.user("juliet")
    older = stage.login(juliet, Login("balcony"))
    one_more = stage.authenticate(juliet)
    answer = one_more.request("set", f"<bind xmlns='{ns.BIND}'><resource>garden</resource></bind>")
    assert ns.condition(answer) == "resource-constraint"
    # Taking the place of one is not one more.
    one_more.bind("balcony")
    assert older.expect_end() == "conflict"
    stage.close()


def test_a_silent_client_is_asked_and_then_closed(private_server):
    stage = Stage(private_server({"c2s.idle-seconds": "2"}))
    juliet = stage.login(stage.user("juliet"))
    assert next_ping(juliet).get("from") == "localhost"
    assert juliet.expect_end() == "connection-timeout"
    stage.close()


def test_a_client_that_answers_is_not_silent(private_server):
    stage = Stage(private_server({"c2s.idle-seconds": "2"}))
    juliet = stage.login(stage.user("juliet"))
    for _ in range(4):
        juliet.send(f"<iq type='result' id='{next_ping(juliet).get('id')}' to='localhost'/>")
    juliet.expect_nothing(besides=lambda s: ns.has(s, ns.PING, "ping"))
    stage.close()


def test_a_client_that_fell_silent_may_come_back(private_server):
    stage = Stage(private_server({"c2s.idle-seconds": "2"}))
    user = stage.user("juliet")
    juliet = stage.login(user)
    juliet.enable_sm()
    juliet.answers_acks = False
    next_ping(juliet)
    assert juliet.expect_end() == "connection-timeout"
    _, answer = resume(stage, user, juliet)
    assert ns.name(answer) == "resumed"
    stage.close()


def test_a_client_that_does_not_read_may_come_back_elsewhere(private_server):
    """What the old connection did not take is taken from it, in order."""
    stage = Stage(private_server({"limits.mailbox-kb": "100000"}))
    romeo, user = stage.enter("romeo"), stage.user("juliet")
    juliet = stage.login(user)
    juliet.enable_sm()
    count, body = 500, "x" * 40_000
    for number in range(count):
        romeo.message(juliet, f"{number} {body}")
    romeo.sync()
    again, answer = resume(stage, user, juliet)
    assert ns.name(answer) == "resumed"
    numbers = [int(ns.body(again.expect_message(from_=romeo)).split()[0]) for _ in range(count)]
    stage.close()
    assert numbers == list(range(count))


@pytest.mark.parametrize("sessions", [1, 2], ids=["one session", "two sessions"])
def test_who_sends_faster_than_his_account_may_is_read_later(private_server, sessions):
    """Nothing is refused or lost. All sessions of the account pay, nobody else does."""
    rate, burst = 4, 40
    stage = Stage(private_server({"limits.stanzas-per-second": str(rate)}))
    user, romeo = stage.user("juliet"), stage.enter("romeo")
    juliets = [stage.login(user, Login(f"balcony-{n}")) for n in range(sessions)]
    began, count = time.monotonic(), burst + 2 * rate
    for number in range(count):
        juliets[number % sessions].message(romeo, f"number {number}")
    for juliet in juliets:
        juliet.sync()
        juliet.sync()
    # How fast it is at most, is all that a clock can tell for sure.
    assert time.monotonic() - began > (count - burst) / rate - 0.5
    for number in range(count):
        romeo.expect_message(f"number {number}", from_=juliets[number % sessions])
    for _ in range(burst // 2):
        romeo.sync()
    stage.close()


def test_octets_have_a_rate_too(private_server):
    stage = Stage(private_server({"limits.kb-per-second": "20"}))
    juliet, romeo = stage.login(stage.user("juliet")), stage.enter("romeo")
    began = time.monotonic()
    for _ in range(6):
        juliet.message(romeo, "x" * 40_000)
    juliet.sync()
    juliet.sync()
    assert time.monotonic() - began > 1
    for _ in range(6):
        romeo.expect_message(from_=juliet)
    stage.close()


def test_strangers_behind_a_load_balancer_are_told_apart(private_server):
    server = private_server({"limits.unauthenticated-per-address": "1"}, start=False)
    config = server.home / "hearth.toml"
    config.write_text(config.read_text().replace("proxy_protocol = false", "proxy_protocol = true"))
    stage = Stage(server.start())
    for source in ("192.0.2.1", "192.0.2.2"):
        stranger = stage.connect("plain")
        stranger.send(f"PROXY TCP4 {source} 192.0.2.9 40000 5222\r\n")
        stranger.open()
    one_too_many = stage.connect("plain")
    with pytest.raises((StreamClosed, OSError)):
        one_too_many.send("PROXY TCP4 192.0.2.2 192.0.2.9 40001 5222\r\n")
        one_too_many.open()
    unannounced = stage.connect("plain")
    with pytest.raises((StreamClosed, OSError)):
        unannounced.open()
    stage.close()
