"""
max_pending_headers_per_proxy: what comes from one proxy, or from whoever speaks from its address, and
does not get on with its PROXY header, takes its own places and nobody else's.
"""

import contextlib
import re
import time

import pytest

from harness import proxy, wire
from harness.figures import FRONT
from harness.process import wait_until

pytestmark = [pytest.mark.timeout(120), pytest.mark.workers,
              pytest.mark.nightjar("max_pending_headers_per_proxy is ours")]

LIMIT = 5
OPTION = f"max_pending_headers_per_proxy {LIMIT}\n"
BASE = ("sys_interval 1\nlistener {port} 127.0.0.1\nallow_anonymous true\n"
        "enable_proxy_protocol any\nproxy_protocol_timeout 100\nconnect_timeout 100\n")
PLAIN = "listener {port2} 127.0.0.1\nallow_anonymous true\n"
UNIX = "listener 0 {dir}/%s\nallow_anonymous true\nenable_proxy_protocol any\n" \
    "proxy_protocol_timeout 100\n"
HEADER = proxy.client("192.0.2.7", 1111)
REFUSED = "refused: too many have not sent their PROXY header yet"


def comes_in(broker, **place):
    """A connection that says nothing and stays, or None: it was closed without a byte."""
    client = broker.open(4, **place)
    if client.ended(0.25):
        assert not client.buffer
        return None
    return client


def admitted(broker, count, **place):
    return [each for each in (comes_in(broker, **place) for _ in range(count)) if each]


class Figures:
    """What $SYS says of the listener with the header."""

    def __init__(self, broker):
        self.watcher = broker.connect("watcher", keepalive=0, before=HEADER)
        self.name = f"127.0.0.1:{broker.places['port']}"
        self.values = {}
        self.watcher.subscribe("$SYS/broker/listener/+/connections/rejected/#",
                               "$SYS/broker/listener/+/proxy/#")

    def get(self, topic):
        while (got := self.watcher.receive(0.05)) is not None:
            self.values[got.topic] = int(got.payload or 0)
        return self.values.get(f"{FRONT}listener/{self.name}/{topic}", 0)

    def expect(self, pending, refused=0):
        def both():
            return (self.get("proxy/headers/pending"),
                    self.get("connections/rejected/max_pending_headers_per_proxy"))
        wait_until(lambda: both() == (pending, refused), 10, what=f"{pending}, {refused}")
        time.sleep(1.2)
        assert both() == (pending, refused)


def test_a_proxy_has_its_own(start_broker, workers):
    """One that does not get on takes its own places alone, and each refusal is counted and told."""
    broker = start_broker(OPTION + BASE)
    figures = Figures(broker)
    assert len(admitted(broker, LIMIT + 3)) == LIMIT
    figures.expect(LIMIT, 3)
    assert broker.count_lines(rf"Connection from 127\.0\.0\.1:\d+ on port \d+ {REFUSED}\.") == 3
    assert len(admitted(broker, LIMIT + 1, source="127.0.0.2")) == LIMIT
    figures.expect(2 * LIMIT, 4)
    broker.connect("x", source="127.0.0.3", before=HEADER).ping()


def test_a_part_is_not_waited_for(start_broker, workers):
    """Who sends only a part of it at once is refused as well, and nothing is said of that part."""
    broker = start_broker(OPTION + BASE + "listen_backlog 50\n")
    assert len(admitted(broker, LIMIT)) == LIMIT
    for before in (HEADER[:1], HEADER[:-1]):
        peer = broker.open(4)
        with contextlib.suppress(OSError):
            peer.send(before)
        peer.expect_end()
    assert "192.0.2.7" not in broker.log()
    assert "PROXY header: " not in broker.log()


ENDS = {
    "complete": lambda peer: peer.send(HEADER),
    "local": lambda peer: peer.send(proxy.v2(command=proxy.LOCAL, family=proxy.UNSPEC,
                                             transport=0)),
    "version 1": lambda peer: peer.send(b"PROXY UNKNOWN\r\n"),
    "wrong": lambda peer: peer.send(b"GET"),
    "closed": lambda peer: peer.close(),
    "closed inside": lambda peer: (peer.send(HEADER[:20]), peer.close()),
    "reset": lambda peer: (peer.send(HEADER[:20]), peer.reset()),
    "with CONNECT": lambda peer: peer.send(HEADER, wire.connect("y", 4)),
}


@pytest.mark.parametrize("end", ENDS)
def test_a_place_comes_back(start_broker, workers, end):
    """Whatever becomes of the header: the next one comes in, and in the end nobody is counted."""
    broker = start_broker(OPTION + BASE)
    figures = Figures(broker)
    waiting = admitted(broker, LIMIT)
    assert not comes_in(broker)
    ENDS[end](waiting.pop())
    wait_until(lambda: figures.get("proxy/headers/pending") == LIMIT - 1, what="a place")
    assert len(admitted(broker, 2)) == 1
    for each in waiting:
        ENDS[end](each)
    figures.expect(1, 2)
    assert len(admitted(broker, LIMIT)) == LIMIT - 1


def test_a_timeout_gives_it_back(start_broker, workers):
    broker = start_broker(OPTION + BASE.replace("proxy_protocol_timeout 100",
                                                "proxy_protocol_timeout 2"))
    figures = Figures(broker)
    waiting = admitted(broker, LIMIT)
    for each in waiting:
        each.expect_end(5)
    figures.expect(0)
    assert len(admitted(broker, LIMIT)) == LIMIT


def test_a_policy_gives_it_back(start_broker, workers):
    """A whole header whose client is refused for it."""
    broker = start_broker(OPTION + BASE + "proxy_protocol_v2_require_tls true\n" + PLAIN)
    for _ in range(3 * LIMIT):
        peer = broker.open(4)
        peer.send(HEADER)
        peer.expect_end()
    assert broker.count_lines(".*PROXY header: policy.*") == 3 * LIMIT
    assert len(admitted(broker, LIMIT + 1)) == LIMIT


def test_who_has_no_header_to_send(start_broker, workers):
    """Neither other listeners nor those that are served without one are counted, nor the untrusted."""
    broker = start_broker(OPTION + BASE + "proxy_protocol_trusted 127.0.0.5\n"
                          "proxy_protocol_untrusted direct\n" + PLAIN)
    assert len(admitted(broker, 3 * LIMIT)) == 3 * LIMIT
    plain = ("127.0.0.1", broker.places["port2"])
    assert len(admitted(broker, 3 * LIMIT, address=plain, source="127.0.0.5")) == 3 * LIMIT
    assert len(admitted(broker, LIMIT + 2, source="127.0.0.5")) == LIMIT
    assert len(admitted(broker, 3, source="127.0.0.5")) == 0


def test_over_all_listeners(start_broker, workers):
    """It is the proxy that counts."""
    broker = start_broker(OPTION + BASE + PLAIN + "enable_proxy_protocol 2\n")
    other = ("127.0.0.1", broker.places["port2"])
    assert len(admitted(broker, LIMIT - 2)) == LIMIT - 2
    assert len(admitted(broker, LIMIT, address=other)) == 2
    assert not comes_in(broker)


def test_unix_sockets_are_one(start_broker, workers):
    broker = start_broker(OPTION + BASE + UNIX % "a" + UNIX % "b")
    paths = [str(broker.folder / name) for name in "ab"]
    assert len(admitted(broker, LIMIT - 2, address=paths[0])) == LIMIT - 2
    assert len(admitted(broker, LIMIT, address=paths[1])) == 2
    assert not comes_in(broker, address=paths[0])
    broker.expect_line(rf"Connection from {re.escape(paths[0])}:0 on port 0 {REFUSED}\.")
    assert len(admitted(broker, LIMIT + 1)) == LIMIT
    broker.clients[0].send(HEADER, wire.connect("x", 4))
    broker.clients[0].expect("CONNACK", code=0)
    assert comes_in(broker, address=paths[0])


def test_a_flood_and_another_proxy(start_broker, workers):
    """While one address opens as many as it can, nobody else notices."""
    broker = start_broker(OPTION + BASE + "log_repeat_limit 10\n")
    for number in range(200):
        broker.open(4, source="127.0.0.9")
        if number % 20 == 0:
            broker.connect(f"x-{number}", before=HEADER).ping()
    figures = Figures(broker)
    figures.expect(LIMIT, 200 - LIMIT)
    assert broker.count_lines(f".*{REFUSED}.*") <= 10 * 5
    broker.expect_line(r"Warning: \d+ more lines of headers_refused within a second were left out\.")


@pytest.mark.parametrize("text, files, limit", [
    ("", 200, 50),                                  # a quarter of the files, and so much less
    ("max_pending_headers_per_proxy 0\n", 4000, None),
    ("max_pending_connections 0\n", 4000, None),
], ids=["few files", "off", "no limit of pending ones"])
def test_without_a_number(start_broker, workers, text, files, limit):
    """It never refuses what a worker takes before it reads."""
    broker = start_broker(text + BASE, descriptors=(files, files))
    opened = [broker.open(4) for _ in range(600 if limit is None else 100)]
    time.sleep(0.5)
    assert broker.count_lines(f".*{REFUSED}.*") == 0
    if limit is None:
        assert all(not each.ended(0.001) for each in opened)


def test_the_default(start_broker, workers):
    """A quarter of what max_pending_connections allows, and at least 128 for each worker."""
    broker = start_broker("max_pending_connections 3000\n" + BASE, descriptors=(4000, 4000))
    limit = max(3000 // 4, 128 * workers)
    opened = [broker.open(4) for _ in range(limit + 20)]
    wait_until(lambda: broker.count_lines(f".*{REFUSED}.*") == 20, what="20 refusals")
    assert sum(each.ended(0.001) for each in opened) == 20


def test_the_end_with_half_headers(start_broker, workers):
    broker = start_broker(OPTION + BASE)
    waiting = admitted(broker, LIMIT)
    for number, each in enumerate(waiting):
        each.send(HEADER[:number * 5])
    assert broker.stop() == 0
