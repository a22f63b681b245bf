"""Fresh PostgreSQL databases, and a look into a server's own tables."""

import os
import secrets
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def admin_url() -> str:
    """The private PostgreSQL that `tests/run` starts."""
    url = os.environ.get("HEARTH_TEST_POSTGRES")
    assert url, "HEARTH_TEST_POSTGRES is not set: run these tests by tests/run"
    return url


def psql(url: str, statement: str) -> str:
    done = subprocess.run(
        ["psql", url, "-qAtX", "-v", "ON_ERROR_STOP=1", "-c", statement],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def fresh_postgres() -> Iterator[str]:
    """Makes a database, yields its URL, drops it."""
    name = f"hearth_{secrets.token_hex(6)}"
    psql(admin_url(), f"CREATE DATABASE {name}")
    yield f"{admin_url().rpartition('/')[0]}/{name}"
    psql(admin_url(), f"DROP DATABASE {name} WITH (FORCE)")


@contextmanager
def locked(url: str, table: str) -> Iterator[None]:
    """Nobody else reads or writes the table meanwhile; whoever tries waits."""
    command = ["psql", url, "-qAtX", "-v", "ON_ERROR_STOP=1"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as session:
        assert session.stdin and session.stdout
        session.stdin.write(f"BEGIN;\nLOCK TABLE {table};\n\\echo locked\n")
        session.stdin.flush()
        assert session.stdout.readline() == "locked\n"
        yield
        session.stdin.close()


def execute(database: str, file: Path, statement: str) -> None:
    """Changes a database of which the server is not running."""
    if database != "sqlite":
        psql(database, statement)
        return
    connection = sqlite3.connect(file)
    with connection:
        connection.execute(statement)
    connection.close()


def stanzas(database: str, file: Path, query: str) -> list[str]:
    """The single column of XML that the query gives."""
    if database != "sqlite":
        hexed = psql(database, query.replace("SELECT stanza", "SELECT encode(stanza, 'hex')"))
        return [bytes.fromhex(line).decode() for line in hexed.split()]
    connection = sqlite3.connect(file, timeout=30)
    rows = connection.execute(query).fetchall()
    connection.close()
    return [bytes(row[0]).decode() for row in rows]
