"""Prosody 0.12 from the Debian package, set up so that it can stand in for Hearth."""

import socket
import subprocess
from collections.abc import Mapping
from pathlib import Path

from .process import Server, free_port

CONFIG = """
run_as_root = true
daemonize = false
pidfile = "{home}/prosody.pid"
data_path = "{home}/data"
log = {{ info = "*console" }}
interfaces = {{ "127.0.0.1" }}
c2s_ports = {{ {c2s} }}
c2s_direct_tls_ports = {{ {c2s_tls} }}
s2s_ports = {{ }}
modules_enabled = {{
  "disco", "roster", "saslauth", "tls", "ping", "version", "time", "uptime", "lastactivity",
  "presence", "message", "iq", "offline", "register", "register_ibr", "smacks", "lastactivity",
  "c2s", "posix",
}}
modules_disabled = {{ "s2s", "http" }}
authentication = "internal_plain"
allow_registration = {registration}
c2s_require_encryption = {encryption}
allow_unencrypted_plain_auth = false
min_seconds_between_registrations = 0
smacks_hibernation_time = 60
smacks_max_unacked_stanzas = 0
ssl = {{ certificate = "{home}/localhost.crt"; key = "{home}/localhost.key" }}
c2s_direct_tls_ssl = ssl
VirtualHost "localhost"
"""


class Prosody(Server):
    lacks = frozenset({"SCRAM-SHA-512", "databases", "command line", "restart", "properties", "strict"})
    exact_stream_errors = False

    @classmethod
    def set_up(cls, home: Path, database: str = "sqlite", properties: Mapping[str, str] = {}) -> "Prosody":
        server = cls(home)
        (home / "data" / "localhost" / "accounts").mkdir(parents=True)
        subprocess.run(
            [
                "openssl",
                "req",
                "-x509",
                "-newkey",
                "rsa:2048",
                "-nodes",
                "-days",
                "2",
                "-subj",
                "/CN=localhost",
                "-keyout",
                home / "localhost.key",
                "-out",
                home / "localhost.crt",
            ],
            check=True,
            capture_output=True,
        )
        server.ports = {"c2s": free_port(), "c2s_tls": free_port()}
        (home / "prosody.cfg.lua").write_text(
            CONFIG.format(
                home=home,
                registration=properties.get("registration.inband", "false"),
                encryption=str(properties.get("c2s.starttls", "required") == "required").lower(),
                **server.ports,
            )
        )
        return server

    def create_user(self, name: str, password: str) -> None:
        encoded = "".join(c if c.isalnum() else f"%{ord(c):02x}" for c in name)
        account = self.home / "data" / "localhost" / "accounts" / f"{encoded}.dat"
        account.write_text(f'return {{ ["password"] = "{password}"; }};\n')

    def command(self) -> list[str]:
        return ["prosody", "--config", str(self.home / "prosody.cfg.lua"), "-F"]

    def is_ready(self) -> bool:
        return all(accepts(port) for port in self.ports.values())


def accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True
