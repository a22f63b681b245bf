"""One XML stream over one socket: bytes out, elements in, everything with a deadline."""

import os
import socket
import ssl
import struct
import time
from collections import deque
from xml.etree.ElementTree import Element, ParseError, XMLPullParser, tostring

from . import ns

# Seconds to wait for anything. Generous: it only ever runs out when a test fails.
DEADLINE = float(os.environ.get("HEARTH_TEST_DEADLINE", "30"))

# Stands in the queue of elements for `</stream:stream>`.
END = "end-of-stream"


class StreamClosed(AssertionError):
    """The peer closed the stream or the connection."""


class StreamFailed(StreamClosed):
    """The peer closed the stream with an error."""

    def __init__(self, condition: str | None):
        super().__init__(f"stream error: {condition}")
        self.condition = condition


class Wire:
    """A socket on which an XML stream is spoken. `transport`: plain, starttls or tls."""

    def __init__(self, host: str, port: int):
        self.socket = socket.create_connection((host, port), timeout=DEADLINE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.transcript: deque[str] = deque(maxlen=40)
        self.header: Element | None = None
        self.features: Element | None = None
        self.restart()

    # -- bytes --

    def send(self, data: str | bytes) -> None:
        self._note("->", data)
        self.socket.settimeout(DEADLINE)
        self.socket.sendall(data.encode() if isinstance(data, str) else data)

    def start_tls(self) -> None:
        """Wraps the socket; says nothing on the XML stream."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.set_alpn_protocols(["xmpp-client"])
        self.socket.settimeout(DEADLINE)
        self.socket = context.wrap_socket(self.socket, server_hostname="localhost")

    def close(self) -> None:
        """Ends the stream as RFC 6120 §4.4 asks, then the connection."""
        try:
            self.send("</stream:stream>")
        except OSError:
            pass
        self.socket.close()

    def cut(self) -> None:
        """Resets the connection: to the server, the client has vanished."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if isinstance(self.socket, ssl.SSLSocket):
            # Closing the descriptor itself, so that TLS does not say good-bye.
            socket.socket(fileno=self.socket.detach()).close()
        else:
            self.socket.close()

    # -- elements --

    def open(self, to: str = "localhost", attributes: str = "") -> Element:
        """Sends a stream header, returns the features that come back."""
        self.restart()
        self.send(
            f"<?xml version='1.0'?><stream:stream xmlns='{ns.CLIENT}' xmlns:stream='{ns.STREAM}'"
            f" to='{to}' version='1.0' {attributes}>"
        )
        self.features = self.next_element()
        assert self.features.tag == f"{{{ns.STREAM}}}features", self.describe("features expected")
        return self.features

    def next_element(self, deadline: float | None = None) -> Element:
        """The next child of the stream. Raises when the stream ends or nothing comes in time."""
        limit = time.monotonic() + (DEADLINE if deadline is None else deadline)
        while not self._ready:
            self._fill(limit)
        element = self._ready.popleft()
        if element.tag == f"{{{ns.STREAM}}}error":
            raise StreamFailed(ns.condition(element, ns.STREAMS))
        if element.tag == END:
            raise StreamClosed(self.describe("the server ended the stream"))
        return element

    def expect_end(self) -> str | None:
        """Reads until the peer ends the stream; the condition if it was an error."""
        try:
            while True:
                self.next_element()
        except StreamFailed as failed:
            self.expect_disconnect()
            return failed.condition
        except StreamClosed:
            return None

    def expect_disconnect(self) -> None:
        """Reads until the peer closes the connection."""
        self.socket.settimeout(DEADLINE)
        try:
            while self.socket.recv(65536):
                pass
        except (ConnectionError, ssl.SSLError):
            pass

    def describe(self, what: str) -> str:
        return "\n".join([what, "the last of this stream:", *self.transcript])

    # -- inside --

    def restart(self) -> None:
        """A new stream begins: nothing of the one before counts."""
        self._parser = XMLPullParser(["start", "end"])
        self._depth = 0
        self._ready: deque[Element] = deque()

    def _fill(self, limit: float) -> None:
        remaining = limit - time.monotonic()
        if remaining <= 0:
            raise TimeoutError(self.describe("nothing came in time"))
        self.socket.settimeout(remaining)
        try:
            data = self.socket.recv(65536)
        except (ConnectionError, ssl.SSLEOFError) as error:
            raise StreamClosed(self.describe(f"connection lost: {error}")) from error
        except TimeoutError:
            raise TimeoutError(self.describe("nothing came in time")) from None
        if not data:
            raise StreamClosed(self.describe("connection closed"))
        self._note("<-", data)
        self._parse(data)

    def _parse(self, data: bytes) -> None:
        try:
            self._parser.feed(data)
            # Newer expat holds back what might be incomplete.
            getattr(self._parser, "flush", lambda: None)()
            events = list(self._parser.read_events())
        except ParseError as error:
            raise AssertionError(self.describe(f"the server sent broken XML: {error}")) from error
        for kind, element in events:
            self._follow(kind, element)

    def _follow(self, kind: str, element: Element) -> None:
        self._depth += 1 if kind == "start" else -1
        if kind == "start" and self._depth == 1:
            self.header = element
        elif kind == "end" and self._depth == 1:
            self._ready.append(element)
        elif kind == "end" and self._depth == 0:
            self._ready.append(Element(END))

    def _note(self, direction: str, data: str | bytes) -> None:
        text = data if isinstance(data, str) else data.decode("utf-8", "replace")
        self.transcript.append(f"{direction} {text[:2000]}")


def as_text(element: Element) -> str:
    return tostring(element, encoding="unicode")
