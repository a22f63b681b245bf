"""`kill -9` under load: what was acknowledged to its sender is not lost, and nothing comes twice.

Senders with stream management write to three kinds of recipients: one who reads and acknowledges,
one whose connection was cut (his session waits to be resumed), one who is away. Some write to all
of them, some to one kind, so that no slow kind slows down the rest. In the middle of it the server
is killed and started again; then everything is counted.
"""

import random
import re
import threading
from collections import Counter
from dataclasses import dataclass, field

import pytest

from play import Client, Stage, User, ns
from servers.process import wait_until

WINDOW = 20
# Messages of each sender that come to rest before the rest is sent.
FIRST_ROUND = 60
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

    def run(self, until) -> None:
        try:
            while not until():
                self._send_one()
            self._catch_up(0)
        except (AssertionError, OSError):
            # The server was killed: what counts is what it had acknowledged by then.
            pass

    def share(self, user: User) -> int:
        """How many of `sent` are for the user."""
        return sum(self._recipient(index) is user for index in range(len(self.sent)))

    def _recipient(self, index: int) -> User:
        return self.recipients[index % len(self.recipients)]

    def _send_one(self) -> None:
        token = f"token-{self.number}-{len(self.sent)}"
        self.client.message(self._recipient(len(self.sent)), token)
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

    def run(self) -> None:
        try:
            while True:
                stanza = self.client.next_stanza()
                if ns.name(stanza) == "message":
                    self.client.acknowledge()
                    self.confirmed.append(ns.body(stanza) or "")
        except (AssertionError, OSError):
            pass


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


@pytest.mark.parametrize("archive", ["false", "true"], ids=["archive off", "archive on"])
@pytest.mark.needs("databases")
def test_kill_9_loses_nothing_and_doubles_nothing(private_server, database, archive, record_property):
    server = private_server({"archive.enabled": archive}, database)
    stage = Stage(server)
    reader_user, cut_user, away_user = users = [stage.user(role) for role in ("reader", "cut", "away")]
    reader = Reader(sm_client(stage, reader_user))
    sm_client(stage, cut_user).cut()
    audiences = [users, users, [reader_user], [reader_user], [cut_user], [away_user]]
    senders = [
        Sender(number, sm_client(stage, stage.user("sender"), False), audience)
        for number, audience in enumerate(audiences)
    ]

    reading = start(reader.run)
    settled = settle_some(server, senders, reader, reader_user)
    target = settled + random.randrange(200, 1500)
    writing = start(*(lambda s=s: s.run(lambda: False) for s in senders))
    wait_until(lambda: sum(s.acknowledged for s in senders) >= target, f"{target} acknowledged", 120)
    server.kill()
    join(writing + reading)
    stage.close()

    server.start()
    # On PostgreSQL the lease of the killed process has to run out first.
    wait_until(server.serves, "the server serves again", 60)
    again = Stage(server)
    waiting = collect_offline(again, users)
    archived = archived_tokens(server) if archive == "true" else []
    again.close()
    report = Count.of(senders, reader, waiting, archived, settled_tokens=settled_of(senders, settled))
    record_property("count", f"{server.database.split(':')[0]}, archive {archive}: {report}")
    report.check()


def settle_some(server, senders: list[Sender], reader: Reader, reader_user: User) -> int:
    """A first round that comes to rest: the readers have theirs, the rest is committed."""
    rounds = start(*(lambda s=s: s.run(lambda: len(s.sent) >= FIRST_ROUND) for s in senders))
    join(rounds)
    total = sum(sender.acknowledged for sender in senders)
    assert total == FIRST_ROUND * len(senders)
    share = sum(sender.share(reader_user) for sender in senders)
    wait_until(lambda: len(reader.confirmed) >= share, "the reader has its share")
    wait_until(lambda: not spooled(server) & set(reader.confirmed), "acknowledged messages leave the spool")
    return total


def settled_of(senders: list[Sender], settled: int) -> set[str]:
    return {token for sender in senders for token in sender.sent[: settled // len(senders)]}


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
    def of(cls, senders, reader, waiting, archived, settled_tokens) -> "Count":
        acknowledged = {token for s in senders for token in s.sent[: s.acknowledged]}
        confirmed = set(reader.confirmed)
        offline = [token for tokens in waiting.values() for token in tokens]
        again = confirmed & set(offline)
        return cls(
            sent=sum(len(s.sent) for s in senders),
            acknowledged=len(acknowledged),
            confirmed=len(confirmed),
            waiting=len(offline),
            archived=len(archived),
            lost=acknowledged - confirmed - set(offline) - set(archived),
            doubled=twice(offline) | twice(archived) | twice(reader.confirmed) | (again & settled_tokens),
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
