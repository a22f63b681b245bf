"""What plugins do with stanzas beside the first phase: every phase, service discovery, requests of
their own, the console's endpoints, and what happens to traffic while a plugin is replaced."""

import sqlite3
import threading
import time
import urllib.error
import urllib.request

import pytest

from play import Stage, ns
from servers.process import wait_until
from test_plugins import built, run, trial, upload


@pytest.fixture
def server(private_server):
    server = private_server()
    assert upload(server, trial())["state"] == "running", server.log()[-3000:]
    yield server
    assert server.is_alive(), server.log()[-3000:]


@pytest.fixture
def stage(server):
    stage = Stage(server)
    yield stage
    stage.close()


def wish(phase: str, word: str = "") -> str:
    return f"<x xmlns='urn:trial:{phase}'>{word}</x>"


# -- phases --


def test_presence_meets_steps_before_its_recipient_account(stage):
    romeo, juliet = stage.enter("romeo"), stage.enter("juliet")
    stage.befriend(romeo, juliet)
    romeo.presence(inside=f"<status>hidden</status>{wish('account', 'drop-me')}")
    romeo.presence(inside=f"<status>shown</status>{wish('account')}")
    shown = juliet.expect_presence(from_=romeo)
    assert shown.findtext(f"{{{ns.CLIENT}}}status") == "shown"
    romeo.presence(to=juliet.bare, inside=wish("account", "bounce-me"))
    romeo.expect_error("not-acceptable")
    juliet.expect_nothing(romeo)


def test_requests_meet_steps_before_account_and_session(stage):
    romeo, juliet = stage.enter("romeo"), stage.enter("juliet")
    for phase in ("account", "session"):
        answer = romeo.request("get", wish(phase, "bounce-me"), juliet.jid)
        assert ns.condition(answer) == "not-acceptable"
    answer = romeo.request("get", wish("account", "drop-me"), juliet.bare)
    assert ns.condition(answer) == "not-allowed", "a request is always answered"
    juliet.expect_nothing(romeo)
    romeo.send_request("get", wish("session"), juliet.jid)
    juliet.expect(lambda s: ns.name(s) == "iq" and s.get("type") == "get", "the request")


def test_presence_meets_steps_before_each_session(stage):
    romeo, juliet = stage.enter("romeo"), stage.enter("juliet")
    romeo.presence(to=juliet.jid, inside=wish("session", "drop-me"))
    romeo.presence(to=juliet.jid, inside=wish("session"))
    shown = juliet.expect_presence(from_=romeo)
    assert "drop-me" not in "".join(shown.itertext())
    juliet.expect_nothing(romeo)


def test_roster_pushes_meet_steps_before_each_session(stage):
    romeo = stage.enter("romeo")
    romeo.query(ns.ROSTER)
    for name in ("drop-me", "Nurse"):
        item = f"<query xmlns='jabber:iq:roster'><item jid='nurse@{name.lower()}.example' name='{name}'/></query>"
        assert romeo.request("set", item).get("type") == "result"
    push = romeo.expect(lambda s: s.get("type") == "set", "a push")
    assert ns.child(ns.child(push, ns.ROSTER, "query"), ns.ROSTER, "item").get("name") == "Nurse"


# -- service discovery --


def info(client, entity: str) -> tuple[set, set]:
    query = client.query(ns.DISCO_INFO, entity)
    identities = {(i.get("category"), i.get("type"), i.get("name")) for i in query if ns.name(i) == "identity"}
    return identities, {f.get("var") for f in query if ns.name(f) == "feature"}


def test_what_a_plugin_announces_goes_with_it(server, stage):
    romeo = stage.enter("romeo")
    identities, features = info(romeo, "localhost")
    assert ("gateway", "trial", "Gate") in identities
    assert {"urn:trial", "urn:trial:feature"} <= features
    items = romeo.query(ns.DISCO_ITEMS, "localhost")
    assert ("trial.localhost", "Trial") in {(item.get("jid"), item.get("name")) for item in items}
    assert info(romeo, "trial.localhost") == (
        {("component", "generic", "Trial")},
        {ns.DISCO_INFO, "urn:trial:inside"},
    )
    server.api("POST", "/plugins/trial/disable")
    identities, features = info(romeo, "localhost")
    assert ("gateway", "trial", "Gate") not in identities
    assert not any(feature.startswith("urn:trial") for feature in features)
    assert len(romeo.query(ns.DISCO_ITEMS, "localhost")) == 0


# -- requests of its own --


def test_a_plugin_asks_and_awaits_the_answer(server, stage):
    romeo = stage.enter("romeo")
    threading.Thread(target=answer_version, args=(romeo,), daemon=True).start()
    answer = run(server, "ask", {"to": romeo.jid})
    assert answer == {"type": "result", "from": romeo.jid}
    assert run(server, "ask", {"to": "nobody@localhost/x"})["type"] == "error"


def answer_version(client) -> None:
    is_question = lambda s: ns.name(s) == "iq" and s.get("type") == "get"
    question = client.expect(is_question, "the question")
    client.send(f"<iq type='result' to='{question.get('from')}' id='{question.get('id')}'/>")


def test_a_component_of_a_plugin_asks_in_its_own_name(server, stage):
    romeo = stage.enter("romeo")
    threading.Thread(target=answer_version, args=(romeo,), daemon=True).start()
    answer = run(server, "ask", {"to": romeo.jid, "from": "trial.localhost"})
    assert answer["type"] == "result"
    with pytest.raises(AssertionError, match="no address of this server"):
        run(server, "ask", {"to": romeo.jid, "from": "elsewhere.example"})


def test_an_answer_that_does_not_come_is_not_waited_for(server, stage):
    romeo, juliet = stage.enter("romeo"), stage.enter("juliet")
    with pytest.raises(AssertionError, match="no answer came in time"):
        run(server, "ask", {"to": romeo.jid, "patience_ms": 300})
    question = romeo.expect(lambda s: ns.name(s) == "iq" and s.get("type") == "get", "the question")
    romeo.send(f"<iq type='result' to='localhost' id='{question.get('id')}'/>")
    juliet.expect_nothing(romeo)


# -- the console's endpoints --


def test_an_endpoint_of_the_console_wants_a_token(server):
    url = f"http://127.0.0.1:{server.port('console')}/plugins/trial/inside"
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(url, data=b"hello", timeout=30)
    assert refused.value.code == 401
    request = urllib.request.Request(url, data=b"hello", headers={"Authorization": f"Bearer {server.token()}"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert (answer.status, answer.read()) == (200, b"hello")
    public = f"http://127.0.0.1:{server.port('http')}/plugins/trial/inside"
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(public, data=b"hello", timeout=30)
    assert refused.value.code == 404


# -- timers --


def test_a_timer_for_one_node_runs_on_a_node_that_is_alone(server):
    wait_until(lambda: run(server, "turns") >= 2, "two runs")


# -- secrets --


def test_the_history_does_not_know_a_secret(private_server):
    server = private_server()
    upload(server, built("external_auth").read_bytes())
    for value in ("first-secret", "second-secret"):
        server.api("PUT", "/properties/plugin.external-auth.token", {"value": value})
    changes = server.api("GET", "/properties/plugin.external-auth.token/history")["items"]
    assert [(change["from"], change["to"]) for change in changes] == [("********", "********"), (None, "********")]
    with sqlite3.connect(server.home / "hearth.db") as database:
        kept = database.execute("SELECT old, new FROM property_history").fetchall()
    assert "-secret" not in str(kept)


# -- replacing --


def reload_under_load(server, id_: str, times: int, sent: list[str], between: int) -> None:
    """Reloads, and lets so many be sent between two."""
    for _ in range(times):
        reached = len(sent) + between
        assert server.api("POST", f"/plugins/{id_}/reload")["state"] == "running"
        wait_until(lambda reached=reached: len(sent) >= reached, f"{between} more are sent")


def test_nothing_is_lost_or_doubled_while_the_content_filter_is_reloaded(private_server):
    server = private_server()
    assert upload(server, built("content_filter").read_bytes())["state"] == "running"
    run(server, "add", {"text": "heck", "action": "mask"}, id_="content-filter")
    stage = Stage(server)
    romeo, juliet = stage.enter("romeo"), stage.enter("juliet")
    done = threading.Event()
    sent = []

    def talk():
        while not done.is_set():
            sent.append(f"heck {len(sent)}")
            romeo.message(juliet.bare, sent[-1])
            # Not more than the client below reads in time.
            time.sleep(0.001)

    talking = threading.Thread(target=talk)
    talking.start()
    try:
        reload_under_load(server, "content-filter", 5, sent, 20)
        assert upload(server, built("content_filter").read_bytes())["state"] == "running"
    finally:
        done.set()
        talking.join()
    for number in range(len(sent)):
        juliet.expect_message(f"**** {number}", from_=romeo)
    juliet.expect_nothing(romeo)
    stage.close()


def test_a_component_and_requests_survive_a_reload(server, stage):
    romeo = stage.enter("romeo")
    done = threading.Event()
    sent, refusals = [], []

    def talk():
        while not done.is_set():
            sent.append(f"{len(sent)}")
            romeo.message("romeo@trial.localhost", sent[-1])
            romeo.expect_message(sent[-1], from_="romeo@trial.localhost")
            answer = romeo.request("get", "<query xmlns='urn:trial'/>", "localhost")
            refusals.extend(filter(None, [ns.condition(answer)]))

    talking = threading.Thread(target=talk)
    talking.start()
    try:
        reload_under_load(server, "trial", 3, sent, 4)
    finally:
        done.set()
        talking.join()
    assert refusals == []
    romeo.expect_nothing()


def test_a_component_keeps_the_order_across_reloads(server, stage):
    romeo = stage.enter("romeo")
    done = threading.Event()
    sent, seen = [], []

    def talk():
        while not done.is_set():
            batch = [f"{len(sent) + number}" for number in range(100)]
            sent.extend(batch)
            for text in batch:
                romeo.message("romeo@trial.localhost", text)
            for _ in batch:
                answer = romeo.expect(lambda s: s.get("from") == "romeo@trial.localhost", "an echo")
                seen.append(answer.findtext(f"{{{ns.CLIENT}}}body"))

    talking = threading.Thread(target=talk)
    talking.start()
    try:
        reload_under_load(server, "trial", 10, sent, 20)
    finally:
        done.set()
        talking.join()
    assert seen == sent


def test_a_version_that_does_not_start_leaves_the_old_one_at_work(server, stage):
    romeo, juliet = stage.enter("romeo"), stage.enter("juliet")
    with pytest.raises(Exception, match="does not want to"):
        upload(server, trial("error-start", "2.0.0"))
    romeo.message(juliet.bare, "loud")
    juliet.expect_message("quiet", from_=romeo)
    romeo.message("romeo@trial.localhost", "hello")
    romeo.expect_message("hello")
    assert info(romeo, "trial.localhost")[1] == {ns.DISCO_INFO, "urn:trial:inside"}
