"""Hosts of the test's own: network namespaces on one bridge, with links that can be cut."""

import ctypes
import os
import secrets
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CLONE_NEWNET = 0x40000000
LIBC = ctypes.CDLL(None, use_errno=True)


def ip(*arguments: str) -> None:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, f"ip {' '.join(arguments)}: {done.stderr}"


def is_possible() -> bool:
    """Namespaces need privileges, which not every machine gives."""
    probe = f"hearth-probe-{secrets.token_hex(3)}"
    made = subprocess.run(["ip", "netns", "add", probe], capture_output=True, timeout=30)
    if made.returncode == 0:
        ip("netns", "del", probe)
    return made.returncode == 0


class Host:
    """One namespace. What is started by `command` and what is opened within `entered` is there."""

    def __init__(self, name: str, address: str):
        self.name, self.address = name, address
        ip("netns", "add", name)
        ip("-n", name, "link", "set", "lo", "up")

    def command(self, command: list[str]) -> list[str]:
        return ["ip", "netns", "exec", self.name, *command]

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Sockets that this thread opens meanwhile belong to the host, also afterwards."""
        own = os.open(f"/proc/self/task/{threading.get_native_id()}/ns/net", os.O_RDONLY)
        other = os.open(Path("/run/netns") / self.name, os.O_RDONLY)
        try:
            enter(other)
            yield
        finally:
            enter(own)
            os.close(own)
            os.close(other)


def enter(namespace: int) -> None:
    if LIBC.setns(namespace, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


class Network:
    """`size` hosts, and a further one for what all of them need."""

    def __init__(self, size: int):
        self.token = secrets.token_hex(3)
        octet = secrets.randbelow(250) + 1
        self.hub = Host(f"hearth-{self.token}-hub", f"10.77.{octet}.254")
        ip("-n", self.hub.name, "link", "add", "bridge", "type", "bridge")
        ip("-n", self.hub.name, "addr", "add", f"{self.hub.address}/24", "dev", "bridge")
        ip("-n", self.hub.name, "link", "set", "bridge", "up")
        self.hosts = [self._host(n, f"10.77.{octet}.{n + 1}") for n in range(size)]

    def _host(self, number: int, address: str) -> Host:
        host = Host(f"hearth-{self.token}-{number}", address)
        port = f"port{number}"
        ip("-n", self.hub.name, "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", host.name)
        ip("-n", self.hub.name, "link", "set", port, "master", "bridge", "up")
        ip("-n", host.name, "addr", "add", f"{address}/24", "dev", "eth0")
        ip("-n", host.name, "link", "set", "eth0", "up")
        # As on any machine: by it a node finds the address that it tells the others.
        ip("-n", host.name, "route", "add", "default", "via", self.hub.address)
        return host

    def cut(self, one: Host, other: Host) -> None:
        """Nothing crosses between the two any more; both reach all others."""
        ip("-n", one.name, "route", "add", "blackhole", f"{other.address}/32")
        ip("-n", other.name, "route", "add", "blackhole", f"{one.address}/32")

    def mend(self, one: Host, other: Host) -> None:
        ip("-n", one.name, "route", "del", "blackhole", f"{other.address}/32")
        ip("-n", other.name, "route", "del", "blackhole", f"{one.address}/32")

    def isolate(self, host: Host) -> None:
        """The host reaches nobody."""
        ip("-n", self.hub.name, "link", "set", f"port{self.hosts.index(host)}", "down")

    def rejoin(self, host: Host) -> None:
        ip("-n", self.hub.name, "link", "set", f"port{self.hosts.index(host)}", "up")

    def close(self) -> None:
        for host in [*self.hosts, self.hub]:
            ip("netns", "del", host.name)
