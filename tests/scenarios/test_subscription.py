"""Presence subscriptions: RFC 6121 §3 and appendix A, told as flows.

The full table of states is tested beside the code; here is that it is connected to both rosters,
to pushes, to probes and to the offline store.
"""

import pytest

from play import ns
from play.stage import roster, subscribe


def entry(client, contact):
    item = roster(client).get(contact.bare, {})
    return item.get("subscription"), item.get("ask")


@pytest.fixture
def pair(stage):
    """Romeo and Juliet, strangers to each other, both with their roster read."""
    pair = stage.enter("romeo"), stage.enter("juliet")
    for client in pair:
        roster(client)
    return pair


def test_a_request_is_pending_out(pair):
    romeo, juliet = pair
    romeo.presence("subscribe", to=juliet.bare)
    romeo.expect_push(juliet.bare, subscription="none", ask="subscribe")
    juliet.expect_presence("subscribe", from_=romeo.bare)
    assert juliet.bare not in roster(juliet) and romeo.bare not in roster(juliet)


def test_an_approval_opens_one_direction(pair):
    romeo, juliet = pair
    subscribe(romeo, juliet)
    romeo.expect_push(juliet.bare, subscription="to", ask=None)
    juliet.expect_push(romeo.bare, subscription="from")
    assert (entry(romeo, juliet), entry(juliet, romeo)) == (("to", None), ("from", None))


def test_both_directions_make_both(pair):
    romeo, juliet = pair
    subscribe(romeo, juliet)
    subscribe(juliet, romeo)
    assert (entry(romeo, juliet), entry(juliet, romeo)) == (("both", None), ("both", None))


def test_a_denial_clears_the_request(pair):
    romeo, juliet = pair
    romeo.presence("subscribe", to=juliet.bare)
    juliet.expect_presence("subscribe", from_=romeo.bare)
    juliet.presence("unsubscribed", to=romeo.bare)
    romeo.expect_presence("unsubscribed", from_=juliet.bare)
    romeo.expect_push(juliet.bare, subscription="none", ask=None)


def test_a_cancellation_takes_the_presence_away(pair):
    romeo, juliet = pair
    subscribe(romeo, juliet)
    juliet.presence("unsubscribed", to=romeo.bare)
    romeo.expect_presence("unsubscribed", from_=juliet.bare)
    romeo.expect_presence("unavailable", from_=juliet)
    assert (entry(romeo, juliet), entry(juliet, romeo)) == (("none", None), ("none", None))


def test_an_unsubscription_ends_the_direction(pair):
    romeo, juliet = pair
    subscribe(romeo, juliet)
    romeo.presence("unsubscribe", to=juliet.bare)
    juliet.expect_presence("unsubscribe", from_=romeo.bare)
    romeo.sync()
    assert (entry(romeo, juliet), entry(juliet, romeo)) == (("none", None), ("none", None))


def test_removing_the_contact_ends_both_directions(stage, pair):
    romeo, juliet = pair
    stage.befriend(romeo, juliet)
    romeo.request(
        "set", f"<query xmlns='{ns.ROSTER}'><item jid='{juliet.bare}' subscription='remove'/></query>"
    )
    juliet.expect_presence("unsubscribe", from_=romeo.bare)
    juliet.expect_presence("unsubscribed", from_=romeo.bare)
    juliet.expect_presence("unavailable", from_=romeo)
    assert entry(juliet, romeo) == ("none", None)


def test_a_request_waits_for_its_recipient(stage):
    romeo, juliet = stage.enter("romeo"), stage.user("juliet")
    romeo.presence("subscribe", to=juliet.jid)
    romeo.sync()
    stage.online(juliet).expect_presence("subscribe", from_=romeo.bare)


def test_a_request_comes_again_until_it_is_answered(stage):
    """RFC 6121 §3.1.3: at each login, as long as the user neither approves nor denies."""
    romeo, juliet = stage.enter("romeo"), stage.user("juliet")
    romeo.presence("subscribe", to=juliet.jid)
    romeo.sync()
    for _ in range(2):
        client = stage.online(juliet)
        client.expect_presence("subscribe", from_=romeo.bare)
        client.close()


def test_a_repeated_request_is_delivered_once(stage):
    romeo, juliet = stage.enter("romeo"), stage.user("juliet")
    for _ in range(3):
        romeo.presence("subscribe", to=juliet.jid)
    romeo.sync()
    client = stage.online(juliet)
    client.expect_presence("subscribe", from_=romeo.bare)
    client.expect_nothing()


def test_an_answer_waits_for_the_one_who_asked(stage, pair):
    """The state changes although romeo is away, and he sees it when he is back."""
    romeo, juliet = pair
    user = stage.user("paris")
    paris = stage.online(user)
    paris.presence("subscribe", to=juliet.bare)
    juliet.expect_presence("subscribe", from_=paris.bare)
    paris.close()
    juliet.presence("subscribed", to=user.jid)
    juliet.sync()
    again = stage.online(user)
    again.expect_presence(from_=juliet)
    assert entry(again, juliet) == ("to", None)


@pytest.mark.needs("strict")
def test_a_pre_approved_request_is_answered_by_the_server(stage):
    """RFC 6121 §3.4."""
    romeo, juliet = stage.enter("romeo"), stage.enter("juliet")
    # §3.1.6: answers go to the resources that asked for the roster.
    roster(romeo), roster(juliet)
    juliet.presence("subscribed", to=romeo.bare)
    juliet.expect_push(romeo.bare, subscription="none", approved="true")
    romeo.presence("subscribe", to=juliet.bare)
    romeo.expect_presence("subscribed", from_=juliet.bare)
    juliet.expect_push(romeo.bare, subscription="from")
    juliet.expect_nothing(romeo)


@pytest.mark.needs("strict")
def test_pre_approval_is_announced(stage):
    client = stage.authenticate(stage.user("juliet"))
    assert ns.has(client.features, ns.PRE_APPROVAL, "sub")


def test_a_request_to_a_stranger_who_does_not_exist_is_silent(stage):
    """RFC 6121 §8.5.1: nothing tells whether an account exists."""
    romeo = stage.enter("romeo")
    romeo.presence("subscribe", to="nobody-at-all@localhost")
    romeo.expect_nothing(besides=lambda stanza: stanza.get("type") in ("set", "unsubscribed", "unavailable"))


def test_a_request_is_stamped_with_the_bare_jid(pair):
    """RFC 6121 §3.1.2: subscription stanzas come from the account, whatever the client wrote."""
    romeo, juliet = pair
    romeo.send(f"<presence type='subscribe' to='{juliet.bare}' from='{romeo.jid}'/>")
    juliet.expect_presence("subscribe", from_=romeo.bare)
