"""The pages of the console about people: users, their rosters and groups, and the audit log."""

import re

import pytest
from playwright.sync_api import expect

from servers.hearth import ADMIN_PASSWORD

PASSWORD = "a-password-that-is-long"


@pytest.fixture
def user(console, request):
    """A new user of the shared server."""
    name = f"user-{abs(hash(request.node.name)) % 10**8}"
    console.server.api("POST", "/users", {"name": name, "password": PASSWORD, "display_name": "Juliet Capulet"})
    return name


@pytest.fixture
def group(console, request):
    name = f"Group {abs(hash(request.node.name)) % 10**8}"
    console.server.api("POST", "/groups", {"name": name, "description": "Who sells"})
    return name


def test_the_lists_are_fit_to_be_seen(console, user, group):
    for path in ["/users", "/create/user", "/groups", "/create/group", "/server/audit"]:
        console.open(path)


@pytest.mark.parametrize("topic", ["users", "groups", "audit"])
def test_the_help_is_fit_to_be_read(console, topic):
    console.open(f"/help/{topic}")


def test_the_pages_of_a_user_are_fit_to_be_seen(console, user, group):
    server = console.server
    server.api("PUT", f"/users/{user}/roster/admin%40localhost", {"groups": ["Friends"], "subscription": "both"})
    server.api("PUT", f"/users/{user}/properties/phone", {"value": "123"})
    server.api("PUT", f"/groups/{group.replace(' ', '%20')}/members/{user}", {"administrator": True})
    server.api("PUT", f"/users/{user}/lock", {"until": "2099-12-31T18:00:00Z", "reason": "spam"})
    below = ["", "/roster", "/roster/admin%40localhost", "/groups", "/properties", "/sessions"]
    for path in [*below, "/password", "/lock", "/delete"]:
        console.go(f"/users/{user}{path}")
        console.look("users-name" + path.replace("/", "-").replace("%40", "-"))


def test_a_user_is_created_found_and_deleted(console):
    name = f"romeo-{console.server.port('console')}"
    page = console.go("/create/user")
    page.get_by_label("User name").fill(name)
    page.get_by_label("Name", exact=False).nth(1).fill("Romeo Montague")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_label("Password again").fill(PASSWORD)
    page.get_by_role("button", name="Create").click()
    expect(page.get_by_role("heading", name=name)).to_be_visible()
    console.go("/users")
    page.get_by_role("searchbox").press_sequentially("monta")
    row = page.get_by_role("row").filter(has_text=name)
    expect(row).to_contain_text("Romeo Montague")
    expect(page.get_by_role("row")).to_have_count(2)
    row.get_by_role("link", name=name).click()
    page.get_by_role("link", name="Delete").click()
    page.get_by_role("button", name="Delete the user").click()
    expect(page.get_by_role("dialog")).to_contain_text("cannot be undone")
    console.look("users-name-delete-asked")
    page.get_by_role("dialog").get_by_role("button", name="Delete the user").click()
    expect(page.get_by_role("status")).to_contain_text("deleted")


def test_who_is_called_new_has_pages_too(own_console):
    page = own_console.go("/create/user")
    page.get_by_label("User name").fill("new")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_label("Password again").fill(PASSWORD)
    page.get_by_role("button", name="Create").click()
    expect(page.get_by_role("heading", name="new", exact=True)).to_be_visible()
    own_console.server.api("POST", "/groups", {"name": "new", "description": "Newcomers"})
    own_console.go("/groups")
    page.get_by_role("link", name="new", exact=True).click()
    expect(page.get_by_text("Newcomers")).to_be_visible()


def test_a_session_is_ended_on_the_page_of_its_user(console, stage):
    romeo = stage.enter("romeo", "balcony")
    path = f"/users/{romeo.bare.split('@')[0]}/sessions"
    page = console.go(path)
    row = page.get_by_role("row").filter(has_text="balcony")
    console.look("users-name-sessions-online")
    row.get_by_role("button", name="Disconnect").click()
    page.get_by_role("dialog").get_by_role("button", name="Disconnect").click()
    expect(page.get_by_role("status")).to_contain_text("disconnected")
    expect(page).to_have_url(console.origin + path)
    romeo.expect_end()


def test_a_refused_user_keeps_what_was_typed(console, user):
    console.forgive("422")
    page = console.go("/create/user")
    page.get_by_label("User name").fill(user)
    page.get_by_label("E-mail").fill("a@example.org")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_label("Password again").fill(PASSWORD)
    page.get_by_role("button", name="Create").click()
    expect(page.get_by_label("User name")).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_text("the name is taken")).to_be_visible()
    expect(page.get_by_label("E-mail")).to_have_value("a@example.org")
    console.look("users-new-refused")


def test_a_short_password_is_refused_beside_the_field(console):
    console.forgive("422")
    page = console.go("/create/user")
    expect(page.get_by_text("At least 8 characters")).to_be_visible()
    page.get_by_label("User name").fill("laurence")
    page.locator("#password").fill("1234567")
    page.locator("#again").fill("1234567")
    page.get_by_role("button", name="Create").click()
    expect(page.locator("#password-error")).to_contain_text("it needs 8 characters or more")
    expect(page.get_by_label("User name")).to_have_value("laurence")
    console.look("users-new-short-password")


def test_a_lock_out_has_an_end_in_the_readers_zone(console, user):
    page = console.go(f"/users/{user}/lock")
    page.get_by_label("Until").fill("2099-07-01T12:00")
    page.get_by_label("Reason").fill("holiday")
    page.get_by_role("button", name="Lock out").click()
    expect(page.get_by_text("This user is locked out.")).to_be_visible()
    # The browser is in Berlin.
    assert console.server.api("GET", f"/users/{user}")["lockout"]["until"] == "2099-07-01T10:00:00.000Z"
    expect(page.get_by_label("Until")).to_have_value("2099-07-01T12:00")
    page.get_by_role("button", name="Let in again").click()
    expect(page.get_by_role("status")).to_contain_text("sign in again")


def test_a_contact_is_added_changed_and_removed(console, user):
    page = console.go(f"/users/{user}/roster")
    page.get_by_role("textbox", name="Contact").fill("admin")
    page.get_by_label("Groups in the roster").fill("Friends, Work")
    page.get_by_role("button", name="Add a contact").click()
    row = page.get_by_role("row").filter(has_text="admin@localhost")
    expect(row).to_contain_text("Each sees the other")
    expect(row).to_contain_text("Friends, Work")
    row.get_by_role("link", name="admin@localhost").click()
    page.get_by_label("Who sees whom").select_option("none")
    page.get_by_role("button", name="Save").click()
    expect(row).to_contain_text("Neither")
    row.get_by_role("button", name="Remove").click()
    page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    expect(row).to_have_count(0)


def test_a_contact_that_does_not_exist_is_refused_beside_the_field(console, user):
    console.forgive("422")
    page = console.go(f"/users/{user}/roster")
    for nobody in ["nobody", "nobody@localhost"]:
        page.get_by_role("textbox", name="Contact").fill(nobody)
        page.get_by_role("button", name="Add a contact").click()
        expect(page.locator("#contact-error")).to_contain_text(f"there is no user `{nobody}`")
        expect(page.get_by_role("textbox", name="Contact")).to_have_value(nobody)
    console.look("users-name-roster-refused")


def test_a_group_is_created_filled_and_deleted(console, user):
    name = f"Sales {console.server.port('console')}"
    page = console.go("/create/group")
    page.get_by_role("textbox", name="Group").fill(name)
    page.get_by_role("button", name="Save").click()
    page.get_by_label("User name").fill(user)
    page.get_by_role("button", name="Add a member").click()
    row = page.get_by_role("row").filter(has_text=user)
    row.get_by_role("button", name="Make group administrator").click()
    expect(row).to_contain_text("Group administrator")
    console.look("groups-name")
    row.get_by_role("button", name="Remove").click()
    page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    expect(row).to_have_count(0)
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.get_by_role("status")).to_contain_text(name)


def test_the_last_administrator_cannot_be_dismissed(own_console):
    page = own_console.go("/users/admin")
    page.get_by_role("button", name="Dismiss").click()
    page.get_by_role("dialog").get_by_role("button", name="Dismiss").click()
    expect(page.get_by_role("alert")).to_contain_text("last administrator")
    expect(page.get_by_role("button", name="Dismiss")).to_be_visible()
    expect(page).to_have_url(f"{own_console.origin}/users/admin")
    own_console.look("users-name-dismiss-refused")


def test_a_form_outlives_the_session(console, user):
    console.forgive("422")
    page = console.go(f"/users/{user}")
    page.get_by_label("Name", exact=False).first.fill("Juliet of the balcony")
    console.context.clear_cookies()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("What you typed is kept")).to_be_visible()
    console.look("sign-in-with-a-form")
    page.get_by_label("User name").fill("admin")
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_be_visible()
    page.get_by_label("Password").fill(ADMIN_PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page).to_have_url(f"{console.origin}/users/{user}")
    expect(page.get_by_role("status")).to_contain_text("What you typed is here again")
    console.look("users-name-typed-before")
    assert console.server.api("GET", f"/users/{user}")["display_name"] == "Juliet Capulet"
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status")).to_contain_text("Saved")
    assert console.server.api("GET", f"/users/{user}")["display_name"] == "Juliet of the balcony"


def test_a_password_does_not_outlive_the_session(console):
    console.forgive("422")
    page = console.go("/create/user")
    page.get_by_label("User name").fill("laurence")
    page.locator("#password").fill(PASSWORD)
    page.locator("#again").fill(PASSWORD)
    console.context.clear_cookies()
    page.get_by_role("button", name="Create").click()
    expect(page.get_by_text("Passwords, keys and files are not kept")).to_be_visible()
    assert PASSWORD not in page.content()
    page.get_by_label("User name").fill("admin")
    page.get_by_label("Password").fill(ADMIN_PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_label("User name")).to_have_value("laurence")
    expect(page.locator("#password")).to_have_value("")
    expect(page.get_by_role("status")).to_contain_text("enter them again")


def test_the_audit_log_is_filtered_and_exported(console, user):
    page = console.go("/server/audit")
    expect(page.get_by_role("textbox", name="Target")).to_have_accessible_description(re.compile("the whole text"))
    page.get_by_role("textbox", name="Target").fill(user)
    page.get_by_role("button", name="Search").click()
    expect(page.get_by_role("row")).to_have_count(2)
    expect(page.get_by_role("row").nth(1)).to_contain_text("user.create")
    lines = console.exported()
    assert lines[0] == "id,at,node,actor,action,target"
    assert len(lines) == 2


def test_a_time_that_is_none_is_refused_beside_its_field(console):
    console.forgive("422")
    page = console.go("/server/audit?actor=somebody&from=nonsense&to=2030-12-31T18:00:00Z")
    expect(page.locator("#from-error")).to_contain_text("write a time as 2030-12-31T18:00:00Z")
    expect(page.get_by_label("From")).to_have_value("nonsense")
    expect(page.get_by_label("Until")).to_have_value("2030-12-31T18:00:00Z")
    unseen = page.get_by_label("Until").evaluate("it => it.scrollWidth - it.clientWidth")
    assert unseen == 0, f"{unseen} px of the time are cut off"
    expect(page.get_by_label("Actor")).to_have_value("somebody")
    console.look("server-audit-refused")
    page.get_by_label("From").fill("2020-01-01T00:00:00Z")
    page.get_by_label("Actor").fill("")
    page.get_by_role("button", name="Search").click()
    expect(page.get_by_label("From")).to_have_attribute("type", "datetime-local")
    expect(page.get_by_role("row").nth(1)).to_be_visible()
