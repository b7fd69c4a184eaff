"""
The request for WebSocket and what answers it (RFC 6455 section 4.2, RFC 9112): the upgrade in
Mosquitto's bytes, or a status that says what is wrong, and the end of the connection.
"""

import pytest

from harness import websocket, wire
from harness.websocket import KEY, request

pytestmark = pytest.mark.nightjar("Debian's is built with a library that answers in other words")

WEB = "listener {port} 127.0.0.1\nprotocol websockets\nallow_anonymous true\n"


@pytest.fixture
def web(request, start_broker):
    extra = "\n".join(mark.args[0] for mark in request.node.iter_markers("config"))
    return start_broker(WEB + extra + "\n")


@pytest.mark.holds("3.1.1: MQTT-6.0.0-4", "5.0: MQTT-6.0.0-4")
@pytest.mark.versions(3, 4, 5)
def test_the_upgrade(web, version):
    client = web.open_web(version)
    client.send_raw(request(key="AAAAAAAAAAAAAAAAAAAAAA==",
                            protocol="mqttv3.1" if version == 3 else "mqtt"))
    accept = websocket.accept_of("AAAAAAAAAAAAAAAAAAAAAA==")
    client.read_raw(lambda: None if b"\r\n\r\n" not in client.raw else 0)
    assert client.raw.decode() == (
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Accept: {accept}\r\nSec-WebSocket-Protocol: "
        f"{'mqttv3.1' if version == 3 else 'mqtt'}\r\n\r\n")
    client.raw, client.is_upgraded = b"", True
    client.send(wire.connect("x", version))
    client.expect("CONNACK", code=0)
    web.expect_line(r"New connection from 127\.0\.0\.1:\d+ on port %d\." % web.port)
    web.expect_line(rf"New client connected from 127\.0\.0\.1:\d+ as x \(p\d, c1, k60\)\.")


def test_what_browsers_and_proxies_write(web):
    for protocol, chosen in (("mqtt", "mqtt"), ("mqttv3.1, mqtt", "mqttv3.1"),
                             ("mqttv5,mqtt ,x", "mqtt")):
        client = web.open_web(5)
        client.send_raw(request("http://localhost/mqtt?token=1", protocol=protocol,
                                Connection="keep-alive, Upgrade", Upgrade="WebSocket",
                                Origin="http://anywhere", Cookie="a=b; c=d", Accept="*/*",
                                Sec_WebSocket_Extensions="permessage-deflate"))
        client.expect_upgrade(chosen)
        client.send(wire.connect("x", 5))
        client.expect("CONNACK", code=0)


REFUSED = {
    "another protocol": (400, request(protocol="xmpp")),
    "no protocol": (400, request(protocol=None)),
    "no key": (400, request(key=None)),
    "a short key": (400, request(key="AAAA")),
    "a key that is none": (400, request(key="?" * 24)),
    "another version": (426, request(version="8")),
    "no version": (426, request(version=None)),
    "no upgrade": (426, request(Upgrade=None)),
    "another upgrade": (426, request(Upgrade="h2c")),
    "no connection": (426, request(Connection="keep-alive")),
    "POST": (405, request(method="POST")),
    "HEAD": (405, request(method="HEAD")),
    "a method that is none": (501, request(method="BREW")),
    "no host": (400, request(Host=None)),
    "two hosts": (400, request(host="other")),
    "a body": (413, request(Content_Length="5") + b"hello"),
    "a chunked body": (501, request(Transfer_Encoding="chunked") + b"0\r\n\r\n"),
    "two lengths": (400, request(Transfer_Encoding="chunked", Content_Length="0")),
    "a folded header": (400, request(X="a\r\n b")),
    "a header without a colon": (400, request(X="a\r\nb")),
    "space in front of the colon": (400, request(**{"X ": "b"})),
    "a bare line feed": (400, request(X="a\nY: b")),
    "a control character": (400, request(X="a\x01b")),
    "another HTTP": (505, request().replace(b"HTTP/1.1", b"HTTP/2.0")),
    "HTTP/1.0": (400, request().replace(b"HTTP/1.1", b"HTTP/1.0")),
    "a target that is none": (400, request("mqtt")),
    "plain MQTT": (400, wire.connect("x", 4)),
    "TLS": (400, bytes.fromhex("16030100f8010000f40303")),
}


@pytest.mark.holds("3.1.1: MQTT-6.0.0-3", "5.0: MQTT-6.0.0-3")
@pytest.mark.parametrize("name", REFUSED)
def test_refused(web, name):
    status, data = REFUSED[name]
    client = web.open_web()
    client.send_raw(data)
    got, headers, text = client.read_answer()
    headers = dict(headers)
    assert got == status, (got, text)
    assert "close" in headers["Connection"]
    assert (headers.get("Sec-WebSocket-Version"), headers.get("Upgrade")) == \
        (("13", "websocket") if status == 426 else (None, None))
    client.expect_close()
    why = text.decode().strip()
    web.expect_line(rf"Client 127\.0\.0\.1 \[127\.0\.0\.1:\d+\] disconnected: "
                    rf"WebSocket: {why}\.")


@pytest.mark.config("websockets_origin https://a.example\nwebsockets_origin http://localhost:8080")
def test_origins(web):
    """A page from elsewhere gets no byte; what is no page has no origin."""
    for origin in ("https://a.example", "http://localhost:8080", None):
        web.connect_web("x", headers={"Origin": origin}).ping()
    for origin in ("http://a.example", "https://a.example.evil", "https://a.example/", "null", ""):
        client = web.open_web()
        client.send_raw(request(Origin=origin))
        client.expect_close()
        assert client.raw == b""
    web.expect_line(r"Client .* disconnected: WebSocket: origin is not allowed\.")


@pytest.mark.config("packet_buffer_size 500\nmax_http_headers 12")
def test_limits(web):
    def send(data):
        client = web.open_web()
        client.send_raw(data[:500], pieces=100, delay=0.001)  # no more: it would be reset
        return client

    room = 500 - len(request(X=""))
    send(request(X="x" * room)).expect_upgrade()
    assert send(request(X="x" * (room + 1))).read_answer()[0] == 431
    assert send(request("/" + "x" * 500)).read_answer()[0] == 414
    assert send(b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 200).read_answer()[0] == 431
    more = {f"X{n}": "y" for n in range(6)}
    send(request(**more)).expect_upgrade()
    assert send(request(Y="z", **more)).read_answer()[0] == 431


def test_cut_at_every_byte(web):
    data = request()
    for cut in range(1, len(data)):
        client = web.open_web()
        client.send_raw(data, pieces=[cut], delay=0.001)
        client.expect_upgrade()
        client.close()


@pytest.mark.config("connect_timeout 1")
def test_slow_requests_end(web):
    """A byte now and then does not keep the connection."""
    client = web.open_web()
    for byte in request(X="y" * 3000):
        try:
            client.send_raw(bytes([byte]))
        except OSError:
            break
        if client.ended(0.05):
            break
    web.expect_line(r"Client .* disconnected: no CONNECT in time\.")


@pytest.mark.config("connect_timeout 1")
def test_upgraded_without_connect(web):
    client = web.open_web()
    client.upgrade()
    client.expect_close_frame(1008)
    web.expect_line(r"Client .* disconnected: no CONNECT in time\.")


def test_refused_connect(start_broker):
    """CONNACK with its code in a frame, then the close frame."""
    web = start_broker(WEB.replace("allow_anonymous true", ""))
    for version, code in ((4, 5), (5, 0x87)):
        client = web.open_web(version)
        client.upgrade()
        client.send(wire.connect("x", version))
        client.expect("CONNACK", code=code)
        client.expect_close_frame(1008)
