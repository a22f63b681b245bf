"""Chat across the nodes of a cluster while something happens to it, and the count afterwards."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from play import Client, Stage, User, ns
from play.zero_loss import (
    TOKEN,
    Count,
    Reader,
    Sender,
    archived_tokens,
    collect_offline,
    join,
    sm_client,
    start,
)
from servers.process import wait_until

from .cluster import Cluster, Node

# Messages that are acknowledged before anything happens.
BEFORE = 300
# Seconds from a sender's message to its next one: nodes that several clusters leave no processor for put
# each other out, and what is sent has to be collected in the end.
PAUSE = 0.02
# Seconds after which each node knows what has come to another.
ON_ITS_WAY = 1.0


@dataclass
class Load:
    """Each node has a reader, a client that vanished, and senders that write to everybody."""

    cluster: Cluster
    archive: bool
    stages: dict[Node, Stage] = field(default_factory=dict)
    readers: dict[Node, list[Reader]] = field(default_factory=dict)
    reader_users: dict[Node, User] = field(default_factory=dict)
    others: list[User] = field(default_factory=list)
    # Where the sessions are whose clients vanished.
    vanished: dict[Node, list[tuple[User, Client]]] = field(default_factory=dict)
    senders: list[Sender] = field(default_factory=list)
    sending_users: list[User] = field(default_factory=list)
    writing: list = field(default_factory=list)
    reading: list = field(default_factory=list)
    # Nodes that lost what only their memory held.
    killed: set[Node] = field(default_factory=set)
    # What was under way while links were cut.
    doubted: set[str] = field(default_factory=set)
    is_over: bool = False

    def begin(self) -> "Load":
        first = Stage(self.cluster[0])
        self.others = [first.user("away")]
        for node in self.cluster:
            stage = self.stages[node] = Stage(node)
            self.reader_users[node] = first.user("reader")
            self.readers[node] = []
            self.read(node)
            vanished = first.user("vanished")
            client = sm_client(stage, vanished)
            client.cut()
            self.vanished[node] = [(vanished, client)]
            self.others.append(vanished)
        everybody = [*self.reader_users.values(), *self.others]
        for number, node in enumerate([*self.cluster, *self.cluster]):
            self.write(node, everybody[number:] + everybody[:number])
        self.reach(BEFORE)
        return self

    def write(self, node: Node, recipients: list[User]) -> None:
        """Somebody writes on the node."""
        user = Stage(self.cluster[0]).user("sender")
        sender = Sender(len(self.senders), sm_client(self.stages[node], user, False), recipients, pause=PAUSE)
        self.sending_users.append(user)
        self.senders.append(sender)
        self.writing += start(lambda: sender.run(lambda: self.is_over))

    def read(self, node: Node, user: User | None = None) -> None:
        """Somebody reads on the node: its own reader, or one whose node is gone."""
        user = user or self.reader_users[node]
        reader = Reader(sm_client(self.stages[node], user))
        home = next(n for n, u in self.reader_users.items() if u is user)
        self.readers[home].append(reader)
        self.reading += start(reader.run)

    def leave(self, node: Node, elsewhere: Node) -> None:
        """Whoever vanished from a node that is emptied comes back on another, and vanishes again; whoever
        wrote comes back, and leaves. Nobody is waited for."""
        stage = self.stages[elsewhere]
        for user, client in self.vanished.pop(node):
            again = resumed(stage, user, client)
            again.cut()
            self.vanished[elsewhere].append((user, again))
        for sender, user, thread in zip(self.senders, self.sending_users, self.writing, strict=True):
            if self.node_of(sender) is node:
                join([thread])
                resumed(stage, user, sender.client).close()
        self.vanished[node] = []

    def node_of(self, sender: Sender) -> Node:
        return self.cluster[sender.number % len(self.cluster.nodes)]

    def kill(self, node: Node) -> None:
        """`kill -9`."""
        node.kill()
        self.killed.add(node)

    def evicted(self, change: Callable[[], None], is_over: Callable[[], bool], what: str) -> None:
        """Links are cut by `change` until members are put out. That a message came, which was confirmed
        shortly before or meanwhile, may have got lost on its way back: nobody can know, so it is brought
        again, under the same id."""
        before, began = [sender.acknowledged for sender in self.senders], time.monotonic()
        change()
        wait_until(is_over, what)
        for sender, first in zip(self.senders, before, strict=True):
            self.doubted |= set(sender.sent[first:])
        self.doubted |= self.confirmed_since(began - ON_ITS_WAY)

    def confirmed_since(self, moment: float) -> set[str]:
        readers = [reader for readers in self.readers.values() for reader in readers]
        confirmed = [item for reader in readers for item in list(reader.times.items())]
        return {token for token, at in confirmed if at > moment}

    def acknowledged(self) -> int:
        return sum(sender.acknowledged for sender in self.senders)

    def reach(self, count: int, deadline: float = 120) -> None:
        wait_until(lambda: self.acknowledged() >= count, f"{count} acknowledged", deadline)

    def more(self, count: int = 200) -> None:
        """The senders that are left get on."""
        self.reach(self.acknowledged() + count)

    def go_on_for(self, seconds: float) -> None:
        """Whatever can be acknowledged meanwhile."""
        time.sleep(seconds)

    def end(self) -> None:
        """No more is sent; what was sent is waited for, as far as its sender lives."""
        self.is_over = True
        join(self.writing)

    def readers_have_theirs(self, deadline: float = 60) -> None:
        """Whoever reads gets what was acknowledged to its senders. What an archive holds may be there
        alone when the sender's node or the reader's was killed while the message was on its way."""
        archived = set(archived_tokens(self.cluster[0])) if self.archive and self.killed else set()
        for node, readers in self.readers.items():
            user = self.reader_users[node]
            wanted = {
                token
                for sender in self.senders
                for index, token in enumerate(sender.sent[: sender.acknowledged])
                if sender.recipient(index) is user
                and not (token in archived and self.killed & {node, self.node_of(sender)})
            }

            def missing(readers=readers, wanted=wanted) -> set[str]:
                return wanted - {token for reader in readers for token in reader.confirmed}

            try:
                wait_until(lambda: not missing(), "", deadline)
            except AssertionError:
                held = set(TOKEN.findall("\n".join(self.cluster[0].stored("offline_messages"))))
                gone = missing()
                raise AssertionError(
                    f"the reader of {node.home.name} lacks {sorted(gone)}, of which {len(gone & held)} are stored"
                ) from None

    def count(self) -> Count:
        """Stops all nodes in an orderly way, starts them, collects what waits, and counts."""
        for node in self.cluster:
            if node.is_alive():
                node.stop()
        join(self.reading)
        for stage in self.stages.values():
            stage.close()
        self.cluster.start()
        self.cluster.wait_formed()
        stage = Stage(self.cluster[-1])
        waiting = collect_offline(stage, [*self.reader_users.values(), *self.others])
        archived = archived_tokens(self.cluster[0]) if self.archive else []
        stage.close()
        readers = [reader for readers in self.readers.values() for reader in readers]
        count = Count.of(self.senders, readers, waiting, archived, set())
        in_doubt = self.doubted & count.doubled
        count.doubled -= in_doubt
        count.repeated += len(in_doubt)
        return count


def resumed(stage: Stage, user: User, lost: Client) -> Client:
    """The client with the session that it had."""
    again = stage.authenticate(user)
    assert ns.name(again.resume(lost)) == "resumed"
    return again
