"""The set-up wizard in a browser: one method per page."""

from playwright.sync_api import Page, expect

from servers.hearth import ADMIN_PASSWORD, FirstStart
from servers.process import wait_until

from .browser import Console


class Wizard(Console):
    server: FirstStart

    def enter(self, secure: bool = False) -> Page:
        """By the address that the server has printed."""
        self.secure = secure
        return self.go(f"/setup?token={self.server.setup_token()}")

    @property
    def origin(self) -> str:
        if getattr(self, "secure", False):
            return f"https://localhost:{self.server.port('console_tls')}"
        return super().origin

    def press(self, act: str = "next") -> None:
        """Continue, test or go back."""
        with self.page.expect_navigation(wait_until="load"):
            self.page.locator(f"button[name=go][value={act}]").click()

    def fill(self, **fields: str) -> None:
        for name, value in fields.items():
            field = self.page.locator(f"#{name}")
            if value and not field.is_visible():
                self.page.locator("details", has=field).locator("summary").click()
            field.fill(value)

    def is_at(self, step: str) -> None:
        expect(self.page).to_have_url(f"{self.origin}/setup/{step}")

    def through_language(self) -> None:
        self.is_at("language")
        self.press()
        self.is_at("server")

    def through_server(self, domain: str = "chat.example") -> None:
        self.through_language()
        self.fill(domain=domain)
        self.press()
        self.is_at("database")

    def choose_postgres(self, url: str, **changes: str) -> None:
        """`url` is one of the tests' own."""
        user, _, rest = url.removeprefix("postgres://").partition(":")
        password, _, rest = rest.partition("@")
        host, _, rest = rest.partition(":")
        port, _, name = rest.partition("/")
        self.page.locator("input[value=postgres]").check()
        fields = {"host": host, "port": port, "user": user, "password": password, "name": name}
        self.fill(**(fields | changes))

    def through_profile(self) -> None:
        self.is_at("profile")
        self.press()
        self.is_at("administrator")

    def administrator(self, name: str = "admin", password: str = ADMIN_PASSWORD) -> None:
        self.fill(administrator=name, password=password, again=password)
        # It is asked for while one types on; later the wizard's ports may be closed.
        expect(self.page.locator("#strength")).not_to_be_empty()

    def finish(self) -> Page:
        """Presses the last button and waits until the page says how the start went."""
        self.page.locator("button[name=go][value=next]").click()
        expect(self.page.locator("#console")).to_be_visible(timeout=60_000)
        wait_until(self.server.is_ready, "the server is up")
        return self.page
