"""The pages of the areas Server and Sessions."""

import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest
from console.browser import NARROW
from playwright.sync_api import expect

from servers.database import locked, psql
from servers.process import wait_until

PAGES = [
    "/sessions",
    "/sessions/message",
    "/server/information",
    "/server/properties",
    "/server/properties/http.header-timeout",
    "/server/settings/registration",
    "/server/settings/client-connections",
    "/server/settings/resource-policy",
    "/server/settings/offline",
    "/server/settings/archive",
    "/server/certificates",
    "/server/certificates/install",
    "/server/database",
    "/server/logs",
]


@pytest.mark.parametrize("path", PAGES)
def test_every_page_is_fit_to_be_seen(console, path):
    console.open(path)


def test_a_session_is_found_looked_at_and_disconnected(console, stage):
    romeo = stage.enter("romeo")
    page = console.go("/sessions")
    page.get_by_label("Name, resource").fill(romeo.bare.split("@")[0])
    row = page.get_by_role("row").filter(has_text=romeo.bare.split("@")[0])
    expect(row).to_have_count(1)
    console.look("sessions-found")
    row.get_by_role("link").click()
    expect(page.get_by_text("TLS 1.3")).to_be_visible()
    console.look("session")
    page.get_by_role("button", name="Disconnect").click()
    expect(page.get_by_role("dialog")).to_contain_text("cannot resume")
    console.look("session-disconnect")
    page.get_by_role("dialog").get_by_role("button", name="Disconnect").click()
    expect(page.get_by_role("status")).to_contain_text("disconnected")
    romeo.expect_end()


def test_a_message_reaches_a_user(console, stage):
    juliet = stage.enter("juliet")
    page = console.go("/sessions/message")
    page.get_by_label("To").fill(juliet.bare)
    page.get_by_label("Message").fill("The balcony closes at nine.")
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_role("status")).to_contain_text("get it: 1")
    juliet.expect_message("The balcony closes at nine.", from_="localhost")


def test_a_message_to_nobody_is_refused_and_kept(console):
    console.forgive("422")
    page = console.go("/sessions/message")
    page.get_by_label("To").fill("nobody-at-all")
    page.get_by_role("button", name="Send").click()
    expect(page.locator("#body-error")).to_have_text("a message has a text")
    page.get_by_label("Message").fill("hello")
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_text("there is no session of")).to_be_visible()
    expect(page.get_by_label("Message")).to_have_value("hello")
    console.look("sessions-message-refused")


def test_a_property_is_changed_refused_and_given_its_default(console):
    console.forgive("422")
    page = console.go("/server/properties")
    page.get_by_label("Name, value").fill("handshake-timeout")
    page.get_by_role("link", name="http.handshake-timeout").click()
    page.get_by_label("Value").fill("a while")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("is no value of")).to_be_visible()
    expect(page.get_by_label("Value")).to_have_value("a while")
    console.look("property-refused")
    page.get_by_label("Value").fill("20s")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status")).to_contain_text("is now 20s")
    page.goto(console.origin + "/server/properties/http.handshake-timeout")
    expect(page.get_by_role("row").filter(has_text="admin@localhost").first).to_contain_text("20s")
    console.look("property-changed")
    page.get_by_role("button", name="Back to the default").click()
    page.get_by_role("dialog").get_by_role("button", name="Back to the default").click()
    expect(page.get_by_role("status")).to_contain_text("is now 10s")


def test_settings_are_saved_and_refused_beside_the_field(console):
    console.forgive("422")
    page = console.go("/server/settings/client-connections")
    page.get_by_label("Seconds to open the stream").fill("0")
    page.get_by_label("Seconds for which a lost connection").fill("301")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("1 to 300")).to_be_visible()
    expect(page.get_by_role("alert")).to_contain_text("Saved all the same")
    expect(page.get_by_label("Seconds to open the stream")).to_have_value("0")
    console.look("settings-refused")
    page.get_by_label("Seconds to open the stream").fill("10")
    page.get_by_label("Seconds for which a lost connection").fill("300")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status")).to_contain_text("saved")


def test_a_certificate_is_refused_installed_and_made_anew(own_console, tmp_path):
    console = own_console
    console.forgive("422")
    chain, key = tmp_path / "chain.pem", tmp_path / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
         "-days", "90", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
         "-keyout", key, "-out", chain],
        check=True, capture_output=True,
    )
    page = console.go("/server/certificates/install")
    page.get_by_label("Certificate chain").fill(chain.read_text())
    page.get_by_label("Private key").fill("nonsense")
    page.get_by_role("button", name="Check and install").click()
    expect(page.get_by_text("holds no private key")).to_be_visible()
    console.look("server-certificates-refused")
    other = subprocess.run(
        ["openssl", "genpkey", "-algorithm", "ed25519"], check=True, capture_output=True, text=True
    )
    page.get_by_label("Private key").fill(other.stdout)
    page.get_by_role("button", name="Check and install").click()
    expect(page.locator("#key-error")).to_contain_text("the key does not belong to the chain")
    page.get_by_label("Private key").fill(key.read_text())
    page.get_by_role("button", name="Check and install").click()
    expect(page.get_by_text("89 days left")).to_be_visible()
    page.get_by_role("button", name="Make a self-signed one").click()
    expect(page.get_by_role("dialog")).to_contain_text("replaced")
    page.get_by_role("dialog").get_by_role("button", name="Make a self-signed one").click()
    expect(page.get_by_role("status")).to_contain_text("is served")


def test_a_backup_is_made_and_deleted(console):
    page = console.go("/server/database")
    page.get_by_role("button", name="Back up as text").click()
    expect(page.get_by_text("is written.")).to_be_visible()
    row = page.get_by_role("row").filter(has_text=".jsonl").first
    assert any(".jsonl" in line for line in console.exported(page.locator("#work")))
    console.look("server-database-backup")
    row.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.locator(".toast")).to_contain_text("deleted")


@pytest.mark.parametrize("path", ["/", "/server/information"])
def test_the_ports_fit_every_screen_and_are_exported(console, path):
    page = console.go(path)
    table = page.locator(".listeners")
    expect(table.get_by_role("row").nth(1)).to_be_visible()
    unused = table.evaluate("it => it.clientWidth - it.querySelector('table').offsetWidth")
    assert unused <= 1, f"{unused} px beside the table are empty"
    page.set_viewport_size(NARROW)
    hidden = table.evaluate("it => it.scrollWidth - it.clientWidth")
    assert hidden == 0, f"{hidden} px of the table are out of sight"
    lines = console.exported()
    assert lines[0] == "name,port,tls"
    assert f"console,{console.server.port('console')},local" in lines
    assert len(lines) == table.get_by_role("row").count()


def test_the_steps_of_the_schema_are_exported(console):
    page = console.go("/server/database")
    page.locator("summary").filter(has_text="schema").click()
    steps = page.get_by_role("group").filter(has=page.get_by_role("columnheader", name="Step"))
    lines = console.exported(steps)
    assert lines[0] == "feature,number,name,at"
    assert len(lines) == steps.get_by_role("row").count()


# Whether a statement waits for a lock long enough to count as slow.
WAITS = """SELECT count(*) > 0 FROM pg_stat_activity WHERE datname = current_database()
           AND wait_event_type = 'Lock' AND now() - query_start > interval '300 ms'"""


def test_slow_statements_are_shown_and_exported(postgres_console, postgres):
    console = postgres_console
    with ThreadPoolExecutor() as pool:
        with locked(postgres, "account"):
            users = pool.submit(console.server.api, "GET", "/users")
            wait_until(lambda: psql(postgres, WAITS) == "t\n", "a statement waits")
        users.result()
    page = console.go("/server/database")
    table = page.get_by_role("region", name="Slow statements")
    expect(table.get_by_role("row").nth(1)).to_contain_text("FROM account")
    lines = console.exported()
    assert lines[0] == "milliseconds,seconds_ago,statement"
    assert len(lines) == table.get_by_role("row").count()
    console.look("server-database-slow")
    page.set_viewport_size(NARROW)
    hidden = table.evaluate("it => it.scrollWidth - it.clientWidth")
    assert hidden == 0, f"{hidden} px of the table are out of sight"


def test_the_log_is_live_and_its_levels_change(console):
    page = console.go("/server/logs")
    log = page.get_by_role("log")
    expect(page.get_by_label("Level").last).to_have_value("info")
    page.get_by_label("Module").last.fill("hearth::session")
    page.get_by_label("Level").last.select_option("debug")
    page.get_by_role("button", name="Set the level").click()
    expect(page.get_by_role("status")).to_contain_text("set")
    expect(page.get_by_text("hearth::session").last).to_be_visible()
    news = log.locator("p").filter(has_text="property.set").filter(has_text="http.write-timeout")
    expect(news).to_have_count(0)
    other = console.context.new_page()
    other.goto(console.origin + "/server/properties/http.write-timeout")
    other.get_by_label("Value").fill("61s")
    other.get_by_role("button", name="Save").click()
    expect(news).to_be_visible()
    expect(log.locator("time[data-shown]").last).to_be_visible()
    console.look("server-logs-live")
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_role("button", name="Go on")).to_be_visible()
    page.get_by_role("button", name="As everything else").click()
    expect(page.get_by_role("status")).to_contain_text("set")
