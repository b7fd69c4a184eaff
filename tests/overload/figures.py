"""
What the door refuses is counted exactly: each connection that clients saw closed is in the figures
of its listener, under one reason, and whoever is there is counted as there.
"""

import contextlib
import time

import pytest

from harness import proxy, wire
from harness.figures import FRONT
from harness.process import wait_until

pytestmark = [pytest.mark.nightjar("2.0 counts no refusals"), pytest.mark.timeout(120),
              pytest.mark.workers]

WATCHED = "sys_interval 1\nlistener {port} 127.0.0.1\nallow_anonymous true\n"
GUARDED = WATCHED + "listener {port2} 127.0.0.1\nallow_anonymous true\n"


def figures(broker, watcher, port="port2"):
    """Of one listener, when they have been the same for two intervals; by their last levels."""
    last, since = None, time.monotonic()
    begun = since
    while time.monotonic() < since + 2.2:
        while (got := watcher.receive(0.2)) is not None:
            name, topic = got.topic[len(FRONT + "listener/"):].split("/", 1)
            watcher.values[name, topic] = int(got.payload or 0)
        if last != watcher.values:
            last, since = dict(watcher.values), time.monotonic()
        assert time.monotonic() < begun + 30, "they never settle"
    name = f"127.0.0.1:{broker.places[port]}"
    found = {topic.removeprefix("connections/"): value
             for (of, topic), value in last.items() if of == name}
    return {topic: value for topic, value in found.items() if topic.count("/") < 2}


def watch(broker):
    watcher = broker.connect("watcher", keepalive=0)
    watcher.values = {}
    watcher.subscribe("$SYS/broker/listener/+/connections/#")
    return watcher


def expect(found, **values):
    """These, and every other reason never."""
    wanted = {key: 0 for key in found}
    wanted |= {key.replace("__", "/"): value for key, value in values.items()}
    assert found == wanted


def guarded(broker):
    return ("127.0.0.1", broker.places["port2"])


def comes_in(client):
    """Whether CONNECT is answered; else it was closed without a byte."""
    with contextlib.suppress(OSError):
        client.send(wire.connect(client.name, 4, keepalive=0))
    try:
        client.expect("CONNACK", code=0)
        return True
    except AssertionError:
        assert client.closed and not client.buffer, client
        return False


def test_descriptors(start_broker, workers):
    broker = start_broker(GUARDED + "max_pending_connections 0\n", descriptors=(64, 64))
    watcher = watch(broker)
    served, refused = [], 0
    for number in range(100):
        client = broker.open(4, address=guarded(broker), name=f"x-{number}")
        if comes_in(client):
            served.append(client)
        else:
            refused += 1
    assert len(served) > 20 and refused > 30, (len(served), refused)
    expect(figures(broker, watcher), total=len(served), count=len(served),
           rejected__descriptors=refused)
    for each in served:
        each.ping()
        each.disconnect()
    expect(figures(broker, watcher), total=len(served), rejected__descriptors=refused)
    expect(figures(broker, watcher, "port"), total=1, count=1)


def test_pending(start_broker, workers):
    broker = start_broker(GUARDED + "max_pending_connections 12\nconnect_timeout 60\n")
    watcher = watch(broker)
    silent = [broker.open(address=guarded(broker)) for _ in range(60)]
    found = figures(broker, watcher)
    left = [each for each in silent if not each.ended(0.01)]
    expect(found, total=60, count=len(left), pending=len(left),
           rejected__max_pending_connections=60 - len(left))
    assert 12 <= len(left) < 24
    assert sum(comes_in(each) for each in left[-5:]) == 5
    expect(figures(broker, watcher), total=60, count=len(left), pending=len(left) - 5,
           rejected__max_pending_connections=60 - len(left))
    for each in left:
        each.close()
    expect(figures(broker, watcher), total=60, rejected__max_pending_connections=60 - len(left))


@pytest.mark.parametrize("option, inside, reason", [
    ("max_connections_per_address", 4, "max_connections_per_address"),
    ("connect_rate_per_address", 6, "connect_rate_per_address")])
def test_addresses(start_broker, workers, option, inside, reason):
    broker = start_broker(GUARDED + f"enable_proxy_protocol any\n{option} {inside}\n")
    watcher = watch(broker)
    clients = []
    for address in ("192.0.2.1", "192.0.2.2", "2001:db8:0:1::1"):
        for port in range(10):
            client = broker.open(4, address=guarded(broker))
            client.send(proxy.client(address, 5000 + port))
            clients.append(client)
            if port % 3 == 0:
                time.sleep(0.05)
    found = figures(broker, watcher)
    left = [each for each in clients if not each.ended(0.01)]
    assert len(left) == 3 * inside
    rejected = {f"rejected__{reason}": len(clients) - len(left)}
    expect(found, total=30, count=len(left), pending=len(left), **rejected)
    for each in left:
        each.close()
    if option == "max_connections_per_address":  # the places come back
        expect(figures(broker, watcher), total=30, **rejected)
        again = broker.open(4, address=guarded(broker), name="again")
        again.send(proxy.client("192.0.2.1", 7000))
        assert comes_in(again)
        expect(figures(broker, watcher), total=31, count=1, **rejected)


def test_max_connections(start_broker, workers):
    broker = start_broker(GUARDED + "max_connections 7\nglobal_max_connections 6\n")
    watcher = watch(broker)
    clients = [broker.open(address=guarded(broker)) for _ in range(20)]
    wait_until(lambda: sum(not each.ended(0.01) for each in clients) == 5)
    expect(figures(broker, watcher), total=20, count=5, pending=5,
           rejected__global_max_connections=15)
