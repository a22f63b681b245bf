"""Pages, tabs and notices of plugins in the console, in a real browser."""

import json
import urllib.error
import urllib.request

import pytest
from playwright.sync_api import expect

from servers.process import wait_until
from test_plugins import built, run, trial, upload


@pytest.fixture
def guest(own_console):
    """The console of a server on which the trial plugin runs."""
    upload(own_console.server, trial())
    return own_console


def tabs(console) -> list[str]:
    return console.page.locator(".tabs a").all_inner_texts()


def sidebar(console) -> list[str]:
    return console.page.locator(".sidebar a").all_inner_texts()


def given(console) -> dict:
    """What the page of the trial plugin was given."""
    return json.loads(console.page.locator("#given").inner_text())


def test_the_plugins_are_exported(guest):
    guest.go("/plugins")
    assert [line.split(",")[0] for line in guest.exported()] == ["id", "trial"]


def test_a_plugin_brings_tabs_and_takes_them_away(own_console):
    own_console.go("/plugins")
    assert "Trial" not in tabs(own_console)
    upload(own_console.server, trial())
    page = own_console.go("/plugins")
    page.get_by_role("link", name="Trial", exact=True).first.click()
    expect(page.get_by_role("heading", name="Form")).to_be_visible()
    assert sidebar(own_console) == ["Form", "Live"], "hidden pages are in no sidebar"
    expect(page.locator(".tabs [aria-current]")).to_have_text("Trial")
    own_console.look("plugin-page")
    own_console.go("/")
    assert sidebar(own_console)[-1] == "Nodes of the trial"
    own_console.server.api("POST", "/plugins/trial/disable")
    own_console.go("/")
    assert "Trial" not in tabs(own_console) and "Nodes of the trial" not in sidebar(own_console)
    own_console.forgive("503")
    own_console.go("/plugins/trial/form")
    expect(page.get_by_role("alert")).to_contain_text("does not run")
    own_console.look("plugin-page-stopped")


def test_a_plugin_is_disabled_after_a_question(guest):
    page = guest.go("/plugins/trial")
    page.get_by_role("button", name="Disable").click()
    expect(page.get_by_role("dialog")).to_contain_text("stays off until")
    guest.look("plugin-disable")
    assert guest.server.api("GET", "/plugins/trial")["state"] == "running"
    page.get_by_role("dialog").get_by_role("button", name="Disable").click()
    expect(page.get_by_role("button", name="Enable")).to_be_visible()
    assert guest.server.api("GET", "/plugins/trial")["state"] == "disabled"


def test_a_page_gets_what_its_form_sends(guest):
    page = guest.go("/plugins/trial/form/below?a=1%262")
    asked = given(guest)
    assert (asked["method"], asked["path"], asked["query"]) == ("GET", "below", [["a", "1&2"]])
    assert (asked["admin"], asked["language"]) == ("admin", "en")
    page.get_by_label("Name").fill("Romeo & Juliet")
    file = {"name": "letter.txt", "mimeType": "text/plain", "buffer": "ä, dear".encode()}
    page.get_by_label("File").set_input_files(file)
    page.get_by_role("button", name="Send").click()
    expect(page.locator("#content")).to_have_text("ä, dear")
    asked = given(guest)
    assert (asked["method"], asked["path"], asked["query"]) == ("POST", "echo", [["q", "1"]])
    assert asked["form"] == [["name", "Romeo & Juliet"]]
    assert [(f["field"], f["name"], f["size"]) for f in asked["files"]] == [("file", "letter.txt", 8)]


def test_a_page_sees_neither_cookie_nor_token(guest):
    guest.go("/plugins/trial/form")
    shown = guest.page.locator("#given").inner_text()
    secrets = [cookie["value"] for cookie in guest.context.cookies()]
    secrets.append(guest.page.locator("input[name=csrf]").first.input_value())
    assert all(len(secret) > 1 and secret not in shown for secret in secrets)


def test_what_was_done_is_said_on_the_next_page(guest):
    page = guest.go("/plugins/trial/form")
    page.get_by_role("button", name="Save").click()
    expect(page).to_have_url(f"{guest.origin}/plugins/trial/form?done=1")
    expect(page.get_by_role("status")).to_contain_text("Saved, but look again.")
    guest.look("plugin-page-said")


def post(console, path: str, body: bytes, kind: str, **headers: str) -> tuple[int, str]:
    """A form that the browser's page has not sent, with the browser's cookies."""
    cookies = "; ".join(f"{c['name']}={c['value']}" for c in console.context.cookies())
    head = {"Cookie": cookies, "Content-Type": kind} | headers
    request = urllib.request.Request(console.origin + path, body, head, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


FORM = "application/x-www-form-urlencoded"


def test_a_form_without_the_token_does_not_reach_the_plugin(guest):
    guest.go("/plugins/trial/form")
    token = guest.page.locator("input[name=csrf]").first.input_value()
    form = f"name=x&csrf={token}".encode()
    status, shown = post(guest, "/plugins/trial/form", form, FORM)
    assert status == 200 and "POST" in shown
    foreign = {"Origin": "https://elsewhere.example"}
    parts = b'--b\r\nContent-Disposition: form-data; name="name"\r\n\r\nx\r\n--b--\r\n'
    for attempt in [
        post(guest, "/plugins/trial/form", b"name=x", FORM),
        post(guest, "/plugins/trial/form", b"name=x&csrf=made-up", FORM),
        post(guest, "/plugins/trial/form", form, FORM, **foreign),
        post(guest, "/plugins/trial/form", parts, "multipart/form-data; boundary=b"),
        post(guest, "/plugins/trial/form", form, "text/plain"),
        post(guest, "/plugins/trial/panic", b"name=x", FORM),
    ]:
        assert attempt[0] == 400 and "id='given'" not in attempt[1], attempt
    assert guest.server.api("GET", "/plugins/trial")["faults"] == 0


def test_a_form_has_a_limit(guest):
    guest.go("/plugins/trial/form")
    token = guest.page.locator("input[name=csrf]").first.input_value()
    large = f"csrf={token}&name=".encode() + b"x" * (1 << 20)
    assert post(guest, "/plugins/trial/form", large, FORM)[0] == 413
    fits = f"csrf={token}&name=".encode() + b"x" * (1 << 19)
    assert post(guest, "/plugins/trial/form", fits, FORM)[0] == 200
    guest.context.clear_cookies()
    assert post(guest, "/plugins/trial/form", fits, FORM)[0] == 413


def test_who_has_not_signed_in_sees_no_page(guest):
    guest.context.clear_cookies()
    page = guest.go("/plugins/trial/form")
    expect(page).to_have_url(f"{guest.origin}/sign-in?back=%2Fplugins%2Ftrial%2Fform")


def test_what_a_page_brings_along_is_not_run(guest):
    guest.forgive("Content Security Policy")
    guest.forgive("htmx:evalDisallowedError")
    page = guest.go("/plugins/trial/active")
    page.get_by_text("press").click()
    expect(page.locator("#kept")).to_be_visible()
    expect(page.locator("#kept")).to_have_text("untouched")
    picture = page.request.get(f"{guest.origin}/plugins/trial/picture")
    assert picture.headers["content-type"] == "image/svg+xml"
    assert "sandbox" in picture.headers["content-security-policy"]


def test_a_page_refreshes_itself(guest):
    first = guest.page.request.get(f"{guest.origin}/plugins/trial/live").text()
    assert "partial: false" in first and "<main" in first
    page = guest.go("/plugins/trial/live")
    live = page.locator("#live")
    expect(live).to_contain_text("partial: true")
    before = live.inner_text()
    expect(live).not_to_have_text(before)
    assert page.locator("main").count() == 1, "the fragment alone has come"


def test_a_page_that_panics_says_so_and_counts(guest):
    guest.forgive("502")
    page = guest.go("/plugins/trial/panic")
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("Trial could not show this page")
    expect(alert).to_contain_text("on purpose")
    guest.look("plugin-page-panics")
    guest.go("/")
    expect(page.locator(".note.warn", has_text="Faults of the plugin Trial: 1")).to_contain_text("on purpose")
    guest.look("dashboard-with-a-failing-plugin")
    guest.go("/plugins/trial/form")
    expect(page.locator("#given")).to_be_visible()


def test_a_page_that_takes_too_long_is_given_up(guest):
    guest.forgive("502")
    guest.page.set_default_timeout(60_000)
    guest.go("/plugins/trial/slow")
    expect(guest.page.get_by_role("alert")).to_contain_text("did not answer within 20 s")


def test_there_is_no_other_page(guest):
    guest.forgive("404")
    for path in ("/plugins/trial/none", "/plugins/none/form", "/plugins/trial/do/form"):
        guest.go(path)
        expect(guest.page.get_by_role("alert")).to_be_visible()


def test_notices_stand_on_the_first_page_or_on_every_one(guest):
    page, server = guest.page, guest.server
    urgent = {"key": "a", "level": "error", "text": "The <disk> is full.", "everywhere": True}
    run(server, "notice", urgent | {"page": "form"})
    run(server, "notice", {"key": "b", "level": "info", "text": "A new version is there."})
    listed = server.api("GET", "/notices")["items"]
    assert [(n["key"], n["level"], n["path"]) for n in listed] == [
        ("a", "error", "/plugins/trial/form"),
        ("b", "info", "/plugins/trial"),
    ]
    guest.open("/")
    expect(page.get_by_text("A new version is there.")).to_be_visible()
    expect(page.get_by_text("The <disk> is full.")).to_be_visible()
    guest.go("/users")
    expect(page.get_by_text("A new version is there.")).to_have_count(0)
    page.locator(".note.bad", has_text="The <disk> is full.").get_by_role("link").click()
    expect(page.get_by_role("heading", name="Form")).to_be_visible()
    run(server, "notice", {"key": "a"})
    guest.go("/users")
    expect(page.get_by_text("The <disk> is full.")).to_have_count(0)
    server.api("POST", "/plugins/trial/reload")
    assert server.api("GET", "/notices")["items"] == [], "notices end with the instance"


def test_a_quarantined_plugin_is_told_on_the_first_page(own_console):
    server = own_console.server
    # The dashboard's live part notices the end.
    own_console.go("/plugins")
    with pytest.raises(OSError):
        upload(server, trial("abort-start"))
    wait_until(lambda: not server.is_alive(), "the end of the server")
    server.start()
    own_console.sign_in()
    page = own_console.go("/")
    note = page.locator(".note.bad", has_text="Trial does not run")
    expect(note).to_contain_text("does not run. The server ended while it started this plugin; enable it to try once more.")
    own_console.look("dashboard-with-a-quarantined-plugin")
    note.get_by_role("link").click()
    expect(page.locator("main").get_by_text("quarantined", exact=True)).to_be_visible()
    page.get_by_role("button", name="Enable").click()
    expect(page.get_by_role("dialog")).to_contain_text("may end again")
    own_console.look("plugin-enable")
    assert server.api("GET", "/plugins/trial")["state"] == "quarantined"
    # As the question has said.
    own_console.forgive("ERR_")
    page.get_by_role("dialog").get_by_role("button", name="Enable").click()
    wait_until(lambda: not server.is_alive(), "the end of the server")
    # The browser's own page comes between otherwise.
    page.wait_for_url("chrome-error://**", wait_until="commit")
    server.start()
    own_console.sign_in()
    own_console.go("/plugins/trial")
    expect(page.locator("main").get_by_text("quarantined", exact=True)).to_be_visible()
    page.get_by_role("button", name="Deutsch").click()
    page.get_by_role("button", name="Einschalten").click()
    expect(page.get_by_role("dialog")).to_contain_text("kann wieder enden")
    own_console.look("plugin-enable-de")


def send(console, file, accept: bool = True) -> None:
    """Uploads by the form that is shown."""
    page = console.page
    page.get_by_label("Plugin file").set_input_files(file)
    page.get_by_label("Accept it").set_checked(accept)
    # The server loads the file in a child process, and may be busy.
    with page.expect_response("**/plugins/upload", timeout=120_000):
        page.locator("form[data-upload]").get_by_role("button", name="Install").click()


def test_an_upload_in_the_browser_its_page_and_its_form(own_console):
    page = own_console.open("/plugins/install")
    send(own_console, built("hello_plugin"))
    expect(page.get_by_role("status")).to_contain_text("Hello is installed and runs.")
    own_console.look("plugin-hello")
    page.locator("main").get_by_role("link", name="Hello", exact=True).click()
    expect(page.get_by_text("Good morning, admin!")).to_be_visible()
    own_console.look("plugin-hello-page")
    page.get_by_label("Greeting").fill("Good <evening>")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status")).to_contain_text("The greeting is saved.")
    expect(page.get_by_text("Good <evening>, admin!")).to_be_visible()
    assert sidebar(own_console) == ["Plugins", "Hello"]
    own_console.look("plugin-hello-saved")


def test_healthy_faulty_refused_and_unsigned_plugins_are_told_apart(own_console, tmp_path):
    server = own_console.server
    own_console.forgive("422")
    upload(server, built("hello_plugin").read_bytes())
    upload(server, trial("healthy", "1.0.0", "failing"))
    server.api("PUT", "/properties/plugins.max_faults", {"value": "1"})
    with pytest.raises(AssertionError, match="on purpose"):
        run(server, "panic", id_="failing")
    wait_until(lambda: server.api("GET", "/plugins/failing")["state"] == "faulty", "it is disabled")
    page = own_console.open("/plugins")
    expect(page.get_by_text("faulty")).to_be_visible()
    own_console.go("/plugins/install")
    refused = tmp_path / "refused.so"
    refused.write_bytes(b"I am a plugin, honestly.\n")
    send(own_console, refused)
    file = page.get_by_label("Plugin file")
    expect(page.locator("#file-error")).to_contain_text("not a shared library")
    expect(file).to_be_focused()
    assert "file-error" in file.get_attribute("aria-describedby") and file.get_attribute("aria-invalid") == "true"
    expect(page.get_by_label("Accept it")).to_be_checked()
    assert file.input_value().endswith("refused.so"), "what was chosen is still there"
    own_console.look("plugin-refused")
    unsigned = tmp_path / "unsigned.so"
    unsigned.write_bytes(trial("healthy", "1.0.0", "unsigned"))
    send(own_console, unsigned, accept=False)
    expect(page.locator("#accept_unsigned-error")).to_contain_text("accept it as unsigned")
    own_console.look("plugin-unsigned")
    page.get_by_role("button", name="Deutsch").click()
    own_console.open("/plugins/failing")
    own_console.go("/plugins")
    own_console.look("plugins-german")
