"""The console's encrypted port in a browser, with the certificate that the server made itself."""

import http.client
import socket
import ssl

import pytest
from playwright.sync_api import expect

from console import Console


class Encrypted(Console):
    @property
    def origin(self) -> str:
        return f"https://localhost:{self.server.port('console_tls')}"


@pytest.fixture
def encrypted(server, browser, request):
    context = browser.new_context(locale="en-GB", ignore_https_errors=True)
    opened = Encrypted(server, context, request.node.name)
    yield opened
    opened.close()


def test_an_administrator_signs_in_encrypted(encrypted):
    page = encrypted.sign_in()
    cookie = next(one for one in encrypted.context.cookies() if one["name"] == "__Host-hearth")
    assert cookie["secure"] and cookie["httpOnly"] and cookie["sameSite"] == "Strict"
    assert not any(one["name"] == "hearth" for one in encrypted.context.cookies())
    page.get_by_role("link", name="Users/Groups").click()
    expect(page.get_by_role("heading", name="Users")).to_be_visible()
    encrypted.go("/")
    charts = page.locator("[sse-connect] section").first
    expect(charts).to_be_visible()
    page.evaluate("document.querySelector('section').dataset.old = 'yes'")
    # Live parts come encrypted, too.
    expect(page.locator("section[data-old]")).to_have_count(0, timeout=30_000)
    page.locator("summary").first.click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    assert not any(one["name"] == "__Host-hearth" for one in encrypted.context.cookies())


def own_address() -> str:
    """An address of this machine that is not loopback; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))
        return probe.getsockname()[0]


def test_from_elsewhere_the_plain_port_leads_to_the_encrypted_one(server):
    elsewhere, target = own_address(), server.port("console_tls")
    plain = http.client.HTTPConnection("127.0.0.1", server.port("console"), timeout=30, source_address=(elsewhere, 0))
    plain.request("GET", "/users?search=x", headers={"Host": "chat.example:9090"})
    answer = plain.getresponse()
    assert answer.status == 308 and "Set-Cookie" not in answer.headers
    assert answer.headers["Location"] == f"https://chat.example:{target}/users?search=x"
    answer.read()
    plain.request("POST", "/sign-in", "name=admin", {"Content-Type": "application/x-www-form-urlencoded"})
    answer = plain.getresponse()
    assert answer.status == 308
    plain.close()
    context = ssl._create_unverified_context()
    secure = http.client.HTTPSConnection(
        "127.0.0.1", target, timeout=30, source_address=(elsewhere, 0), context=context
    )
    secure.request("GET", "/sign-in")
    assert secure.getresponse().status == 200
    secure.close()
