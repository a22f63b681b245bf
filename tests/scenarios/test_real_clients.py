"""Clients that we did not write: slixmpp and xmpp.js talk through the server over TLS."""

import asyncio
import json
import os
import secrets
import ssl
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import slixmpp

from play import User
from play.wire import DEADLINE

SCRIPT = Path(__file__).parent.parent / "clients" / "xmpp-js.mjs"


class XmppJs:
    """The node script: commands as JSON lines in, events as JSON lines out."""

    def __init__(self, server, user: User, resource: str):
        packages = Path(os.environ["HEARTH_TEST_CLIENTS"]) / "node_modules"
        self.user = user
        self.process = subprocess.Popen(
            ["node", SCRIPT, packages], text=True, bufsize=1, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self.say(
            service=f"xmpps://127.0.0.1:{server.port('c2s_tls')}",
            domain="localhost",
            username=user.name,
            password=user.password,
            resource=resource,
        )

    def say(self, **command) -> None:
        self.process.stdin.write(json.dumps(command) + "\n")
        self.process.stdin.flush()

    def expect(self, **wanted) -> dict:
        """The next event with these values. The watchdog ends the script when it never comes."""
        watchdog = threading.Timer(DEADLINE, self.process.kill)
        watchdog.start()
        seen = []
        try:
            for line in self.process.stdout:
                event = json.loads(line)
                seen.append(event)
                if wanted.items() <= event.items():
                    return event
        finally:
            watchdog.cancel()
        raise AssertionError(f"xmpp.js never saw {wanted}, but {seen}")

    def close(self) -> None:
        self.process.kill()
        self.process.wait()


class Slixmpp(slixmpp.ClientXMPP):
    """Waits for events by name and value; registers its account when asked to."""

    def __init__(self, user: User, resource: str, register: bool = False):
        super().__init__(f"{user}/{resource}", user.password)
        self.user = user
        self.seen: asyncio.Queue = asyncio.Queue()
        for plugin in ("xep_0030", "xep_0077", "xep_0198", "xep_0199", "xep_0203"):
            self.register_plugin(plugin)
        if register:
            self.plugin["xep_0077"].force_registration = True
            self.add_event_handler("register", self.on_register)
        self.auto_authorize = self.auto_subscribe = True
        self.ssl_context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.ssl_context.check_hostname = False
        self.ssl_context.verify_mode = ssl.CERT_NONE
        self.add_event_handler("session_start", self.on_start)
        for name in (
            "message",
            "presence_available",
            "presence_subscribed",
            "failed_all_auth",
            "disconnected",
        ):
            self.add_event_handler(name, lambda data, name=name: self.seen.put_nowait((name, data)))

    def get_ssl_context(self):
        return self.ssl_context

    async def on_register(self, _event) -> None:
        request = self.Iq()
        request["type"] = "set"
        request["register"]["username"] = self.user.name
        request["register"]["password"] = self.user.password
        await request.send()

    async def on_start(self, _event) -> None:
        self.send_presence()
        await self.get_roster()
        self.seen.put_nowait(("ready", None))

    async def expect(self, wanted: str, condition=lambda _data: True):
        async with asyncio.timeout(DEADLINE):
            while True:
                name, data = await self.seen.get()
                if name == wanted and condition(data):
                    return data


@pytest.fixture
def xmpp_js(server):
    scripts = []

    def make(user, resource="node"):
        scripts.append(XmppJs(server, user, resource))
        return scripts[-1]

    yield make
    for script in scripts:
        script.close()


def fresh_user() -> User:
    return User(f"slix-{secrets.token_hex(5)}", secrets.token_urlsafe(12))


def play(story) -> None:
    """In a thread of its own: the browser's driver may have a loop running in this one."""
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, story).result()


def connect(server, client: Slixmpp, transport: str) -> None:
    """slixmpp chooses STARTTLS on the one port, direct TLS on the other."""
    client.enable_direct_tls = transport == "tls"
    client.enable_starttls = transport == "starttls"
    client.connect("127.0.0.1", server.port("c2s_tls" if transport == "tls" else "c2s"))


@pytest.mark.parametrize("transport", ["starttls", "tls"])
def test_slixmpp_registers_and_talks_to_itself(server, transport):
    async def story():
        client = Slixmpp(fresh_user(), "python", register=True)
        connect(server, client, transport)
        await client.expect("ready")
        client.send_message(client.boundjid.bare, "note to self")
        await client.expect("message", lambda m: m["body"] == "note to self")
        await client.disconnect()

    play(story())


def test_two_kinds_of_clients_meet(server, stage, xmpp_js):
    """Subscribe, chat both ways, go offline, find the messages of the time between."""
    paris = stage.user("paris")

    async def story():
        romeo = Slixmpp(fresh_user(), "python", register=True)
        connect(server, romeo, "starttls")
        await romeo.expect("ready")
        node = xmpp_js(paris)
        await asyncio.to_thread(node.expect, event="online")

        node.say(send="presence", type="subscribe", to=romeo.user.jid)
        await asyncio.to_thread(node.expect, event="presence", type="subscribed", bare=romeo.user.jid)

        node.say(send="message", to=romeo.user.jid, body="hello from node")
        await romeo.expect("message", lambda m: m["body"] == "hello from node")
        romeo.send_message(f"{paris}/node", "hello from python", mtype="chat")
        await asyncio.to_thread(node.expect, event="message", body="hello from python")

        node.say(send="stop")
        await asyncio.to_thread(node.expect, event="offline")
        romeo.send_message(paris.jid, "while you were away", mtype="chat")
        await romeo.plugin["xep_0199"].send_ping("localhost")
        again = xmpp_js(paris, "node")
        event = await asyncio.to_thread(again.expect, event="message", body="while you were away")
        assert event["delayed"]
        await romeo.disconnect()

    play(story())


def test_slixmpp_finds_its_offline_messages(server, stage):
    romeo, juliet = stage.enter("romeo"), stage.user("juliet")
    romeo.message(juliet, "wherefore")
    romeo.sync()

    async def story():
        client = Slixmpp(juliet, "python")
        connect(server, client, "tls")
        message = await client.expect("message")
        assert (message["body"], bool(message["delay"]["stamp"])) == ("wherefore", True)
        await client.disconnect()

    play(story())


def test_a_wrong_password_is_told_to_slixmpp(server, stage):
    juliet = stage.user("juliet")

    async def story():
        client = Slixmpp(User(juliet.name, "wrong"), "python")
        connect(server, client, "tls")
        await client.expect("failed_all_auth")
        await client.disconnect()

    play(story())
