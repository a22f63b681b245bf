"""The tab Enterprise: an introduction until the plugin is there, then the plugin's own pages."""

from playwright.sync_api import expect

from test_plugin_pages import send, sidebar, tabs
from test_plugins import built, upload


def go_to(console, tab: str, page: str = "") -> None:
    console.page.locator(".tabs").get_by_role("link", name=tab, exact=True).click()
    if page:
        console.page.locator(".sidebar").get_by_role("link", name=page, exact=True).click()


def test_the_introduction_gives_way_to_the_plugin(postgres_console):
    console, page = postgres_console, postgres_console.page
    console.go("/")
    go_to(console, "Enterprise")
    expect(page.get_by_role("heading", name="Enterprise")).to_be_visible()
    console.look("enterprise-introduction")
    before = tabs(console)
    send(console, built("hearth_enterprise"))
    expect(page.get_by_role("status")).to_contain_text("Hearth Enterprise is installed and runs.")
    assert tabs(console) == before, "one tab of that name, without a restart and without a reload"
    go_to(console, "Enterprise")
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    assert sidebar(console) == ["Overview", "Licence"]
    console.look("enterprise-overview")
    console.go("/enterprise")
    expect(page).to_have_url(f"{console.origin}/plugins/enterprise/overview")

    go_to(console, "Enterprise", "Licence")
    console.look("enterprise-unlicensed")
    page.get_by_role("button", name="Start the evaluation").click()
    console.look("enterprise-evaluation-question")
    page.get_by_role("dialog").get_by_role("button", name="Start").click()
    expect(page.get_by_role("status")).to_contain_text("The evaluation has begun.")
    expect(page.get_by_role("button", name="Start the evaluation")).to_have_count(0)
    console.look("enterprise-evaluation")
    go_to(console, "Server", "Clustering")
    expect(page.get_by_role("heading", name="Clustering", level=1)).to_be_visible()
    console.look("enterprise-clustering")
    page.get_by_role("button", name="Deutsch").click()
    expect(page.get_by_role("heading", name="Cluster", level=1)).to_be_visible()
    assert "Cluster" in sidebar(console)
    console.look("enterprise-clustering-german")
    console.go("/plugins/enterprise/licence")
    expect(page.get_by_role("heading", name="Lizenz", level=1)).to_be_visible()
    assert sidebar(console) == ["Übersicht", "Lizenz"]
    console.look("enterprise-evaluation-german")

    console.server.api("POST", "/plugins/enterprise/disable")
    console.go("/enterprise")
    expect(page.get_by_text("ist installiert, läuft aber nicht")).to_be_visible()
    expect(page.get_by_role("heading", name="Das Plugin hochladen")).to_have_count(0)
    console.look("enterprise-disabled-german")
    page.get_by_role("link", name="Über das Plugin").click()
    expect(page.get_by_role("button", name="Einschalten")).to_be_visible()
    console.server.api("DELETE", "/plugins/enterprise?data=keep")
    console.go("/enterprise")
    expect(page.get_by_role("heading", name="Enterprise")).to_be_visible()


def test_a_wrong_licence_is_refused_on_the_page(postgres_console):
    upload(postgres_console.server, built("hearth_enterprise").read_bytes())
    page = postgres_console.go("/plugins/enterprise/licence")
    page.get_by_label("Its text").fill("not a licence")
    page.get_by_role("button", name="Install").click()
    expect(page.locator(".toast.bad")).to_contain_text("This is no Hearth licence")
    postgres_console.look("enterprise-licence-refused")
