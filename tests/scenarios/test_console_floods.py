"""Requests that are meant to keep the console from its work: bodies that drip or never end, and a flood of
sign-ins while people chat."""

import http.client
import socket
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest

from play import Stage
from play.wire import DEADLINE
from servers.hearth import ADMIN_PASSWORD

FORM = "application/x-www-form-urlencoded"
# The server gives a body 30 seconds.
DRIPS = 120
# As many at once as do not starve a small machine, which would try the machine instead of the server.
ATTEMPTS, ADDRESSES, AT_ONCE = 10_000, 20, 4
SIGN_IN = f"name=admin&password={ADMIN_PASSWORD}"


def head(path: str, kind: str, length: int | None) -> bytes:
    size = "Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}"
    lines = [f"POST {path} HTTP/1.1", "Host: localhost", f"Content-Type: {kind}", size, "", ""]
    return "\r\n".join(lines).encode()


def sign_in(server, body: str = SIGN_IN, source: str = "127.0.0.1", headers: dict = {}) -> tuple[int, str]:
    connection = http.client.HTTPConnection(
        "127.0.0.1", server.port("console"), timeout=DEADLINE, source_address=(source, 0)
    )
    connection.request("POST", "/sign-in", body, {"Content-Type": FORM, **headers})
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, text


@pytest.mark.parametrize(
    ("path", "kind", "statuses"),
    [
        ("/sign-in", FORM, [408]),
        ("/server/tokens/new", FORM, [408]),
        ("/api/v1/users", "application/json", [408]),
        # Who may not upload is told so before anything is read.
        ("/plugins/upload", "multipart/form-data; boundary=x", [422]),
        ("/api/v1/plugins", "multipart/form-data; boundary=x", [401]),
    ],
)
def test_a_body_that_drips_is_not_waited_for(server, path, kind, statuses):
    with socket.create_connection(("127.0.0.1", server.port("console"))) as wire:
        wire.settimeout(0.5)
        wire.sendall(head(path, kind, 10_000))
        answer, is_open = b"", True
        for _ in range(DRIPS):
            try:
                piece = wire.recv(4096)
                answer += piece
                is_open = bool(piece)
            except TimeoutError:
                drip(wire)
            except ConnectionError:
                is_open = False
            if not is_open:
                break
        assert not is_open, "the server still waits"
    assert int(answer.split(b" ")[1]) in statuses, answer
    assert sign_in(server)[0] == 303


def drip(wire: socket.socket) -> None:
    try:
        wire.sendall(b"x")
    except OSError:
        pass  # It is closed: the next read says so.


@pytest.mark.parametrize(("path", "kind"), [("/sign-in", FORM), ("/api/v1/users", "application/json")])
def test_a_body_without_end_is_cut_off(server, path, kind):
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    with socket.create_connection(("127.0.0.1", server.port("console")), DEADLINE) as wire:
        wire.sendall(head(path, kind, None))
        sent = 0
        try:
            # A server that reads all of it would take 64 MiB.
            while sent < 1024:
                wire.sendall(chunk)
                sent += 1
        except OSError:
            pass
    assert sent < 1024
    assert sign_in(server)[0] == 303


@pytest.mark.parametrize("path", ["/sign-in", "/api/v1/users", "/setup", "/assets/x"])
def test_a_body_that_is_announced_too_large_is_refused_at_once(server, path):
    with socket.create_connection(("127.0.0.1", server.port("console")), DEADLINE) as wire:
        wire.sendall(head(path, FORM, 10**12))
        assert wire.recv(4096).split(b" ")[1] == b"413"


def attack(server, source: str, count: int, over: Event) -> int:
    """Tries passwords over one connection until it is over; how many of them were looked at."""
    tried = 0
    connection = http.client.HTTPConnection(
        "127.0.0.1", server.port("console"), timeout=DEADLINE, source_address=(source, 0)
    )
    for n in range(count):
        if over.is_set():
            break
        connection.request("POST", "/sign-in", f"name=admin&password=guess-{n}", {"Content-Type": FORM})
        answer = connection.getresponse()
        text = answer.read().decode()
        assert answer.status == 422, text
        tried += "Too many failed attempts" not in text
    connection.close()
    return tried


def test_ten_thousand_sign_ins_disturb_nobody(private_server, record_property):
    server = private_server()
    stage = Stage(server)
    romeo, juliet = stage.enter("romeo"), stage.enter("juliet")
    said, over = 0, Event()
    with ThreadPoolExecutor(AT_ONCE) as attackers:
        each = ATTEMPTS // ADDRESSES
        attacks = [
            attackers.submit(attack, server, f"127.0.1.{n}", each, over) for n in range(1, ADDRESSES + 1)
        ]
        try:
            while not all(one.done() for one in attacks):
                romeo.message(juliet, f"word {said}")
                juliet.expect_message(f"word {said}", from_=romeo)
                said += 1
                if said == 1:
                    # Nobody else waits for what these addresses did.
                    assert sign_in(server)[0] == 303
                for one in attacks:
                    if one.done():
                        one.result()
        finally:
            over.set()
        tried = [one.result() for one in attacks]
    assert said > 1
    # Ten and the one that is too many: everything else was refused unseen.
    assert tried == [11] * ADDRESSES
    assert sign_in(server)[0] == 303
    status, text = sign_in(server, source="127.0.1.1")
    assert status == 422 and "Too many failed attempts" in text
    stage.enter("nurse")
    noted = server.api("GET", "/audit?action=console.sign-in-refused&limit=1000")["items"]
    assert len(noted) == 11 * ADDRESSES
    record_property("count", f"{ATTEMPTS} sign-ins were refused while {said} messages were exchanged")
    stage.close()


def test_behind_a_trusted_proxy_each_visitor_counts_alone(private_server):
    server = private_server({"http.trusted-proxies": "127.0.0.9"})

    def visit(visitor: str, body: str = "name=admin&password=wrong", source: str = "127.0.0.9"):
        return sign_in(server, body, source, {"X-Forwarded-For": f"203.0.113.1, {visitor}"})

    assert [visit("198.51.100.7")[0] for _ in range(11)] == [422] * 11
    status, text = visit("198.51.100.7", SIGN_IN.replace("admin", "nobody", 1))
    assert status == 422 and "Too many failed attempts" in text
    # Elsewhere only the account waits; who is no proxy is not believed.
    assert visit("198.51.100.8", "name=nurse&password=wrong")[1].count("Too many failed attempts") == 0
    assert visit("198.51.100.7", SIGN_IN, "127.0.0.10")[0] == 303
    acts = server.api("GET", "/audit?action=console.sign-in-refused")["items"]
    assert {act["actor"] for act in acts} == {"198.51.100.7", "198.51.100.8"}
