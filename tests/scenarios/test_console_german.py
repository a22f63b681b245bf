"""The console in German."""

import re

import pytest
from playwright.sync_api import expect

from console import Console

LOOKED_AT = [
    "/",
    "/server/information",
    "/server/properties",
    "/server/settings/registration",
    "/server/settings/client-connections",
    "/server/certificates",
    "/server/database",
    "/server/logs",
    "/server/audit",
    "/server/tokens",
    "/users",
    "/users/admin/lock",
    "/create/user",
    "/groups",
    "/sessions",
    "/sessions/message",
    "/plugins",
]


@pytest.fixture
def german(server, browser, request):
    context = browser.new_context(locale="de-DE", timezone_id="Europe/Berlin")
    opened = Console(server, context, request.node.name)
    opened.enter()
    yield opened
    opened.close()


@pytest.mark.parametrize("path", LOOKED_AT)
def test_the_pages_speak_german(german, path):
    page = german.go(path)
    expect(page.locator("html")).to_have_attribute("lang", "de")
    expect(page.get_by_role("link", name="Hilfe")).to_be_visible()
    # Colours speak no language.
    german.look((path.strip("/").replace("/", "-") or "dashboard") + "-german", schemes=("light",))


@pytest.mark.parametrize("topic", ["plugins", "users"])
def test_the_help_is_fit_to_be_read(german, topic):
    page = german.open(f"/help/{topic}")
    expect(page.get_by_role("heading", name="Hilfe")).to_be_visible()


def test_what_is_refused_is_said_in_german(german):
    german.forgive("422")
    page = german.go("/create/user")
    page.get_by_label("Benutzername").fill("admin")
    page.locator("#password").fill("lang-genug-und-geheim")
    page.locator("#again").fill("lang-genug-und-geheim")
    page.locator("main form button[type=submit]").click()
    expect(page.locator("#name-error")).to_have_text("Der Name ist vergeben; wählen Sie einen anderen.")
    german.look("create-user-refused-german")
    german.go("/server/properties/http.header-timeout")
    page.locator("main form input[type=text]").first.fill("bald")
    page.locator("main form button[type=submit]").first.click()
    expect(page.locator("main .error")).to_contain_text("eine Zeit wie 500ms")
    german.go("/plugins/install")
    page.locator("main input[type=file]").set_input_files({"name": "x.so", "mimeType": "", "buffer": b"a text"})
    page.locator("main form button[type=submit]").click()
    expect(page.locator("#file-error")).to_contain_text("Die Datei ist keine Bibliothek")
    german.forgive("404")
    german.go("/users/niemand")
    expect(page.get_by_role("alert")).to_contain_text("Es gibt keinen Benutzer „niemand“.")


# Words that both languages have; names and what they are called are excused by `TECHNICAL`.
SHARED = {
    "Administrator", "Clients", "Clients (STARTTLS)", "Commits", "Deutsch", "Domain", "English", "Enterprise", "Hearth",
    "Kernel", "MiB", "Name", "Offline", "Online", "Plugin", "Plugins", "Port", "Ports", "Schema", "Server", "System",
    "TLS", "Text", "Threads", "Version", "RSS", "PSS", "SHA-256",
}
# Addresses, names of settings and files, versions, figures: nothing that a language has words for.
TECHNICAL = re.compile(r"\S*[\d@_./:=-]\S*|[^a-z]*", re.IGNORECASE)
# What is read on a page. Code, the log and the values of settings have their own language.
TEXTS = """html => {
  const page = new DOMParser().parseFromString(html, "text/html");
  const own = "script, style, code, pre, time, .mono, .value, .log, option, [lang=en]";
  const texts = new Set(page.title.split(" · "));
  const walker = page.createTreeWalker(page.body, NodeFilter.SHOW_TEXT);
  for (let node; (node = walker.nextNode()); ) {
    if (!node.parentElement.closest(own)) texts.add(node.data);
  }
  for (const named of page.querySelectorAll("[placeholder], [aria-label], [title]")) {
    for (const name of ["placeholder", "aria-label", "title"]) texts.add(named.getAttribute(name) ?? "");
  }
  const links = [...page.querySelectorAll("a[href^='/']:not([download])")].map((link) => link.getAttribute("href"));
  return { texts: [...texts].map((text) => text.trim().replace(/\\s+/g, " ")), links };
}"""


def read(console, path: str, language: str) -> dict:
    answer = console.context.request.get(console.origin + path, headers={"Accept-Language": language})
    assert answer.status == 200, f"{path}: {answer.status}"
    return console.page.evaluate(TEXTS, answer.text())


def test_no_page_speaks_english_to_a_german(own_console):
    """Every page that a link leads to."""
    server = own_console.server
    server.api("POST", "/users", {"name": "julia", "password": "a-password-that-is-long"})
    server.api("PUT", "/users/julia/lock", {"until": "2099-12-31T18:00:00Z", "reason": "x1"})
    server.api("PUT", "/users/julia/roster/admin%40localhost", {"subscription": "both"})
    server.api("PUT", "/users/julia/properties/p1", {"value": "v1"})
    server.api("POST", "/groups", {"name": "g1", "description": "d1"})
    server.api("PUT", "/groups/g1/members/julia", {"administrator": True})
    server.api("PUT", "/properties/http.header-timeout", {"value": "11s"})
    server.token()
    waiting, seen, english = ["/"], {"/"}, {}
    while waiting:
        path = waiting.pop()
        german = read(own_console, path, "de")
        for text in set(german["texts"]) & set(read(own_console, path, "en")["texts"]):
            words = [word for word in text.split() if not TECHNICAL.fullmatch(word)]
            if words and text not in SHARED:
                english.setdefault(text, path)
        fresh = set(german["links"]) - seen
        seen |= fresh
        waiting += fresh
    assert len(seen) > 80, f"few pages have links: {seen}"
    assert not english, english
