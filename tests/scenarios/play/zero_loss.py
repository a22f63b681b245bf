"""What the zero-loss contract is tested with: senders and readers that keep count, and the count.

A message carries a token. What was acknowledged to its sender must be with a reader who confirmed it,
wait offline, or be in an archive; and nowhere twice.
"""

import re
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from xml.etree.ElementTree import Element

from servers.process import wait_until

from . import ns
from .client import Client
from .stage import Stage, User

WINDOW = 20
TOKEN = re.compile(r"token-[0-9]+-[0-9]+")


@dataclass
class Sender:
    """Sends tokens to its recipients in turn until the server is gone."""

    number: int
    client: Client
    recipients: list[User]
    sent: list[str] = field(default_factory=list)
    # How many of `sent` the server acknowledged, counted from the first.
    acknowledged: int = 0
    # Seconds after each message.
    pause: float = 0

    def run(self, until) -> None:
        try:
            while not until():
                self._send_one()
                time.sleep(self.pause)
            self._catch_up(0)
        except (AssertionError, OSError):
            # The server was killed: what counts is what it had acknowledged by then.
            pass

    def share(self, user: User) -> int:
        """How many of `sent` are for the user."""
        return sum(self.recipient(index) is user for index in range(len(self.sent)))

    def recipient(self, index: int) -> User:
        return self.recipients[index % len(self.recipients)]

    def _send_one(self) -> None:
        token = f"token-{self.number}-{len(self.sent)}"
        self.client.message(self.recipient(len(self.sent)), token)
        self.sent.append(token)
        self._catch_up(WINDOW)

    def _catch_up(self, window: int) -> None:
        while len(self.sent) - self.acknowledged > window:
            self.acknowledged = self.client.acknowledged()


@dataclass
class Reader:
    """Reads and acknowledges each message until the server is gone."""

    client: Client
    confirmed: list[str] = field(default_factory=list)
    # When each was, on the monotonic clock.
    times: dict[str, float] = field(default_factory=dict)

    def run(self) -> None:
        try:
            # What came with the presence that the client waited for.
            early, self.client.inbox = self.client.inbox, []
            for stanza in early:
                self._take(stanza)
            while True:
                self._take(self.client.next_stanza())
        except (AssertionError, OSError):
            pass

    def _take(self, stanza: Element) -> None:
        if ns.name(stanza) == "message":
            self.client.acknowledge()
            token = ns.body(stanza) or ""
            self.confirmed.append(token)
            self.times.setdefault(token, time.monotonic())


def sm_client(stage: Stage, user: User, available: bool = True) -> Client:
    client = stage.login(user)
    client.enable_sm()
    if available:
        client.presence()
        client.expect_presence(from_=client)
    return client


def start(*targets) -> list[threading.Thread]:
    threads = [threading.Thread(target=target, daemon=True) for target in targets]
    for thread in threads:
        thread.start()
    return threads


def join(threads: list[threading.Thread]) -> None:
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive(), "a client never noticed that the server is gone"


def collect_offline(stage: Stage, users: list[User]) -> dict[User, list[str]]:
    """What waited for each user. The server gives the next when the last are acknowledged."""
    clients = {user: sm_client(stage, user) for user in users}

    def emptied() -> bool:
        for client in clients.values():
            client.sync()
            client.acknowledge()
        return not spooled(stage.server)

    wait_until(emptied, "everything that waited is delivered", 60)
    return {user: messages(client) for user, client in clients.items()}


def messages(client: Client) -> list[str]:
    return [ns.body(stanza) or "" for stanza in client.inbox if ns.name(stanza) == "message"]


def spooled(server) -> set[str]:
    return set(TOKEN.findall("\n".join(server.stored("offline_messages"))))


def archived_tokens(server) -> list[str]:
    """One per message in the archives of recipients."""
    rows = server.stored("archive_messages", "NOT outgoing")
    return [TOKEN.findall(row)[0] for row in rows if TOKEN.search(row)]


@dataclass
class Count:
    """Where each message is after the restart."""

    sent: int
    acknowledged: int
    confirmed: int
    waiting: int
    archived: int
    lost: set[str]
    # Twice in the offline store or in an archive, or again although it had come to rest.
    doubled: set[str]
    # Its acknowledgement was on the way when the server died: the client knows the id again.
    repeated: int

    @classmethod
    def of(cls, senders, readers, waiting, archived, settled_tokens) -> "Count":
        acknowledged = {token for s in senders for token in s.sent[: s.acknowledged]}
        once = Counter(token for reader in readers for token in set(reader.confirmed))
        confirmed = set(once)
        offline = [token for tokens in waiting.values() for token in tokens]
        again = (confirmed & set(offline)) | {token for token, times in once.items() if times > 1}
        doubled = set().union(*(twice(reader.confirmed) for reader in readers))
        return cls(
            sent=sum(len(s.sent) for s in senders),
            acknowledged=len(acknowledged),
            confirmed=len(confirmed),
            waiting=len(offline),
            archived=len(archived),
            lost=acknowledged - confirmed - set(offline) - set(archived),
            doubled=twice(offline) | twice(archived) | doubled | (again & settled_tokens),
            repeated=len(again),
        )

    def check(self) -> None:
        assert not self.lost, f"{len(self.lost)} lost, e.g. {sorted(self.lost)[:5]}"
        assert not self.doubled, f"{len(self.doubled)} doubled, e.g. {sorted(self.doubled)[:5]}"

    def __str__(self) -> str:
        return (
            f"{self.sent} sent, {self.acknowledged} acknowledged to the sender, "
            f"{self.confirmed} confirmed by the recipient, {self.waiting} waited, "
            f"{self.archived} archived, {len(self.lost)} lost, {len(self.doubled)} doubled, "
            f"{self.repeated} with an acknowledgement in flight came again"
        )


def twice(tokens: list[str]) -> set[str]:
    return {token for token, times in Counter(tokens).items() if times > 1}
