"""From three machines with one database to a cluster, by a person in a browser."""

import base64
import re
import subprocess
from contextlib import ExitStack
from datetime import date, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import expect

from cluster import Cluster
from cluster.cluster import TEST_KEY, plugin
from conftest import before_the_console
from play import Stage
from servers.database import fresh_postgres
from servers.hearth import binary
from test_enterprise_pages import go_to
from test_plugin_pages import send, tabs

pytestmark = pytest.mark.needs("databases")


@pytest.fixture
def cluster(tmp_path):
    """Three nodes that are set up on one database; the plugin is on none."""
    databases = fresh_postgres()
    cluster = Cluster(tmp_path, next(databases), 3)
    yield cluster.start()
    cluster.close()
    next(databases, None)


@pytest.fixture
def consoles(cluster, browser, request):
    """The administrator signed in to the console of each node."""
    with ExitStack() as opened:
        yield [open_console(opened, node, browser, request) for node in cluster]


def open_console(opened: ExitStack, node, browser, request):
    console = opened.enter_context(before_the_console(node, browser, request.node.name))
    console.enter()
    return console


def node_table(page):
    return page.get_by_role("region", name="Nodes")


def shows(page, nodes, state: str = "member") -> None:
    """The table has exactly these nodes, all in this state."""
    expect(node_table(page).locator("tbody tr")).to_have_count(len(nodes), timeout=30_000)
    for node in nodes:
        row = node_table(page).get_by_role("row").filter(has=page.get_by_role("rowheader", name=re.compile(f"^{node.number:08x}\\b")))
        expect(row.locator(".badge")).to_contain_text(state, timeout=30_000)


def test_three_machines_become_a_cluster(cluster, consoles):
    for console in consoles:
        console.go("/plugins/install")
        send(console, plugin())
        expect(console.page.get_by_role("status")).to_contain_text("Hearth Enterprise is installed and runs.")
        assert "Enterprise" in tabs(console)

    first, page = consoles[0], consoles[0].page
    go_to(first, "Enterprise", "Licence")
    page.get_by_role("button", name="Start the evaluation").click()
    page.get_by_role("dialog").get_by_role("button", name="Start").click()
    expect(page.get_by_role("status")).to_contain_text("The evaluation has begun.")
    go_to(first, "Server", "Clustering")
    page.get_by_label("Enabled").check()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status")).to_contain_text("Clustering is enabled.")
    # By itself: nobody loads the page anew.
    shows(page, cluster.nodes)
    cluster.wait_formed()

    stages = [Stage(node) for node in cluster]
    romeo, juliet = stages[0].enter("romeo"), stages[2].enter("juliet")
    romeo.message(juliet, "one server")
    juliet.expect_message("one server", from_=romeo)
    for node in cluster:
        row = node_table(page).get_by_role("row").filter(has_text=f"{node.number:08x}")
        expect(row.first).to_contain_text("MiB", timeout=30_000)
    first.look("cluster-clustering")
    go_to(first, "Enterprise", "Overview")
    expect(page.locator("#overview")).to_contain_text("Users per node")
    first.look("cluster-overview")
    go_to(first, "Enterprise", "Licence")
    expect(page.locator(".facts")).to_contain_text("3 of 3")
    first.look("cluster-licence")

    go_to(first, "Server", "Clustering")
    shows(page, cluster.nodes)
    cluster[1].kill()
    shows(page, [cluster[0], cluster[2]])
    expect(page.get_by_text("evicted").first).to_be_visible()
    romeo.message(juliet, "nobody noticed")
    juliet.expect_message("nobody noticed", from_=romeo)

    row = node_table(page).get_by_role("row").filter(has_text=f"{cluster[2].number:08x}")
    row.get_by_role("button", name="Drain").click()
    expect(page.get_by_role("dialog")).to_contain_text(f"{cluster[2].number:08x}")
    first.look("cluster-drain-question")
    page.get_by_role("dialog").get_by_role("button", name="Drain").click()
    expect(row.get_by_role("button", name="Stop draining")).to_be_visible(timeout=30_000)
    first.look("cluster-draining")
    row.get_by_role("button", name="Stop draining").click()
    expect(row.locator(".badge")).to_contain_text("member", timeout=30_000)
    page.get_by_role("button", name="Switch off").click()
    expect(page.get_by_role("dialog")).to_contain_text("all others stand by")
    first.look("cluster-switch-off-question")
    page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    expect(page.get_by_text("Clustering is enabled.")).to_be_visible()
    for stage in stages:
        stage.close()


def tool() -> Path:
    return Path(binary()).parent / "hearth-licence"


def issued(*options: str, key: Path = TEST_KEY) -> str:
    """A licence as the vendor's tool issues it."""
    command = [tool(), "issue", "--key", key, "--holder", "Verona Ltd", "--id", "V-1", "--members", "5", *options]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout


def tampered(licence: str) -> str:
    """Ten times as many members; what was signed are five."""
    lines = licence.splitlines()
    envelope = base64.b64decode("".join(lines[1:-1])).decode()
    changed = envelope.replace('members\\":5', 'members\\":50')
    assert changed != envelope
    return "\n".join([lines[0], base64.b64encode(changed.encode()).decode(), lines[-1]])


def test_each_refused_licence_has_its_own_sentence(postgres_console, tmp_path):
    console, page = postgres_console, postgres_console.page
    console.go("/plugins/install")
    send(console, plugin())
    expect(page.get_by_role("status")).to_contain_text("Hearth Enterprise is installed and runs.")
    foreign = tmp_path / "foreign"
    subprocess.run([tool(), "keygen", foreign], check=True, capture_output=True, timeout=60)
    today = date.today()
    ended, later = str(today - timedelta(days=90)), str(today + timedelta(days=9))
    refused = {
        "tampered": (tampered(issued()), "was changed after it had been issued"),
        "foreign": (issued(key=foreign), "was signed with another vendor's key"),
        "expired": (issued("--from", ended, "--days", "30"), "This licence ended on"),
        "early": (issued("--from", later), "This licence holds from"),
        "torn": (issued()[:200], "This is no Hearth licence"),
    }
    for name, (licence, why) in refused.items():
        console.go("/plugins/enterprise/licence")
        page.get_by_label("Its text").fill(licence)
        page.get_by_role("button", name="Install").click()
        expect(page.locator(".toast.bad")).to_contain_text(why)
        if name in ("tampered", "foreign", "expired"):
            console.look(f"licence-{name}")
    expect(page.get_by_text("There is no licence.")).to_be_visible()
    page.get_by_label("Its text").fill(issued())
    page.get_by_role("button", name="Install").click()
    expect(page.get_by_role("status")).to_contain_text("The licence is installed.")
    expect(page.locator(".facts")).to_contain_text("0 of 5")
    console.look("licence-installed")
