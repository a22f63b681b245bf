"""Nodes that share a database and become a cluster as an operator makes them one: set up, started,
the plugin uploaded on each, the evaluation started, clustering enabled on one."""

import json
import re
import subprocess
import urllib.request
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from servers.hearth import Hearth, binary, hearth
from servers.process import free_port, wait_until

from .network import Network

# Members that an evaluation allows.
EVALUATION = 3
TEST_KEY = Path(__file__).resolve().parents[3] / "enterprise-plugin" / "keys" / "test"


def plugin() -> Path:
    """The enterprise plugin, which trusts the test key: see `tests/run`."""
    return Path(binary()).parent / "libhearth_enterprise.so"


class Node(Hearth):
    """A server whose ports stay the same when it is started again."""

    def fix_ports(self, *names: str) -> None:
        file = self.home / "hearth.toml"
        text = file.read_text()
        for name in names:
            text, changed = re.subn(rf"(?m)^{name} = 0$", f"{name} = {free_port()}", text)
            assert changed == 1, f"{name} is not in {file}"
        file.write_text(text)

    @property
    def number(self) -> int:
        text = (self.home / "hearth.toml").read_text()
        return int(re.search(r'(?m)^node = "([0-9a-f]+)"', text)[1], 16)

    def install(self, file: Path) -> None:
        hearth("plugin", "install", "--home", self.home, "--accept-unsigned", file, on=self)

    def enterprise(self, command: str, arguments: object = None, check: bool = True):
        """Runs a command of the plugin; its answer, or what was said against it."""
        given = [] if arguments is None else [json.dumps(arguments)]
        call = ("plugin", "run", "--home", self.home, "--json", "enterprise", command, *given)
        done = hearth(*call, check=check, on=self)
        return json.loads(done.stdout) if done.returncode == 0 else done.stderr

    def status(self) -> dict:
        """By the call that the command makes, too: scenarios ask again and again."""
        port, token = self.port("console"), (self.home / "run" / "admin-token").read_text().strip()
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/api/v1/plugins/enterprise/commands/status",
            method="POST",
            headers={"Authorization": f"Bearer {token}"},
        )
        with self.network(), urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read())

    def members(self) -> set[int]:
        """Who belongs to the cluster, as this node has it."""
        return {member["id"] for member in self.status()["members"]}


class Cluster:
    """`size` nodes on `database`, each on a host of its own when there is a `network`."""

    def __init__(
        self,
        home: Path,
        database: str,
        size: int,
        properties: Mapping[str, str] = {},
        network: Network | None = None,
    ):
        self.nodes: list[Node] = []
        for number in range(size):
            node = Node(home / f"node-{number}")
            node.home.mkdir(parents=True)
            node.database = database
            node.host = network.hosts[number] if network else None
            # Those who join take the settings of the installation.
            done = node.setup(database, {} if number else properties)
            assert done.returncode == 0, f"hearth setup: {done.stdout}{done.stderr}"
            node.fix_ports("c2s", "c2s_tls", "console")
            self.nodes.append(node)

    def __getitem__(self, index: int) -> Node:
        return self.nodes[index]

    def __iter__(self):
        return iter(self.nodes)

    def start(self) -> "Cluster":
        """Starts the nodes: one serves alone, the others stand by."""
        for node in self.nodes:
            node.start()
        return self

    def form(self) -> "Cluster":
        """From nodes that are strangers to a cluster that serves."""
        self.start()
        licensed = len(self.nodes) > EVALUATION
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda node: node.install(plugin()), self.nodes))
        first = self.nodes[0]
        if licensed:
            first.enterprise("install-licence", {"licence": licence(len(self.nodes))})
        else:
            first.enterprise("start-evaluation")
        first.enterprise("enable")
        self.wait_formed()
        return self

    def wait_formed(self, *nodes: Node, deadline: float = 60) -> None:
        """Exactly these nodes (all without any) are members, say so each, and serve."""
        nodes = nodes or tuple(self.nodes)
        numbers = {node.number for node in nodes}
        for node in nodes:
            wait_until(node.serves, f"{node.home.name} serves", deadline)
            wait_until(lambda node=node: node.members() == numbers, f"all are in {node.home.name}'s view", deadline)

    def check_directories(self) -> None:
        """After a while of quiet, every node knows the same of every node's sessions."""
        running = [node for node in self.nodes if node.is_alive()]

        seen: list = []

        def equal() -> bool:
            answers = [node.enterprise("check-directory") for node in running]
            seen[:] = answers
            return all(answer["equal"] for answer in answers)

        try:
            wait_until(equal, "the directories are equal")
        except AssertionError:
            raise AssertionError(f"the directories differ: {json.dumps(seen)}") from None

    def close(self) -> None:
        for node in self.nodes:
            if node.is_alive():
                node.kill()

    def logs(self) -> str:
        return "\n".join(f"== {node.home.name}\n{node.log()[-4000:]}" for node in self.nodes)


def licence(members: int) -> str:
    """A licence that the test key has signed."""
    tool = Path(binary()).parent / "hearth-licence"
    command = [tool, "issue", "--key", TEST_KEY, "--holder", "Scenarios", "--id", "T-1", "--members", str(members)]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
