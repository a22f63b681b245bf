"""Chromium, driven by Playwright; each page that is opened is looked at."""

import base64
import os
import shutil
from pathlib import Path

from playwright.sync_api import BrowserContext, Locator, Page, Playwright, expect

from play.wire import DEADLINE
from servers.hearth import ADMIN_PASSWORD

ARTEFACTS = Path(__file__).resolve().parents[2] / "artefacts"
AXE = Path(os.environ["HEARTH_TEST_CLIENTS"]) / "node_modules" / "axe-core" / "axe.min.js"
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
# The rules of these that look at colours.
COLOURS = ["color-contrast", "link-in-text-block"]
WIDE, NARROW = {"width": 1280, "height": 800}, {"width": 380, "height": 800}
SCHEMES = ("light", "dark")
# What htmx marks while it asks for a part of the page and puts it in place.
UNDER_WAY = ".htmx-request, .htmx-swapping, .htmx-settling, .htmx-added"
# htmx reports a request as an error when the page is left, or a newer request takes its place, before its answer is
# there. A request that fails says so itself, beside the first of these.
GIVEN_UP = ["htmx:afterRequest", "htmx:sendAbort"]
# Live parts hold still while the page is looked at.
HOLD = """() => {
  window.held = (event) => event.preventDefault();
  document.addEventListener("htmx:sseBeforeMessage", window.held);
}"""
LET_GO = "() => document.removeEventListener('htmx:sseBeforeMessage', window.held)"
# Fonts are there, and nothing moves that will come to rest.
SETTLED = """async () => {
  await document.fonts.ready;
  const moving = document.getAnimations().filter((one) => one.effect.getComputedTiming().endTime !== Infinity);
  await Promise.allSettled(moving.map((one) => one.finished));
}"""
# Each violation in full; of what passed, which is the most, nothing is described.
VIOLATIONS = "async rules => (await axe.run({runOnly: rules, resultTypes: ['violations']})).violations"


def launch(playwright: Playwright):
    """Debian's Chromium, without its sandbox, which needs a user that is not root. The shell without windows
    takes half the time of a processor for the same pages."""
    path = shutil.which("chromium-headless-shell") or shutil.which("chromium")
    assert path, "Chromium is missing: tests/run installs it"
    return playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])


class Console:
    """One browser in front of the console of `server`. `page` is Playwright's page."""

    def __init__(self, server, context: BrowserContext, name: str):
        self.server = server
        self.context = context
        self.name = name
        self.complaints: list[str] = []
        # What a test expects the browser to complain about, such as a status that it provokes.
        self.forgiven = list(GIVEN_UP)
        self.page = self._new_page()

    def _new_page(self) -> Page:
        page = self.context.new_page()
        page.set_default_timeout(15_000)
        page.on("console", self._said)
        page.on("pageerror", lambda error: self.complaints.append(f"script: {error}"))
        return page

    def _said(self, message) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(f"{message.type}: {message.text}")

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.server.port('console')}"

    def go(self, path: str) -> Page:
        """Opens a path without looking at it."""
        self.page.goto(self.origin + path, wait_until="load")
        return self.page

    def sign_in(self, name: str = "admin", password: str = ADMIN_PASSWORD) -> Page:
        self.go("/sign-in")
        self.page.locator("#name").fill(name)
        self.page.locator("#password").fill(password)
        self.page.locator("main form button[type=submit]").last.click()
        self.page.wait_for_url(lambda url: "/sign-in" not in url)
        return self.page

    def enter(self) -> None:
        """What the form of the sign-in page sends, without showing it and where it leads to."""
        form = {"name": "admin", "password": ADMIN_PASSWORD}
        answer = self.context.request.post(self.origin + "/sign-in", form=form, max_redirects=0)
        assert answer.status == 303, f"{answer.status} {answer.text()}"

    def open(self, path: str) -> Page:
        """Opens a path and looks at it."""
        self.go(path)
        self.look(path.strip("/").replace("/", "-") or "dashboard")
        return self.page

    def exported(self, part: Locator | None = None) -> list[str]:
        """The lines of the file that the page, or a part of it, gives."""
        with self.page.expect_download(timeout=DEADLINE * 1000) as download:
            (part or self.page).get_by_role("link", name="Export as CSV").click()
        return download.value.path().read_text().splitlines()

    def look(self, name: str, schemes: tuple[str, ...] = SCHEMES) -> None:
        """Checks what is shown now in light, dark and on a narrow screen, and keeps the pictures."""
        folder = ARTEFACTS / "screenshots"
        folder.mkdir(parents=True, exist_ok=True)
        self.page.evaluate(HOLD)
        for size in (WIDE, NARROW):
            self.page.set_viewport_size(size)
            for scheme in schemes:
                self.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
                self._settle()
                look = f"{name}.{size['width']}.{scheme}"
                self._picture(folder / f"{look}.png")
                self._fits(look)
                # Nothing but colours differs in the second scheme: a test of the style sheet sees to it.
                self._is_accessible(look, TAGS if scheme == schemes[0] else COLOURS)
        self._is_explained(name)
        self.page.set_viewport_size(WIDE)
        self.page.emulate_media(color_scheme="light")
        self.page.evaluate(LET_GO)

    def _settle(self) -> None:
        """Waits until the page is what it will be."""
        expect(self.page.locator(UNDER_WAY)).to_have_count(0)
        self.page.evaluate(SETTLED)

    def _picture(self, file: Path) -> None:
        """Of the whole page. Playwright's own takes twice the time, as it packs the file as small as can be."""
        session = self.context.new_cdp_session(self.page)
        taken = session.send("Page.captureScreenshot", {"captureBeyondViewport": True, "optimizeForSpeed": True})
        session.detach()
        file.write_bytes(base64.b64decode(taken["data"]))

    def _fits(self, look: str) -> None:
        wide = self.page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        assert wide <= 0, f"{look}: the page is {wide} px wider than the screen"

    def _is_accessible(self, look: str, rules: list[str]) -> None:
        if not self.page.evaluate("'axe' in window"):
            # In the context of the test, which the page's policy does not bind.
            self.page.evaluate(AXE.read_text())
        violations = self.page.evaluate(VIOLATIONS, rules)
        broken = [
            f"{rule['id']}: {rule['help']}\n    {node['html']}\n    {node['failureSummary']}"
            for rule in violations
            for node in rule["nodes"]
        ]
        assert not broken, f"{look}:\n" + "\n".join(broken)

    def _is_explained(self, name: str) -> None:
        """A page of the console links to its help, and the help is there."""
        # What has no place among the pages, such as the question for the password, explains itself.
        if not self.page.locator("nav.sidebar a").count() or "/help/" in self.page.url:
            return
        if self.page.locator("[data-problem]").count():
            return
        links = self.page.locator(".heading a[href^='/help/']")
        assert links.count() == 1, f"{name}: no link to the help"
        help_page = self.context.request.get(self.origin + links.get_attribute("href"))
        assert help_page.status == 200, f"{name}: {links.get_attribute('href')} is not there"

    def forgive(self, text: str) -> None:
        """A complaint of the browser that has this text is expected."""
        self.forgiven.append(text)

    def close(self) -> None:
        self.context.close()
        left = [said for said in self.complaints if not any(text in said for text in self.forgiven)]
        assert not left, "the browser complains:\n" + "\n".join(left)
