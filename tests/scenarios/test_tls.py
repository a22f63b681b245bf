"""What the TLS layer refuses before any XML is spoken."""

import socket
import ssl

import pytest

from play.wire import DEADLINE

pytestmark = pytest.mark.needs("strict")


def any_server(**limits) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    for name, value in limits.items():
        setattr(context, name, value)
    return context


def handshake(server, context: ssl.SSLContext) -> ssl.SSLSocket:
    plain = socket.create_connection(("127.0.0.1", server.port("c2s_tls")), DEADLINE)
    return context.wrap_socket(plain, server_hostname="localhost")


@pytest.mark.parametrize("protocol", ["xmpp-server", "h2", "http/1.1"])
def test_another_protocol_is_refused_on_the_clients_port(stage, protocol):
    """ATTACKS 7: who means another service must not reach this one."""
    context = any_server()
    context.set_alpn_protocols([protocol])
    with pytest.raises((ssl.SSLError, ConnectionError)):
        handshake(stage.server, context)


def test_a_client_without_alpn_is_served(stage):
    """XEP-0368 §4: it is optional."""
    with handshake(stage.server, any_server()) as secured:
        assert secured.version() == "TLSv1.3"


def test_tls_1_2_is_spoken(stage):
    context = any_server(maximum_version=ssl.TLSVersion.TLSv1_2)
    with handshake(stage.server, context) as secured:
        assert secured.version() == "TLSv1.2"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_tls_below_1_2_is_refused(stage):
    """ATTACKS 8: and with it renegotiation, which no version that is left knows here."""
    context = any_server(minimum_version=ssl.TLSVersion.TLSv1, maximum_version=ssl.TLSVersion.TLSv1_1)
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.raises((ssl.SSLError, ConnectionError)):
        handshake(stage.server, context)
