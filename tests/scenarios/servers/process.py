"""A server process: started, watched, stopped or killed."""

import itertools
import os
import random
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from play.wire import DEADLINE


def wait_until(condition: Callable[[], object], what: str, deadline: float = DEADLINE):
    """Polls until `condition` is truthy and returns its value."""
    limit = time.monotonic() + deadline
    while not (value := condition()):
        assert time.monotonic() < limit, f"never happened: {what}"
        time.sleep(0.02)
    return value


# Below those that the kernel hands out: nobody takes one between its choice and the start of a server. Workers
# share none, and two runs at once hardly begin with the same.
WORKERS = 16
WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % WORKERS
OWN_PORTS = range(20_000 + WORKER, 32_000, WORKERS)
PORTS = itertools.cycle(random.sample(OWN_PORTS, len(OWN_PORTS)))


def free_port() -> int:
    for port in PORTS:
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


class Server:
    """A server on ports of its own. Subclasses know how to set it up and to run it."""

    # Names for what this server cannot do; a test that is marked as needing one is skipped.
    lacks: frozenset[str] = frozenset()
    # Whether each malformed input is answered with exactly the condition that the RFC names.
    exact_stream_errors = True

    def __init__(self, home: Path):
        self.home = home
        self.process: subprocess.Popen | None = None
        self.ports: dict[str, int] = {}
        # Where it runs, when not on this machine itself: see `cluster.network.Host`.
        self.host = None

    def network(self) -> AbstractContextManager:
        """Where sockets are to be opened that shall reach it on 127.0.0.1."""
        return self.host.entered() if self.host else nullcontext()

    def on_host(self, command: list[str]) -> list[str]:
        return self.host.command(command) if self.host else command

    def port(self, listener: str) -> int:
        return self.ports[listener]

    def create_user(self, name: str, password: str) -> None:
        raise NotImplementedError

    def command(self) -> list[str]:
        """What to run in the foreground."""
        raise NotImplementedError

    def is_ready(self) -> bool:
        raise NotImplementedError

    def start(self) -> "Server":
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(self.on_host(self.command()), stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        wait_until(self._ready_or_dead, "the server is ready", 60)
        return self

    @property
    def log_path(self) -> Path:
        return self.home.parent / f"{self.home.name}.log"

    def log(self) -> str:
        return self.log_path.read_text(errors="replace")

    def is_alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def stop(self) -> None:
        """The orderly way."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """`kill -9`."""
        self._end(signal.SIGKILL)

    def _ready_or_dead(self) -> bool:
        assert self.is_alive(), f"the server ended:\n{self.log()[-3000:]}"
        return self.is_ready()

    def _end(self, with_signal: signal.Signals) -> None:
        if self.process is None:
            return
        self.process.send_signal(with_signal)
        try:
            self.process.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"the server did not end:\n{self.log()[-3000:]}") from None
        finally:
            self.process = None
