"""What plugins hear of: every kind of event, in order, and never at the cost of the server."""

import urllib.request

import pytest

from play import Login, Stage
from servers.process import wait_until
from test_plugins import built, run, trial, upload


@pytest.fixture
def server(private_server):
    server = private_server({"archive.enabled": "true"})
    assert upload(server, trial())["state"] == "running"
    yield server
    assert server.is_alive(), server.log()[-3000:]


def heard(server, *groups: str) -> list:
    events = run(server, "heard")
    return [(kind, data) for kind, data in events if kind.split(".")[0] in groups]


def expect(server, expected: list, *groups: str) -> None:
    wait_until(lambda: len(heard(server, *groups)) >= len(expected), f"{len(expected)} events")
    assert heard(server, *groups) == expected


def test_sessions_and_presence_are_heard_of_in_order(server):
    stage = Stage(server)
    romeo = stage.enter("romeo", "orchard")
    jid = romeo.jid
    romeo.presence(inside="<priority>5</priority>")
    romeo.presence("unavailable")
    romeo.close()
    wait_until(lambda: len(heard(server, "session", "presence")) == 5, "the end of the session")
    events = heard(server, "session", "presence")
    peer = events[0][1]["peer"]
    assert peer.startswith("127.0.0.1:")
    assert events == [
        ("session.opened", {"jid": jid, "peer": peer}),
        ("presence.changed", {"jid": jid, "available": True, "priority": 0}),
        ("presence.changed", {"jid": jid, "available": True, "priority": 5}),
        ("presence.changed", {"jid": jid, "available": False, "priority": 0}),
        ("session.closed", {"jid": jid, "peer": peer, "reason": "closed"}),
    ]
    stage.close()


def test_the_end_of_a_session_says_how_it_ended(server):
    stage = Stage(server)
    user = stage.user("juliet")
    stage.login(user, Login(resource="balcony"))
    stage.login(user, Login(resource="balcony"))
    server.api("DELETE", f"/users/{user.name}")
    wait_until(lambda: len(heard(server, "session")) == 4, "both ends")
    reasons = [data["reason"] for kind, data in heard(server, "session") if kind == "session.closed"]
    assert reasons == ["replaced", "kicked"]
    stage.close()


def test_users_are_heard_of(server):
    server.api("POST", "/users", {"name": "nurse", "password": "a secret"})
    server.api("PUT", "/users/nurse/password", {"password": "another secret"})
    server.api("DELETE", "/users/nurse")
    nurse = {"name": "nurse"}
    expected = [("user.created", nurse), ("user.password", nurse), ("user.deleted", nurse)]
    expect(server, expected, "user")


def test_archived_messages_are_heard_of_once_for_each_side(server):
    stage = Stage(server)
    romeo, juliet = stage.enter("romeo"), stage.enter("juliet")
    romeo.message(juliet.bare, "hello")
    juliet.expect_message("hello", from_=romeo)
    wait_until(lambda: len(heard(server, "message")) == 2, "both sides")
    sides = {(data["account"], data["with"], data["outgoing"]) for _, data in heard(server, "message")}
    assert sides == {(romeo.bare, juliet.bare, True), (juliet.bare, romeo.bare, False)}
    assert all(data["id"] for _, data in heard(server, "message"))
    stage.close()


def test_own_properties_are_heard_of_and_those_of_others_are_not(server):
    upload(server, trial("healthy", "1.0.0", "other"))
    server.api("PUT", "/properties/plugin.other.greeting", {"value": "theirs"})
    server.api("PUT", "/properties/plugin.trial.greeting", {"value": "ours"})
    changed = ("property.changed", {"name": "greeting", "value": "ours"})
    expect(server, [changed], "property")


def test_plugins_that_run_already_and_those_that_come_and_go_are_heard_of(server):
    upload(server, trial("healthy", "1.0.0", "other"))
    server.api("POST", "/plugins/trial/reload")
    server.api("POST", "/plugins/other/disable")
    other, me = {"id": "other", "version": "1.0.0"}, {"id": "trial", "version": "1.0.0"}
    expected = [("plugin.started", other), ("plugin.started", me), ("plugin.stopped", other)]
    expect(server, expected, "plugin")


def test_the_lease_is_heard_of(server):
    server.stop()
    server.start()
    wait_until(lambda: heard(server, "lease"), "the lease")
    (kind, data) = heard(server, "lease")[0]
    assert (kind, data["serving"], data["mode"], data["reason"]) == ("lease.changed", True, "alone", "")


def metric(server, name: str) -> float:
    request = urllib.request.Request(
        f"http://127.0.0.1:{server.port('console')}/metrics",
        headers={"Authorization": f"Bearer {server.token()}"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        lines = answer.read().decode().splitlines()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(name))


def test_a_plugin_that_does_not_listen_costs_its_own_events_only(server):
    upload(server, trial("deaf"))
    stage = Stage(server)
    romeo = stage.enter("romeo")
    for priority in range(4200):
        romeo.presence(inside=f"<priority>{priority % 100}</priority>")
    juliet = stage.enter("juliet")
    romeo.message(juliet.bare, "hello")
    juliet.expect_message("hello", from_=romeo)
    dropped = "hearth_plugin_events_dropped_total{plugin=\"trial\"}"
    wait_until(lambda: metric(server, dropped) > 0, "events that were dropped and counted")
    stage.close()


def test_the_enterprise_plugin_starts_and_does_what_needs_no_cluster(private_server, database):
    server = private_server(database=database)
    upload(server, trial())
    file = built("hearth_enterprise").read_bytes()
    assert upload(server, file)["state"] == "running", server.log()[-3000:]
    status = run(server, "status", id_="enterprise")
    obstacle = "external database" if database == "sqlite" else "licence"
    assert obstacle in str(status), status
    if database != "sqlite":
        licence = run(server, "start-evaluation", id_="enterprise")
        assert "evaluation" in str(licence), licence
        assert "external database" not in str(run(server, "status", id_="enterprise"))
    assert server.api("POST", "/plugins/enterprise/reload")["state"] == "running"
