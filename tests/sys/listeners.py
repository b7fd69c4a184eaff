"""
Each listener has figures of its own below $SYS: who came through it, who is there, who was turned
away and why. They go on through a reload and go with their listener.
"""

import contextlib
import time

import pytest

from harness import figures, wire
from harness.client import Closed
from harness.process import wait_until

pytestmark = [pytest.mark.nightjar("2.0 counts nothing by listener"), pytest.mark.timeout(60)]

OPEN = "sys_interval 1\nlistener {port} 127.0.0.1\nallow_anonymous true\n"
SECOND = "listener {port2} 127.0.0.1\nallow_anonymous true\n"
HEADER = bytes.fromhex("0d0a0d0a000d0a515549540a 21 11 000c c0000201 c6336401 1111 2222")


class Watcher:
    """Has the latest value of each topic of listeners; what was removed is not there."""

    def __init__(self, broker, **place):
        self.client = broker.connect("watcher", **place)
        self.client.subscribe("$SYS/broker/listener/#")
        self.values = {}

    def take(self, seconds=0.1):
        while (got := self.client.receive(seconds)) is not None:
            assert got.kind == "PUBLISH", got
            name, topic = got.topic[len(figures.FRONT + "listener/"):].split("/", 1)
            self.values[name, topic] = got.payload.decode()
            if not got.payload:
                del self.values[name, topic]
        return self.values

    def of(self, name):
        return {topic: value for (of, topic), value in self.take().items() if of == name}

    def expect(self, name, timeout=6.0, **values):
        """Until the topics below connections/ say so: a blank stands for a slash."""
        wanted = {f"connections/{key.replace('__', '/')}": str(value)
                  for key, value in values.items()}

        def is_so():
            found = self.of(name)
            return all(found.get(key) == value for key, value in wanted.items())

        try:
            wait_until(is_so, timeout)
        except AssertionError:
            raise AssertionError(f"{name}: {wanted} expected, {self.of(name)} found") from None


def names(broker):
    return [f"127.0.0.1:{broker.places[port]}" for port in ("port", "port2")]


def second(broker):
    return ("127.0.0.1", broker.places["port2"])


@pytest.mark.workers
def test_who_comes_and_goes(start_broker, workers):
    broker = start_broker(OPEN + SECOND)
    first, other = names(broker)
    watcher = Watcher(broker)
    clients = [broker.connect(f"c{n}", 4 + n % 2, address=second(broker)) for n in range(20)]
    silent = [broker.open(address=second(broker)) for _ in range(3)]
    watcher.expect(first, total=1, count=1, pending=0)
    watcher.expect(other, total=23, count=23, pending=3)
    for each in clients[:15]:
        each.disconnect()
    for each in silent:
        each.close()
    watcher.expect(other, total=23, count=5, pending=0)
    watcher.expect(first, total=1, count=1, pending=0)
    assert watcher.of(first).keys() == watcher.of(other).keys()
    assert {topic for (_, topic) in watcher.take()} == \
        {each.split("/", 4)[4] for each in figures.topics(broker) if "/listener/" in each}


@pytest.mark.workers
def test_who_is_refused(start_broker, workers):
    broker = start_broker(
        OPEN + SECOND + "max_connections 4\nmax_topic_alias 3\naccept_protocol_versions 4,5\n"
        "allow_zero_length_clientid false\n")
    first, other = names(broker)
    watcher = Watcher(broker)
    for version, code in ((3, 0x84), (4, 0x85), (4, 0x85)):
        client = broker.open(version, address=second(broker))
        client.send(wire.connect("" if version == 4 else "x", version))
        with contextlib.suppress(Closed):
            client.receive()
        client.close()
    watcher.expect(other, total=3, count=0)
    clients = [broker.open(address=second(broker)) for _ in range(4)]
    watcher.expect(other, total=7, count=4, rejected__max_connections=0)
    for _ in range(6):
        broker.open(address=second(broker)).expect_end()
    watcher.expect(other, total=13, count=4, rejected__max_connections=6)
    found = watcher.of(other)
    assert found["connects/refused/132"] == "1"
    assert found["connects/refused/133"] == "2"
    assert not [topic for topic in watcher.of(first) if topic.startswith("connects/refused/1")]
    watcher.expect(first, total=1, count=1, rejected__max_connections=0)
    for each in clients:
        each.close()
    watcher.expect(other, count=0)


@pytest.mark.workers
def test_proxy_headers(start_broker, workers):
    broker = start_broker(OPEN + SECOND + "enable_proxy_protocol 2\n")
    other = names(broker)[1]
    watcher = Watcher(broker)
    for n in range(3):
        client = broker.open(address=second(broker))
        client.send(HEADER + wire.connect(f"c{n}"))
        client.expect("CONNACK", code=0)
    for _ in range(2):
        client = broker.open(address=second(broker))
        client.send(wire.connect("x"))
        client.expect_end()
    watcher.expect(other, total=5, count=3)
    found = watcher.of(other)
    assert found["proxy/headers/proxy"] == "3"
    assert found["proxy/headers/local"] == "0"
    assert {key: value for key, value in found.items() if key.startswith("proxy/errors/")} == \
        {"proxy/errors/signature": "2"}


@pytest.mark.workers
def test_reloads(start_broker, workers):
    """One goes on, the other closes and opens again: figures of the closed one are no more."""
    broker = start_broker(OPEN + SECOND)
    first, other = names(broker)
    watcher = Watcher(broker)
    clients = [broker.connect(f"c{n}", address=second(broker)) for n in range(4)]
    watcher.expect(other, total=4, count=4)
    broker.reload(OPEN + "max_keepalive 600\n")
    wait_until(lambda: not watcher.of(other), what="the end of the topics")
    broker.connect("d").ping()
    watcher.expect(first, total=2, count=2)
    late = broker.connect("late")
    late.subscribe("$SYS/broker/listener/+/connections/total")
    assert late.expect("PUBLISH", retain=True).topic.split("/")[3] == first
    broker.reload(OPEN + SECOND)
    watcher.expect(other, total=0, count=0)
    for each in clients:
        each.ping()
        each.disconnect()
    broker.connect("e", address=second(broker)).ping()
    watcher.expect(other, total=1, count=1, pending=0)
    watcher.expect(first, total=3, count=3)
    for number in range(5):  # more than once between two intervals
        broker.reload(OPEN + ("" if number % 2 else SECOND))
    time.sleep(2.5)
    watcher.expect(other, total=0, count=0)
    watcher.expect(first, total=3, count=3)


def test_names(start_broker):
    broker = start_broker(OPEN + "listener {port2}\nsocket_domain ipv4\n"
                          "listener 0 {dir}/a+b\nlistener {port3} ::1\nlistener {port4}\n"
                          "bind_interface lo\n")
    broker.expect_line("nightjar version .* running")
    watcher = Watcher(broker)
    wait_until(lambda: len({name for name, _ in watcher.take()}) == 5)
    assert {name for name, _ in watcher.values} == {
        f"127.0.0.1:{broker.port}", f"{broker.places['port2']}-ipv4",
        f"{broker.folder}/a+b".replace("/", "%2F").replace("+", "%2B"),
        f"[::1]:{broker.places['port3']}", f"{broker.places['port4']}@lo"}
