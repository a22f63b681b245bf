"""Commands of plugins as ad-hoc commands (XEP-0050), for clients that we did not write."""

import json

import pytest
from slixmpp.exceptions import IqError

from play import User, ns
from servers.hearth import ADMIN_PASSWORD
from test_plugins import built, trial, upload
from test_real_clients import Slixmpp, connect, play

ADMIN = User("admin", ADMIN_PASSWORD)
COMMANDS = "http://jabber.org/protocol/commands"
FORMS = "jabber:x:data"
DOMAIN = "localhost"


@pytest.fixture
def server(private_server):
    """A server with two plugins: one declares the arguments of its commands, one does not."""
    server = private_server()
    upload(server, trial())
    upload(server, built("broadcast").read_bytes())
    return server


class Commander:
    """slixmpp, which runs commands by its own plugin."""

    def __init__(self, client: Slixmpp):
        self.client, self.disco, self.adhoc = client, client.plugin["xep_0030"], client.plugin["xep_0050"]

    async def list(self) -> dict[str, str]:
        answer = await self.adhoc.get_commands(jid=DOMAIN)
        return {node: name for _, node, name in answer["disco_items"]["items"]}

    async def send(self, node: str, **more):
        """The command in the answer, and its form."""
        answer = await self.adhoc.send_command(DOMAIN, node, **more)
        return answer["command"], answer["command"]["form"]

    async def refused(self, node: str, **more) -> tuple[str, str]:
        """The condition of the stanza error, and the one of the XEP."""
        with pytest.raises(IqError) as refused:
            await self.send(node, **more)
        error = refused.value.iq.xml.find(f"{{{ns.CLIENT}}}error")
        specific = [ns.name(c) for c in error if c.tag.startswith(f"{{{COMMANDS}}}")]
        return refused.value.condition, specific[0] if specific else ""

    async def complete(self, node: str, /, **values):
        """Executes the command and fills in its form."""
        command, form = await self.send(node)
        filled_in = self.client.plugin["xep_0004"].make_form("submit")
        for name, value in values.items():
            assert name in form.get_fields(), name
            filled_in.add_field(var=name, value=value)
        return await self.send(
            node, action="complete", sessionid=command["sessionid"], payload=filled_in
        )


def perform(server, user: User, story) -> None:
    async def whole():
        client = Slixmpp(user, "python")
        for plugin in ("xep_0004", "xep_0050"):
            client.register_plugin(plugin)
        connect(server, client, "tls")
        await client.expect("ready")
        await story(Commander(client))
        await client.disconnect()

    play(whole())


def answered(form) -> object:
    return json.loads("\n".join(form.get_values()["answer"]))


def test_an_administrator_finds_the_commands(server):
    async def story(admin):
        listed = await admin.list()
        assert listed["broadcast/status"] == "broadcast status: Says how far a broadcast has come."
        assert {"broadcast/send", "trial/echo"} <= listed.keys()
        server.api("POST", "/plugins/broadcast/disable")
        assert not any(node.startswith("broadcast/") for node in await admin.list())

        info = (await admin.disco.get_info(jid=DOMAIN, node="trial/echo"))["disco_info"]
        assert {i[:2] for i in info["identities"]} == {("automation", "command-node")}
        assert {COMMANDS, FORMS} <= info["features"]
        info = (await admin.disco.get_info(jid=DOMAIN, node=COMMANDS))["disco_info"]
        assert {i[:2] for i in info["identities"]} == {("automation", "command-list")}
        assert COMMANDS in (await admin.disco.get_info(jid=DOMAIN))["disco_info"]["features"]
        assert await admin.refused("broadcast/send") == ("item-not-found", "")

    perform(server, ADMIN, story)


def test_a_command_runs_with_what_its_form_asks_for(server):
    async def story(admin):
        command, form = await admin.send("broadcast/send")
        assert (command["status"], command["actions"]) == ("executing", {"complete"})
        fields = form.get_fields()
        types = {name: field["type"] for name, field in fields.items()}
        single = "text-single"
        assert types == {"to": single, "body": "text-multi", "subject": single, "type": single}
        assert {name for name, field in fields.items() if field["required"]} == {"to", "body"}

        command, form = await admin.complete("broadcast/send", to="online", body="one\ntwo")
        assert (command["status"], form["type"]) == ("completed", "result")
        assert answered(form)["recipients"] == 1
        message = await admin.client.expect("message", lambda m: m["type"] != "error")
        assert message["body"] == "one\ntwo"
        id_ = str(answered(form)["id"])
        _, form = await admin.complete("broadcast/status", id=id_)
        assert str(answered(form)["id"]) == id_
        with pytest.raises(IqError, match="no such broadcast"):
            await admin.complete("broadcast/status", id="123456")

    perform(server, ADMIN, story)
    actions = [(e["action"], e["actor"], e["target"]) for e in server.api("GET", "/audit")["items"]]
    assert ("plugin.command", ADMIN.jid, "broadcast send") in actions


def test_arguments_that_are_not_declared_are_json(server):
    async def story(admin):
        _, form = await admin.complete("trial/echo", arguments='{"a":\n [1, "two"]}')
        assert answered(form) == {"arguments": {"a": [1, "two"]}, "by": ADMIN.jid, "greeting": "hello"}
        _, form = await admin.complete("trial/echo")
        assert answered(form)["arguments"] == {}
        command, _ = await admin.complete("trial/panic")
        assert [kind for kind, _ in command["notes"]] == ["error"]
        command, form = await admin.complete("trial/remember", arguments='{"value": "x"}')
        assert command["notes"] == [("info", "Done.")], "it answers null"

    perform(server, ADMIN, story)


def test_a_command_may_ask_the_client_that_called_it(server):
    """Its other stanzas do not wait for the command."""

    async def story(admin):
        me = json.dumps({"to": admin.client.boundjid.full})
        _, form = await admin.complete("trial/ask", arguments=me)
        assert answered(form)["from"] == admin.client.boundjid.full

    perform(server, ADMIN, story)


def test_wrong_requests_have_their_conditions(server):
    async def story(admin):
        command, _ = await admin.send("trial/echo")
        of_it = {"sessionid": command["sessionid"]}
        form = admin.client.plugin["xep_0004"].make_form
        bad, empty = form("submit"), form("form")
        bad.add_field(var="arguments", value="no JSON")
        for more, specific in [
            ({**of_it, "action": "next"}, "bad-action"),
            ({**of_it, "action": "complete", "payload": bad}, "bad-payload"),
            ({**of_it, "action": "complete", "payload": empty}, "bad-payload"),
            ({"sessionid": "another", "action": "complete"}, "bad-sessionid"),
            ({"action": "complete"}, "bad-sessionid"),
        ]:
            assert await admin.refused("trial/echo", **more) == ("bad-request", specific), more
        assert await admin.refused("trial/version", **of_it) == ("bad-request", "bad-sessionid")
        assert await admin.refused("trial/none") == ("item-not-found", "")
        needs, _ = await admin.send("broadcast/status")
        nothing = {"sessionid": needs["sessionid"], "action": "complete"}
        for _ in range(2):
            refusal = await admin.refused("broadcast/status", **nothing)
            assert refusal == ("bad-request", "bad-payload"), "the form waits for a better answer"

        canceled, _ = await admin.send("trial/echo", action="cancel", **of_it)
        assert canceled["status"] == "canceled"
        again = {**of_it, "action": "complete"}
        assert await admin.refused("trial/echo", **again) == ("bad-request", "bad-sessionid")

    perform(server, ADMIN, story)


def test_a_cluster_is_led_by_commands(server):
    upload(server, built("hearth_enterprise").read_bytes())

    async def story(admin):
        listed = await admin.list()
        names = ("status", "drain", "enable", "disable", "install-licence", "check-directory")
        assert {f"enterprise/{name}" for name in names} <= listed.keys()
        _, form = await admin.complete("enterprise/status")
        status = answered(form)
        assert (status["enabled"], status["members"]) == (False, [])
        _, form = await admin.send("enterprise/drain")
        assert form.get_fields().keys() == {"node", "per_second"}
        with pytest.raises(IqError, match="node 4711 is no member of the cluster"):
            await admin.complete("enterprise/drain", node="4711")
        _, form = await admin.send("enterprise/install-licence")
        assert form.get_fields()["licence"]["type"] == "text-multi"

    perform(server, ADMIN, story)


def test_an_action_that_nobody_knows_is_malformed(server, stage):
    admin = stage.login(ADMIN)
    fly = f"<command xmlns='{COMMANDS}' node='trial/echo' action='fly'/>"
    answer = admin.request("set", fly, DOMAIN)
    error = ns.child(answer, ns.CLIENT, "error")
    assert ns.condition(answer) == "bad-request" and ns.has(error, COMMANDS, "malformed-action")


def test_others_see_no_command_and_run_none(server, stage):
    juliet = stage.user("juliet")

    async def story(user):
        assert await user.list() == {}
        assert await user.refused("trial/echo") == ("forbidden", "")
        assert await user.refused("trial/none") == ("forbidden", ""), "nothing is to be learnt"
        with pytest.raises(IqError, match="item-not-found"):
            await user.disco.get_info(jid=DOMAIN, node="trial/echo")
        info = await user.disco.get_info(jid=user.client.boundjid.bare)
        assert COMMANDS not in info["disco_info"]["features"]

    perform(server, juliet, story)

    office = f"/users/{juliet.name}/administrator"
    server.api("PUT", office)

    async def dismissed_meanwhile(user):
        assert "trial/echo" in await user.list()
        command, _ = await user.send("trial/echo")
        server.api("DELETE", office)
        filled_in = {"action": "complete", "sessionid": command["sessionid"]}
        assert await user.refused("trial/echo", **filled_in) == ("forbidden", "")

    perform(server, juliet, dismissed_meanwhile)
