"""The set-up wizard, from the address that a first start prints to a server that serves."""

import http.client
import json
import re
import socket
import ssl
import stat
import urllib.request

import pytest
from playwright.sync_api import expect

from servers.hearth import ADMIN_PASSWORD, FirstStart, hearth
from servers.process import wait_until

pytestmark = pytest.mark.needs("command line")


@pytest.fixture
def first_start(tmp_path):
    """Makes servers that are not set up, and starts them."""
    made = []

    def make(start: bool = True) -> FirstStart:
        made.append(FirstStart(tmp_path / f"node-{len(made)}"))
        return made[-1].start() if start else made[-1]

    yield make
    for each in made:
        if each.is_alive():
            each.kill()


@pytest.fixture
def wizard(browser):
    """Opens browsers in front of a wizard."""
    from console.wizard import Wizard

    opened = []

    def make(server: FirstStart, locale: str = "en-GB") -> Wizard:
        context = browser.new_context(
            locale=locale, timezone_id="Europe/Berlin", ignore_https_errors=True
        )
        opened.append(Wizard(server, context, "wizard"))
        return opened[-1]

    yield make
    for each in opened:
        each.close()


def ask(server: FirstStart, path: str, method: str = "GET", body: str | None = None, **headers: str):
    """One request, not followed: status, headers, text."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port("console"), timeout=30)
    kind = {"Content-Type": "application/x-www-form-urlencoded"} if body is not None else {}
    connection.request(method, path, body, kind | headers)
    answer = connection.getresponse()
    return answer.status, answer.headers, answer.read().decode()


def set_up(browser, name: str = "admin") -> None:
    """All pages with the embedded database."""
    browser.enter()
    browser.through_server()
    browser.press()
    browser.through_profile()
    browser.administrator(name)
    browser.finish()


def mode(path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_first_start_waits_for_its_set_up(first_start):
    server = first_start()
    assert ask(server, "/healthz")[0] == 200
    status, _, text = ask(server, "/readyz")
    assert status == 503 and "setting up" in text
    assert mode(server.home / "run" / "setup-token") == 0o600
    token = server.setup_token()
    log = server.log()
    assert f"http://localhost:{server.port('console')}/setup?token={token}" in log
    assert re.search(rf"https://\S+:{server.port('console_tls')}/setup\?token={token}", log)
    assert set(json.loads((server.home / "run" / "ports.json").read_text())) == {"console", "console_tls"}
    second = hearth("run", "--home", server.home, "--ephemeral-ports", check=False)
    assert second.returncode == 6 and "in use" in second.stderr
    server.stop()
    assert not (server.home / "hearth.toml").exists()
    assert list((server.home / "run").iterdir()) == [server.home / "run" / "hearth.pid"]


def test_the_embedded_database(first_start, wizard):
    server = first_start()
    browser = wizard(server)
    page = browser.go("/")
    expect(page.get_by_label("Token")).to_be_visible()
    browser.look("setup-token")
    browser.enter()
    assert "token" not in page.url
    browser.is_at("language")
    browser.look("setup-language")
    browser.through_language()
    browser.fill(domain="chat.example", host_name="node1.chat.example")
    expect(page.locator("#c2s-state")).to_contain_text("The system picks one")
    browser.look("setup-server")
    browser.press()
    browser.look("setup-database")
    browser.press("test")
    expect(page.get_by_role("status")).to_contain_text("It works")
    browser.press()
    browser.look("setup-profile")
    browser.through_profile()
    browser.fill(password="secret")
    expect(page.locator("#strength")).to_have_text("Easy to guess")
    browser.administrator(password="kT9#vLq2!wZ7xR")
    expect(page.locator("#strength")).to_have_text("Hard to guess")
    browser.look("setup-administrator")
    browser.administrator()
    browser.finish()
    expect(page.locator("#ready")).to_contain_text("chat.example")
    expect(page.locator(".waiting")).to_be_hidden()
    for name, path in {"Certificates": "server/certificates", "Plugins": "plugins"}.items():
        link = page.get_by_role("link", name=name).get_attribute("href")
        assert link == page.locator("#console").get_attribute("href") + path
    browser.look("setup-done")
    assert ask(server, "/readyz")[0] == 200
    assert mode(server.home / "hearth.toml") == 0o600
    assert not (server.home / "setup.json").exists()
    assert not (server.home / "run" / "setup-token").exists()
    page.locator("#console").click()
    browser.page.get_by_label("User name").fill("admin")
    browser.page.get_by_label("Password").fill(ADMIN_PASSWORD)
    browser.page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    assert server.api("GET", "/server")["domain"] == "chat.example"
    socket.create_connection(("127.0.0.1", server.port("c2s")), 10).close()


def test_postgresql_in_german_over_tls(first_start, wizard, postgres):
    server = first_start()
    browser = wizard(server, "de-DE")
    browser.forgive("422")
    page = browser.enter(secure=True)
    expect(page.get_by_role("heading", name="Sprache")).to_be_visible()
    browser.look("setup-language-de")
    browser.through_language()
    browser.fill(domain="chat.example")
    browser.look("setup-server-de")
    browser.press()
    browser.choose_postgres(postgres, port="1")
    browser.press("test")
    expect(page.locator("#host-error")).to_contain_text("nicht zu erreichen: Verbindung abgelehnt (Systemfehler 111)")
    browser.choose_postgres(postgres, password="wrong")
    browser.press("test")
    expect(page.locator("#password-error")).to_contain_text("password authentication failed")
    expect(page.locator("#password")).to_have_value("")
    browser.look("setup-database-refused-de")
    browser.choose_postgres(postgres)
    browser.press("test")
    expect(page.get_by_role("status")).to_contain_text("Es geht")
    browser.look("setup-database-de")
    # Left empty, the password is the one from before.
    browser.press()
    browser.look("setup-profile-de")
    browser.through_profile()
    browser.fill(administrator="verwalter", password="kurz", again="anders")
    browser.press()
    expect(page.locator("#password-error")).to_contain_text("8 Zeichen")
    expect(page.locator("#again-error")).to_contain_text("verschieden")
    expect(page.locator("#administrator")).to_have_value("verwalter")
    browser.look("setup-administrator-refused-de")
    browser.administrator("verwalter")
    browser.finish()
    expect(page.locator("#ready")).to_contain_text("Der Server bedient chat.example")
    browser.look("setup-done-de")
    assert page.locator("#console").get_attribute("href").startswith("https://localhost:")
    server.database = postgres
    assert [user["name"] for user in server.api("GET", "/users")["items"]] == ["verwalter"]


def test_a_second_node_joins_and_stands_by(first_start, wizard, postgres):
    one, two = first_start(), first_start()
    first, second = wizard(one), wizard(two)
    first.enter()
    first.through_server()
    first.choose_postgres(postgres)
    first.press()
    first.through_profile()
    first.administrator()
    first.finish()
    second.forgive("422")
    page = second.enter()
    second.through_server("typed.example")
    second.choose_postgres(postgres)
    second.press("test")
    expect(page.get_by_role("status")).to_contain_text("installation of chat.example")
    second.press()
    second.is_at("join")
    expect(page.get_by_text("typed.example")).to_be_visible()
    second.fill(administrator="admin", password="wrong")
    second.press()
    expect(page.locator("#password-error")).to_contain_text("wrong")
    expect(page.locator("#administrator")).to_have_value("admin")
    second.look("setup-join")
    second.fill(password=ADMIN_PASSWORD)
    second.finish()
    expect(page.locator("#standby")).to_contain_text("serves this database")
    second.look("setup-done-joined")
    status, _, text = ask(two, "/readyz")
    assert status == 503 and "standby" in text
    assert [user["name"] for user in two.api("GET", "/users")["items"]] == ["admin"]
    page = second.sign_in()
    expect(page.locator(".note").filter(has_text="on standby")).to_contain_text("serves this database")
    second.look("dashboard-standby")
    page.get_by_role("link", name="What to do").click()
    expect(page.get_by_role("heading", name="When the node is on standby")).to_be_visible()
    one.kill()
    wait_until(two.serves, "the second node takes over", 60)


def test_a_restart_goes_on_where_it_stopped(first_start, wizard):
    server = first_start()
    browser = wizard(server)
    browser.enter()
    browser.through_server("restarted.example")
    browser.page.locator("input[value=postgres]").check()
    browser.fill(host="db.example", password="of the database")
    browser.press("back")
    browser.is_at("server")
    # It asks about its ports as it opens: nothing may be under way when the server goes.
    browser.page.wait_for_load_state("networkidle")
    answers = server.home / "setup.json"
    assert mode(answers) == 0o600 and "of the database" in answers.read_text()
    token = server.setup_token()
    server.kill()
    server.start()
    assert server.setup_token() != token
    page = browser.go("/setup/database")
    expect(page.get_by_label("Token")).to_be_visible()
    browser.enter()
    browser.is_at("database")
    expect(page.locator("#host")).to_have_value("db.example")
    browser.press("back")
    expect(page.locator("#domain")).to_have_value("restarted.example")
    browser.press()
    browser.page.locator("input[value=sqlite]").check()
    browser.press()
    browser.through_profile()
    browser.administrator()
    assert ADMIN_PASSWORD not in answers.read_text()
    browser.finish()
    assert server.api("GET", "/server")["domain"] == "restarted.example"


def test_a_taken_port_is_told_beside_it(first_start, wizard):
    server = first_start()
    browser = wizard(server)
    browser.forgive("422")
    page = browser.enter()
    browser.through_language()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        browser.fill(domain="localhost", addresses="127.0.0.1", c2s=port, s2s="x", component="off")
        expect(page.locator("#c2s-state")).to_contain_text(f"Another program has port {port}")
        expect(page.locator("#s2s-state")).to_contain_text("Not a port")
        expect(page.locator("#component-state")).to_contain_text("Switched off")
        browser.fill(s2s="0")
        browser.press()
        browser.is_at("server")
        expect(page.locator("#c2s-state")).to_contain_text(f"Another program has port {port}")
        expect(page.locator("#c2s")).to_have_value(port)
        browser.look("setup-server-refused")
    browser.press()
    browser.is_at("database")


def test_what_is_wrong_stands_beside_the_field(first_start, wizard):
    server = first_start()
    browser = wizard(server)
    browser.forgive("422")
    page = browser.enter()
    browser.through_language()
    browser.fill(domain="a b", addresses="everywhere", console_addresses="192.0.2.1", c2s="7", http="7")
    browser.press()
    expect(page.locator("#domain-error")).to_be_visible()
    expect(page.locator("#addresses-error")).to_be_visible()
    browser.fill(domain="localhost", addresses="::")
    browser.press()
    expect(page.locator("#http-state .error")).to_contain_text("same port")
    browser.fill(http="0", c2s="0", console="4711")
    browser.press()
    expect(page.locator("#console_addresses-error")).to_contain_text("192.0.2.1")


def test_a_step_is_not_left_out(first_start, wizard):
    server = first_start()
    browser = wizard(server)
    browser.enter()
    for step in ["administrator", "join", "profile", "database"]:
        browser.go(f"/setup/{step}")
        browser.is_at("language")


def test_the_wizard_runs_once(first_start, wizard):
    server = first_start()
    browser = wizard(server)
    late = wizard(server)
    late.forgive("404")
    late.enter()
    set_up(browser)
    assert_gone(server)
    server.stop()
    server.start()
    assert_gone(server)
    assert "hearth.toml" in {file.name for file in server.home.iterdir()}
    late.go("/setup/language")
    expect(late.page.get_by_role("heading", name="This server is set up")).to_be_visible()
    late.look("setup-gone")


def assert_gone(server: FirstStart) -> None:
    for path in ["/setup", "/setup/", "/setup?token=x", "/setup/administrator", "/setup/server/port"]:
        assert ask(server, path)[0] == 404, path
        assert ask(server, path, "POST", "go=next")[0] == 404, path
    for path in [
        "//setup",
        "/setup//language",
        "/setup/../setup/language",
        "/%73etup/language",
        "/setup/%6Canguage",
        "/x/..;/setup/language",
        "/setup;x/language",
        "/setup/%u006canguage",
        "/setup/language/.",
        "/setup/language%2f",
    ]:
        assert ask(server, path)[0] == 400, path
    for path in ["/Setup", "/setup.", "/SETUP/language", "/setup%20"]:
        status, headers, text = ask(server, path)
        assert status in (303, 404), path
        assert "/setup" not in headers.get("Location", "").lower().split("?")[0], path
        assert "setup/language" not in text, path


def test_two_browsers_at_once(first_start, wizard):
    server = first_start()
    one, two = wizard(server), wizard(server)
    two.forgive("404")
    one.enter()
    one.through_server("one.example")
    two.enter()
    two.is_at("database")
    two.press("back")
    two.fill(domain="two.example")
    two.press()
    one.press()
    one.through_profile()
    two.press()
    two.is_at("profile")
    one.administrator()
    one.finish()
    assert server.api("GET", "/server")["domain"] == "two.example"
    two.page.goto(f"{two.origin}/setup/profile")
    expect(two.page.get_by_role("heading", name="This server is set up")).to_be_visible()


def test_wrong_tokens_open_nothing_and_then_wait(first_start, wizard):
    server = first_start()
    browser = wizard(server)
    browser.forgive("403")
    page = browser.go("/setup?token=hearth_wrong")
    expect(page.locator("#token-error")).to_contain_text("not the token")
    browser.look("setup-token-wrong")
    statuses = [ask(server, f"/setup?token=hearth_wrong{n}")[0] for n in range(20)]
    assert statuses[0] == 403 and statuses[-1] == 429
    assert ask(server, f"/setup?token={server.setup_token()}")[0] == 429


def test_nothing_without_a_session_or_from_elsewhere(first_start):
    server = first_start()
    for path in ["/setup/language", "/setup/administrator", "/setup/server/port?asked=c2s&c2s=1"]:
        status, headers, _ = ask(server, path)
        assert (status, headers["Location"]) == (303, "/setup"), path
    status, headers, _ = ask(server, f"/setup?token={server.setup_token()}")
    cookie = headers["Set-Cookie"]
    assert status == 303 and "HttpOnly" in cookie and "SameSite=Strict" in cookie
    session = {"Cookie": cookie.split(";")[0]}
    assert ask(server, "/setup/language", **session)[0] == 200
    form = "language=de&go=next"
    assert ask(server, "/setup/language", "POST", form, **session)[0] == 403
    assert ask(server, "/setup/language", "POST", f"{form}&csrf=guessed", **session)[0] == 403
    text = ask(server, "/setup/language", **session)[2]
    csrf = re.search(r'name="csrf" value="([^"]+)"', text)[1]
    right = f"{form}&csrf={csrf}"
    foreign = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
    assert ask(server, "/setup/language", "POST", right, **session, **foreign)[0] == 403
    assert ask(server, "/setup/language", "POST", right)[0] == 303
    assert not (server.home / "setup.json").exists()
    assert ask(server, "/setup/language", "POST", right, **session)[0] == 303
    assert (server.home / "setup.json").exists()
    assert ask(server, "/api/v1/users", **session)[0] == 404


def test_the_certificate_of_the_wizard_is_not_kept(first_start):
    server = first_start()
    context = ssl._create_unverified_context()
    address = f"https://127.0.0.1:{server.port('console_tls')}/healthz"
    assert urllib.request.urlopen(address, context=context, timeout=30).status == 200
    assert not any((server.home / "certs").iterdir())


@pytest.mark.parametrize("port", [5222, 9090])
def test_a_taken_port_stops_an_unattended_first_start(tmp_path, monkeypatch, port):
    monkeypatch.setenv("HEARTH_DOMAIN", "localhost")
    done = run_with_taken_port(tmp_path / "home", port)
    assert str(port) in done.stderr
    assert done.stdout == "" and not (tmp_path / "home").exists()


def test_a_taken_port_stops_the_wizard(tmp_path):
    done = run_with_taken_port(tmp_path / "home", 9090)
    assert "--console-port" in done.stderr
    assert done.stdout == "" and not (tmp_path / "home").exists()


def run_with_taken_port(home, port: int):
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            taken.bind(("127.0.0.1", port))
            taken.listen()
        except OSError:
            pass  # Somebody else has it, which is as good.
        done = hearth("run", "--home", home, check=False)
    assert done.returncode == 5, done.stderr
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    return done


def test_the_environment_sets_up_without_asking(tmp_path, monkeypatch):
    monkeypatch.setenv("HEARTH_DOMAIN", "unattended.example")
    monkeypatch.setenv("HEARTH_ADMIN_PASSWORD", ADMIN_PASSWORD)
    server = FirstStart(tmp_path / "home").start()
    try:
        assert server.api("GET", "/server")["domain"] == "unattended.example"
    finally:
        server.stop()
