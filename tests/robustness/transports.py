"""
The attacks that brokers fell for, over everything that MQTT may come in: behind a PROXY header,
inside TLS, inside WebSocket, and all of it together; where everybody may come in, and where a
password and rules stand in front. Each is refused, costs little, and nobody else notices.
"""

import contextlib
import itertools
import random
import re
import time

import pytest

from harness import proxy, tls, users, wire
from harness.client import Closed

pytestmark = pytest.mark.nightjar("2.0 has no such listeners")

HEADER = proxy.client("192.0.2.7", 1111)
RECORDED = [each for each in proxy.recorded() if each.version and each.is_mqtt]

# What stands between the socket and MQTT.
WAYS = {"plain": (), "proxy": ("proxy",), "tls": ("tls",), "websocket": ("web",),
        "proxy-tls": ("proxy", "tls"), "proxy-websocket": ("proxy", "web"),
        "tls-websocket": ("tls", "web"), "proxy-tls-websocket": ("proxy", "tls", "web")}
RULES = "user good\ntopic readwrite good/#\npattern read own/%u/%c\n"


class Way:
    """A broker with a listener that is come to this way, and one for a bystander."""

    def __init__(self, layers, is_guarded, start_broker, authority, more=""):
        self.layers, self.authority = layers, authority
        text = "listener {port} 127.0.0.1\n"
        if "proxy" in layers:
            text += "enable_proxy_protocol any\n"
        if "tls" in layers:
            text += authority.lines
        if "web" in layers:
            text += "protocol websockets\n"
        text += "listener {port2} 127.0.0.1\n" + more
        files = {}
        if is_guarded:
            text += "password_file {dir}/passwords\nacl_file {dir}/rules\n"
            files = {"passwords": users.password("good"), "rules": RULES}
            self.login = {"username": "good", "password": b"good-secret"}
        else:
            text += "allow_anonymous true\n"
            self.login = {}
        self.broker = start_broker(text, files=files)
        self.second = ("127.0.0.1", self.broker.places["port2"])
        self.bystander = self.broker.connect("bystander", 5, address=self.second, **self.login)
        self.bystander.subscribe("good/bystander", qos=1)
        self.numbers = itertools.count()

    def open(self, version=4, header=HEADER):
        """As far as MQTT's first byte."""
        client = self.broker.open_web(version) if "web" in self.layers else \
            self.broker.open(version)
        raw = client.send_raw if "web" in self.layers else client.send
        if "proxy" in self.layers:
            raw(header)
        if "tls" in self.layers:
            client = client.start_tls(tls.context(self.authority.cert))
        if "web" in self.layers:
            client.upgrade()
        return client

    def look(self):
        """The bystander is served as ever."""
        number = b"%d" % next(self.numbers)
        self.bystander.publish("good/bystander", number)
        self.bystander.expect_message("good/bystander", number)


@pytest.fixture(params=WAYS)
def layers(request):
    return WAYS[request.param]


@pytest.fixture(params=[*WAYS, "plain, guarded", "proxy-tls, guarded",
                        "proxy-tls-websocket, guarded"])
def way(request, start_broker, authority, workers):
    name, _, is_guarded = request.param.partition(", ")
    return Way(WAYS[name], bool(is_guarded), start_broker, authority)


def expect_over(client, what=""):
    """It ends, whatever is said before."""
    deadline = time.monotonic() + 10
    with contextlib.suppress(Closed, ConnectionError):
        while time.monotonic() < deadline:
            client.fill(deadline)
        raise AssertionError(f"{client}: not closed {what}")


WILL = wire.Will("will", b"w" * 100, 1)
CONNECTS = [wire.connect("cut", 4, will=WILL, username="good", password=b"wrong"),
            wire.connect("cut", 5, will=WILL, username="good", password=b"wrong",
                         properties={"session_expiry_interval": 60,
                                     "user_property": [("a", "b"), ("c", "d")]})]


@pytest.mark.workers
def test_connects_that_end_anywhere(way, workers):
    for connect in CONNECTS:
        for cut in range(0, len(connect), 7):
            client = way.open()
            client.send(connect[:cut]) if cut else None
            client.reset()
    way.look()
    assert " as cut " not in way.broker.log()


# First packets that are no CONNECT, and lengths that nothing follows.
FIRST = {
    "CONNACK": bytes.fromhex("20020000"),
    "PUBLISH of 256 MiB": bytes.fromhex("30ffffff7f0001"),
    "CONNECT of 256 MiB": bytes.fromhex("10ffffff7f00044d515454"),
    "length of five bytes": bytes.fromhex("10ffffffff7f"),
    "AUTH": bytes.fromhex("f000"),
    "type 0": bytes.fromhex("0000"),
    "PINGREQ": bytes.fromhex("c000"),
    "HTTP": b"GET / HTTP/1.1\r\n\r\n",
    "a PROXY header": HEADER,
    "TLS": bytes.fromhex("16030100ee010000ea0303"),
}


@pytest.mark.workers
def test_first_packets(way, workers):
    for data in FIRST.values():
        client = way.open()
        client.send(data)
        expect_over(client)
    way.look()


# Behind a CONNECT that was taken.
LATER = {
    "CONNECT": wire.connect("again", 4), "CONNACK": bytes.fromhex("20020000"),
    "SUBACK": bytes.fromhex("9003000100"), "UNSUBACK": bytes.fromhex("b0020001"),
    "PINGRESP": bytes.fromhex("d000"), "AUTH": bytes.fromhex("f000"),
    "PUBREL flags": bytes.fromhex("60020001"), "SUBSCRIBE flags": bytes.fromhex("8005000100016100"),
    "no filter": bytes.fromhex("82020001"), "QoS 3": bytes.fromhex("3605000161000178"),
    "empty topic": bytes.fromhex("30020000"), "wildcard": wire.publish("a/#", b"x"),
    "zero byte": wire.publish("a\0b", b"x"), "bad UTF-8": bytes.fromhex("30040002c328"),
}


@pytest.mark.workers
def test_later_packets(way, workers):
    for name, data in LATER.items():
        client = way.open()
        client.send(wire.connect("later", 4, **way.login))
        client.expect("CONNACK", code=0)
        client.send(data)
        expect_over(client, name)
    way.look()


@pytest.mark.workers
def test_many_properties(way, workers):
    """A packet of user properties is read in one go, and bounded by its size."""
    properties = {"user_property": [("k", "v")] * 8000}
    client = way.open(5)
    client.send(wire.connect("many", 5, **way.login))
    client.expect("CONNACK", code=0)
    client.send(wire.publish("good/x", b"x", 1, 1, version=5, properties=properties))
    client.expect("PUBACK")
    way.look()


@pytest.mark.workers
def test_the_same_packet_id_again_and_again(way, workers):
    """One QoS 2 message is one, however often it comes, and none is ever released."""
    client = way.open()
    client.send(wire.connect("qos2", 4, **way.login))
    client.expect("CONNACK", code=0)
    for dup in [False] + [True] * 200:
        client.send(wire.publish("good/bystander", b"once", 2, 7, dup=dup))
        client.expect("PUBREC", id=7)
    client.send(wire.ack("PUBREL", 7))
    client.expect("PUBCOMP", id=7)
    assert way.bystander.expect("PUBLISH").payload == b"once"
    client.reset()
    way.bystander.postponed.clear()


@pytest.mark.workers
def test_garbage(way, workers):
    source = random.Random(1)
    packets = [wire.publish("good/x", b"x" * 500, 1, 7), wire.subscribe(3, ("#", 2)),
               wire.unsubscribe(4, "#"), wire.ack("PUBREL", 9), wire.pingreq(), wire.disconnect()]
    for turn in range(60):
        data = bytearray(wire.connect(f"g{turn % 7}", source.choice((4, 5)), **way.login))
        for _ in range(source.randrange(6)):
            data += source.choice(packets)
        for _ in range(source.randrange(4)):
            data[source.randrange(len(data))] = source.randrange(256)
        with contextlib.suppress(Closed, OSError, AssertionError):
            client = way.open()
            client.send(bytes(data[:source.randrange(1, len(data) + 1)]),
                        pieces=source.choice((None, 11)))
            if source.random() < 0.5:
                client.fill(time.monotonic() + 0.02)
            client.reset()
        if turn % 20 == 0:
            way.look()
    way.look()


@pytest.mark.workers
def test_slow_connects(layers, start_broker, authority, workers):
    """Bytes that come one by one get no more time than silence."""
    way = Way(layers, False, start_broker, authority, "connect_timeout 2\n")
    client = way.open()
    begun = time.monotonic()
    with contextlib.suppress(Closed, OSError):
        for byte in wire.connect("slow" * 20, 4):
            client.send(bytes([byte]))
            time.sleep(0.1)
            client.fill(time.monotonic() + 0.01)
        raise AssertionError("its CONNECT was taken")
    assert time.monotonic() - begun > 1.5
    way.look()


@pytest.mark.workers
def test_wrong_passwords(layers, start_broker, authority, version, workers):
    way = Way(layers, True, start_broker, authority)
    refused = 5 if version == 4 else 0x87
    for login in ({}, {"username": "good"}, {"username": "good", "password": b"bad"},
                  {"username": "bad", "password": b"good-secret"}, {"username": ""},
                  {"username": "good", "password": b""}):
        client = way.open(version)
        client.send(wire.connect("x", version, **login))
        client.expect("CONNACK", code=refused)
        expect_over(client)
    assert " as x " not in way.broker.log()


@pytest.mark.workers
def test_names_that_widen_a_rule(layers, start_broker, authority, workers):
    """A client id takes the place of %c in a pattern, and never is one."""
    way = Way(layers, True, start_broker, authority)
    (way.broker.folder / "rules").write_text(RULES + "topic write own/#\n".join(["user good\n", ""]))
    way.broker.reload()
    for name in ("#", "+", "a/b", "%c", "#/+"):
        client = way.open()
        client.send(wire.connect(name, 4, **way.login))
        client.expect("CONNACK", code=0)
        client.subscribe("own/#", "own/good/+", "own/+/+")
        for topic in ("own/good/x", "own/bystander/x", "own/good/a/c", "own/x"):
            way.bystander.publish(topic, b"secret", 1)
        client.ping()
        assert not client.postponed, client.postponed
    own = way.open()
    own.send(wire.connect("own", 4, **way.login))
    own.expect("CONNACK", code=0)
    own.subscribe("own/#")
    way.bystander.publish("own/good/own", b"mine", 1)
    own.expect_message("own/good/own", b"mine")


# ---- what HAProxy was seen to send ----

@pytest.mark.workers
@pytest.mark.parametrize("layers", [each for each in WAYS.values() if "proxy" in each],
                         ids=[name for name, each in WAYS.items() if "proxy" in each])
def test_recorded_headers(layers, start_broker, authority, workers):
    """In front of every kind of listener, also when they come byte by byte."""
    way = Way(layers, False, start_broker, authority)
    for number, (each, pieces) in enumerate(itertools.product(RECORDED, (None, 1))):
        client = way.broker.open_web() if "web" in layers else way.broker.open()
        raw = client.send_raw if "web" in layers else client.send
        raw(each.header, pieces=pieces)
        if "tls" in layers:
            client = client.start_tls(tls.context(authority.cert))
        if "web" in layers:
            client.upgrade()
        client.send(wire.connect(f"r{number}", 4))
        client.expect("CONNACK", code=0)
        seen = re.escape(each.client) if each.client else r"127\.0\.0\.1:\d+"
        way.broker.expect_line(rf"New client connected from {seen} as r{number} .*")
        client.close()
