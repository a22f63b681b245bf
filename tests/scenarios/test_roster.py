"""The roster: RFC 6121 §2."""

import pytest

from play import ns
from play.stage import roster

NURSE = "nurse@localhost"


def set_item(client, inside, to=None):
    return client.request("set", f"<query xmlns='{ns.ROSTER}'>{inside}</query>", to)


def test_a_new_roster_is_empty(stage):
    assert roster(stage.enter("juliet")) == {}


def test_an_item_is_kept_with_its_name_and_groups(stage):
    juliet = stage.enter("juliet")
    set_item(
        juliet,
        f"<item jid='{NURSE}' name='Nurse &amp; &lt;co&gt;'><group>Servants</group><group>Home</group></item>",
    )
    item = juliet.query(ns.ROSTER)[0]
    assert (item.get("jid"), item.get("name"), item.get("subscription")) == (NURSE, "Nurse & <co>", "none")
    assert sorted(group.text for group in item) == ["Home", "Servants"]


def test_a_change_is_pushed_to_each_interested_resource(stage):
    user = stage.user("juliet")
    clients = [stage.online(user, resource) for resource in ("phone", "tablet")]
    for client in clients:
        roster(client)
    set_item(clients[0], f"<item jid='{NURSE}' name='Nurse'/>")
    for client in clients:
        client.expect_push(NURSE, name="Nurse", subscription="none")


def test_a_resource_that_never_asked_gets_no_push(stage):
    user = stage.user("juliet")
    phone, tablet = stage.online(user, "phone"), stage.online(user, "tablet")
    roster(phone)
    tablet.forget()
    set_item(phone, f"<item jid='{NURSE}'/>")
    tablet.expect_nothing(phone)


def test_a_second_set_replaces_name_and_groups(stage):
    juliet = stage.enter("juliet")
    set_item(juliet, f"<item jid='{NURSE}' name='Old'><group>A</group></item>")
    set_item(juliet, f"<item jid='{NURSE}' name='New'/>")
    item = juliet.query(ns.ROSTER)[0]
    assert (item.get("name"), len(item)) == ("New", 0)


def test_an_item_is_removed(stage):
    juliet = stage.enter("juliet")
    roster(juliet)
    set_item(juliet, f"<item jid='{NURSE}'/>")
    set_item(juliet, f"<item jid='{NURSE}' subscription='remove'/>")
    juliet.expect_push(NURSE, subscription="remove")
    assert roster(juliet) == {}


def test_removing_an_unknown_item_is_an_error(stage):
    juliet = stage.enter("juliet")
    answer = set_item(juliet, f"<item jid='{NURSE}' subscription='remove'/>")
    assert ns.condition(answer) == "item-not-found"


def test_a_client_cannot_grant_itself_a_subscription(stage):
    juliet = stage.enter("juliet")
    set_item(juliet, f"<item jid='{NURSE}' subscription='both'/>")
    assert roster(juliet)[NURSE]["subscription"] == "none"


@pytest.mark.parametrize(
    "inside",
    [
        f"<item jid='{NURSE}'/><item jid='tybalt@localhost'/>",
        "",
        "<item/>",
        "<item jid='@localhost'/>",
    ],
    ids=["two items", "no item", "no jid", "bad jid"],
)
@pytest.mark.needs("strict")
def test_a_malformed_set_is_a_bad_request(stage, inside):
    answer = set_item(stage.enter("juliet"), inside)
    assert ns.condition(answer) in ("bad-request", "jid-malformed")


def test_nobody_reads_the_roster_of_another(stage):
    romeo, juliet = stage.enter("romeo"), stage.enter("juliet")
    answer = romeo.request("get", f"<query xmlns='{ns.ROSTER}'/>", juliet.bare)
    assert ns.condition(answer) in ("forbidden", "service-unavailable")


def test_a_forged_push_keeps_its_sender(stage):
    """ATTACKS 20: it must not look as if it came from juliet's own account."""
    romeo, juliet = stage.enter("romeo"), stage.enter("juliet")
    romeo.send_request("set", f"<query xmlns='{ns.ROSTER}'><item jid='{NURSE}'/></query>", to=juliet.jid)
    romeo.sync()
    juliet.sync()
    assert all(stanza.get("from") == romeo.jid for stanza in juliet.inbox)
    assert roster(juliet) == {}


@pytest.mark.needs("strict")
def test_versions_are_offered(stage):
    client = stage.authenticate(stage.user("juliet"))
    assert ns.has(client.features, ns.ROSTER_VERSIONS, "ver")


def version_of(client):
    answer = client.request("get", f"<query xmlns='{ns.ROSTER}' ver=''/>")
    return ns.child(answer, ns.ROSTER, "query").get("ver")


def test_a_known_version_needs_no_answer(stage):
    juliet = stage.enter("juliet")
    set_item(juliet, f"<item jid='{NURSE}'/>")
    version = version_of(juliet)
    assert version
    answer = juliet.request("get", f"<query xmlns='{ns.ROSTER}' ver='{version}'/>")
    assert answer.get("type") == "result"
    assert not ns.has(answer, ns.ROSTER, "query")


def test_an_old_version_brings_what_changed(stage):
    juliet = stage.enter("juliet")
    version = version_of(juliet)
    set_item(juliet, f"<item jid='{NURSE}'/>")
    answer = juliet.request("get", f"<query xmlns='{ns.ROSTER}' ver='{version}'/>")
    in_answer = answer.find(f"{{{ns.ROSTER}}}query/{{{ns.ROSTER}}}item")
    if in_answer is None:
        # RFC 6121 §2.6.3: the changes may come as pushes behind an empty result.
        juliet.expect_push(NURSE)


@pytest.mark.needs("strict")
def test_a_new_version_comes_with_each_push(stage):
    juliet = stage.enter("juliet")
    version = version_of(juliet)
    set_item(juliet, f"<item jid='{NURSE}'/>")
    push = juliet.expect(lambda s: s.get("type") == "set", "roster push")
    assert ns.child(push, ns.ROSTER, "query").get("ver") not in (None, version)
