"""
Direct pass-through behind HAProxy, without and with the PROXY protocol: the set-ups of Mosquitto's
page on HAProxy in its own words (ports adapted, anonymous clients allowed), with the clients that
users have. With the PROXY protocol the broker's log knows each client's real address and port.
"""

import re
import subprocess

import pytest

from harness import ports
from harness.tools import Paho, Sub, arguments, pub
from harness.wire import Will

FRONTEND = """
frontend mqtt_frontend
bind *:{front}
default_backend mqtt_backend

backend mqtt_backend
"""
WITHOUT = FRONTEND + "server server1 127.0.0.1:{port} check on-marked-down shutdown-sessions\n"
WITH = FRONTEND + \
    "server server1 127.0.0.1:{port} check on-marked-down shutdown-sessions send-proxy-v2\n"

BROKER_WITHOUT = """
listener {port}
# Further listener settings
allow_anonymous true
"""
BROKER_WITH = """
listener {port}
enable_proxy_protocol_v2 true
# Further listener settings
allow_anonymous true
"""

SETUPS = [
    pytest.param((WITHOUT, BROKER_WITHOUT), id="without"),
    pytest.param((WITH, BROKER_WITH), id="with",
                 marks=pytest.mark.nightjar("the PROXY protocol")),
]


class Setup:
    def __init__(self, texts, start_broker, start_haproxy, more=""):
        self.has_proxy_protocol = texts[0] == WITH
        self.broker = start_broker(texts[1] + more)
        self.front = ports.take()
        self.haproxy = start_haproxy(texts[0], {"port": self.broker.port, "front": self.front})
        self.address = ("127.0.0.1", self.front)

    def expect_client(self, client_id, source):
        """The log's line of a client that came from this address."""
        seen = source if self.has_proxy_protocol else "127.0.0.1"
        match = self.broker.expect_line(
            rf"New client connected from {re.escape(seen)}:(\d+) as {client_id} .*")
        if self.has_proxy_protocol:
            self.broker.expect_line(
                rf"New connection from {re.escape(seen)}:{match[1]} on port "
                rf"{self.broker.port}.*")
        return int(match[1])


@pytest.fixture(params=SETUPS)
def setup(request, start_broker, start_haproxy):
    return Setup(request.param, start_broker, start_haproxy)


@pytest.mark.workers
@pytest.mark.versions(3, 4, 5)
def test_pub_and_sub(setup, version, workers):
    with Sub(setup.address, version, "-i", "sub", "-t", "t/#", "-q", "2", "-v",
             source="127.0.0.10") as sub:
        for qos in (0, 1, 2):
            pub(setup.address, version, "-i", f"pub-{qos}", "-t", f"t/{qos}", "-m", f"hello {qos}",
                "-q", str(qos), source=f"127.0.0.{20 + qos}")
        sub.expect("t/0 hello 0", "t/1 hello 1", "t/2 hello 2")
    setup.expect_client("sub", "127.0.0.10")
    for qos in (0, 1, 2):
        setup.expect_client(f"pub-{qos}", f"127.0.0.{20 + qos}")


@pytest.mark.workers
def test_rr(setup, version, workers):
    """mosquitto_rr asks, a paho client answers."""
    with Paho(setup.address, version, "answering", source="127.0.0.11") as server:
        server.subscribe("question", qos=1)
        asking = subprocess.Popen(
            arguments("rr", setup.address, version, "-i", "asking", "-t", "question", "-e",
                      "answer", "-m", "2+2", "-W", "8", source="127.0.0.12"),
            stdout=subprocess.PIPE)
        asked = server.message()
        assert asked.payload == b"2+2"
        answer = "answer"
        if version == 5:
            answer = asked.properties.ResponseTopic
        server.publish(answer, b"4", qos=1)
        assert asking.communicate(timeout=15)[0] == b"4\n"
        assert asking.returncode == 0
    setup.expect_client("answering", "127.0.0.11")
    setup.expect_client("asking", "127.0.0.12")


@pytest.mark.workers
@pytest.mark.versions(3, 4, 5)
def test_paho(setup, version, workers):
    with Paho(setup.address, version, "to", source="127.0.0.13") as to, \
            Paho(setup.address, version, "from", source="127.0.0.14") as sender:
        to.subscribe("t/+", qos=2)
        for qos in (0, 1, 2):
            sender.publish(f"t/{qos}", b"x" * 50_000 * qos, qos=qos)
            got = to.message()
            assert (got.topic, got.qos, len(got.payload)) == (f"t/{qos}", qos, 50_000 * qos)
    setup.expect_client("to", "127.0.0.13")
    setup.expect_client("from", "127.0.0.14")


@pytest.mark.nightjar("WebSocket behind the PROXY protocol")
@pytest.mark.workers
@pytest.mark.parametrize("texts", SETUPS)
def test_websockets(texts, start_broker, start_haproxy, version, workers):
    setup = Setup(texts, start_broker, start_haproxy, "protocol websockets\n")
    with Paho(setup.address, version, "both", source="127.0.0.13", transport="websockets") as both:
        both.subscribe("t", qos=2)
        both.publish("t", b"x" * 100_000, qos=2)
        assert len(both.message().payload) == 100_000
    setup.expect_client("both", "127.0.0.13")


@pytest.mark.workers
def test_the_port_is_the_clients_own(setup, version, workers):
    for number in range(10):
        client = setup.broker.connect(f"x-{number}", version, address=setup.address,
                                      source=f"127.0.0.{30 + number}")
        client.ping()
        port = setup.expect_client(f"x-{number}", f"127.0.0.{30 + number}")
        if setup.has_proxy_protocol:
            assert port == client.socket.getsockname()[1]


@pytest.mark.workers
def test_wills_and_sessions_through_it(setup, version, workers):
    broker, address = setup.broker, setup.address
    watcher = broker.connect("watcher", version, address=address)
    watcher.subscribe("gone", "t", qos=1)
    dying = broker.connect("dying", version, address=address, lasting=True,
                           will=Will("gone", b"x", 1))
    dying.subscribe("t", qos=1)
    dying.reset()
    watcher.expect_message("gone", b"x")
    broker.connect("from", version, address=address).publish("t", b"kept", 1)
    watcher.expect_message("t", b"kept")
    again = broker.connect("dying", version, address=address, lasting=True, session=True)
    again.expect_message("t", b"kept")
