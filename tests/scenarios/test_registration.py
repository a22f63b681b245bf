"""In-band registration, XEP-0077."""

import secrets

import pytest

from play import Login, Stage, StreamFailed, User, ns


def register(client, name, password):
    form = f"<username>{name}</username><password>{password}</password>"
    return client.request("set", f"<query xmlns='{ns.REGISTER}'>{form}</query>")


def fresh_name():
    return f"new-{secrets.token_hex(5)}"


def test_a_stranger_registers_and_logs_in(stage):
    stranger = stage.connect()
    assert ns.has(stranger.negotiate_tls(), ns.REGISTER_FEATURE, "register")
    user = User(fresh_name(), "secret-enough")
    assert register(stranger, user.name, user.password).get("type") == "result"
    assert stage.login(user, Login("home")).bare == user.jid


def test_the_fields_are_announced(stage):
    stranger = stage.connect()
    stranger.negotiate_tls()
    form = stranger.query(ns.REGISTER)
    assert ns.has(form, ns.REGISTER, "username") and ns.has(form, ns.REGISTER, "password")


def test_a_taken_name_is_a_conflict(stage):
    taken = stage.user("juliet")
    stranger = stage.connect()
    stranger.negotiate_tls()
    assert ns.condition(register(stranger, taken.name, "secret-enough")) == "conflict"


@pytest.mark.needs("properties")
def test_a_short_password_is_not_acceptable(stage):
    stranger = stage.connect()
    stranger.negotiate_tls()
    assert "at least 8 characters" in "".join(stranger.query(ns.REGISTER).itertext())
    assert ns.condition(register(stranger, fresh_name(), "1234567")) == "not-acceptable"
    nurse = stage.user("nurse")
    assert ns.condition(register(stage.login(nurse), nurse.name, "1234567")) == "not-acceptable"


def test_a_user_changes_his_password(stage):
    juliet = stage.user("juliet")
    client = stage.login(juliet)
    assert register(client, juliet.name, "another-secret").get("type") == "result"
    stage.login(User(juliet.name, "another-secret"))


def test_a_user_removes_his_account(stage):
    juliet = stage.user("juliet")
    client = stage.login(juliet)
    client.send_request("set", f"<query xmlns='{ns.REGISTER}'><remove/></query>")
    client.expect_end()
    with pytest.raises(AssertionError, match="not-authorized"):
        stage.login(juliet)


@pytest.mark.needs("properties")
def test_registration_can_be_switched_off(private_server):
    stage = Stage(private_server({"registration.inband": "false"}))
    stranger = stage.connect()
    assert not ns.has(stranger.negotiate_tls(), ns.REGISTER_FEATURE, "register")
    answer = refused_registration(stranger)
    stage.close()
    assert answer in ("not-allowed", "service-unavailable", "forbidden", "not-authorized")


@pytest.mark.needs("properties")
def test_changing_a_password_can_be_switched_off(private_server):
    stage = Stage(private_server({"registration.password-change": "false"}))
    juliet = stage.user("juliet")
    client = stage.login(juliet)
    assert ns.condition(register(client, juliet.name, "another-secret")) == "not-allowed"
    stage.login(juliet)
    stage.close()


def refused_registration(stranger):
    try:
        return ns.condition(register(stranger, fresh_name(), "x"))
    except StreamFailed as failed:
        return failed.condition
