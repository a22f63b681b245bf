"""Nodes that are emptied, and upgraded one after the other, while everybody goes on chatting."""

import urllib.error
import urllib.request
from pathlib import Path

import pytest

from cluster import Cluster, Node
from cluster.cluster import plugin
from cluster.load import Load, resumed
from play import Stage, StreamFailed, ns
from play.zero_loss import Reader, join, sm_client, start
from servers.database import fresh_postgres
from servers.process import wait_until

pytestmark = pytest.mark.needs("databases")

# Five digits stand behind it in the test build of the plugin.
MARK = b"HEARTH-PROTOCOL-IS:"


def speaking(version: int, folder: Path) -> Path:
    """The plugin as a build that speaks this version of the protocol between nodes."""
    file = plugin().read_bytes()
    assert file.count(MARK) == 1, "tests need the plugin with the feature `test-key`: see tests/run"
    at = file.index(MARK) + len(MARK)
    patched = folder / f"enterprise-{version}.so"
    patched.write_bytes(file[:at] + f"{version:05}".encode() + file[at + 5 :])
    return patched


@pytest.fixture(params=[False], ids=["archive off"])
def cluster(tmp_path, request):
    databases = fresh_postgres()
    properties = {"archive.enabled": str(request.param).lower()}
    cluster = Cluster(tmp_path, next(databases), 3, properties)
    cluster.archive = request.param
    try:
        yield cluster.form()
    finally:
        cluster.close()
        next(databases, None)


def ready(node: Node) -> tuple[int, str]:
    """What `/readyz` answers."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{node.port('console')}/readyz", timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def sessions(node: Node) -> int:
    return node.api("GET", "/server")["sessions"]


def of_members(node: Node, what: str) -> dict[int, object]:
    return {member["id"]: member[what] for member in node.status()["members"]}


def is_empty(node: Node) -> None:
    """Who does not come back anywhere is waited for half a minute."""
    wait_until(lambda: sessions(node) == 0, f"{node.home.name} is empty", 90)


class Readers:
    """The readers of a load, who go on elsewhere when they are asked to, as clients do."""

    def __init__(self, load: Load):
        self.load = load
        self.at = {home: home for home in load.cluster}
        self.threads = dict(zip(load.cluster, load.reading))

    def leave(self, node: Node, elsewhere: Node) -> None:
        for home in [home for home, at in self.at.items() if at is node]:
            join([self.threads[home]])
            last = self.load.readers[home][-1]
            again = resumed(self.load.stages[elsewhere], self.load.reader_users[home], last.client)
            self.load.readers[home].append(Reader(again))
            [self.threads[home]] = start(self.load.readers[home][-1].run)
            self.load.reading.append(self.threads[home])
            self.at[home] = elsewhere


def settle(load: Load, record_property, what: str) -> None:
    load.end()
    load.readers_have_theirs()
    load.cluster.check_directories()
    count = load.count()
    record_property("count", f"{what}, archive {load.archive}: {count}")
    count.check()


@pytest.mark.parametrize("cluster", [False, True], ids=["archive off", "archive on"], indirect=True)
def test_a_node_is_emptied_under_load(cluster, record_property):
    """Its users come back on others and go on there; afterwards it takes clients again."""
    here, there = Stage(cluster[1]), Stage(cluster[2])
    user, friend = here.user("moved"), there.enter("friend")
    moved = sm_client(here, user)
    load = Load(cluster, cluster.archive).begin()
    readers = Readers(load)
    cluster[1].enterprise("drain")
    with pytest.raises(StreamFailed) as ended:
        while True:
            moved.next_stanza()
    assert ended.value.condition == "reset", "a condition after which clients connect again"
    friend.message(moved, "under way")
    again = there.authenticate(user)
    assert ns.name(again.resume(moved)) == "resumed"
    again.expect_message("under way", from_=friend)
    assert ready(cluster[1]) == (503, "draining: its clients are asked to connect to the other nodes\n")
    readers.leave(cluster[1], cluster[2])
    load.more()
    is_empty(cluster[1])
    states = {node.number: "draining" if node is cluster[1] else "member" for node in cluster}
    wait_until(lambda: of_members(cluster[0], "state") == states, "the others know of it")

    cluster[1].enterprise("drain", {"per_second": 0})
    wait_until(lambda: ready(cluster[1])[0] == 200, "it takes clients again")
    late = here.enter("late")
    late.message(again, "back on the node")
    again.expect_message("back on the node", from_=late)
    here.close(), there.close()
    settle(load, record_property, "emptied and filled again")


def test_the_plugin_is_upgraded_node_by_node_under_load(cluster, tmp_path, record_property):
    """Versions N and N-1 of the protocol work together until all nodes have the new one."""
    load = Load(cluster, cluster.archive).begin()
    readers = Readers(load)
    for node, elsewhere in zip(cluster, [cluster[1], cluster[2], cluster[0]]):
        node.enterprise("drain")
        readers.leave(node, elsewhere)
        load.leave(node, elsewhere)
        wait_until(lambda node=node: sessions(node) == 0, "nobody has to be waited for")
        node.install(speaking(2, tmp_path))
        cluster.wait_formed()
        wait_until(lambda node=node: of_members(cluster[0], "protocol")[node.number] == 2, "it has the new version")
        cross(cluster)
        # Those that wrote there are gone with their connections.
        load.write(node, [*load.reader_users.values(), *load.others])
        load.more()
    assert set(of_members(cluster[0], "protocol").values()) == {2}
    settle(load, record_property, "upgraded node by node")


def cross(cluster) -> None:
    """Everybody reaches everybody, in order."""
    stages = [Stage(node) for node in cluster]
    clients = [stage.enter("guest") for stage in stages]
    for one in clients:
        for other in clients:
            one.message(other, f"from {one.jid}")
    for one in clients:
        for other in clients:
            other.expect_message(f"from {one.jid}", from_=one)
    for stage in stages:
        stage.close()


def test_a_version_two_apart_is_refused_and_says_so(cluster, tmp_path):
    """It joins by itself once the others have followed."""
    newest, follower, last = cluster
    newest.install(speaking(3, tmp_path))
    why = "it speaks version 3 of the protocol between nodes"

    def refused() -> str:
        rows = [row for row in follower.status()["others"] if row["id"] == newest.number]
        return rows[0]["refused"] if rows else ""

    wait_until(refused, "the others see why it may not join", 60)
    assert why in refused() and "speaks 1: upgrade the enterprise plugin of the older one" in refused()
    assert newest.status()["state"] == "refused"
    assert ready(newest)[0] == 503
    cluster.wait_formed(follower, last)

    for node in (follower, last):
        node.install(speaking(2, tmp_path))
    cluster.wait_formed()
    assert of_members(last, "protocol") == {newest.number: 3, follower.number: 2, last.number: 2}
    cross(cluster)
