"""Passwords, users and groups that are kept elsewhere: a web service, and an LDAP directory."""

import json
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from play import Login, Stage, User, ns
from play.client import LoginRefused
from servers.hearth import ADMIN_PASSWORD
from servers.slapd import Slapd
from test_plugins import built, run, upload
from test_real_clients import Slixmpp, connect, play

PLAIN = Login(mechanism="PLAIN")


class Service:
    """Answers as `external-auth` expects it: 200, 401, 404, and whatever `broken` says."""

    def __init__(self, passwords: dict[str, str]):
        self.passwords = passwords
        self.broken: int | None = None
        self.asked: list[str] = []
        outer = self

        class Answer(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                self.send_response(outer.status(json.loads(body), self.headers))
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        self.url = f"http://127.0.0.1:{self.http.server_port}/check"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def status(self, question: dict, headers) -> int:
        self.asked.append(question["user"])
        if self.broken:
            return self.broken
        assert headers["authorization"] == "Bearer token-of-the-service"
        known = self.passwords.get(question["user"])
        return 404 if known is None else 200 if known == question["password"] else 401

    def stop(self) -> None:
        self.http.shutdown()
        self.http.server_close()


@pytest.fixture
def service():
    service = Service({"nurse": "nurse's secret", "admin": "not the administrator's"})
    yield service
    service.stop()


def installed(server, name: str, properties: dict[str, str]):
    id_ = name.replace("_", "-")
    assert upload(server, built(name).read_bytes())["state"] == "running", server.log()[-3000:]
    for property_, value in properties.items():
        server.api("PUT", f"/properties/plugin.{id_}.{property_}", {"value": value})
    return server


@pytest.fixture
def server(private_server, service):
    settings = {"url": service.url, "token": "token-of-the-service"}
    server = installed(private_server({"registration.inband": "true"}), "external_auth", settings)
    yield server
    assert server.is_alive(), server.log()[-3000:]


def outcome(server, name: str, password: str) -> str | None:
    """`None` when the password lets in, else the condition of the refusal."""
    stage = Stage(server)
    client = stage.connect()
    client.negotiate_tls()
    try:
        client.authenticate(name, password, PLAIN)
        return None
    except LoginRefused as refusal:
        return refusal.condition
    finally:
        stage.close()


def test_the_service_lets_in_and_refuses(server, service):
    assert outcome(server, "nurse", "wrong") == "not-authorized"
    assert outcome(server, "stranger", "any") == "not-authorized"
    assert server.api("GET", "/users?search=nurse")["items"] == []
    assert outcome(server, "nurse", "nurse's secret") is None
    assert [user["name"] for user in server.api("GET", "/users?search=nurse")["items"]] == ["nurse"]
    assert service.asked == ["nurse", "stranger", "nurse"]


def test_only_plain_is_offered_and_only_over_tls(server):
    stage = Stage(server)
    features = stage.connect().negotiate_tls()
    assert [m.text for m in features.iter(f"{{{ns.SASL}}}mechanism")] == ["PLAIN"]
    server.api("POST", "/plugins/external-auth/disable")
    features = stage.connect().negotiate_tls()
    assert "SCRAM-SHA-256" in [m.text for m in features.iter(f"{{{ns.SASL}}}mechanism")]
    stage.close()


def test_own_accounts_do_not_depend_on_the_service(server, service):
    server.api("POST", "/users", {"name": "romeo", "password": "ours alone"})
    service.broken = 500
    assert outcome(server, "romeo", "ours alone") is None
    assert outcome(server, "romeo", "wrong") == "not-authorized"
    assert outcome(server, "admin", ADMIN_PASSWORD) is None
    service.broken = None
    assert outcome(server, "admin", "not the administrator's") == "not-authorized"
    assert service.asked == []


def test_without_an_answer_nobody_gets_in(server, service):
    assert outcome(server, "nurse", "nurse's secret") is None
    service.broken = 500
    assert outcome(server, "nurse", "nurse's secret") == "temporary-auth-failure"
    service.stop()
    assert outcome(server, "nurse", "nurse's secret") == "temporary-auth-failure"
    (source,) = server.api("GET", "/sources")["items"]
    assert (source["plugin"], source["kind"], source["answered"], source["failed"]) == (
        "external-auth",
        "credentials",
        1,
        2,
    )
    assert source["last_failure"]
    server.api("POST", "/plugins/external-auth/disable")
    assert outcome(server, "nurse", "nurse's secret") == "not-authorized"


def test_a_password_that_is_kept_elsewhere_is_not_changed_here(server):
    assert outcome(server, "nurse", "nurse's secret") is None
    with pytest.raises(AssertionError, match="kept elsewhere"):
        server.api("PUT", "/users/nurse/password", {"password": "ours"})
    assert outcome(server, "nurse", "ours") == "not-authorized"


def test_slixmpp_signs_in_by_the_service(server):
    async def story():
        client = Slixmpp(User("nurse", "nurse's secret"), "python")
        connect(server, client, "starttls")
        await client.expect("ready")
        await client.disconnect()
        other = Slixmpp(User("nurse", "wrong"), "python")
        connect(server, other, "tls")
        await other.expect("failed_all_auth")
        await other.disconnect()

    play(story())


# -- LDAP --


@pytest.fixture
def directories(tmp_path):
    """Two servers with the same people."""
    both = [Slapd(tmp_path / name, ["juliet", "paris"]) for name in ("first", "second")]
    yield both
    for slapd in both:
        slapd.stop()


@pytest.fixture
def verona(private_server, directories):
    """A server whose users are in the directories."""
    first, second = directories
    first.start()
    settings = {
        "starttls": "false",
        "allow-cleartext": "true",
        "base-dn": "dc=example,dc=org",
        "servers": f"{first.address}\n{second.address}",
    }
    server = installed(private_server(), "ldap_auth", settings)
    yield server
    assert server.is_alive(), server.log()[-3000:]


def test_people_of_the_directory_sign_in_and_talk(verona):
    assert outcome(verona, "juliet", "wrong") == "not-authorized"
    assert outcome(verona, "juliet", "") is not None, "an empty password is none"
    assert outcome(verona, "stranger", "stranger-secret") == "not-authorized"

    async def story():
        juliet = Slixmpp(User("juliet", "juliet-secret"), "balcony")
        connect(verona, juliet, "starttls")
        await juliet.expect("ready")
        juliet.send_message(juliet.boundjid.bare, "good night")
        await juliet.expect("message", lambda m: m["body"] == "good night")
        await juliet.disconnect()

    play(story())
    user = verona.api("GET", "/users/juliet")
    assert (user["display_name"], user["email"]) == ("Juliet of Verona", "juliet@example.org")


def test_who_never_signed_in_is_known_by_the_directory(verona):
    stage = Stage(verona)
    juliet = stage.login(User("juliet", "juliet-secret"), PLAIN)
    juliet.message("paris@localhost", "are you there?")
    juliet.message("stranger@localhost", "are you there?")
    juliet.expect(lambda s: s.get("from") == "stranger@localhost" and s.get("type") == "error", "a refusal")
    juliet.sync()
    paris = stage.login(User("paris", "paris-secret"), PLAIN)
    paris.presence()
    paris.expect_message("are you there?", from_=juliet)
    stage.close()


def test_a_group_of_the_directory_can_be_addressed(verona):
    assert upload(verona, built("broadcast").read_bytes())["state"] == "running"
    stage = Stage(verona)
    people = [stage.login(User(name, f"{name}-secret"), PLAIN) for name in ("juliet", "paris")]
    for client in people:
        client.presence()
    draft = {"to": "group:everybody", "body": "Peace!"}
    assert run(verona, "send", draft, id_="broadcast")["recipients"] == 2
    for client in people:
        client.expect_message("Peace!")
    stage.close()


def test_the_second_directory_answers_for_the_first(verona, directories):
    first, second = directories
    assert outcome(verona, "juliet", "juliet-secret") is None
    first.stop()
    assert outcome(verona, "juliet", "juliet-secret") == "temporary-auth-failure"
    second.start()
    assert outcome(verona, "juliet", "juliet-secret") is None
    assert outcome(verona, "juliet", "wrong") == "not-authorized"
    second.stop()
    assert outcome(verona, "juliet", "juliet-secret") == "temporary-auth-failure"
    assert outcome(verona, "admin", ADMIN_PASSWORD) is None


def test_a_directory_that_says_nothing_is_given_up(verona):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"ldap://127.0.0.1:{silent.getsockname()[1]}"
        verona.api("PUT", "/properties/plugin.ldap-auth.servers", {"value": address})
        verona.api("PUT", "/properties/plugin.ldap-auth.timeout", {"value": "200"})
        assert outcome(verona, "paris", "paris-secret") == "temporary-auth-failure"
        assert outcome(verona, "admin", ADMIN_PASSWORD) is None
    sources = verona.api("GET", "/sources")["items"]
    assert {source["kind"] for source in sources} == {"credentials", "users"}
    assert all(source["failed"] == 1 for source in sources)
