"""A cluster while nodes die, stop and lose each other: nothing acknowledged is lost, nothing doubled,
never two owners, no ghosts. Each test prints its count."""

import os
import re
import shutil
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial

import pytest

from cluster import Balancer, Cluster, Network
from cluster.load import Load
from cluster.network import is_possible
from play import Login, Stage
from servers.database import fresh_postgres
from servers.hearth import hearth
from servers.postgres import Postgres
from servers.process import wait_until

pytestmark = pytest.mark.needs("databases")

ARCHIVES = pytest.mark.parametrize("archive", [False, True], ids=["archive off", "archive on"])


@pytest.fixture
def clusters(tmp_path):
    """Makes clusters: `clusters(3, archive)`; with `apart` each node has a host of its own."""
    made: list = []

    def make(size: int, archive: bool = False, apart: bool = False, own_database: bool = False) -> Cluster:
        network = None
        if apart:
            if not is_possible():
                pytest.skip("this machine allows no network namespaces")
            network = Network(size)
            made.append(network)
        if apart or own_database:
            database = Postgres(tmp_path / "database", network.hub if network else None).start()
            made.append(database)
            url = database.url
        else:
            databases = fresh_postgres()
            url = next(databases)
            made.append(databases)
            database = None
        cluster = Cluster(tmp_path, url, size, {"archive.enabled": str(archive).lower()}, network)
        cluster.network, cluster.postgres = network, database
        made.append(cluster)
        return cluster.form()

    yield make
    for each in reversed(made):
        if isinstance(each, Postgres):
            each.stop()
        elif hasattr(each, "close") and not hasattr(each, "send"):
            each.close()
        else:
            next(each, None)


def settle(load: Load, record_property, what: str) -> None:
    """The end of each story: all is quiet, everybody agrees, nothing is missing."""
    load.end()
    load.readers_have_theirs()
    load.cluster.check_directories()
    count = load.count()
    record_property("count", f"{what}, archive {load.archive}: {count}")
    count.check()


def others(cluster: Cluster, *without):
    return [node for node in cluster if node not in without]


@ARCHIVES
def test_a_node_is_killed_under_load(clusters, archive, record_property):
    cluster = clusters(3, archive)
    victim = cluster[1]
    watch, ghost = Stage(cluster[0]), Stage(victim)
    watcher, doomed = watch.enter("watcher"), ghost.enter("doomed")
    watch.befriend(watcher, doomed)
    load = Load(cluster, archive).begin()
    began = time.monotonic()
    load.kill(victim)
    watcher.expect_presence("unavailable", from_=doomed)
    record_property("count", f"its user is unavailable after {time.monotonic() - began:.1f} s")
    cluster.wait_formed(*others(cluster, victim))
    load.read(cluster[2], load.reader_users[victim])
    load.more()
    settle(load, record_property, "killed")


def test_two_nodes_are_killed_at_once(clusters):
    """Whoever was to tell of the first one is the second one: nobody stays as a ghost."""
    cluster = clusters(3)
    watch = Stage(cluster[2])
    watcher = watch.enter("watcher")
    doomed = [Stage(node).enter(f"doomed-{node.home.name}") for node in cluster.nodes[:2]]
    for each in doomed:
        watch.befriend(watcher, each)
    for node in cluster.nodes[:2]:
        node.kill()
    for each in doomed:
        watcher.expect_presence("unavailable", from_=each)
    cluster.wait_formed(cluster[2])


@ARCHIVES
def test_a_node_is_killed_and_started_at_once(clusters, archive, record_property):
    cluster = clusters(3, archive)
    load = Load(cluster, archive).begin()
    load.kill(cluster[1])
    cluster[1].start()
    cluster.wait_formed()
    load.read(cluster[1])
    load.more()
    settle(load, record_property, "killed and started at once")


def test_a_hundred_log_in_per_second_while_a_node_joins(clusters, tmp_path, record_property):
    """Spread over the nodes by the balancer: no login fails, and every node knows of all of them."""
    cluster = clusters(3)
    late = cluster[2]
    with closing(Balancer(tmp_path, cluster)) as balancer, closing(Stage(balancer)) as crowd:
        late.stop()
        cluster.wait_formed(*others(cluster, late))
        users = [crowd.user("crowd") for _ in range(25)]
        began = time.monotonic()

        def log_in(number: int) -> float:
            time.sleep(max(0, began + number / 100 - time.monotonic()))
            crowd.login(users[number % len(users)], Login(resource=f"place {number}"))
            return time.monotonic()

        with ThreadPoolExecutor(16) as pool:
            logins = [pool.submit(log_in, number) for number in range(600)]
            late.start()
            cluster.wait_formed()
            joined = time.monotonic()
            done = [login.result() for login in logins]
        rate = len(done) / (max(done) - began)
        record_property(
            "count", f"{len(done)} logins, {rate:.0f} per second, the node was there after {joined - began:.1f} s"
        )

        def sessions() -> list[int]:
            return [member["sessions"] for member in late.status()["members"]]

        wait_until(lambda: sum(sessions()) == len(done), "all are counted")
        assert all(sessions()), "each node took some"
        cluster.check_directories()


@ARCHIVES
def test_a_stopped_process_has_fenced_itself_when_it_goes_on(clusters, archive, record_property):
    """SIGSTOP for ten seconds: others took over meanwhile, so it must do nothing as its old self."""
    cluster = clusters(3, archive)
    frozen = cluster[1]
    held = Stage(frozen)
    client = held.enter("held")
    load = Load(cluster, archive).begin()
    old = next(m for m in cluster[0].status()["members"] if m["id"] == frozen.number)
    os.kill(frozen.process.pid, signal.SIGSTOP)
    began = time.monotonic()
    wait_until(lambda: cluster[0].members() == {n.number for n in others(cluster, frozen)}, "it is out of the view")
    record_property("count", f"out of the view after {time.monotonic() - began:.1f} s")
    load.go_on_for(max(0.0, 10 - (time.monotonic() - began)))
    os.kill(frozen.process.pid, signal.SIGCONT)
    assert client.expect_end() == "reset", "it shall connect again, to whoever serves"
    held.close()
    cluster.wait_formed()
    new = next(m for m in cluster[0].status()["members"] if m["id"] == frozen.number)
    assert new["incarnation"] != old["incarnation"], "it came back as its old self"
    load.read(frozen)
    load.more()
    settle(load, record_property, "stopped for 10 s")


@ARCHIVES
def test_the_database_goes_away_for_20_seconds(clusters, archive, record_property):
    cluster = clusters(3, archive, own_database=True)
    load = Load(cluster, archive).begin()
    cluster.postgres.stop()
    load.go_on_for(20)
    cluster.postgres.start()
    cluster.wait_formed()
    for node in cluster:
        load.read(node)
    load.more()
    settle(load, record_property, "database away for 20 s")


@ARCHIVES
def test_two_nodes_lose_each_other(clusters, archive, record_property):
    """Both reach the database and the third, which stays: one of them is put out, by a rule."""
    cluster = clusters(3, archive, apart=True)
    hosts = cluster.network.hosts
    load = Load(cluster, archive).begin()
    cut = partial(cluster.network.cut, hosts[1], hosts[2])
    load.evicted(cut, lambda: len(cluster[0].members()) == 2, "one of them is put out")
    assert cluster[0].number in cluster[0].members(), "the one that had all its links was put out"
    load.go_on_for(5)
    assert len(cluster[0].members()) == 2, "they came together although they cannot speak"
    cluster.network.mend(hosts[1], hosts[2])
    cluster.wait_formed()
    for node in cluster:
        load.read(node)
    load.more()
    settle(load, record_property, "link cut")


def test_half_of_the_links_are_cut(clusters, record_property):
    """Five nodes of which two see only each other: the larger part goes on."""
    cluster = clusters(5, apart=True)
    hosts = cluster.network.hosts
    load = Load(cluster, False).begin()
    pairs = [(a, b) for a in hosts[:3] for b in hosts[3:]]
    large = {node.number for node in cluster.nodes[:3]}

    def cut() -> None:
        for a, b in pairs:
            cluster.network.cut(a, b)

    load.evicted(cut, lambda: cluster[0].members() == large, "the larger part is the cluster")
    load.go_on_for(3)
    for a, b in pairs:
        cluster.network.mend(a, b)
    cluster.wait_formed()
    for node in cluster:
        load.read(node)
    load.more()
    settle(load, record_property, "half of the links cut")


@ARCHIVES
def test_a_node_is_cut_off_from_everything(clusters, archive, record_property):
    """From the database and its peers: it closes its ports before others act for it."""
    cluster = clusters(3, archive, apart=True)
    lonely = cluster[1]
    load = Load(cluster, archive).begin()
    isolate = partial(cluster.network.isolate, cluster.network.hosts[1])
    load.evicted(isolate, lambda: lonely.number not in cluster[0].members(), "it is put out")
    cluster.wait_formed(*others(cluster, lonely))
    assert not lonely.serves(), "others took over while it still served"
    load.more()
    cluster.network.rejoin(cluster.network.hosts[1])
    cluster.wait_formed()
    load.read(lonely)
    load.more()
    settle(load, record_property, "cut off")


@ARCHIVES
def test_all_nodes_are_killed_and_started(clusters, archive, record_property):
    cluster = clusters(3, archive)
    load = Load(cluster, archive).begin()
    for node in cluster:
        load.kill(node)
    cluster.start()
    cluster.wait_formed()
    for node in cluster:
        load.read(node)
    settle(load, record_property, "all killed")


def test_a_second_process_on_the_same_home_is_refused(clusters):
    cluster = clusters(2)
    second = hearth("run", "--home", cluster[0].home, check=False)
    assert second.returncode != 0 and "home" in second.stderr, second.stderr
    cluster.wait_formed()


def test_a_copied_home_does_not_join(clusters, tmp_path):
    """Its node number is taken by somebody who lives."""
    cluster = clusters(2)
    copy = type(cluster[0])(tmp_path / "copy")
    shutil.copytree(cluster[0].home, copy.home, ignore=shutil.ignore_patterns("run"))
    copy.database = cluster[0].database
    text = (copy.home / "hearth.toml").read_text()
    (copy.home / "hearth.toml").write_text(re.sub(r"(?m)^(c2s|c2s_tls|console) = \d+$", r"\1 = 0", text))
    copy.start()
    try:
        wait_until(lambda: "this node's home folder is a copy" in copy.log(), "it says why")
        assert not copy.serves()
        status = copy.status()
        assert status["state"] == "refused" and "hearth setup" in status["refused"], status
        cluster.wait_formed()
    finally:
        copy.kill()
