"""The end of an account: its contacts learn of it, whoever asked for it."""

import pytest

from play import Stage, User, ns
from play.stage import roster
from servers.hearth import ADMIN_PASSWORD, hearth


def friends(stage):
    """Two users who see each other's presence, and their clients."""
    users = [stage.user(role) for role in ("romeo", "juliet")]
    clients = [stage.online(user) for user in users]
    stage.befriend(*clients)
    return users, clients


@pytest.mark.needs("command line")
def test_a_deleted_user_goes_from_the_rosters_of_his_contacts(stage):
    (user, _), (romeo, juliet) = friends(stage)
    stage.server.api("DELETE", f"/users/{user.name}")
    romeo.expect_end()
    juliet.expect_presence("unsubscribed", from_=romeo.bare)
    assert roster(juliet)[romeo.bare]["subscription"] == "none"


@pytest.mark.needs("command line")
def test_a_user_is_deleted_while_no_server_runs(private_server):
    server = private_server()
    stage = Stage(server)
    (user, contact), (romeo, _) = friends(stage)
    stage.close()
    server.stop()
    hearth("user", "delete", user.name, "--home", server.home)
    server.start()
    assert roster(stage.login(contact))[romeo.bare]["subscription"] == "none"


@pytest.mark.needs("command line")
def test_the_last_administrator_does_not_remove_himself(private_server):
    server = private_server()
    stage = Stage(server)
    removal = f"<query xmlns='{ns.REGISTER}'><remove/></query>"
    admin = stage.login(User("admin", ADMIN_PASSWORD))
    assert ns.condition(admin.request("set", removal)) == "forbidden"
    successor = stage.user("romeo")
    server.api("PUT", f"/users/{successor.name}/administrator")
    admin.send_request("set", removal)
    admin.expect_end()
    left = server.api("GET", "/users?show=administrators")["items"]
    assert [user["name"] for user in left] == [successor.name]
    last = stage.login(successor)
    assert ns.condition(last.request("set", removal)) == "forbidden"
    stage.close()
