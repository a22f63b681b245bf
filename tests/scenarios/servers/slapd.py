"""OpenLDAP's server, with people and groups of its own."""

import socket
import subprocess
from pathlib import Path

from .process import free_port, wait_until

CONFIG = """
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
pidfile {folder}/pid
database mdb
maxsize 16777216
suffix "dc=example,dc=org"
rootdn "cn=root,dc=example,dc=org"
rootpw root-secret
directory {folder}
access to attrs=userPassword by anonymous auth by * none
access to * by * read
"""

TREE = """dn: dc=example,dc=org
objectClass: dcObject
objectClass: organization
o: Example
dc: example

"""


class Slapd:
    """Its people have the password `NAME-secret`, and all of them are in the group `everybody`."""

    def __init__(self, folder: Path, people: list[str]):
        folder.mkdir()
        self.people = people
        self.address = f"ldap://127.0.0.1:{free_port()}"
        self.config = folder / "slapd.conf"
        self.config.write_text(CONFIG.format(folder=folder))
        data = folder / "data.ldif"
        data.write_text(TREE + "".join(map(person, people)) + group("everybody", people))
        subprocess.run(["/usr/sbin/slapadd", "-f", self.config, "-l", data], check=True)
        self.process: subprocess.Popen | None = None

    def start(self) -> "Slapd":
        command = ["/usr/sbin/slapd", "-d", "0", "-h", self.address, "-f", self.config]
        self.process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        wait_until(self._listens, "slapd listens")
        return self

    def _listens(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", int(self.address.rpartition(":")[2]))).close()
            return True
        except OSError:
            return False

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


def person(name: str) -> str:
    return (
        f"dn: uid={name},dc=example,dc=org\nobjectClass: inetOrgPerson\nuid: {name}\n"
        f"cn: {name.title()} of Verona\nsn: {name}\nmail: {name}@example.org\n"
        f"userPassword: {name}-secret\n\n"
    )


def group(name: str, members: list[str]) -> str:
    lines = "".join(f"member: uid={member},dc=example,dc=org\n" for member in members)
    return f"dn: cn={name},dc=example,dc=org\nobjectClass: groupOfNames\ncn: {name}\n{lines}\n"
