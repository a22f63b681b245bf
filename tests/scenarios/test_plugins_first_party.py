"""The plugins of this project on a real server: what they do for users."""

import pytest

from play import Stage, ns
from servers.process import wait_until
from test_plugins import built, run, upload


@pytest.fixture
def server(private_server):
    yield (server := private_server())
    assert server.is_alive(), server.log()[-3000:]


def install(server, name: str) -> None:
    file = built(name.replace("-", "_")).read_bytes()
    assert upload(server, file)["state"] == "running", server.log()[-3000:]


def test_the_content_filter_refuses_masks_and_counts(server):
    install(server, "content-filter")
    add = {"text": "heck", "reply": "Mind your words."}
    run(server, "add", add, id_="content-filter")
    run(server, "add", {"text": "darn", "action": "mask"}, id_="content-filter")
    stage = Stage(server)
    romeo, juliet = stage.enter("romeo"), stage.enter("juliet")
    romeo.message(juliet.bare, "oh heck")
    refusal = romeo.expect_error("policy-violation")
    assert "Mind your words." in "".join(refusal.itertext())
    romeo.message(juliet.bare, "oh darn")
    juliet.expect_message("oh ****", from_=romeo)
    romeo.message(juliet.bare, "oh dear")
    juliet.expect_message("oh dear", from_=romeo)
    patterns = run(server, "list", id_="content-filter")
    assert [pattern["hits"] for pattern in patterns] == [1, 1]
    stage.close()


def test_patterns_outlive_a_reload(server):
    install(server, "content-filter")
    run(server, "add", {"text": "heck"}, id_="content-filter")
    server.api("POST", "/plugins/content-filter/reload")
    stage = Stage(server)
    romeo, juliet = stage.enter("romeo"), stage.enter("juliet")
    romeo.message(juliet.bare, "heck")
    romeo.expect_error("policy-violation")
    stage.close()


def ended(server, id_: int) -> dict:
    def status():
        return run(server, "status", {"id": id_}, id_="broadcast")

    wait_until(lambda: status()["state"] != "running", "the end of the broadcast")
    return status()


def test_a_broadcast_reaches_all_who_are_online(server):
    install(server, "broadcast")
    stage = Stage(server)
    romeo, juliet = stage.enter("romeo"), stage.enter("juliet")
    draft = {"to": "online", "body": "Peace!", "type": "headline"}
    begun = run(server, "send", draft, id_="broadcast")
    assert begun["recipients"] == 2
    for client in (romeo, juliet):
        client.expect_message("Peace!", kind="headline")
    assert ended(server, begun["id"])["sent"] == 2
    stage.close()


def test_a_client_needs_leave_to_send_a_broadcast(server):
    install(server, "broadcast")
    stage = Stage(server)
    romeo, juliet = stage.enter("romeo"), stage.enter("juliet")
    domain = romeo.bare.split("@")[1]
    everybody = f"all@broadcast.{domain}"
    romeo.message(everybody, "Peace!")
    romeo.expect_error("forbidden")
    server.api("PUT", "/properties/plugin.broadcast.senders", {"value": romeo.bare})
    romeo.message(everybody, "Peace!")
    answer = romeo.expect_message(from_=everybody)
    assert "users" in ns.body(answer)
    juliet.expect_message("Peace!")
    stage.close()
