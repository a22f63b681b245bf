"""Securing and authenticating a stream: RFC 6120 §5-§7."""

import base64
import contextlib
import hashlib
from datetime import UTC, datetime, timedelta

import pytest

from play import Login, Stage, ns
from play.client import refused
from play.sasl import Scram, fields

MECHANISMS = [
    "SCRAM-SHA-1",
    "SCRAM-SHA-256",
    pytest.param("SCRAM-SHA-512", marks=pytest.mark.needs("SCRAM-SHA-512")),
    "PLAIN",
]


@pytest.mark.parametrize("transport", ["starttls", "tls"])
@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_a_user_logs_in(stage, transport, mechanism):
    juliet = stage.user("juliet")
    client = stage.login(juliet, Login("balcony", transport, mechanism))
    assert client.jid == f"{juliet}/balcony"


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_a_wrong_password_is_refused(stage, mechanism):
    client = stage.connect()
    client.negotiate_tls()
    login = Login(mechanism=mechanism)
    assert refused(lambda: client.authenticate(stage.user("juliet").name, "wrong", login)) == "not-authorized"


@pytest.mark.parametrize("mechanism", MECHANISMS)
@pytest.mark.needs("strict")
def test_an_unknown_user_looks_like_a_wrong_password(stage, mechanism):
    client = stage.connect()
    client.negotiate_tls()
    assert (
        refused(lambda: client.authenticate("nobody-at-all", "x", Login(mechanism=mechanism)))
        == "not-authorized"
    )


@pytest.mark.needs("strict")
def test_an_unknown_user_keeps_his_salt(stage):
    """ATTACKS 13: a salt that changes from try to try tells that the account does not exist."""
    salts = {first_challenge(stage, "nobody-at-all")["s"] for _ in range(2)}
    assert len(salts) == 1


@pytest.mark.needs("strict")
def test_the_offer_is_told_again_under_the_proof(stage):
    """ATTACKS 12, XEP-0474: who shortened the features cannot shorten this, too."""
    client = stage.connect()
    features = client.negotiate_tls()
    mechanisms = [m.text or "" for m in ns.child(features, ns.SASL, "mechanisms")]
    bindings = [b.get("type", "") for b in ns.child(features, "urn:xmpp:sasl-cb:0", "sasl-channel-binding")]
    offer = "\x1e".join(sorted(mechanisms)) + "\x1f" + "\x1e".join(sorted(bindings))
    expected = base64.b64encode(hashlib.sha256(offer.encode()).digest()).decode()
    challenge = start_scram(client, stage.user("juliet").name)
    assert fields(base64.b64decode(challenge.text or "").decode())["h"] == expected


@pytest.mark.needs("strict")
def test_a_client_that_saw_no_channel_binding_is_stopped(stage):
    """ATTACKS 12, RFC 5802 §6: it was offered, so somebody took it away."""
    client = stage.connect()
    client.negotiate_tls()
    first = base64.b64encode(f"y,,n={stage.user('juliet').name},r=abc".encode()).decode()
    client.send(f"<auth xmlns='{ns.SASL}' mechanism='SCRAM-SHA-256'>{first}</auth>")
    assert ns.condition(client.next_element(), ns.SASL) == "not-authorized"


def test_the_server_nonce_is_fresh(stage):
    juliet = stage.user("juliet")
    assert first_challenge(stage, juliet.name)["r"] != first_challenge(stage, juliet.name)["r"]


def test_a_login_may_be_tried_again_on_the_same_stream(stage):
    """RFC 6120 §6.4.5: a failure does not end the stream."""
    juliet = stage.user("juliet")
    client = stage.connect()
    client.negotiate_tls()
    assert refused(lambda: client.authenticate(juliet.name, "wrong", Login())) == "not-authorized"
    client.authenticate(juliet.name, juliet.password, Login())


def test_no_mechanism_is_offered_before_tls(stage):
    features = stage.connect("starttls").open()
    assert not ns.has(features, ns.SASL, "mechanisms")
    assert ns.has(ns.child(features, ns.TLS, "starttls"), ns.TLS, "required")


def test_plain_is_refused_without_tls(stage):
    juliet = stage.user("juliet")
    client = stage.connect("plain")
    client.open()
    login = Login(transport="plain", mechanism="PLAIN")
    reason = refused(lambda: client.authenticate(juliet.name, juliet.password, login))
    assert reason in ("encryption-required", "invalid-mechanism", "policy-violation", "not-authorized")


@pytest.mark.parametrize("mechanism", ["X-UNKNOWN", "ANONYMOUS", "EXTERNAL", "DIGEST-MD5", "plain"])
def test_a_mechanism_that_was_not_offered_is_refused(stage, mechanism):
    """ATTACKS 11."""
    client = stage.connect()
    client.negotiate_tls()
    client.send(f"<auth xmlns='{ns.SASL}' mechanism='{mechanism}'>=</auth>")
    assert ns.condition(client.next_element(), ns.SASL) == "invalid-mechanism"


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256"])
@pytest.mark.needs("strict")
def test_nobody_acts_for_another(stage, mechanism):
    """ATTACKS 9: the authorisation identity must be the account itself."""
    mallory, victim = stage.user("mallory"), stage.user("victim")
    client = stage.connect()
    client.negotiate_tls()
    login = Login(mechanism=mechanism, authzid=victim.jid)
    reason = refused(lambda: client.authenticate(mallory.name, mallory.password, login))
    assert reason in ("invalid-authzid", "not-authorized")


def test_broken_base64_is_named(stage):
    client = stage.connect()
    client.negotiate_tls()
    client.send(f"<auth xmlns='{ns.SASL}' mechanism='PLAIN'>***</auth>")
    assert ns.condition(client.next_element(), ns.SASL) in ("incorrect-encoding", "malformed-request")


def test_an_aborted_exchange_is_answered(stage):
    client = stage.connect()
    client.negotiate_tls()
    start_scram(client, stage.user("juliet").name)
    client.send(f"<abort xmlns='{ns.SASL}'/>")
    assert ns.condition(client.next_element(), ns.SASL) == "aborted"


def test_the_later_login_takes_the_resource(stage):
    """RFC 6120 §7.7.2.2, as Openfire's default: the older session ends with <conflict/>."""
    juliet = stage.user("juliet")
    older = stage.login(juliet, Login("balcony"))
    newer = stage.login(juliet, Login("balcony"))
    assert newer.jid == older.jid
    assert older.expect_end() == "conflict"


@pytest.mark.needs("properties")
def test_the_earlier_login_keeps_the_resource_where_the_property_says_so(private_server):
    """RFC 6120 §7.7.2.2, the other policy: the newer session is refused and may ask for another resource."""
    stage = Stage(private_server({"c2s.resource-conflict": "refuse"}))
    juliet = stage.user("juliet")
    older = stage.login(juliet, Login("balcony"))
    newer = stage.authenticate(juliet)
    refusal = newer.request("set", f"<bind xmlns='{ns.BIND}'><resource>balcony</resource></bind>")
    assert ns.condition(refusal) == "conflict"
    newer.bind("chamber")
    older.sync()


def test_the_server_chooses_a_resource(stage):
    juliet = stage.user("juliet")
    resources = {stage.login(juliet).jid.partition("/")[2] for _ in range(2)}
    assert len(resources) == 2 and "" not in resources


@pytest.mark.needs("strict")
def test_a_stanza_before_bind_is_refused(stage):
    client = stage.authenticate(stage.user("juliet"))
    client.message("romeo@localhost", "too early")
    assert client.expect_end() == "not-authorized"


@pytest.mark.needs("strict")
def test_a_stanza_before_login_is_refused(stage):
    client = stage.connect()
    client.negotiate_tls()
    client.message("romeo@localhost", "too early")
    assert client.expect_end() == "not-authorized"


def test_an_unknown_host_is_refused(stage):
    client = stage.connect()
    assert refused(lambda: client.open(to="elsewhere.example")) == "host-unknown"


@pytest.mark.needs("strict")
def test_the_host_stays_for_the_whole_stream(stage):
    """ATTACKS 10: a stream that restarts for another host is not the one that logged in."""
    juliet = stage.user("juliet")
    client = stage.connect()
    client.negotiate_tls()
    client.prove(juliet.name, juliet.password, Login())
    assert refused(lambda: client.open(to="elsewhere.example")) in ("host-unknown", "not-authorized")


def test_what_is_pipelined_behind_starttls_has_no_effect(stage):
    """ATTACKS 6: bytes sent in the clear must not be taken as said under TLS."""
    client = stage.connect("starttls")
    client.open()
    injected = f"<auth xmlns='{ns.SASL}' mechanism='PLAIN'>AGEAYg==</auth>"
    client.send(f"<starttls xmlns='{ns.TLS}'/>{injected}")
    answers_in_the_clear_or_drops(client)


def test_compression_is_not_offered(stage):
    """ATTACKS 5: XEP-0138 is deliberately absent."""
    features = stage.authenticate(stage.user("juliet")).features
    assert not ns.has(features, "http://jabber.org/features/compress", "compression")


@pytest.mark.needs("strict")
def test_a_huge_nonce_is_refused(stage):
    """ATTACKS 13: bounded before anything is derived from it."""
    client = stage.connect()
    client.negotiate_tls()
    first = base64.b64encode(b"n,,n=juliet,r=" + b"x" * 1_000_000).decode()
    with contextlib.suppress(OSError):
        client.send(f"<auth xmlns='{ns.SASL}' mechanism='SCRAM-SHA-256'>{first}</auth>")
    assert client.expect_end() == "policy-violation"


def answers_in_the_clear_or_drops(client):
    """Either the server gives up the connection, or TLS starts on a clean state."""
    try:
        assert ns.name(client.next_element()) == "proceed"
        client.start_tls()
        features = client.open()
    except (OSError, AssertionError):
        return
    assert ns.has(features, ns.SASL, "mechanisms")


def start_scram(client, name):
    exchange = Scram("SCRAM-SHA-256", name, "x")
    client.send(f"<auth xmlns='{ns.SASL}' mechanism='SCRAM-SHA-256'>{exchange.first()}</auth>")
    return client.next_element()


def first_challenge(stage, name):
    client = stage.connect()
    client.negotiate_tls()
    return fields(base64.b64decode(start_scram(client, name).text or "").decode())


@pytest.mark.needs("command line")
def test_a_lock_out_that_begins_later_ends_the_sessions_then(stage):
    romeo = stage.user("romeo")
    client = stage.online(romeo)
    begin = datetime.now(UTC) + timedelta(seconds=2)
    stage.server.api("PUT", f"/users/{romeo.name}/lock", {"from": begin.isoformat(timespec="seconds")})
    client.sync()
    client.expect_end()
    assert datetime.now(UTC) >= begin - timedelta(seconds=1)
    assert refused(lambda: stage.login(romeo)) is not None
