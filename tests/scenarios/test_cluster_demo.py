"""The example cluster: one command brings it up, one takes it away."""

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from cluster import Node
from play import Stage
from servers.hearth import binary

pytestmark = pytest.mark.needs("databases")

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "cluster"


class Front(Node):
    """What clients connect to: the balancer; users are made on the node behind it."""

    def __init__(self, home: Path, ports: list[int]):
        super().__init__(home)
        self.front = dict(zip(("c2s", "c2s_tls"), ports))

    def port(self, listener: str) -> int:
        return self.front.get(listener) or super().port(listener)


@pytest.fixture
def folder():
    """Where PostgreSQL, which may run as another user, can look into, too."""
    folder = Path(tempfile.mkdtemp(prefix="hearth-demo-"))
    folder.chmod(0o755)
    yield folder / "cluster"
    shutil.rmtree(folder)


def run(script: str, folder: Path) -> str:
    build = Path(binary()).parent
    settings = {"BUILD": "no", "PROFILE": build.name, "CARGO_TARGET_DIR": str(build.parent)}
    command = [EXAMPLE / script, folder]
    done = subprocess.run(
        command, env=os.environ | settings, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_the_demo_comes_up_serves_and_goes(folder):
    said = run("up", folder)
    ports = [int(port) for port in re.findall(r"127\.0\.0\.1:(\d+) +\((?:STARTTLS|TLS)\)", said)]
    pids = [int(pid) for pid in (folder / "pids").read_text().split()]
    try:
        nodes = [Node(folder / f"node-{n}") for n in (1, 2, 3)]
        assert all(node.serves() for node in nodes)
        assert nodes[0].members() == {node.number for node in nodes}
        front = Front(nodes[0].home, ports)
        assert front.is_ready()
        stage = Stage(front)
        clients = [stage.enter("guest") for _ in range(6)]
        assert all(node.api("GET", "/server")["sessions"] for node in nodes), "they are spread over the nodes"
        for one, other in zip(clients, clients[1:] + clients[:1]):
            one.message(other, "hello")
            other.expect_message("hello", from_=one)
        stage.close()
    finally:
        run("down", folder)
    assert not folder.exists()
    assert not [pid for pid in pids if Path(f"/proc/{pid}").exists()]
