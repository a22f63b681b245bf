"""The frame of the console: signing in and out, look, language, help."""

from pathlib import Path

import pytest
from playwright.sync_api import expect

from play.wire import DEADLINE

WEB = Path(__file__).resolve().parents[2] / "web"
PAGES = [
    "/",
    "/server/tokens",
    "/server/tokens/new",
    "/plugins",
    "/plugins/install",
    "/help/plugins",
    "/help/tokens",
    "/confirm",
]


def test_the_sign_in_page(visitor):
    visitor.open("/sign-in")


@pytest.mark.parametrize("path", PAGES)
def test_every_page_is_fit_to_be_seen(console, path):
    console.open(path)


def test_nothing_but_colours_depends_on_the_colour_scheme():
    """What `Console.look` counts on, which asks of the second scheme only whether its colours can be read:
    `light-dark()` takes nothing else."""
    files = [file for file in WEB.rglob("*") if file.suffix in (".css", ".js", ".html")]
    texts = {file.name: file.read_text() for file in files}
    assert "light-dark(" in texts["hearth.css"]
    assert [name for name, text in texts.items() if "prefers-color-scheme" in text] == []


def test_who_has_not_signed_in_is_led_there_and_back(visitor):
    page = visitor.go("/server/tokens")
    expect(page).to_have_url(f"{visitor.origin}/sign-in?back=%2Fserver%2Ftokens")
    page.get_by_label("User name").fill("admin@localhost")
    page.get_by_label("Password").fill("administrators-password")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="API tokens")).to_be_visible()


def test_a_wrong_password_is_refused_and_the_name_kept(visitor):
    visitor.forgive("422")
    page = visitor.go("/sign-in")
    page.get_by_label("User name").fill("admin")
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("wrong")
    expect(page.get_by_label("User name")).to_have_value("admin")
    expect(page.get_by_label("Password")).to_have_value("")
    visitor.look("sign-in-refused")


def test_the_password_is_asked_for_again(console):
    console.forgive("422")
    page = console.go("/confirm?back=%2Fserver%2Ftokens")
    page.get_by_label("Password of admin").fill("wrong")
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_text("is wrong")).to_be_visible()
    page.get_by_label("Password of admin").fill("administrators-password")
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("heading", name="API tokens")).to_be_visible()


def test_an_act_is_repeated_after_a_sign_in(console):
    page = console.go("/users/admin")
    page.get_by_role("button", name="Dismiss").click()
    console.context.clear_cookies()
    page.get_by_role("dialog").get_by_role("button", name="Dismiss").click()
    page.get_by_label("User name").fill("admin")
    page.get_by_label("Password").fill("administrators-password")
    page.get_by_role("button", name="Sign in").click()
    expect(page).to_have_url(f"{console.origin}/users/admin")
    expect(page.get_by_role("status")).to_contain_text("Nothing was done yet")
    console.forgive("422")
    page = console.go("/server/logs")
    page.get_by_label("Module").last.fill("no module")
    page.get_by_role("button", name="Set the level").click()
    expect(page.locator("#module-error")).to_be_visible()
    page.get_by_role("button", name="Deutsch").click()
    expect(page).to_have_url(f"{console.origin}/server/logs")
    expect(page.get_by_role("button", name="Stufe setzen")).to_be_visible()
    expect(page.locator("#module")).to_have_value("no module")


def test_signing_out_ends_the_session(console):
    cookies = console.context.cookies()
    page = console.go("/")
    page.locator("summary").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    console.context.add_cookies(cookies)
    console.go("/")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_the_language_may_be_chosen(visitor):
    page = visitor.go("/sign-in")
    page.get_by_role("button", name="Deutsch").click()
    expect(page.get_by_role("heading", name="Anmelden")).to_be_visible()
    page.get_by_role("button", name="English").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_the_theme_may_be_chosen_and_stays(visitor):
    page = visitor.go("/sign-in")
    page.get_by_role("button", name="Colours").click()
    page.get_by_role("button", name="Colours: light").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    visitor.go("/sign-in")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")


def test_the_keyboard_reaches_the_content_first(console):
    page = console.go("/server/tokens")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()


def test_a_page_that_does_not_exist_says_so(console):
    console.forgive("404")
    console.open("/no-such-page")
    expect(console.page.get_by_role("alert")).to_contain_text("no such page")


def test_a_token_is_created_used_listed_and_revoked(console):
    name = f"token-{console.server.port('console')}"
    page = console.go("/server/tokens/new")
    page.get_by_label("Name").fill(name)
    page.get_by_label("Days").fill("3")
    page.get_by_role("button", name="Create").click()
    expect(page.locator("#token")).to_contain_text("hearth_")
    console.look("server-tokens-created")
    page.get_by_role("link", name="To the list").click()
    row = page.get_by_role("row").filter(has_text=name)
    expect(row).to_contain_text("admin@localhost")
    expect(row.locator("time").first).to_have_attribute("data-shown", "")
    row.get_by_role("button", name="Revoke").click()
    expect(page.get_by_role("dialog")).to_contain_text(name)
    console.look("server-tokens-revoke")
    page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
    expect(page.get_by_role("status")).to_contain_text("revoked")
    expect(page.get_by_role("row").filter(has_text=name)).to_have_count(0)


def test_a_refused_form_keeps_what_was_typed(console):
    console.forgive("422")
    page = console.go("/server/tokens/new")
    page.get_by_label("Name").fill("x" * 65)
    page.get_by_label("Days").fill("7")
    page.get_by_role("button", name="Create").click()
    expect(page.get_by_text("1 to 64 characters")).to_be_visible()
    expect(page.get_by_label("Days")).to_have_value("7")
    console.look("server-tokens-new-refused")


def test_a_list_is_exported_as_csv(console):
    console.server.token()
    console.go("/server/tokens")
    lines = console.exported()
    assert lines[0] == "id,name,created,created_by,expires,last_used"
    assert len(lines) > 1


def test_the_dashboard_shows_what_happens(console, stage):
    romeo = stage.enter("romeo")
    page = console.go("/")
    card = page.locator("section").filter(has_text="Client sessions")
    expect(card.locator(".figure")).not_to_have_text("0", timeout=DEADLINE * 1000)
    page.evaluate("document.querySelector('section').dataset.old = 'yes'")
    # Each sample brings a new picture, without a request of the reader.
    expect(page.locator("section[data-old]")).to_have_count(0, timeout=DEADLINE * 1000)
    assert romeo.jid
    expect(page.get_by_role("row").filter(has_text="STARTTLS, required")).to_be_visible()
    console.look("dashboard")


def test_the_dashboard_warns_of_plain_text(browser, private_server):
    from console import Console

    server = private_server({"c2s.starttls": "optional"})
    opened = Console(server, browser.new_context(locale="de-DE"), "plain")
    page = opened.go("/sign-in")
    page.get_by_label("Benutzername").fill("admin")
    page.get_by_label("Passwort").fill("administrators-password")
    page.get_by_role("button", name="Anmelden").click()
    expect(page.get_by_text("unverschlüsselt")).to_be_visible()
    opened.look("dashboard-plain-de")
    opened.close()
