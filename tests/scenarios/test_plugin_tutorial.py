"""The five minutes of `docs/plugins.md`, executed as they stand there, on a real server."""

import os
import re
import subprocess
import textwrap
from pathlib import Path

from playwright.sync_api import expect

from servers.hearth import binary

SOURCE = Path(__file__).resolve().parents[2]
# What cargo builds on the way is kept for the next run; what it makes lands where the text says.
CACHE = SOURCE / "tests" / ".cache" / "tutorial"


def blocks() -> list[str]:
    """The indented blocks of the tutorial."""
    text = (SOURCE / "docs" / "plugins.md").read_text()
    tutorial = text.split("## A page of your own in five minutes\n")[1].split("\n## ")[0]
    found = re.findall(r"(?:^    .*\n|^\n(?=    ))+", tutorial, re.MULTILINE)
    return [textwrap.dedent(block).strip("\n") + "\n" for block in found if block.strip()]


def execute(commands: str, folder: Path, server) -> None:
    path = f"{Path(binary()).parent}:{os.environ['PATH']}"
    own = {"PATH": path, "HEARTH_SOURCE": str(SOURCE), "HEARTH_HOME": str(server.home)}
    environment = os.environ | own | {"CARGO_BUILD_BUILD_DIR": str(CACHE)}
    environment.pop("CARGO_TARGET_DIR", None)
    shell = ["bash", "-euxc", commands]
    done = subprocess.run(
        shell, cwd=folder, env=environment, capture_output=True, text=True, timeout=1800
    )
    assert done.returncode == 0, done.stdout + done.stderr


def with_page(source: str, page: str) -> str:
    """The method `page` in place of the one that is there."""
    before, _, rest = source.partition("    async fn page(")
    _, _, after = rest.partition("\n    }\n")
    assert before and after, "the template has a method page"
    return before + textwrap.indent(page, "    ") + after


def test_five_minutes_lead_to_a_page(own_console, tmp_path):
    server, page = own_console.server, own_console.page
    first, method, second = blocks()
    execute(first, tmp_path, server)
    own_console.go("/plugins")
    page.get_by_role("link", name="Guestbook").first.click()
    expect(page.locator(".sidebar").get_by_role("link", name="Guestbook")).to_be_visible()
    own_console.go("/plugins/guestbook/start")
    expect(page.get_by_text("Good morning, admin!")).to_be_visible()
    server.api("PUT", "/properties/plugin.guestbook.greeting", {"value": "Good evening"})
    own_console.open("/plugins/guestbook/start")
    expect(page.get_by_text("Good evening, admin!")).to_be_visible()

    library = tmp_path / "guestbook" / "src" / "lib.rs"
    library.write_text(with_page(library.read_text(), method))
    execute(second, tmp_path / "guestbook", server)
    own_console.go("/plugins/guestbook/start")
    page.get_by_label("Entry").fill("O <happy> dagger")
    page.get_by_role("button", name="Write").click()
    expect(page.get_by_role("listitem")).to_have_text("O <happy> dagger")
    own_console.look("plugin-guestbook")
