"""Three nodes behind a balancer serve one domain: whoever is on which node notices nothing of it."""

import asyncio

import pytest

from cluster import Balancer, Cluster
from play import Stage, StreamFailed, ns
from play.client import LoginRefused
from play.stage import roster, subscribe
from servers.database import fresh_postgres
from servers.process import wait_until

# One worker plays them all: each would form a cluster of its own.
pytestmark = [pytest.mark.needs("databases"), pytest.mark.xdist_group("one cluster")]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    databases = fresh_postgres()
    properties = {"registration.inband": "true"}
    cluster = Cluster(tmp_path_factory.mktemp("cluster"), next(databases), 3, properties)
    try:
        yield cluster.form()
    finally:
        cluster.close()
        next(databases, None)


@pytest.fixture
def stages(cluster):
    """A stage on each node."""
    stages = [Stage(node) for node in cluster]
    yield stages
    for stage in stages:
        stage.close()
    dead = [node.home.name for node in cluster if not node.is_alive()]
    assert not dead, f"{dead} died:\n{cluster.logs()}"


@pytest.fixture
def balancer(cluster, tmp_path):
    balancer = Balancer(tmp_path, cluster)
    yield balancer
    balancer.close()


def test_every_node_serves_and_knows_all(cluster):
    numbers = {node.number for node in cluster}
    for node in cluster:
        # A node tells its new state with its next beat.
        wait_until(lambda node=node: states(node) == dict.fromkeys(numbers, "member"), "all are members")
        status = node.status()
        assert (status["me"], status["enabled"], status["obstacle"]) == (node.number, True, None)


def meet(one, other):
    """Each has heard of the other: behind a session's stanzas it is known to the node that gets them.
    Before, what is for it waits, or is refused."""
    for sender, recipient in ((one, other), (other, one)):
        sender.presence(to=recipient)
        recipient.expect_presence(from_=sender)
    return one, other


def states(node) -> dict[int, str]:
    return {member["id"]: member["state"] for member in node.status()["members"]}


def test_messages_cross_in_order(stages):
    romeo, juliet = meet(stages[0].enter("romeo"), stages[1].enter("juliet"))
    for n in range(200):
        romeo.message(juliet, f"line {n}")
        juliet.message(romeo.bare, f"answer {n}")
    for n in range(200):
        assert ns.body(juliet.expect_message(from_=romeo)) == f"line {n}"
        assert ns.body(romeo.expect_message(from_=juliet)) == f"answer {n}"


def test_presence_crosses(stages):
    romeo, juliet = stages[0].enter("romeo"), stages[1].enter("juliet")
    roster(romeo), roster(juliet)
    subscribe(romeo, juliet)
    juliet.presence(inside="<show>away</show>")
    away = romeo.expect_presence(from_=juliet)
    assert away.findtext(f"{{{ns.CLIENT}}}show") == "away"
    juliet.close()
    romeo.expect_presence("unavailable", from_=juliet)


def test_who_comes_learns_who_is_there(stages):
    """RFC 6121 §4.3: probes go to the nodes of the contacts."""
    romeo, user = stages[0].enter("romeo"), stages[2].user("juliet")
    juliet = stages[2].online(user)
    stages[0].befriend(romeo, juliet)
    juliet.close()
    romeo.expect_presence("unavailable", from_=juliet)
    again = stages[1].online(user)
    again.expect_presence(from_=romeo)
    romeo.expect_presence(from_=again)


def test_a_lost_client_is_unavailable_to_the_other_nodes(stages):
    romeo, juliet = stages[0].enter("romeo"), stages[1].enter("juliet")
    stages[0].befriend(romeo, juliet)
    juliet.cut()
    romeo.expect_presence("unavailable", from_=juliet)


def test_directed_presence_ends_across_nodes(stages):
    romeo, juliet = stages[0].enter("romeo"), stages[1].enter("juliet")
    romeo.presence(to=juliet)
    juliet.expect_presence(from_=romeo)
    romeo.close()
    juliet.expect_presence("unavailable", from_=romeo)


def test_roster_pushes_reach_all_nodes(stages):
    user, friend = stages[0].user("juliet"), stages[0].user("friend")
    here, there = stages[0].online(user), stages[1].online(user)
    roster(here), roster(there)
    here.request("set", f"<query xmlns='{ns.ROSTER}'><item jid='{friend}' name='Friend'/></query>")
    assert there.expect_push(friend, name="Friend", subscription="none") is not None
    assert roster(there)[friend.jid]["name"] == "Friend"
    there.request("set", f"<query xmlns='{ns.ROSTER}'><item jid='{friend}' name='Mate'/></query>")
    here.expect_push(friend, name="Mate")
    assert roster(stages[2].login(user))[friend.jid]["name"] == "Mate"


def test_one_account_on_two_nodes(stages):
    """RFC 6121 §8.5.2.1.1: the highest priority has it, both when they are alike."""
    user, romeo = stages[0].user("juliet"), stages[2].enter("romeo")
    desk = stages[0].online(user, "desk", priority=1)
    phone = stages[1].online(user, "phone", priority=5)
    desk.expect_presence(from_=phone)
    phone.expect_presence(from_=desk)
    romeo.message(user, "for the phone")
    phone.expect_message("for the phone")
    desk.presence(inside="<priority>5</priority>")
    phone.expect_presence(from_=desk)
    phone.sync()
    romeo.expect_nothing()
    wait_until(lambda: crosses(romeo, user, desk), "node 2 knows of the desk's priority")
    phone.forget()
    romeo.message(user, "for both")
    desk.expect_message("for both")
    phone.expect_message("for both")
    romeo.message(desk, "for the desk alone")
    desk.expect_message("for the desk alone")
    phone.expect_nothing(romeo, besides=is_question)


def is_question(stanza) -> bool:
    return ns.body(stanza) == "are you there?"


def crosses(romeo, user, client) -> bool:
    """Whether what is sent to the bare address reaches the client."""
    romeo.message(user, "are you there?")
    romeo.sync()
    client.sync()
    there = [stanza for stanza in client.inbox if is_question(stanza)]
    client.inbox = [stanza for stanza in client.inbox if stanza not in there]
    return bool(there)


def test_iqs_cross_and_come_back(stages):
    romeo, juliet = meet(stages[0].enter("romeo"), stages[1].enter("juliet"))
    identity = romeo.send_request("get", "<query xmlns='jabber:iq:version'/>", juliet)
    asked = juliet.expect(lambda s: ns.name(s) == "iq" and s.get("type") == "get", "the question")
    assert (asked.get("id"), asked.get("from")) == (identity, romeo.jid)
    juliet.send(f"<iq type='result' id='{identity}' to='{romeo.jid}'/>")
    romeo.expect(lambda s: s.get("id") == identity and s.get("type") == "result", "the answer")
    juliet.close()
    romeo.expect_presence("unavailable", from_=juliet)
    answer = romeo.request("get", "<query xmlns='jabber:iq:version'/>", juliet)
    assert ns.condition(answer) == "service-unavailable"


def test_offline_messages_wait_for_any_node(stages):
    romeo, user = stages[0].enter("romeo"), stages[0].user("juliet")
    for n in range(3):
        romeo.message(user, f"night {n}")
    romeo.sync()
    juliet = stages[1].online(user)
    for n in range(3):
        assert ns.body(juliet.expect_message(from_=romeo)) == f"night {n}"
    juliet.expect_nothing()
    stages[2].online(user).expect_nothing(besides=lambda s: ns.name(s) == "presence")


def test_nothing_is_missed_while_somebody_comes_and_goes(stages):
    """Between looking whether somebody is there and storing, he may come on another node."""
    romeo, user = stages[0].enter("romeo"), stages[0].user("juliet")
    got: list[str] = []
    for turn in range(12):
        for n in range(5):
            romeo.message(user, f"{turn}.{n}")
        juliet = stages[1 + turn % 2].login(user)
        juliet.enable_sm()
        juliet.presence()
        wait_until(lambda j=juliet: take(j, got) >= 5 * (turn + 1), f"turn {turn} has all: {got}")
        juliet.acknowledge()
        juliet.close()
    assert len(got) == len(set(got)) == 60, got


def take(juliet, got: list[str]) -> int:
    juliet.sync()
    got += [ns.body(stanza) or "" for stanza in juliet.inbox if ns.name(stanza) == "message"]
    juliet.inbox.clear()
    return len(got)


def test_the_later_of_two_equal_resources_wins(stages):
    """RFC 6120 §7.7.2.2, by the default policy."""
    user = stages[0].user("juliet")
    first = stages[0].online(user, "desk")
    second = stages[1].online(user, "desk")
    with pytest.raises(StreamFailed) as ended:
        while True:
            first.next_stanza()
    assert ended.value.condition == "conflict"
    romeo = stages[2].enter("romeo")
    romeo.message(second, "to whoever is at the desk")
    second.expect_message("to whoever is at the desk")


def lost_client(stage, user):
    """Bound, available, with a resumable session whose connection is gone."""
    client = stage.login(user)
    client.enable_sm()
    client.presence()
    client.expect_presence(from_=client)
    client.cut()
    return client


def test_a_session_is_resumed_on_another_node(stages):
    user, romeo = stages[0].user("juliet"), stages[2].enter("romeo")
    watcher = stages[1].online(user)
    lost = lost_client(stages[0], user)
    watcher.expect_presence(from_=lost)
    watcher.forget()
    for n in range(3):
        romeo.message(lost, f"meanwhile {n}")
    romeo.sync()
    again = stages[1].authenticate(user)
    assert ns.name(again.resume(lost)) == "resumed"
    for n in range(3):
        assert ns.body(again.expect_message(from_=romeo)) == f"meanwhile {n}"
    romeo.message(lost, "and after")
    again.expect_message("and after")
    again.message(romeo, "from the new node")
    romeo.expect_message("from the new node", from_=lost)
    again.acknowledge()
    # What it had not acknowledged before comes again, but no message twice.
    again.expect_nothing(romeo, besides=lambda s: ns.name(s) == "presence")
    # Nobody noticed.
    watcher.expect_nothing(romeo)


def test_a_session_moves_twice(stages):
    user, romeo = stages[0].user("juliet"), stages[0].enter("romeo")
    lost = lost_client(stages[0], user)
    first = stages[1].authenticate(user)
    assert ns.name(first.resume(lost)) == "resumed"
    first.cut()
    romeo.message(lost, "to the third")
    second = stages[2].authenticate(user)
    assert ns.name(second.resume(first)) == "resumed"
    second.expect_message("to the third")


def test_nobody_else_resumes_a_session(stages):
    lost = lost_client(stages[0], stages[0].user("juliet"))
    thief = stages[1].authenticate(stages[1].user("thief"))
    failed = thief.resume(lost)
    assert ns.name(failed) == "failed"
    assert ns.child(failed, ns.STANZAS, "item-not-found") is not None


def test_an_account_that_is_deleted_ends_on_every_node(cluster, stages):
    user = stages[0].user("juliet")
    juliet = stages[1].online(user)
    cluster[2].api("DELETE", f"/users/{user.name}")
    with pytest.raises(StreamFailed):
        while True:
            juliet.next_stanza()
    with pytest.raises(LoginRefused):
        stages[0].login(user)


def test_a_new_password_counts_on_every_node(cluster, stages):
    """Whoever knew the old one is thrown out, too."""
    user = stages[0].user("juliet")
    juliet = stages[1].online(user)
    cluster[0].api("PUT", f"/users/{user.name}/password", {"password": "another-password"})
    with pytest.raises(StreamFailed):
        while True:
            juliet.next_stanza()

    def old_is_refused() -> bool:
        try:
            stages[1].login(user).close()
        except LoginRefused:
            return True
        return False

    wait_until(old_is_refused, "the old password is refused on another node")


def test_a_property_counts_on_every_node(cluster):
    cluster[0].api("PUT", "/properties/c2s.idle-seconds", {"value": "1234"})

    def value(node) -> str:
        return node.api("GET", "/properties/c2s.idle-seconds")["value"]

    for node in cluster:
        wait_until(lambda node=node: value(node) == "1234", f"{node.home.name} knows the property")


def test_clients_spread_over_the_nodes_by_the_balancer(cluster, balancer):
    stage = Stage(balancer)
    clients = [stage.enter("guest") for _ in range(12)]
    counts = [node.api("GET", "/server")["sessions"] for node in cluster]
    assert all(counts), f"a node has nobody: {counts}"
    for one, other in zip(clients, clients[1:] + clients[:1]):
        one.message(other, f"from {one.jid}")
        other.expect_message(f"from {one.jid}", from_=one)
    stage.close()


@pytest.mark.parametrize("transport", ["starttls", "tls"])
def test_slixmpp_meets_slixmpp_through_the_balancer(balancer, transport):
    from test_real_clients import Slixmpp, connect, fresh_user, play

    async def story():
        romeo, juliet = Slixmpp(fresh_user(), "a", register=True), Slixmpp(fresh_user(), "b", register=True)
        for client in (romeo, juliet):
            connect(balancer, client, transport)
            await client.expect("ready")
        romeo.send_message(juliet.user.jid, "by any node", mtype="chat")
        await juliet.expect("message", lambda m: m["body"] == "by any node")
        juliet.send_message(romeo.user.jid, "and back", mtype="chat")
        await romeo.expect("message", lambda m: m["body"] == "and back")
        await asyncio.gather(romeo.disconnect(), juliet.disconnect())

    play(story())


def test_the_directories_are_equal(cluster, stages):
    users = [stages[n % 3].enter("guest") for n in range(9)]
    users[0].close()
    users[1].cut()
    cluster.check_directories()
