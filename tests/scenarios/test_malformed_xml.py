"""Input that is not XMPP, on every transport: ATTACKS 1, 2, 3, 11, 28, 32, 33.

Each case is answered with its stream error in bounded time, and the server lives on.
"""

from dataclasses import dataclass

import pytest

from play import Login, Stage, StreamClosed, ns

HEADER = f"<stream:stream xmlns='{ns.CLIENT}' xmlns:stream='{ns.STREAM}' to='localhost' version='1.0'>"
NOT_WELL_FORMED = "not-well-formed"
RESTRICTED = "restricted-xml"
TOO_MUCH = "policy-violation"


@dataclass(frozen=True)
class Case:
    name: str
    data: bytes
    # Conditions that RFC 6120 §4.9.3 allows for it.
    conditions: tuple[str, ...]


def case(name, data, *conditions):
    return Case(name, data if isinstance(data, bytes) else data.encode(), conditions)


def message(inside, attributes=""):
    return f"<message to='juliet@localhost' {attributes}>{inside}</message>"


# Sent in place of the stream header.
HEADERS = [
    case("document type", "<!DOCTYPE x [<!ENTITY a 'b'>]>" + HEADER, RESTRICTED, NOT_WELL_FORMED),
    case("comment", "<!-- x -->" + HEADER, RESTRICTED, NOT_WELL_FORMED),
    case("processing instruction", "<?xml-stylesheet href='x'?>" + HEADER, RESTRICTED, NOT_WELL_FORMED),
    case(
        "other encoding",
        "<?xml version='1.0' encoding='ISO-8859-1'?>" + HEADER,
        "unsupported-encoding",
        NOT_WELL_FORMED,
    ),
    case("UTF-16", HEADER.encode("utf-16"), "unsupported-encoding", NOT_WELL_FORMED, "bad-format"),
    case("XML 1.1", "<?xml version='1.1'?>" + HEADER, NOT_WELL_FORMED, "unsupported-version", "bad-format"),
    case(
        "wrong stream namespace",
        HEADER.replace(ns.STREAM, "urn:example:x"),
        "invalid-namespace",
        "bad-namespace-prefix",
    ),
    case("wrong content namespace", HEADER.replace(ns.CLIENT, "urn:example:x"), "invalid-namespace"),
    case(
        "no stream namespace",
        "<stream to='localhost' version='1.0'>",
        "invalid-namespace",
        "bad-namespace-prefix",
    ),
    case(
        "another root",
        f"<strange:root xmlns:strange='{ns.STREAM}' xmlns='{ns.CLIENT}' to='localhost'>",
        "bad-format",
        "invalid-xml",
        "invalid-namespace",
    ),
    case("HTTP", "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", NOT_WELL_FORMED, "bad-format"),
    case("endless name", "<" + "a" * 100_000, TOO_MUCH, NOT_WELL_FORMED),
    case("endless white space in the header", "<stream:stream " + " " * 100_000, TOO_MUCH),
    case("a thousand attributes", HEADER[:-1] + "".join(f" a{n}='x'" for n in range(1000)) + ">", TOO_MUCH),
    case("garbage", bytes(range(256)), NOT_WELL_FORMED, "bad-format", "unsupported-encoding"),
]

# Sent behind a good header, before any login.
STANZAS = [
    case("document type", "<!DOCTYPE x>", RESTRICTED, NOT_WELL_FORMED),
    case("comment", message("<!-- x -->"), RESTRICTED),
    case("comment between stanzas", "<!-- x -->", RESTRICTED),
    case("processing instruction", message("<?php x ?>"), RESTRICTED),
    case("second declaration", "<?xml version='1.0'?>" + message(""), RESTRICTED, NOT_WELL_FORMED),
    case("unknown entity", message("<body>&lol;</body>"), RESTRICTED, NOT_WELL_FORMED),
    case("unknown entity in an attribute", message("", "id='&lol;'"), RESTRICTED, NOT_WELL_FORMED),
    case("bare ampersand", message("<body>a & b</body>"), NOT_WELL_FORMED),
    case("reference to NUL", message("<body>&#0;</body>"), NOT_WELL_FORMED),
    case("reference to a control character", message("<body>&#1;</body>"), NOT_WELL_FORMED),
    case("reference to a surrogate", message("<body>&#xD800;</body>"), NOT_WELL_FORMED),
    case("reference beyond Unicode", message("<body>&#x110000;</body>"), NOT_WELL_FORMED),
    case("raw NUL", message("<body>\0</body>"), NOT_WELL_FORMED),
    case("raw control character", message("<body>\x01</body>"), NOT_WELL_FORMED),
    case("raw U+FFFE", message("<body>\ufffe</body>"), NOT_WELL_FORMED),
    case("overlong UTF-8", message("<body>X</body>").encode().replace(b"X", b"\xc0\xaf"), NOT_WELL_FORMED),
    case("cut UTF-8", message("<body>X</body>").encode().replace(b"X", b"\xe2\x82"), NOT_WELL_FORMED),
    case(
        "UTF-8 of a surrogate",
        message("<body>X</body>").encode().replace(b"X", b"\xed\xa0\x80"),
        NOT_WELL_FORMED,
    ),
    case(
        "UTF-8 beyond Unicode",
        message("<body>X</body>").encode().replace(b"X", b"\xf5\x80\x80\x80"),
        NOT_WELL_FORMED,
    ),
    case("latin-1", message("<body>ä</body>").encode("latin-1"), NOT_WELL_FORMED),
    case("bad UTF-8 in a name", b"<message><b\xff/></message>", NOT_WELL_FORMED),
    case("mismatched end", message("<a></b>"), NOT_WELL_FORMED),
    case("end of nothing", "</message>", NOT_WELL_FORMED),
    case("name that starts with a digit", message("<1a/>"), NOT_WELL_FORMED),
    case("name with a dollar", message("<a$b/>"), NOT_WELL_FORMED),
    case("element with the prefix xml", message("<xml:a/>"), NOT_WELL_FORMED),
    # The fifth edition of XML 1.0 takes them, the parsers of most clients do not.
    case("name of an emoji", message("<\U0001f600/>"), NOT_WELL_FORMED),
    case("name of a byte order mark", message("<\ufeffa/>"), NOT_WELL_FORMED),
    case("empty name", message("<>"), NOT_WELL_FORMED),
    case("two colons", message("<a:b:c xmlns:a='urn:a'/>"), NOT_WELL_FORMED),
    case("undeclared prefix", message("<a:b/>"), NOT_WELL_FORMED),
    case("undeclared attribute prefix", message("<b a:c='d'/>"), NOT_WELL_FORMED),
    case("unbound prefix", message("<b xmlns:a=''/>"), NOT_WELL_FORMED),
    case("redefined xml", message("<b xmlns:xml='urn:x'/>"), NOT_WELL_FORMED),
    case(
        "another name for xml",
        message("<b xmlns:a='http://www.w3.org/XML/1998/namespace'/>"),
        NOT_WELL_FORMED,
    ),
    case("declared xmlns", message("<b xmlns:xmlns='urn:x'/>"), NOT_WELL_FORMED),
    case("duplicate attribute", message("<b a='1' a='2'/>"), NOT_WELL_FORMED),
    case(
        "duplicate attribute by namespace",
        message("<b xmlns:x='urn:a' xmlns:y='urn:a' x:a='1' y:a='2'/>"),
        NOT_WELL_FORMED,
    ),
    case("attribute without value", message("<b a/>"), NOT_WELL_FORMED),
    case("attribute without quotes", message("<b a=1/>"), NOT_WELL_FORMED),
    case("attributes without space", message("<b a='1'b='2'/>"), NOT_WELL_FORMED),
    case("less-than in an attribute", message("<b a='<'/>"), NOT_WELL_FORMED),
    case("end of CDATA in text", message("<body>]]></body>"), NOT_WELL_FORMED),
    case("text between stanzas", "hello", NOT_WELL_FORMED, "bad-format"),
    case(
        "nested stream",
        message(f"<stream:stream xmlns:stream='{ns.STREAM}'/>"),
        "bad-format",
        NOT_WELL_FORMED,
        "not-authorized",
    ),
    case("too deep", "<message>" + "<a>" * 5000, TOO_MUCH),
    case("too many attributes", message("<b " + " ".join(f"a{n}='x'" for n in range(5000)) + "/>"), TOO_MUCH),
    case(
        "too many namespaces",
        message("<b " + " ".join(f"xmlns:a{n}='x'" for n in range(5000)) + "/>"),
        TOO_MUCH,
    ),
    case("too many elements", message("<b/>" * 10_000), TOO_MUCH),
    case("too many bytes", message(f"<body>{'x' * 300_000}</body>"), TOO_MUCH),
    case("endless attribute", "<message id='" + "x" * 300_000, TOO_MUCH),
    case("endless white space", "<message " + " " * 300_000, TOO_MUCH),
    case(
        "unsupported element",
        "<strange xmlns='urn:example:x'/>",
        "unsupported-stanza-type",
        "not-authorized",
        "invalid-namespace",
    ),
    case(
        "compression",
        "<compress xmlns='http://jabber.org/protocol/compress'><method>zlib</method></compress>",
        "unsupported-stanza-type",
        "not-authorized",
        "policy-violation",
    ),
]

# Sent within a session.
BOUND = [
    one
    for one in STANZAS
    if one.name not in ("too many elements", "compression", "nested stream", "unsupported element")
]

TRANSPORTS = ["plain", "starttls", "tls"]


def named(cases):
    return [pytest.param(one, id=one.name.replace(" ", "-")) for one in cases]


def send_all(client, data):
    """The server may hang up before it has read everything."""
    try:
        client.send(data)
    except OSError:
        pass


def assert_refused(stage, client, wrong: Case):
    try:
        reason = client.expect_end()
    except OSError:
        reason = None
    if stage.server.exact_stream_errors:
        assert reason in wrong.conditions, client.describe(f"{wrong.name}: {reason}")
    assert stage.server.is_alive()


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("wrong", named(HEADERS))
@pytest.mark.needs("strict")
def test_a_bad_header_is_refused(stage, transport, wrong):
    client = stage.connect(transport)
    client.secure()
    send_all(client, wrong.data)
    assert_refused(stage, client, wrong)


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("wrong", named(STANZAS))
@pytest.mark.needs("strict")
def test_bad_xml_is_refused_before_login(stage, transport, wrong):
    client = stage.connect(transport)
    client.negotiate_tls()
    send_all(client, wrong.data)
    assert_refused(stage, client, wrong)


@pytest.mark.parametrize("transport", ["starttls", "tls"])
@pytest.mark.parametrize("wrong", named(BOUND))
@pytest.mark.needs("strict")
def test_bad_xml_is_refused_within_a_session(stage, transport, wrong):
    client = stage.login(stage.user("juliet"), Login(transport=transport))
    send_all(client, wrong.data)
    assert_refused(stage, client, wrong)


@pytest.mark.parametrize("wrong", named(BOUND))
@pytest.mark.needs("strict")
def test_bad_xml_reaches_nobody(stage, wrong):
    """ATTACKS 32: what we cannot read, no recipient has to read."""
    romeo, juliet = stage.enter("romeo"), stage.enter("juliet")
    send_all(romeo, wrong.data.replace(b"juliet@localhost", juliet.jid.encode()))
    romeo.expect_end()
    juliet.expect_nothing()


def test_a_stanza_may_come_byte_by_byte(stage):
    romeo, juliet = stage.enter("romeo"), stage.enter("juliet")
    for byte in f"<message to='{juliet.jid}' type='chat'><body>h\u00ef &amp; <![CDATA[<b>]]></body></message>".encode():
        romeo.send(bytes([byte]))
    juliet.expect_message("h\u00ef & <b>", from_=romeo)


def test_white_space_keeps_a_stream_alive(stage):
    juliet = stage.enter("juliet")
    juliet.send(" \n ")
    juliet.expect_nothing()


def test_many_connections_that_say_nothing_hurt_nobody(stage):
    """ATTACKS 4."""
    idle = [stage.connect("plain") for _ in range(50)]
    juliet = stage.enter("juliet")
    juliet.sync()
    assert len(idle) == 50


@pytest.mark.needs("properties")
def test_a_header_that_drips_is_cut_off(private_server):
    """ATTACKS 3: each octet comes in time, the header does not."""
    stage = Stage(private_server({"limits.header-seconds": "1"}))
    client = stage.connect("plain")
    send_all(client, "<stream:stream ")
    with pytest.raises(StreamClosed):
        while True:
            send_all(client, " ")
            try:
                client.next_element(deadline=0.05)
            except TimeoutError:
                pass
    stage.close()


@pytest.mark.needs("properties")
def test_who_does_not_log_in_is_disconnected(private_server):
    """ATTACKS 3 and 4: an absolute deadline, whatever the client sends meanwhile."""
    stage = Stage(private_server({"limits.authentication-seconds": "1"}))
    client = stage.connect()
    client.negotiate_tls()
    with pytest.raises(StreamClosed):
        while True:
            send_all(client, " ")
            client.next_element()
    stage.close()
