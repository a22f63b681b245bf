"""Fresh users for one test, and an end to all that it opened."""

import secrets
from dataclasses import dataclass
from itertools import permutations

from . import ns
from .client import Client, Login
from .wire import Wire

BY_DEFAULT = Login()


@dataclass(frozen=True)
class User:
    """An account of the server under test."""

    name: str
    password: str

    @property
    def jid(self) -> str:
        return f"{self.name}@localhost"

    def __str__(self) -> str:
        return self.jid


class Stage:
    """What a test works with: users, clients, raw connections."""

    def __init__(self, server):
        self.server = server
        self._open: list[Wire] = []

    def user(self, role: str) -> User:
        user = User(f"{role}-{secrets.token_hex(5)}", secrets.token_urlsafe(12))
        self.server.create_user(user.name, user.password)
        return user

    def connect(self, transport: str = "tls") -> Client:
        """A connection on which nothing was said yet."""
        client = Client(self.server, transport)
        self._open.append(client)
        return client

    def authenticate(self, user: User, login: Login = BY_DEFAULT) -> Client:
        """Logged in, nothing bound."""
        client = self.connect(login.transport)
        client.negotiate_tls()
        client.authenticate(user.name, user.password, login)
        return client

    def login(self, user: User, login: Login = BY_DEFAULT) -> Client:
        """Bound, but not available."""
        client = self.authenticate(user, login)
        client.bind(login.resource)
        return client

    def online(self, user: User, resource: str | None = None, priority: int = 0) -> Client:
        """Bound and available, its own presence already back."""
        client = self.login(user, Login(resource=resource))
        client.presence(inside=f"<priority>{priority}</priority>")
        client.expect_presence(from_=client)
        return client

    def enter(self, role: str, resource: str | None = None) -> Client:
        """A fresh user who is online."""
        return self.online(self.user(role), resource)

    def befriend(self, *clients: Client) -> None:
        """Mutual subscriptions among all of them; nothing of it stays in their inboxes."""
        for client in clients:
            roster(client)
        for one, other in permutations(clients, 2):
            subscribe(one, other)
        for client in clients:
            client.forget()

    def close(self) -> None:
        for wire in self._open:
            wire.socket.close()


def subscribe(one: Client, other: Client) -> None:
    """`one` asks for the presence of `other`, who agrees. `one` has read the roster: answers go to
    such resources only (RFC 6121 §3.1.6)."""
    one.presence("subscribe", to=other.bare)
    other.expect_presence("subscribe", from_=one.bare)
    other.presence("subscribed", to=one.bare)
    one.expect_presence("subscribed", from_=other.bare)
    one.expect_presence(from_=other)


def roster(client: Client) -> dict[str, dict[str, str]]:
    """Asks for the roster: attributes of each item by JID."""
    items = client.query(ns.ROSTER)
    return {item.get("jid", ""): dict(item.attrib) for item in items}
