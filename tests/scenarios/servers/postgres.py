"""A PostgreSQL of a test's own, which may be stopped, cut off or given a certificate."""

import os
import pwd
import shutil
import signal
import subprocess
from pathlib import Path

from .process import free_port, wait_until


def binaries() -> Path:
    """Debian keeps them beside the search path."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda p: int(p.parts[-3]))
    path = str(found[-1]) if found else shutil.which("postgres")
    assert path, "PostgreSQL is missing: tests/run installs it"
    return Path(path).parent


class Postgres:
    """It refuses to run as root, so root runs it as `postgres`."""

    def __init__(self, home: Path, host=None):
        self.data = home / "postgres"
        # Where it runs, when not on this machine itself: see `cluster.network.Host`.
        self.host = host
        self.address, self.port = host.address if host else "127.0.0.1", free_port()
        self.url = f"postgres://hearth:hearth@{self.address}:{self.port}/postgres"
        self.process: subprocess.Popen | None = None
        self.user = pwd.getpwnam("postgres") if os.getuid() == 0 else None
        self.data.mkdir(parents=True)
        password = home / "postgres.password"
        password.write_text("hearth\n")
        if self.user:
            for parent in (self.data, *self.data.parents):
                if parent.stat().st_uid == 0 and not parent.stat().st_mode & 0o001:
                    parent.chmod(parent.stat().st_mode | 0o011)
            shutil.chown(self.data, self.user.pw_name)
        options = "--no-sync --encoding=UTF8 --locale=C --username=hearth --auth=scram-sha-256".split()
        self._run("initdb", *options, f"--pwfile={password}", str(self.data))
        with (self.data / "pg_hba.conf").open("a") as rules:
            rules.write("host all all 0.0.0.0/0 scram-sha-256\n")

    def _command(self, program: str, *arguments: str) -> list[str]:
        who = []
        if self.user:
            who = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"]
        command = [*who, str(binaries() / program), *arguments]
        return self.host.command(command) if self.host else command

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(self._command(program, *arguments), capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, f"{program}: {done.stdout}{done.stderr}"

    def start(self) -> "Postgres":
        settings = {
            "listen_addresses": self.address,
            "unix_socket_directories": str(self.data),
            "max_connections": "200",
            "fsync": "off",
        }
        options = [f"-c{name}={value}" for name, value in settings.items()]
        command = self._command("postgres", "-D", str(self.data), "-p", str(self.port), *options)
        with (self.data.parent / "postgres.log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        wait_until(self._answers, "PostgreSQL answers", 60)
        return self

    def _answers(self) -> bool:
        assert self.process and self.process.poll() is None, "PostgreSQL ended: see postgres.log"
        ready = self._command("pg_isready", "-q", "-h", str(self.data), "-p", str(self.port))
        return subprocess.run(ready, timeout=30).returncode == 0

    def stop(self) -> None:
        """At once, as after a crash: whoever is connected is cut off."""
        if self.process:
            self.process.send_signal(signal.SIGQUIT)
            self.process.wait(60)
            self.process = None
