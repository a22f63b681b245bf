"""HAProxy before the nodes: no affinity, each connection goes to the next node that is ready."""

import socket
import subprocess
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from servers.process import free_port, wait_until

CONFIG = """
global
  maxconn 4000
  stats socket {socket} mode 600 level admin
defaults
  mode tcp
  timeout connect 2s
  timeout client 1h
  timeout server 1h
  timeout check 1s
  option redispatch
  retries 3
"""
BACKEND = """
frontend {name}
  bind 127.0.0.1:{port}
  default_backend {name}
backend {name}
  balance roundrobin
  option httpchk GET /readyz
  default-server inter 200ms fall 1 rise 1 on-marked-down shutdown-sessions
"""


class Balancer:
    """Looks like a server to those who connect; users are made on the first node."""

    def __init__(self, home: Path, nodes):
        self.nodes = list(nodes)
        self.ports = {name: free_port() for name in ("c2s", "c2s_tls")}
        self.socket = home / "haproxy.sock"
        config = CONFIG.format(socket=self.socket)
        for name, port in self.ports.items():
            config += BACKEND.format(name=name, port=port)
            for node in self.nodes:
                check = f"check port {node.port('console')}"
                config += f"  server {node.home.name} 127.0.0.1:{node.port(name)} {check}\n"
        file = home / "haproxy.cfg"
        file.write_text(config)
        self.log = (home / "haproxy.log").open("wb")
        self.process = subprocess.Popen(["haproxy", "-f", file], stdout=self.log, stderr=self.log)
        wait_until(self.is_up, "HAProxy sees all nodes")

    def is_up(self) -> bool:
        assert self.process.poll() is None, "HAProxy ended: see haproxy.log"
        return self.up() == 2 * len(self.nodes)

    def up(self) -> int:
        """Servers that take connections, both ports counted."""
        with socket.socket(socket.AF_UNIX) as control:
            try:
                control.connect(str(self.socket))
            except OSError:
                return 0
            control.sendall(b"show stat\n")
            answer = b"".join(iter(lambda: control.recv(65536), b"")).decode()
        rows = [line.split(",") for line in answer.splitlines() if not line.startswith("#")]
        return sum(row[1].startswith("node-") and row[17].startswith("UP") for row in rows if len(row) > 17)

    def network(self) -> AbstractContextManager:
        return nullcontext()

    def port(self, listener: str) -> int:
        return self.ports[listener]

    def create_user(self, name: str, password: str) -> None:
        self.nodes[0].create_user(name, password)

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(30)
        self.log.close()
