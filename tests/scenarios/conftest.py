"""Fixtures: one server for all tests of a worker, private ones where settings differ."""

import shutil
from collections.abc import Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

import servers
from play import Stage
from servers.database import fresh_postgres


def pytest_configure(config):
    config.addinivalue_line("markers", "needs(name): skipped on a stand-in server that lacks it")


def pytest_runtest_setup(item):
    for mark in item.iter_markers("needs"):
        if mark.args[0] in servers.kind().lacks:
            pytest.skip(f"{servers.kind().__name__} lacks: {mark.args[0]}")


def pytest_terminal_summary(terminalreporter):
    """Shows what tests counted (`record_property("count", …)`), whichever worker ran them."""
    reports = [report for kind in ("passed", "failed") for report in terminalreporter.getreports(kind)]
    for report in reports:
        for name, value in report.user_properties:
            if name == "count":
                terminalreporter.write_line(f"{report.nodeid.rpartition('::')[2]}: {value}")


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """The server that tests share; each brings users of its own."""
    home = tmp_path_factory.mktemp("server") / "home"
    home.mkdir()
    running = servers.kind().set_up(home, properties={"registration.inband": "true"}).start()
    yield running
    running.stop()


@pytest.fixture
def stage(server):
    """Users and clients on the shared server."""
    stage = Stage(server)
    yield stage
    stage.close()
    assert server.is_alive(), f"the server died:\n{server.log()[-3000:]}"


@pytest.fixture(params=["sqlite", "postgres"])
def database(request):
    """What `--database` takes: the embedded one, and a fresh one in PostgreSQL."""
    if request.param == "sqlite":
        yield "sqlite"
    else:
        yield from fresh_postgres()


@pytest.fixture
def postgres():
    """The URL of a fresh PostgreSQL database."""
    yield from fresh_postgres()


@pytest.fixture
def private_server(tmp_path):
    """Makes servers with settings of their own: `private_server({"archive.enabled": "true"})`."""
    made = []

    def make(properties: Mapping[str, str] = {}, database: str = "sqlite", start: bool = True):
        home = Path(tmp_path) / f"home-{len(made)}"
        home.mkdir()
        new = servers.kind().set_up(home, database, properties)
        made.append(new)
        return new.start() if start else new

    yield make
    for each in made:
        if each.is_alive():
            each.kill()
        shutil.rmtree(each.home, ignore_errors=True)


@pytest.fixture(scope="session")
def browser():
    """One Chromium per worker."""
    from playwright.sync_api import sync_playwright

    from console import launch

    with sync_playwright() as playwright:
        chromium = launch(playwright)
        yield chromium
        chromium.close()


@contextmanager
def before_the_console(server, browser, name):
    from console import Console

    context = browser.new_context(locale="en-GB", timezone_id="Europe/Berlin")
    opened = Console(server, context, name)
    yield opened
    opened.close()


@pytest.fixture
def visitor(server, browser, request):
    """A browser in front of the shared server's console, not signed in: see `console`."""
    with before_the_console(server, browser, request.node.name) as opened:
        yield opened


@pytest.fixture
def console(visitor):
    """The same, the administrator signed in."""
    visitor.enter()
    return visitor


@pytest.fixture
def own_console(private_server, browser, request):
    """The administrator, who is the only one, signed in to a server of the test's own."""
    with before_the_console(private_server(), browser, request.node.name) as opened:
        opened.enter()
        yield opened


@pytest.fixture
def postgres_console(private_server, postgres, browser, request):
    """The same with a database of its own in PostgreSQL."""
    with before_the_console(private_server(database=postgres), browser, request.node.name) as opened:
        opened.enter()
        yield opened
