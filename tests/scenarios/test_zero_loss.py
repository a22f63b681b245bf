"""`kill -9` under load: what was acknowledged to its sender is not lost, and nothing comes twice.

Senders with stream management write to three kinds of recipients: one who reads and acknowledges,
one whose connection was cut (his session waits to be resumed), one who is away. Some write to all
of them, some to one kind, so that no slow kind slows down the rest. In the middle of it the server
is killed and started again; then everything is counted.
"""

import random

import pytest

from play import Stage, User
from play.zero_loss import (
    Count,
    Reader,
    Sender,
    archived_tokens,
    collect_offline,
    join,
    sm_client,
    spooled,
    start,
)
from servers.process import wait_until

# Messages of each sender that come to rest before the rest is sent.
FIRST_ROUND = 60


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
    report = Count.of(senders, [reader], waiting, archived, settled_tokens=settled_of(senders, settled))
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
