"""A database that goes away, and TLS to it."""

import pytest

from play import Stage
from servers.hearth import Hearth
from servers.link import Authority, Link
from servers.process import wait_until

pytestmark = pytest.mark.needs("databases")


@pytest.fixture
def link(postgres):
    """The way to the database."""
    link = Link(postgres)
    yield link
    link.close()


def test_a_database_that_is_away_longer_than_the_lease(private_server, link):
    """The server stands by, comes back by itself, and has lost nothing that it acknowledged."""
    server = private_server(database=link.url())
    server.database = link.url()
    stage = Stage(server)
    romeo, user = stage.login(stage.user("romeo")), stage.user("juliet")
    romeo.enable_sm()
    romeo.message(user, "before")
    wait_until(lambda: romeo.acknowledged() == 1, "the first message is acknowledged")

    link.cut()
    romeo.message(user, "meanwhile")
    assert romeo.acknowledged() == 1, "nothing is promised that cannot be kept"
    assert romeo.expect_end() == "reset"
    wait_until(lambda: not server.serves(), "the server stands by")
    assert server.is_alive()

    link.mend()
    wait_until(server.serves, "the server serves again")
    again = Stage(server)
    juliet = again.online(user)
    juliet.expect_message("before")
    again.close()


def test_a_database_that_is_away_for_a_moment(private_server, link):
    """Shorter than the lease: streams stay, acknowledgements wait for the commit."""
    server = private_server(database=link.url())
    stage = Stage(server)
    romeo, user = stage.login(stage.user("romeo")), stage.user("juliet")
    romeo.enable_sm()
    romeo.message(user, "first")
    wait_until(lambda: romeo.acknowledged() == 1, "the first message is acknowledged")
    link.cut()
    romeo.message(user, "second")
    romeo.sync()
    link.mend()
    wait_until(lambda: romeo.acknowledged() == 3, "everything is acknowledged")
    juliet = stage.online(user)
    juliet.expect_message("first")
    juliet.expect_message("second")
    juliet.expect_nothing()
    stage.close()


@pytest.fixture
def secured(postgres, tmp_path):
    """Makes links to the database that speak TLS, with a certificate of `authority` for `name`."""
    links = []

    def make(authority: Authority, name: str) -> Link:
        links.append(Link(postgres, authority.server(name)))
        return links[-1]

    yield make
    for link in links:
        link.close()


def verified(authority: Authority) -> str:
    return f"?sslmode=verify-full&sslrootcert={authority.certificate}"


def test_tls_to_the_database_is_verified(private_server, secured, tmp_path):
    authority = Authority(tmp_path / "ca")
    link = secured(authority, "DNS:localhost")
    server = private_server(database=link.url("localhost", verified(authority)))
    stage = Stage(server)
    stage.enter("juliet").sync()
    stage.close()


def refusal(home, url: str) -> str:
    """The one line by which `hearth setup` refuses the database."""
    done = Hearth(home).setup(url)
    assert done.returncode not in (0, 101) and not (home / "hearth.toml").exists()
    [line] = done.stderr.strip().splitlines()
    return line


def test_a_database_of_another_ca_is_refused(secured, tmp_path):
    trusted, other = Authority(tmp_path / "ca"), Authority(tmp_path / "other")
    link = secured(other, "DNS:localhost")
    line = refusal(tmp_path / "home", link.url("localhost", verified(trusted)))
    assert "TLS to the database" in line and "sslrootcert" in line, line


def test_a_database_of_another_name_is_refused(secured, tmp_path):
    authority = Authority(tmp_path / "ca")
    link = secured(authority, "DNS:elsewhere.example")
    line = refusal(tmp_path / "home", link.url("localhost", verified(authority)))
    assert "TLS to the database" in line and "localhost" in line, line


def test_a_ca_file_that_is_not_there_is_named(secured, tmp_path):
    link = secured(Authority(tmp_path / "ca"), "DNS:localhost")
    url = link.url("localhost", "?sslmode=verify-full&sslrootcert=/no/such/ca.pem")
    assert "/no/such/ca.pem" in refusal(tmp_path / "home", url)
