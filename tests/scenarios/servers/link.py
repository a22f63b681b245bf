"""What lies between a server and its PostgreSQL: may be cut, and may speak TLS to the server."""

import socket
import ssl
import subprocess
import threading
from pathlib import Path
from urllib.parse import urlsplit

# PostgreSQL's manual, "SSLRequest": what a client says before TLS. The answer is one octet.
SSL_REQUEST = bytes([0, 0, 0, 8, 4, 210, 22, 47])


class Link:
    """A port of its own, by which the database at `url` is reached."""

    def __init__(self, url: str, tls: ssl.SSLContext | None = None):
        self._parts = urlsplit(url)
        self._tls = tls
        self._lock = threading.Lock()
        self._ends: list[socket.socket] = []
        self._is_cut = False
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def url(self, host: str = "127.0.0.1", query: str = "") -> str:
        parts = self._parts
        return f"postgres://{parts.username}:{parts.password}@{host}:{self.port}{parts.path}{query}"

    def cut(self) -> None:
        """Ends all connections, and refuses those that come."""
        with self._lock:
            self._is_cut = True
            for end in self._ends:
                hang_up(end)
            self._ends.clear()

    def mend(self) -> None:
        with self._lock:
            self._is_cut = False

    def close(self) -> None:
        self.cut()
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(near,), daemon=True).start()

    def _serve(self, near: socket.socket) -> None:
        try:
            if self._tls:
                near = self._speak_tls(near)
            far = socket.create_connection((self._parts.hostname, self._parts.port))
        except OSError:
            hang_up(near)
            return
        with self._lock:
            if self._is_cut:
                hang_up(near)
                hang_up(far)
                return
            self._ends += [near, far]
        threading.Thread(target=pump, args=(far, near), daemon=True).start()
        pump(near, far)

    def _speak_tls(self, near: socket.socket) -> socket.socket:
        if near.recv(8, socket.MSG_WAITALL) != SSL_REQUEST:
            raise OSError("it does not ask for TLS")
        near.sendall(b"S")
        return self._tls.wrap_socket(near, server_side=True)


def pump(source: socket.socket, sink: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            sink.sendall(data)
    except OSError:
        pass
    hang_up(source)
    hang_up(sink)


def hang_up(end: socket.socket) -> None:
    try:
        end.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass


class Authority:
    """A CA of the test's own, as files in `folder`."""

    def __init__(self, folder: Path):
        folder.mkdir()
        self.folder = folder
        self.certificate = folder / "ca.pem"
        subject = ["-subj", "/CN=CA of a test", "-addext", "basicConstraints=critical,CA:TRUE"]
        openssl("req", "-x509", *KEY, *subject, "-keyout", folder / "ca.key", "-out", self.certificate)

    def server(self, name: str) -> ssl.SSLContext:
        """TLS as a server whose certificate is for `name`, such as `DNS:localhost`."""
        key, chain = self.folder / "server.key", self.folder / "server.pem"
        issuer = ["-CA", self.certificate, "-CAkey", self.folder / "ca.key"]
        extensions = ["-addext", f"subjectAltName={name}", "-addext", "basicConstraints=CA:FALSE"]
        openssl(
            "req", "-x509", *KEY, *issuer, "-subj", "/CN=database", *extensions, "-keyout", key, "-out", chain
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(chain, key)
        return context


KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]


def openssl(*arguments: object) -> None:
    done = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
