"""The console's door: requests that no browser of an administrator would send (ATTACKS: sessions, forms, paths)."""

import http.client
import re
import urllib.parse

import pytest

from servers.hearth import ADMIN_PASSWORD

FORM = "application/x-www-form-urlencoded"
CLOSED = ["/", "/server/tokens", "/server/tokens/new", "/confirm", "/help/tokens", "/live/dashboard", "/nothing"]


class Browser:
    """Sends what it is told, and keeps the cookie of the session."""

    def __init__(self, server):
        self.server = server
        self.cookie = ""

    def send(self, method: str, path: str, fields: dict | None = None, headers: dict = {}):
        """Status, headers and text of the answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port("console"), timeout=30)
        sent = {"Cookie": self.cookie, **headers}
        body = None
        if fields is not None:
            body = urllib.parse.urlencode(fields)
            sent.setdefault("Content-Type", FORM)
        connection.request(method, path, body, sent)
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        return answer.status, answer.headers, text

    def sign_in(self, name: str = "admin", password: str = ADMIN_PASSWORD, headers: dict = {}):
        status, answered, text = self.send("POST", "/sign-in", {"name": name, "password": password}, headers)
        if status == 303:
            self.cookie = answered["Set-Cookie"].split(";")[0]
        return status, answered, text

    def csrf(self) -> str:
        return re.search(r'name="csrf" value="([^"]+)"', self.send("GET", "/confirm")[2])[1]


@pytest.fixture
def browser(server):
    return Browser(server)


@pytest.fixture
def own(private_server):
    """On a server of its own: a test that gets an address or an account locked out."""
    return Browser(private_server())


@pytest.mark.parametrize("path", CLOSED)
def test_without_a_session_every_page_leads_to_the_sign_in(browser, path):
    status, headers, text = browser.send("GET", path)
    assert status == 303 and headers["Location"].startswith("/sign-in?back=")
    assert not text


@pytest.mark.parametrize(
    "path", ["/sign-out", "/confirm", "/server/tokens/new", "/server/tokens/0/revoke", "/nothing"]
)
def test_without_a_session_no_form_is_taken(browser, path):
    status, headers, text = browser.send("POST", path, {"name": "x"})
    if status == 303:
        assert headers["Location"].startswith("/sign-in")
    else:
        assert status == 422 and 'action="/sign-in"' in text


def test_without_a_session_htmx_is_sent_to_the_sign_in(browser):
    """It would not show the sign-in in place of the answer that it waits for."""
    status, headers, text = browser.send("POST", "/plugins/x/page/y", {"name": "x"}, {"HX-Request": "true"})
    assert (status, text) == (204, "")
    assert headers["HX-Redirect"] == "/sign-in?back=%2Fplugins%2Fx%2Fpage%2Fy"


@pytest.mark.parametrize("headers", [{"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}])
def test_without_a_session_no_form_of_another_site_is_kept(browser, headers):
    """Nobody else fills in what an administrator finds in a form after he has signed in."""
    fields = {"name": "planted", "administrator": "true"}
    status, answered, text = browser.send("POST", "/create/user", fields, headers)
    assert status == 303 and answered["Location"] == "/sign-in?back=%2Fcreate%2Fuser" and not text


def carried(text: str) -> dict:
    """What the page that asks for the password carries in hidden fields of its own form."""
    form = text[text.rindex("<form") :]
    return dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', form))


def test_a_form_that_was_kept_is_shown_and_not_carried_out(browser):
    text = browser.send("POST", "/create/group", {"name": "kept<b>", "csrf": "of the old session"})[2]
    kept = carried(text)
    assert kept["sent"] == "name=kept%3Cb%3E" and "of the old session" not in text
    status, headers, _ = browser.send(
        "POST", "/sign-in", {"name": "admin", "password": ADMIN_PASSWORD, "back": kept["back"], "sent": kept["sent"]}
    )
    assert status == 303 and headers["Location"] == "/create/group"
    browser.cookie = headers["Set-Cookie"].split(";")[0]
    text = browser.send("GET", "/create/group")[2]
    assert 'value="kept&#60;b&#62;"' in text and "<b>" not in text
    assert browser.send("GET", "/groups/kept%3Cb%3E")[0] == 404


def test_what_waits_for_the_password_needs_the_sessions_token(browser):
    browser.sign_in()
    waiting = {"act": "/create/group", "sent": "name=planted", "password": ADMIN_PASSWORD}
    for token in ["", "wrong"]:
        assert browser.send("POST", "/confirm", waiting | {"csrf": token})[0] == 400
    ours = waiting | {"csrf": browser.csrf()}
    assert browser.send("POST", "/confirm", ours, {"Origin": "https://evil.example"})[0] == 400
    assert browser.send("GET", "/groups/planted")[0] == 404
    planted = "/confirm?back=%2Fgroups&act=%2Fcreate%2Fgroup&sent=name%3Dplanted"
    kept = carried(browser.send("GET", planted)[2])
    assert (kept["act"], kept["sent"], kept["back"]) == ("", "", "/groups"), "a link plants nothing"


@pytest.mark.parametrize(
    "path",
    [
        "/sign-in/../server/tokens",
        "/sign-in/%2e%2e/server/tokens",
        "/sign-in/%252e%252e/server/tokens",
        "/assets/%u002e%u002e/server/tokens",
        "/assets/..%2fserver/tokens",
        "/sign-in;/server/tokens",
        "//server/tokens",
        "/server/tokens/.",
        "/server\\tokens",
        "/server/tokens%00",
    ],
)
def test_another_spelling_of_a_path_is_no_way_in(browser, path):
    status, _, text = browser.send("GET", path)
    assert status in (400, 303, 404) and "Created" not in text


def test_a_session_of_somebody_else_is_not_taken_over(browser):
    """Session fixation: the id that the browser brings along never becomes the session's."""
    browser.cookie = "hearth=planted"
    status, headers, _ = browser.sign_in()
    assert status == 303 and "planted" not in headers["Set-Cookie"]
    second = Browser(browser.server)
    second.sign_in()
    assert second.cookie != browser.cookie
    planted = Browser(browser.server)
    planted.cookie = "hearth=planted"
    assert planted.send("GET", "/")[0] == 303


def test_the_cookie_is_for_no_script_and_no_other_site(browser):
    cookie = browser.sign_in()[1]["Set-Cookie"]
    assert "HttpOnly" in cookie and "SameSite=Strict" in cookie and "Path=/" in cookie


@pytest.mark.parametrize("token", [None, "", "wrong"])
def test_a_form_without_the_sessions_token_changes_nothing(browser, token):
    browser.sign_in()
    fields = {"name": "foreign"} | ({} if token is None else {"csrf": token})
    status, _, text = browser.send("POST", "/server/tokens/new", fields)
    assert status == 400 and "did not come from your session" in text


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Content-Type": "text/plain"},
    ],
)
def test_a_form_of_another_site_is_refused_even_with_the_token(browser, headers):
    browser.sign_in()
    fields = {"csrf": browser.csrf(), "name": "foreign"}
    assert browser.send("POST", "/server/tokens/new", fields, headers)[0] == 400


def test_a_sign_in_from_another_site_is_refused(browser):
    assert browser.sign_in(headers={"Origin": "https://evil.example"})[0] == 400


def test_who_is_no_administrator_does_not_get_in(browser, stage):
    user = stage.user("juliet")
    refused = browser.sign_in(user.name, user.password)
    wrong = browser.sign_in(user.name, "wrong")
    assert refused[0] == wrong[0] == 422
    assert refused[2] == wrong[2]


def test_a_dismissed_administrator_is_out_at_once(browser, stage):
    user = stage.user("nurse")
    stage.server.api("PUT", f"/users/{user.name}/administrator")
    assert browser.sign_in(user.name, user.password)[0] == 303
    assert browser.send("GET", "/")[0] == 200
    stage.server.api("DELETE", f"/users/{user.name}/administrator")
    assert browser.send("GET", "/")[0] == 303


def test_a_new_password_ends_the_sessions_of_the_old(browser, stage):
    user = stage.user("nurse")
    stage.server.api("PUT", f"/users/{user.name}/administrator")
    assert browser.sign_in(user.name, user.password)[0] == 303
    stage.server.api("PUT", f"/users/{user.name}/password", {"password": "another-password"})
    assert browser.send("GET", "/")[0] == 303


def test_many_wrong_passwords_lock_the_address_out(own):
    assert [own.sign_in(password="wrong")[0] for _ in range(11)] == [422] * 11
    status, _, text = own.sign_in()
    assert status == 422 and "Too many failed attempts" in text
    acts = own.server.api("GET", "/audit")["items"]
    refused = [act for act in acts if act["action"] == "console.sign-in-refused"]
    assert len(refused) == 11 and refused[0]["actor"] == "127.0.0.1" and refused[0]["target"] == "admin"


def test_signing_in_and_out_is_in_the_audit_log(own):
    own.sign_in()
    own.send("POST", "/sign-out", {"csrf": own.csrf()})
    acts = [(act["action"], act["actor"]) for act in own.server.api("GET", "/audit")["items"]]
    assert ("console.sign-in", "admin@localhost") in acts
    assert ("console.sign-out", "admin@localhost") in acts


@pytest.mark.parametrize(
    "back", ["//evil.example", "https://evil.example", "/\\evil.example", "/\t/evil.example", "/%0d%0aX: y"]
)
def test_the_way_back_stays_here(browser, back):
    fields = {"name": "admin", "password": ADMIN_PASSWORD, "back": back}
    status, headers, _ = browser.send("POST", "/sign-in", fields)
    assert status == 303 and headers["Location"] == "/" and "X" not in headers


def test_pages_may_load_nothing_foreign_and_stand_in_no_frame(browser):
    browser.sign_in()
    for path in ["/", "/sign-in", "/nothing"]:
        headers = browser.send("GET", path)[1]
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy, path
        assert "unsafe" not in policy
        assert headers["X-Frame-Options"] == "DENY" and headers["X-Content-Type-Options"] == "nosniff"
    assert browser.send("GET", "/")[1]["Cache-Control"] == "no-store"


def test_what_somebody_typed_is_no_markup(browser):
    status, _, text = browser.sign_in(name="<script>alert(1)</script>")
    assert status == 422 and "<script>alert" not in text


def test_a_large_form_is_refused(browser):
    status, _, _ = browser.send("POST", "/sign-in", {"name": "x" * 300_000, "password": "y"})
    assert status == 413


def test_assets_are_kept_for_ever_under_a_name_of_their_own(browser):
    page = browser.send("GET", "/sign-in")[2]
    paths = re.findall(r'"(/assets/[^"]+)"', page)
    assert len(set(paths)) == 5
    for path in paths:
        status, headers, _ = browser.send("GET", path)
        assert status == 200 and "immutable" in headers["Cache-Control"]
    assert browser.send("GET", "/assets/hearth.css")[0] == 404
