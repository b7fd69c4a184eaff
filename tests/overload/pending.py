"""
max_pending_connections: a flood of silent connections takes neither all descriptors nor the place of
those who say who they are. At the limit the oldest silent connection goes.
"""

import time

import pytest

from harness import proxy, wire
from harness.broker import DEFAULT

pytestmark = [pytest.mark.timeout(120), pytest.mark.nightjar("max_pending_connections is ours")]

LIMIT = 20
CONFIG = f"max_pending_connections {LIMIT}\nconnect_timeout 60\n"
CLOSED = r"Client 127\.0\.0\.1 \[127\.0\.0\.1:\d+\] disconnected: too many connections without " + \
    r"CONNECT\."


def open_at(clients, wait=0.3):
    """Those that are still open, once nothing changes any more."""
    time.sleep(wait)
    return [each for each in clients if not each.ended(0.01)]


@pytest.mark.config(CONFIG)
@pytest.mark.workers
def test_the_oldest_goes(broker, workers):
    clients = []
    for _ in range(3 * LIMIT):
        clients.append(broker.open())
        time.sleep(0.005)
    left = open_at(clients)
    if workers == 1:
        assert left == clients[-LIMIT:]
    assert LIMIT <= len(left) < 2 * LIMIT  # each worker may always have its share
    assert broker.count_lines(CLOSED) == len(clients) - len(left)
    assert left[-1] is clients[-1]


@pytest.mark.config(CONFIG)
@pytest.mark.workers
def test_who_connects_is_not_among_them(broker, workers):
    served = [broker.connect(f"x-{n}", 4) for n in range(3 * LIMIT)]
    silent = [broker.open() for _ in range(3 * LIMIT)]
    late = broker.connect("late", 4)
    assert len(open_at(silent)) <= 2 * LIMIT
    for each in [*served, late]:
        each.ping()
    for each in silent:
        each.close()
    time.sleep(0.3)
    again = [broker.open() for _ in range(LIMIT)]
    assert open_at(again) == again, "places were not given back"


@pytest.mark.workers
def test_a_flood_and_a_client(start_broker, workers):
    """By default a quarter of the descriptors: the others are for those who connect."""
    broker = start_broker(descriptors=(200, 200))
    flood = [broker.open() for _ in range(400)]
    clients = [broker.connect(f"x-{n}", 4 + n % 2) for n in range(40)]
    assert len(open_at(flood)) <= 100
    for each in clients:
        each.ping()
    assert broker.count_lines("Warning: Out of file descriptors.*") == 0


@pytest.mark.workers
def test_no_limit(start_broker, workers):
    broker = start_broker(DEFAULT + "max_pending_connections 0\n", descriptors=(200, 200))
    silent = [broker.open() for _ in range(100)]
    assert open_at(silent) == silent


@pytest.mark.workers
def test_without_a_header(start_broker, workers):
    """A connection on which the PROXY header is missing counts, one that only lacks CONNECT too."""
    broker = start_broker(DEFAULT + "enable_proxy_protocol any\nproxy_protocol_timeout 60\n" + CONFIG)
    clients = []
    for number in range(3 * LIMIT):
        clients.append(broker.open())
        if number % 2:
            clients[-1].send(proxy.client("192.0.2.1", 5000 + number))
        time.sleep(0.005)
    assert LIMIT <= len(open_at(clients)) < 2 * LIMIT


@pytest.mark.config(CONFIG)
@pytest.mark.workers
def test_the_end_with_all_kinds(broker, workers):
    """Silent ones, halves and clients at the moment of the end."""
    silent = [broker.open() for _ in range(LIMIT)]
    for each in silent[::2]:
        each.send(wire.connect("half", 4)[:7])
    client = broker.connect("x", 4)
    assert broker.stop() == 0
    for each in [*open_at(silent, 0), client]:
        each.expect_close()
