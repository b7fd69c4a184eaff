"""paho-mqtt inside WebSocket does what its users expect, plain and over TLS."""

import pytest

from harness import wire
from harness.tools import Paho

pytestmark = [pytest.mark.workers, pytest.mark.nightjar("the options as 2.1 words them")]

WEB = "listener {port} 127.0.0.1\nprotocol websockets\nallow_anonymous true\n"


@pytest.fixture(params=["ws", "wss"])
def web(request, start_broker, authority):
    """What Paho wants besides is in `broker.options`."""
    files = authority.lines
    is_secure = request.param == "wss"
    broker = start_broker(WEB + (files if is_secure else "") +
                          "listener {port2} 127.0.0.1\nallow_anonymous true\n")
    broker.options = {"transport": "websockets", "tls": (authority.cert, None)
                      if is_secure else None}
    return broker


def meet(broker, version, name):
    return Paho(("localhost" if broker.options["tls"] else "127.0.0.1", broker.port), version, name,
                **broker.options)


@pytest.mark.versions(3, 4, 5)
def test_round_trip(web, version, workers):
    with meet(web, version, "both") as client:
        client.subscribe([("a/+", 2), ("b", 0)])
        for qos in (0, 1, 2):
            client.publish(f"a/{qos}", f"hello {qos}", qos=qos)
            got = client.message()
            assert (got.topic, got.payload, got.qos) == (f"a/{qos}", b"hello %d" % qos, qos)


def test_many_messages(web, version, workers):
    with meet(web, version, "to") as to, meet(web, version, "from") as sender:
        to.subscribe("t", qos=2)
        for number in range(300):
            sender.client.publish("t", str(number), qos=number % 3)
        got = [int(to.message().payload) for _ in range(300)]
        for qos in range(3):
            assert [each for each in got if each % 3 == qos] == list(range(qos, 300, 3))


def test_large_messages(web, version, workers):
    with meet(web, version, "both") as client:
        client.subscribe("t", qos=1)
        for size in (125, 126, 65535, 65536, 300_000):
            payload = bytes(range(256)) * (size // 256 + 1)
            client.publish("t", payload[:size], qos=1)
            assert client.message().payload == payload[:size]


def test_with_plain_clients(web, version, workers):
    plain = web.connect("plain", version, address=("127.0.0.1", web.places["port2"]))
    plain.subscribe("up", qos=1)
    with meet(web, version, "web") as client:
        client.subscribe("down", qos=1)
        client.publish("up", "1", qos=1)
        plain.expect_message("up", b"1")
        plain.send(wire.publish("down", b"2", 1, 9, version=version))
        assert client.message().payload == b"2"
