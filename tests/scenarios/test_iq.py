"""IQ rules (RFC 6120 §8.2.3, RFC 6121 §8.5) and the small XEPs that every client asks for."""

import re
from datetime import datetime

import pytest

from play import ns

UNKNOWN = "<query xmlns='urn:example:unknown'/>"


def test_an_iq_to_a_full_jid_is_delivered_and_answered(stage):
    romeo, juliet = stage.enter("romeo"), stage.enter("juliet")
    identity = romeo.send_request("get", "<query xmlns='urn:example:q'/>", juliet)
    asked = juliet.expect(lambda s: s.get("type") == "get", "the question")
    assert (asked.get("from"), asked.get("id")) == (romeo.jid, identity)
    juliet.send(f"<iq type='result' id='{identity}' to='{romeo.jid}'><query xmlns='urn:example:q'/></iq>")
    romeo.expect(lambda s: s.get("id") == identity and s.get("from") == juliet.jid, "the answer")


@pytest.mark.parametrize("to", [None, "localhost", "own"])
def test_an_unknown_namespace_is_unavailable(stage, to):
    juliet = stage.enter("juliet")
    answer = juliet.request("get", UNKNOWN, juliet.bare if to == "own" else to)
    assert ns.condition(answer) == "service-unavailable"


def test_an_iq_to_a_bare_jid_is_answered_by_the_server(stage):
    """RFC 6121 §8.5.2.1.3: never delivered to a resource."""
    romeo, juliet = stage.enter("romeo"), stage.enter("juliet")
    answer = romeo.request("get", UNKNOWN, juliet.bare)
    assert (ns.condition(answer), answer.get("from")) == ("service-unavailable", juliet.bare)
    juliet.expect_nothing(romeo)


@pytest.mark.parametrize("kind", ["get", "set"])
def test_an_iq_to_a_gone_resource_is_unavailable(stage, kind):
    romeo, juliet = stage.enter("romeo"), stage.enter("juliet")
    answer = romeo.request(kind, UNKNOWN, f"{juliet.bare}/gone")
    assert ns.condition(answer) == "service-unavailable"


def test_unknown_and_offline_users_look_the_same(stage):
    """RFC 6121 §8.5.1: nobody learns by an IQ who has an account."""
    romeo, juliet = stage.enter("romeo"), stage.user("juliet")
    conditions = [
        ns.condition(romeo.request("get", UNKNOWN, to)) for to in (juliet, "nobody-at-all@localhost")
    ]
    assert conditions == ["service-unavailable"] * 2


@pytest.mark.parametrize(
    "iq",
    [
        "<iq type='get' id='x1' to='localhost'/>",
        f"<iq type='odd' id='x1' to='localhost'>{UNKNOWN}</iq>",
        f"<iq type='get' id='x1' to='localhost'>{UNKNOWN}{UNKNOWN}</iq>",
        f"<iq id='x1' to='localhost'>{UNKNOWN}</iq>",
    ],
    ids=["no child", "odd type", "two children", "no type"],
)
@pytest.mark.needs("strict")
def test_a_malformed_iq_is_a_bad_request(stage, iq):
    juliet = stage.enter("juliet")
    juliet.send(iq)
    assert juliet.expect_error("bad-request").get("id") == "x1"


def test_the_server_answers_a_ping(stage):
    assert (
        stage.enter("juliet").request("get", f"<ping xmlns='{ns.PING}'/>", "localhost").get("type")
        == "result"
    )


def test_the_account_answers_a_ping(stage):
    juliet = stage.enter("juliet")
    assert juliet.request("get", f"<ping xmlns='{ns.PING}'/>", juliet.bare).get("type") == "result"


def test_the_server_says_what_it_is(stage):
    info = stage.enter("juliet").query(ns.DISCO_INFO, "localhost")
    identities = [(i.get("category"), i.get("type")) for i in info.iter(f"{{{ns.DISCO_INFO}}}identity")]
    features = {f.get("var") for f in info.iter(f"{{{ns.DISCO_INFO}}}feature")}
    assert ("server", "im") in identities
    assert {ns.DISCO_INFO, ns.DISCO_ITEMS, ns.PING, ns.VERSION, ns.TIME, ns.LAST} <= features


@pytest.mark.needs("strict")
def test_the_account_says_what_it_is(stage):
    juliet = stage.enter("juliet")
    info = juliet.query(ns.DISCO_INFO, juliet.bare)
    assert ("account", "registered") in [(i.get("category"), i.get("type")) for i in info]


def test_a_stranger_learns_nothing_from_disco(stage):
    romeo, juliet = stage.enter("romeo"), stage.enter("juliet")
    answer = romeo.request("get", f"<query xmlns='{ns.DISCO_INFO}'/>", juliet.bare)
    assert ns.condition(answer) in ("service-unavailable", "subscription-required")


def test_disco_items_are_listed(stage):
    stage.enter("juliet").query(ns.DISCO_ITEMS, "localhost")


@pytest.mark.needs("strict")
def test_an_unknown_disco_node_is_not_found(stage):
    answer = stage.enter("juliet").request(
        "get", f"<query xmlns='{ns.DISCO_INFO}' node='urn:example:none'/>", "localhost"
    )
    assert ns.condition(answer) == "item-not-found"


@pytest.mark.needs("strict")
def test_the_capabilities_of_the_server_match_its_disco(stage):
    """XEP-0115 §6.1: the stream feature names a node whose disco gives the same features."""
    juliet = stage.authenticate(stage.user("juliet"))
    caps = ns.child(juliet.features, ns.CAPS, "c")
    juliet.bind()
    node = f"{caps.get('node')}#{caps.get('ver')}"
    answer = juliet.request("get", f"<query xmlns='{ns.DISCO_INFO}' node='{node}'/>", "localhost")
    plain = juliet.query(ns.DISCO_INFO, "localhost")
    of_node = {f.get("var") for f in ns.child(answer, ns.DISCO_INFO, "query")}
    assert of_node == {f.get("var") for f in plain}


def test_the_version_is_told(stage):
    version = stage.enter("juliet").query(ns.VERSION, "localhost")
    assert version.findtext(f"{{{ns.VERSION}}}name") and version.findtext(f"{{{ns.VERSION}}}version")


def test_the_time_is_told(stage):
    answer = stage.enter("juliet").request("get", f"<time xmlns='{ns.TIME}'/>", "localhost")
    time = ns.child(answer, ns.TIME, "time")
    datetime.strptime(time.findtext(f"{{{ns.TIME}}}utc")[:19], "%Y-%m-%dT%H:%M:%S")
    assert re.fullmatch(r"[+-]\d\d:\d\d|Z", time.findtext(f"{{{ns.TIME}}}tzo"))


def test_the_uptime_is_told(stage):
    last = stage.enter("juliet").query(ns.LAST, "localhost")
    assert int(last.get("seconds")) >= 0


def test_last_activity_is_told_to_a_subscriber(stage):
    """XEP-0012 §4: seconds since the contact was there, with the last status."""
    romeo, user = stage.enter("romeo"), stage.user("juliet")
    juliet = stage.online(user)
    stage.befriend(romeo, juliet)
    juliet.presence("unavailable", inside="<status>asleep</status>")
    romeo.expect_presence("unavailable", from_=juliet)
    last = romeo.query(ns.LAST, user)
    assert int(last.get("seconds")) >= 0 and last.text == "asleep"


def test_last_activity_is_not_told_to_a_stranger(stage):
    romeo, juliet = stage.enter("romeo"), stage.user("juliet")
    answer = romeo.request("get", f"<query xmlns='{ns.LAST}'/>", juliet)
    assert ns.condition(answer) in ("forbidden", "service-unavailable")
