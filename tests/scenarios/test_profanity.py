"""profanity, a client of its own making (C, libstrophe) that runs in a terminal."""

import os
import secrets
import subprocess
from pathlib import Path

import pytest

from play import User, ns
from servers.process import wait_until


class Terminal:
    """profanity in a terminal that nobody looks at."""

    def __init__(self, home: Path, user: User, server):
        self.home, self.user, self.server = home, user, server
        self.name = f"hearth-{secrets.token_hex(6)}"
        self.start()

    def start(self) -> None:
        folders = [f"{name}={self.home}" for name in ("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME")]
        program = ["env", *folders, "LC_ALL=C.UTF-8", "profanity"]
        self.tmux("new-session", "-d", "-x", "200", "-y", "50", *program)
        self.expect("Type '/help'")

    def tmux(self, *arguments: str, check: bool = True) -> str:
        command = ["tmux", "-L", self.name, "-f", os.devnull, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30)
        assert not check or done.returncode == 0, f"{command}: {done.stderr}"
        return done.stdout

    def screen(self) -> str:
        return self.tmux("capture-pane", "-p")

    def say(self, line: str) -> None:
        self.tmux("send-keys", "-l", "--", line)
        self.tmux("send-keys", "Enter")

    def expect(self, text: str) -> None:
        try:
            wait_until(lambda: text in self.screen(), f"profanity shows {text!r}")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.screen()}") from None

    def register(self) -> None:
        port = self.server.port("c2s")
        self.say(f"/register {self.user.name} localhost port {port} tls trust")
        for prompt in ("Enter password:", "Confirm password:"):
            self.expect(prompt)
            self.say(self.user.password)
        self.expect("Registration successful")

    def connect(self) -> None:
        port = self.server.port("c2s")
        self.say(f"/connect {self.user.jid} server 127.0.0.1 port {port} tls trust")
        self.expect("Enter password:")
        self.say(self.user.password)
        self.expect("logged in successfully")

    def quit(self) -> None:
        self.say("/quit")
        wait_until(lambda: "running" not in self.is_there(), "profanity ends")

    def is_there(self) -> str:
        return self.tmux("list-sessions", "-F", "running", check=False)

    def close(self) -> None:
        self.tmux("kill-server", check=False)


@pytest.fixture
def profanity(server, tmp_path):
    user = User(f"prof-{secrets.token_hex(5)}", secrets.token_urlsafe(12))
    terminal = Terminal(tmp_path, user, server)
    yield terminal
    terminal.close()


def test_profanity_registers_subscribes_chats_and_finds_what_came_meanwhile(stage, profanity):
    juliet, romeo = stage.enter("juliet"), profanity.user
    # RFC 6121 §3.1.6: answers to requests go to who has asked for the roster.
    juliet.query(ns.ROSTER)
    profanity.register()
    # It has to begin anew: 0.13 forgets to authenticate behind a registration.
    profanity.quit()
    profanity.start()
    profanity.connect()

    profanity.say(f"/sub request {juliet.bare}")
    juliet.expect_presence("subscribe", from_=romeo.jid)
    juliet.presence("subscribed", to=romeo.jid)
    juliet.presence("subscribe", to=romeo.jid)
    profanity.expect("uthorization request")
    profanity.say(f"/sub allow {juliet.bare}")
    juliet.expect_presence("subscribed", from_=romeo.jid)

    profanity.say(f"/msg {juliet.bare} hello from profanity")
    message = juliet.expect_message("hello from profanity")
    juliet.message(message.get("from"), "hello to profanity")
    profanity.expect("hello to profanity")

    profanity.quit()
    juliet.expect_presence("unavailable")
    juliet.message(romeo, "while you were away")
    juliet.sync()
    profanity.start()
    profanity.connect()
    profanity.expect("chat message")
    profanity.say("/win 2")
    profanity.expect("while you were away")
