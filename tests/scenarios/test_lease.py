"""The serving lease: of two processes on one PostgreSQL one serves, the other stands by."""

import urllib.error
import urllib.request

import pytest

from play import Stage
from servers.process import wait_until

pytestmark = pytest.mark.needs("databases")


@pytest.fixture
def nodes(private_server, postgres):
    """The first serves, the second joined its installation."""
    return private_server(database=postgres), private_server(database=postgres)


def ready(server) -> int:
    """The status of `/readyz`."""
    try:
        return urllib.request.urlopen(f"http://127.0.0.1:{server.port('console')}/readyz", timeout=10).status
    except urllib.error.HTTPError as error:
        return error.code


def test_one_serves_the_other_stands_by(nodes):
    first, second = nodes
    assert first.serves() and not second.serves()
    assert (ready(first), ready(second)) == (200, 503)


def test_the_other_takes_over_when_the_first_is_killed(nodes):
    first, second = nodes
    stage = Stage(first)
    romeo, juliet = stage.login(stage.user("romeo")), stage.user("juliet")
    romeo.enable_sm()
    romeo.message(juliet, "before the fall")
    # Only what was acknowledged is promised.
    wait_until(lambda: romeo.acknowledged() == 1, "the message is acknowledged")
    first.kill()
    wait_until(second.serves, "the second node serves", 60)
    after = Stage(second)
    after.online(juliet).expect_message("before the fall")
    after.close()


def test_an_orderly_stop_hands_over(nodes):
    first, second = nodes
    first.stop()
    wait_until(second.serves, "the second node serves", 60)


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_what_waited_for_a_lost_client_goes_over_too(nodes, end):
    """The first node's session held the message; nobody comes back to that."""
    first, second = nodes
    stage = Stage(first)
    romeo, user = stage.login(stage.user("romeo")), stage.user("juliet")
    romeo.enable_sm()
    lost = stage.login(user)
    lost.enable_sm()
    lost.presence()
    lost.expect_presence(from_=lost)
    lost.cut()
    romeo.message(user, "for whoever comes")
    wait_until(lambda: romeo.acknowledged() == 1, "the message is acknowledged")
    getattr(first, end)()
    wait_until(second.serves, "the second node serves", 60)
    after = Stage(second)
    juliet = after.online(user)
    juliet.expect_message("for whoever comes")
    wait_until(lambda: not second.stored("offline_messages"), "nothing waits any more")
    juliet.expect_nothing()
    after.close()


def test_who_comes_back_stands_by(nodes):
    first, second = nodes
    first.kill()
    wait_until(second.serves, "the second node serves", 60)
    first.start()
    assert not first.serves() and second.serves()
