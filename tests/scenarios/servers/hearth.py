"""The product: `hearth setup`, then `hearth run`."""

import json
import os
import subprocess
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path

from .database import stanzas
from .process import Server

ADMIN_PASSWORD = "administrators-password"


def binary() -> str:
    return os.environ["HEARTH_BIN"]


def hearth(*arguments: object, check: bool = True, on: Server | None = None) -> subprocess.CompletedProcess:
    """Runs one subcommand to its end, on the host of a server if need be."""
    command = [binary(), *map(str, arguments)]
    command = on.on_host(command) if on else command
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert not check or done.returncode == 0, f"hearth {arguments}: {done.stdout}{done.stderr}"
    return done


class Hearth(Server):
    @classmethod
    def set_up(cls, home: Path, database: str = "sqlite", properties: Mapping[str, str] = {}) -> "Hearth":
        server = cls(home)
        server.database = database
        done = server.setup(database, properties)
        assert done.returncode == 0, f"hearth setup: {done.stdout}{done.stderr}"
        return server

    def setup(
        self, database: str = "sqlite", properties: Mapping[str, str] = {}, domain: str = "localhost"
    ) -> subprocess.CompletedProcess:
        """`hearth setup`, whether it succeeds or not."""
        password = self.home.parent / f"{self.home.name}.password"
        password.write_text(f"{ADMIN_PASSWORD}\n")
        settings = [f"--set={name}={value}" for name, value in properties.items()]
        return hearth(
            "setup",
            "--home",
            self.home,
            "--domain",
            domain,
            "--database",
            database,
            "--admin-password-file",
            password,
            "--ephemeral-ports",
            *settings,
            check=False,
            on=self,
        )

    def create_user(self, name: str, password: str) -> None:
        self.api("POST", "/users", {"name": name, "password": password})

    def stored(self, table: str, where: str = "true") -> list[str]:
        """The stanzas that a table holds, read behind the server's back."""
        with self.network():
            return stanzas(self.database, self.home / "hearth.db", f"SELECT stanza FROM {table} WHERE {where}")

    def api(self, method: str, path: str, body: object = None):
        """One request of `/api/v1`; its JSON, `None` for an empty answer."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port('console')}/api/v1{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {self.token()}", "Content-Type": "application/json"},
        )
        try:
            with self.network(), urllib.request.urlopen(request, timeout=30) as answer:
                text = answer.read()
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{method} {path}: {error.code} {error.read().decode()}") from error
        return json.loads(text) if text else None

    def token(self) -> str:
        if not hasattr(self, "_token"):
            self._token = hearth("token", "create", "--home", self.home, on=self).stdout.strip()
        return self._token

    def command(self) -> list[str]:
        self.ports = {}
        (self.home / "run" / "ports.json").unlink(missing_ok=True)
        return [binary(), "run", "--home", str(self.home)]

    def is_ready(self) -> bool:
        """`ports.json` is written once all listeners accept; on standby it lacks `c2s`."""
        file = self.home / "run" / "ports.json"
        if not file.exists():
            return False
        self.ports = json.loads(file.read_text())
        return True

    def serves(self) -> bool:
        return self.is_ready() and "c2s" in self.ports


class FirstStart(Hearth):
    """A home that nobody has set up: `hearth run` starts the wizard."""

    database = "sqlite"

    def command(self) -> list[str]:
        return [*super().command(), "--ephemeral-ports"]

    def setup_token(self) -> str:
        return (self.home / "run" / "setup-token").read_text()
