"""A client that logs in, says things and expects things."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from xml.etree.ElementTree import Element
from xml.sax.saxutils import escape, quoteattr

from . import ns, sasl
from .wire import StreamFailed, Wire, as_text

_ids = itertools.count(1)


class LoginRefused(AssertionError):
    """SASL failure; `condition` as in RFC 6120 §6.5."""

    def __init__(self, condition: str | None):
        super().__init__(f"login refused: {condition}")
        self.condition = condition


@dataclass(frozen=True)
class Login:
    """How to log in. `transport`: plain, starttls or tls. `resource` None lets the server choose."""

    resource: str | None = None
    transport: str = "tls"
    mechanism: str = "SCRAM-SHA-256"
    authzid: str = ""


class Client(Wire):
    """What a user holds in his hand. Stanzas that nobody expected yet wait in `inbox`."""

    def __init__(self, server, transport: str):
        with server.network():
            super().__init__("127.0.0.1", server.port("c2s_tls" if transport == "tls" else "c2s"))
        self.transport = transport
        self.jid = ""
        self.inbox: list[Element] = []
        self.answers_acks = True
        # XEP-0198: stanzas received since <enabled/>; None while stream management is off.
        self.handled: int | None = None
        self.resumption: str | None = None
        if transport == "tls":
            self.start_tls()

    @property
    def bare(self) -> str:
        return self.jid.partition("/")[0]

    # -- login --

    def secure(self) -> None:
        """Leaves a connection that is as secure as the transport says, and no stream on it."""
        if self.transport == "starttls":
            assert ns.has(self.open(), ns.TLS, "starttls"), self.describe("STARTTLS is not offered")
            self.send(f"<starttls xmlns='{ns.TLS}'/>")
            assert ns.name(self.next_element()) == "proceed"
            self.start_tls()
            self.restart()

    def negotiate_tls(self) -> Element:
        """Secures the connection and opens a stream; returns its features."""
        self.secure()
        return self.open()

    def authenticate(self, name: str, password: str, login: Login) -> None:
        """SASL, and the stream that is opened behind it. Raises `LoginRefused`."""
        self.prove(name, password, login)
        self.open()

    def prove(self, name: str, password: str, login: Login) -> None:
        """SASL alone."""
        if login.mechanism == "PLAIN":
            self._sasl(
                f"<auth xmlns='{ns.SASL}' mechanism='PLAIN'>"
                f"{sasl.plain(name, password, login.authzid)}</auth>"
            )
        else:
            exchange = sasl.Scram(login.mechanism, name, password, login.authzid)
            challenge = self._sasl(
                f"<auth xmlns='{ns.SASL}' mechanism='{login.mechanism}'>{exchange.first()}</auth>"
            )
            final = exchange.final(challenge)
            exchange.verify(self._sasl(f"<response xmlns='{ns.SASL}'>{final}</response>"))

    def _sasl(self, request: str) -> str:
        self.send(request)
        answer = self.next_element()
        if ns.name(answer) == "failure":
            raise LoginRefused(ns.condition(answer, ns.SASL))
        return answer.text or ""

    def bind(self, resource: str | None = None) -> None:
        wish = f"<resource>{escape(resource)}</resource>" if resource else ""
        bound = self.request("set", f"<bind xmlns='{ns.BIND}'>{wish}</bind>")
        assert bound.get("type") == "result", self.describe("bind refused")
        self.jid = ns.child(bound, ns.BIND, "bind").findtext(f"{{{ns.BIND}}}jid") or ""

    # -- saying --

    def request(self, kind: str, payload: str, to: object = None) -> Element:
        """Sends an IQ and returns its answer, result or error."""
        identity = self.send_request(kind, payload, to)
        return self.expect(
            lambda s: ns.name(s) == "iq" and s.get("id") == identity and s.get("type") in ("result", "error"),
            f"answer to {payload}",
        )

    def send_request(self, kind: str, payload: str, to: object = None) -> str:
        identity = fresh_id()
        self.send(f"<iq type='{kind}' id='{identity}'{address(to)}>{payload}</iq>")
        return identity

    def query(self, namespace: str, to: object = None, inside: str = "") -> Element:
        """An IQ get whose `query` must be answered; returns the answer's query."""
        result = self.request("get", f"<query xmlns='{namespace}'>{inside}</query>", to)
        assert result.get("type") == "result", self.describe(f"{namespace} was refused")
        return ns.child(result, namespace, "query")

    def message(self, to: object, body: str | None = None, kind: str = "chat", extra: str = "") -> str:
        identity = fresh_id()
        text = "" if body is None else f"<body>{escape(body)}</body>"
        self.send(f"<message type='{kind}' id='{identity}'{address(to)}>{text}{extra}</message>")
        return identity

    def presence(self, kind: str | None = None, to: object = None, inside: str = "") -> None:
        attribute = f" type='{kind}'" if kind else ""
        self.send(f"<presence{attribute}{address(to)}>{inside}</presence>")

    # -- hearing --

    def expect(self, wanted: Callable[[Element], bool], what: str) -> Element:
        """The next stanza that is wanted; others wait in the inbox."""
        for index, stanza in enumerate(self.inbox):
            if wanted(stanza):
                return self.inbox.pop(index)
        while True:
            try:
                stanza = self.next_stanza()
            except TimeoutError:
                raise AssertionError(self.describe(f"{self.jid}: never came: {what}")) from None
            if wanted(stanza):
                return stanza
            self.inbox.append(stanza)

    def next_stanza(self) -> Element:
        """The next stanza from the wire; acknowledgements are dealt with."""
        while True:
            element = self.next_element()
            if element.tag == f"{{{ns.SM}}}r":
                if self.answers_acks:
                    self.acknowledge()
            elif element.tag.startswith(f"{{{ns.CLIENT}}}"):
                self.handled = None if self.handled is None else (self.handled + 1) % 2**32
                return element
            else:
                return element

    def expect_message(
        self, body: str | None = None, from_: object = None, kind: str | None = None
    ) -> Element:
        def wanted(stanza: Element) -> bool:
            return (
                ns.name(stanza) == "message"
                and body in (None, ns.body(stanza))
                and sent_by(stanza, from_)
                and kind in (None, stanza.get("type", "normal"))
            )

        return self.expect(wanted, f"message {body!r} from {from_}")

    def expect_error(self, condition: str, from_: object = None) -> Element:
        def wanted(stanza: Element) -> bool:
            return stanza.get("type") == "error" and sent_by(stanza, from_)

        stanza = self.expect(wanted, f"error {condition} from {from_}")
        assert ns.condition(stanza) == condition, as_text(stanza)
        return stanza

    def expect_presence(self, kind: str | None = None, from_: object = None) -> Element:
        """`kind` None is available."""

        def wanted(stanza: Element) -> bool:
            return ns.name(stanza) == "presence" and stanza.get("type") == kind and sent_by(stanza, from_)

        return self.expect(wanted, f"presence {kind} from {from_}")

    def expect_push(self, contact: object, **attributes: str | None) -> Element:
        """A roster push for the contact with these item attributes (`None`: absent)."""

        def wanted(stanza: Element) -> bool:
            item = pushed_item(stanza)
            return (
                item is not None
                and item.get("jid") == str(contact)
                and all(item.get(key) == value for key, value in attributes.items())
            )

        stanza = self.expect(wanted, f"roster push of {contact} {attributes}")
        self.send(f"<iq type='result' id={quoteattr(stanza.get('id', ''))}/>")
        item = pushed_item(stanza)
        assert item is not None
        return item

    def sync(self) -> None:
        """Returns when the server has dealt with all that was sent before."""
        self.request("get", f"<ping xmlns='{ns.PING}'/>", self.bare.partition("@")[2])

    def expect_nothing(self, *after: "Client", besides: Callable[[Element], bool] = lambda _: False) -> None:
        """No stanza waits, once the server has dealt with all that `after` sent before."""
        for client in after:
            client.sync()
        self.sync()
        rest = [as_text(stanza) for stanza in self.inbox if not besides(stanza)]
        assert not rest, self.describe(f"{self.jid} received {rest}")

    def forget(self) -> None:
        """Drops what waits in the inbox: the story so far is not this test's matter."""
        self.sync()
        self.inbox.clear()

    # -- stream management, XEP-0198 --

    def enable_sm(self, resume: bool = True) -> Element:
        wish = " resume='true'" if resume else ""
        self.send(f"<enable xmlns='{ns.SM}'{wish}/>")
        enabled = self.expect(lambda s: s.tag.startswith(f"{{{ns.SM}}}"), "<enabled/>")
        assert ns.name(enabled) == "enabled", self.describe("stream management refused")
        self.handled = 0
        self.resumption = enabled.get("id")
        return enabled

    def acknowledge(self, h: int | None = None) -> None:
        self.send(f"<a xmlns='{ns.SM}' h='{self.handled if h is None else h}'/>")

    def acknowledged(self) -> int:
        """Asks how many of our stanzas the server has taken over."""
        self.send(f"<r xmlns='{ns.SM}'/>")
        return int(self.expect(lambda s: s.tag == f"{{{ns.SM}}}a", "<a/>").get("h", ""))

    def resume(self, previous: "Client", h: int | None = None) -> Element:
        """Asks to go on with the session of `previous`; returns the answer."""
        count = previous.handled if h is None else h
        self.send(f"<resume xmlns='{ns.SM}' previd='{previous.resumption}' h='{count}'/>")
        answer = self.expect(lambda s: s.tag.startswith(f"{{{ns.SM}}}"), "<resumed/> or <failed/>")
        if ns.name(answer) == "resumed":
            self.jid, self.handled, self.resumption = previous.jid, count, previous.resumption
        return answer


def fresh_id() -> str:
    return f"t{next(_ids)}"


def address(to: object) -> str:
    return "" if to is None else f" to={quoteattr(str(getattr(to, 'jid', to)))}"


def sent_by(stanza: Element, sender: object) -> bool:
    return sender is None or stanza.get("from") == str(getattr(sender, "jid", sender))


def pushed_item(stanza: Element) -> Element | None:
    if ns.name(stanza) != "iq" or stanza.get("type") != "set":
        return None
    return stanza.find(f"{{{ns.ROSTER}}}query/{{{ns.ROSTER}}}item")


def refused(action: Callable[[], object]) -> str | None:
    """The condition with which a login or stream is refused."""
    try:
        action()
    except (LoginRefused, StreamFailed) as refusal:
        return refusal.condition
    raise AssertionError("it was accepted")
