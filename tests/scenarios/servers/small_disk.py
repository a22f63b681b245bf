"""A server whose home is on a small disk: a mount that only its own process sees."""

import shlex
from pathlib import Path

from .hearth import ADMIN_PASSWORD, Hearth, binary


def on_small_disk(home: Path, size: str, then: str) -> list[str]:
    """Runs the shell command `then` where `home` is a disk of `size`. No rights are needed for it."""
    mount = f"mount -t tmpfs -o size={size} none {shlex.quote(str(home))}"
    return ["unshare", "--map-root-user", "--mount", "sh", "-ec", f"{mount}\n{then}"]


def setup_command(home: Path) -> str:
    password = home.parent / f"{home.name}.password"
    password.write_text(f"{ADMIN_PASSWORD}\n")
    words = [binary(), "setup", "--home", home, "--domain", "localhost", "--database", "sqlite"]
    words += ["--admin-password-file", password, "--ephemeral-ports"]
    return shlex.join(map(str, words))


class SmallDisk(Hearth):
    """Set up and run on a disk of four MiB."""

    database = "sqlite"

    def __init__(self, home: Path):
        super().__init__(home)
        self.inside = home

    @property
    def log_path(self) -> Path:
        return self.inside.parent / f"{self.inside.name}.log"

    def command(self) -> list[str]:
        run = shlex.join([binary(), "run", "--home", str(self.inside)])
        return on_small_disk(self.inside, "4m", f"{setup_command(self.inside)}\nexec {run}")

    def is_ready(self) -> bool:
        # As its process sees it.
        self.home = Path(f"/proc/{self.process.pid}/root{self.inside}")
        return super().is_ready()

    def fill(self) -> Path:
        """Leaves no room on the disk; returns the file that takes it."""
        filler = self.home / "filler"
        with filler.open("wb", buffering=0) as file:
            try:
                while file.write(bytes(4096)):
                    pass
            except OSError:
                pass
        return filler
