"""
TLS that ends at HAProxy, and TLS that it passes through: the set-ups of Mosquitto's page on HAProxy in its own words (paths and ports
adapted, the missing `default_backend` added, anonymous clients allowed), with certificates made
here and the clients that users have. Each lets in who may come, and nobody else.
"""

import re
import socket
import ssl
import subprocess

import pytest

from harness import ports, proxy, wire
from harness.certificates import Authority
from harness.tools import Paho, Sub, arguments, pub

BACKEND = """
backend mqtt_backend
server server1 127.0.0.1:{port} check on-marked-down shutdown-sessions """
ONE_WAY = """
frontend mqtts_frontend
bind 0.0.0.0:{front} ssl crt {certs}/
default_backend mqtt_backend
""" + BACKEND
MUTUAL = """
frontend mqtts_frontend
bind *:{front} ssl crt {certs}/ verify required ca-file {client_ca}
default_backend mqtt_backend
""" + BACKEND
# Who has no certificate, or a wrong one, comes through to the broker: which must refuse it.
OPTIONAL = MUTUAL.replace("verify required", "verify optional crt-ignore-err all ca-ignore-err all")
PLAIN = """
frontend mqtt_frontend
bind *:{front}
default_backend mqtt_backend
""" + BACKEND

OPEN = "allow_anonymous true\n"
LISTENER = "listener {port}\n"
WITH_PROXY = LISTENER + "enable_proxy_protocol_v2 true\n"
REQUIRE_TLS = WITH_PROXY + "proxy_protocol_v2_require_tls true\n"
REQUIRE_CERTIFICATE = REQUIRE_TLS + "require_certificate true\n"
USERNAME = REQUIRE_CERTIFICATE + "use_identity_as_username true\n"

# TLS ends at the broker.
OWN = "certfile CERTFILE\nkeyfile KEYFILE\n"
OWN_MUTUAL = OWN + "cafile CLIENT_CA\nrequire_certificate true\nuse_identity_as_username true\n"

ours = pytest.mark.nightjar("the PROXY protocol")

# name: HAProxy's text, the broker's, who the broker sees, the user name that it gives
SETUPS = {
    "one-way": (ONE_WAY, LISTENER + OPEN, False, None),
    "mutual": (MUTUAL, LISTENER + OPEN, False, None),
    "one-way, PROXY": (ONE_WAY + "send-proxy-v2-ssl\n", REQUIRE_TLS + OPEN, True, None),
    "mutual, PROXY": (MUTUAL + "send-proxy-v2-ssl\n", REQUIRE_CERTIFICATE + OPEN, True, None),
    "mutual, PROXY, user name": (MUTUAL + "send-proxy-v2-ssl-cn\n", USERNAME, True, "meter"),
    "direct": (PLAIN, LISTENER + OWN + OPEN, False, None),
    "direct, mutual": (PLAIN, LISTENER + OWN_MUTUAL, False, "meter"),
    # The page calls these impossible.
    "direct, PROXY": (PLAIN + "send-proxy-v2\n", WITH_PROXY + OWN + OPEN, True, None),
    "direct, mutual, PROXY": (PLAIN + "send-proxy-v2\n", WITH_PROXY + OWN_MUTUAL, True, "meter"),
}


class World:
    """One set-up with its certificates."""

    def __init__(self, folder, texts, start_broker, start_haproxy):
        haproxy, broker = texts[0], texts[1]
        self.server_ca = Authority(folder / "server-ca", "server-ca")
        self.client_ca = Authority(folder / "client-ca", "client-ca")
        self.foreign = Authority(folder / "foreign", "client-ca").client("meter")
        self.meter = self.client_ca.client("meter")
        certs = folder / "certs"
        certs.mkdir()
        server = self.server_ca.server()
        for word, path in (("CERTFILE", server.cert), ("KEYFILE", server.key),
                           ("CLIENT_CA", self.client_ca.cert)):
            broker = broker.replace(word, str(path))
        (certs / "server.pem").write_bytes(server.both.read_bytes())
        self.broker = start_broker(broker)
        self.front = ports.take()
        self.address = ("127.0.0.1", self.front)
        self.haproxy = start_haproxy(haproxy + "\n", {
            "port": self.broker.port, "front": self.front, "certs": certs,
            "client_ca": self.client_ca.cert})

    def trusting(self, pair=None):
        """What the clients of mosquitto need to know."""
        known = ["--cafile", str(self.server_ca.cert)]
        return known + (["--cert", str(pair.cert), "--key", str(pair.key)] if pair else [])

    def link(self, pair=None, source=None, version=None):
        """A TLS connection to HAProxy."""
        context = ssl.create_default_context(cafile=self.server_ca.cert)
        if pair:
            context.load_cert_chain(pair.cert, pair.key)
        if version:
            context.maximum_version = version
        plain = socket.create_connection(self.address, 5, (source, 0) if source else None)
        return context.wrap_socket(plain, server_hostname="localhost")


def refusal(link):
    """What a CONNECT on it is answered: a code, or None where the connection just ends."""
    try:
        link.sendall(wire.connect("refused", 5))
        answer = link.recv(64)
    except (ssl.SSLError, ConnectionError):
        return None
    return answer[3] if answer else None


def expect_refused(world, pair=None):
    assert refusal(world.link(pair)) not in (0, 1)
    assert " as refused " not in world.broker.log()


@pytest.fixture(params=[pytest.param(name, marks=ours if texts[2] else ()) for name, texts in
                        SETUPS.items()])
def setup(request, tmp_path, start_broker, start_haproxy):
    texts = SETUPS[request.param]
    world = World(tmp_path / "pki", texts, start_broker, start_haproxy)
    world.is_mutual = "verify required" in texts[0] or "CLIENT_CA" in texts[1]
    world.is_told = "ssl crt" in texts[0]
    world.pair = world.meter if world.is_mutual else None
    world.has_proxy, world.username = texts[2], texts[3]
    return world


@pytest.mark.workers
def test_who_may_comes_in(setup, version, workers):
    known = setup.trusting(setup.pair)
    with Sub(setup.address, version, *known, "-i", "sub", "-t", "t/#", "-q", "2", "-v",
             source="127.0.0.10") as sub:
        for qos in (0, 1, 2):
            pub(setup.address, version, *known, "-i", f"pub-{qos}", "-t", f"t/{qos}", "-m",
                f"hello {qos}", "-q", str(qos), source="127.0.0.11")
        sub.expect("t/0 hello 0", "t/1 hello 1", "t/2 hello 2")
    seen = r"127\.0\.0\.10" if setup.has_proxy else r"127\.0\.0\.1"
    name = rf", u'{setup.username}'" if setup.username else ""
    line = setup.broker.expect_line(
        rf"New client connected from {seen}:(\d+) as sub \(p{version}, c1, k60{name}\)\.")
    if setup.has_proxy:
        setup.broker.expect_line(
            rf"New connection from {seen}:{line[1]} on port {setup.broker.port} via "
            rf"127\.0\.0\.1:\d+{' .TLSv1.3.' if setup.is_told else ''}\.")


@pytest.mark.workers
def test_paho(setup, workers):
    with Paho(setup.address, 5, "reader", tls=(setup.server_ca.cert, setup.pair)) as reader, \
            Paho(setup.address, 4, "writer", tls=(setup.server_ca.cert, setup.pair)) as writer:
        reader.subscribe("t", qos=1)
        writer.publish("t", b"x" * 100_000, qos=1)
        assert len(reader.message().payload) == 100_000


@pytest.fixture(params=SETUPS)
def web(request, tmp_path, start_broker, start_haproxy):
    """The same set-up, with WebSocket behind it."""
    haproxy, broker, has_proxy, username = SETUPS[request.param]
    world = World(tmp_path / "pki", (haproxy, broker + "protocol websockets\n"), start_broker,
                  start_haproxy)
    is_mutual = "verify required" in haproxy or "CLIENT_CA" in broker
    world.pair = world.meter if is_mutual else None
    world.is_mutual, world.has_proxy, world.username = is_mutual, has_proxy, username
    return world


@pytest.mark.nightjar("WebSocket behind the PROXY protocol")
@pytest.mark.workers
def test_websockets(web, workers):
    options = {"transport": "websockets", "tls": (web.server_ca.cert, web.pair)}
    with Paho(web.address, 5, "reader", source="127.0.0.9", **options) as reader, \
            Paho(web.address, 4, "writer", **options) as writer:
        reader.subscribe("t", qos=1)
        writer.publish("t", b"x" * 100_000, qos=1)
        assert len(reader.message().payload) == 100_000
    name = rf", u'{web.username}'" if web.username else ""
    seen = r"127\.0\.0\.9" if web.has_proxy else r"127\.0\.0\.1"
    web.broker.expect_line(
        rf"New client connected from {seen}:\d+ as reader \(p5, c1, k60{name}\)\.")
    if web.is_mutual:
        for pair in (None, web.foreign):
            expect_refused(web, pair)


def test_plain_clients_are_refused(setup):
    """HAProxy hears no TLS and ends it."""
    done = subprocess.run(arguments("pub", setup.address, 5, "-i", "refused", "-t", "t", "-m", "x"),
                          capture_output=True, timeout=20, check=False)
    assert done.returncode != 0
    assert " as refused " not in setup.broker.log()


def test_certificates_are_asked_for(setup):
    if not setup.is_mutual:
        assert refusal(setup.link(None)) == 0
        return
    for pair in (None, setup.foreign):
        expect_refused(setup, pair)


# ---- what HAProxy lets through, and the broker must not ----

@pytest.fixture
def through(request, tmp_path, start_broker, start_haproxy):
    return World(tmp_path / "pki", request.param, start_broker, start_haproxy)


@ours
@pytest.mark.parametrize("through", [(PLAIN + "send-proxy-v2-ssl\n", REQUIRE_TLS + OPEN)],
                         indirect=True)
def test_a_plain_frontend(through):
    """It sends the TLV that speaks of TLS, and in it that there was none."""
    peer = through.broker.open(address=through.address, source="127.0.0.9")
    peer.send(wire.connect("x", 4))
    peer.expect_end()
    through.broker.expect_line(r"Connection from 127\.0\.0\.9:\d+ on port \d+ via "
                               r"127\.0\.0\.1:\d+ refused: PROXY header: policy\.")


@ours
@pytest.mark.workers
@pytest.mark.parametrize("through", [(OPTIONAL + "send-proxy-v2-ssl-cn\n",
                                      REQUIRE_CERTIFICATE + OPEN)], indirect=True)
def test_a_certificate_that_is_optional(through, workers):
    """For HAProxy; not for the broker, which is told whether there was one and who vouched for it."""
    assert refusal(through.link(through.meter, source="127.0.0.9")) == 0
    through.broker.expect_line(r"New client connected from 127\.0\.0\.9:\d+ as refused .*")
    for pair in (None, through.foreign):
        assert refusal(through.link(pair, source="127.0.0.8")) is None
        through.broker.expect_line(r"Connection from 127\.0\.0\.8:\d+ .* refused: "
                                   r"PROXY header: policy\.")
    assert through.broker.log().count(" as refused ") == 1


@ours
@pytest.mark.parametrize("through", [(OPTIONAL + "send-proxy-v2-ssl-cn\n", WITH_PROXY +
                                      "use_identity_as_username true\n" + OPEN)], indirect=True)
def test_a_name_that_nobody_vouched_for(through):
    """The common name of a foreign certificate is in the header, and is nobody's user name."""
    assert refusal(through.link(through.foreign)) == 0x86
    assert refusal(through.link(None)) == 0x86
    assert refusal(through.link(through.meter)) == 0
    through.broker.expect_line(r"New client connected from .* as refused \(.*, u'meter'\)\.")


@ours
@pytest.mark.parametrize("through", [(MUTUAL + "send-proxy-v2-ssl-cn\n", USERNAME)], indirect=True)
def test_resumed_sessions_keep_the_name(through):
    """The certificate was seen on an earlier connection."""
    link = through.link(through.meter, version=ssl.TLSVersion.TLSv1_2)
    assert refusal(link) == 0
    session = link.session
    link.close()
    context = link.context
    again = context.wrap_socket(socket.create_connection(through.address, 5),
                                server_hostname="localhost", session=session)
    assert again.session_reused
    assert refusal(again) == 0
    assert len(re.findall(r"as refused \(.*, u'meter'\)\.", through.broker.log())) == 2


@ours
@pytest.mark.parametrize("through", [(MUTUAL + "send-proxy-v2-ssl-cn\n", USERNAME +
                                      "proxy_protocol_trusted 127.0.0.1\n")], indirect=True)
def test_a_forged_header(through):
    """Past HAProxy, from an address that is not trusted, with all that could be asked for."""
    forged = proxy.client("192.0.2.7", 1111, proxy.tlv(
        0x20, bytes([7]) + bytes(4) + proxy.tlv(0x22, b"meter")))
    peer = through.broker.open(source="127.0.0.66")
    peer.send(forged, wire.connect("x", 4))
    peer.expect_end()
    through.broker.expect_line(r"Connection from 127\.0\.0\.66:\d+ on port \d+ refused: "
                               r"PROXY header: untrusted\.")
    assert refusal(through.link(through.meter)) == 0
