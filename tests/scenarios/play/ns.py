"""Namespaces, and the few things that a test asks of an element."""

from xml.etree.ElementTree import Element

CLIENT = "jabber:client"
STREAM = "http://etherx.jabber.org/streams"
STREAMS = "urn:ietf:params:xml:ns:xmpp-streams"
STANZAS = "urn:ietf:params:xml:ns:xmpp-stanzas"
TLS = "urn:ietf:params:xml:ns:xmpp-tls"
SASL = "urn:ietf:params:xml:ns:xmpp-sasl"
BIND = "urn:ietf:params:xml:ns:xmpp-bind"
ROSTER = "jabber:iq:roster"
ROSTER_VERSIONS = "urn:xmpp:features:rosterver"
PRE_APPROVAL = "urn:xmpp:features:pre-approval"
REGISTER = "jabber:iq:register"
REGISTER_FEATURE = "http://jabber.org/features/iq-register"
DISCO_INFO = "http://jabber.org/protocol/disco#info"
DISCO_ITEMS = "http://jabber.org/protocol/disco#items"
CAPS = "http://jabber.org/protocol/caps"
PING = "urn:xmpp:ping"
VERSION = "jabber:iq:version"
LAST = "jabber:iq:last"
TIME = "urn:xmpp:time"
DELAY = "urn:xmpp:delay"
SM = "urn:xmpp:sm:3"
CARBONS = "urn:xmpp:carbons:2"
STANZA_ID = "urn:xmpp:sid:0"
OCCUPANT_ID = "urn:xmpp:occupant-id:0"


def name(element: Element) -> str:
    """The name without its namespace."""
    return element.tag.rpartition("}")[2]


def child(element: Element, namespace: str, local: str) -> Element:
    """The child of that name, which must be there."""
    found = element.find(f"{{{namespace}}}{local}")
    assert found is not None, f"no <{local} xmlns='{namespace}'/> in <{name(element)}/>"
    return found


def has(element: Element, namespace: str, local: str) -> bool:
    return element.find(f"{{{namespace}}}{local}") is not None


def body(message: Element) -> str | None:
    return message.findtext(f"{{{CLIENT}}}body")


def condition(element: Element, namespace: str = STANZAS) -> str | None:
    """The defined condition of a stanza, stream or SASL error; `None` where there is none."""
    error = element.find(f"{{{CLIENT}}}error") if namespace == STANZAS else element
    conditions = [] if error is None else [c for c in error if c.tag.startswith(f"{{{namespace}}}")]
    return next((name(c) for c in conditions if name(c) != "text"), None)
