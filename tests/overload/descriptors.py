"""
Out of descriptors: who waits is told by a close instead of hanging, those who are served go on,
nothing spins, and accepting goes on when descriptors are free again. Two lines of the log say it.
"""

import contextlib
import select
import socket
import time

import pytest

from harness import wire
from harness.broker import DEFAULT

pytestmark = pytest.mark.timeout(120)

LIMIT = (64, 64)
BEGUN = r"Warning: Out of file descriptors on port \d+, refusing new connections for now\."
ENDED = r"Accepting connections again: (\d+) were refused for want of file descriptors\."
PENDING = DEFAULT + "max_pending_connections 0\n"


def fill(broker):
    """Clients until one is refused: closed without a byte, and soon."""
    served = []
    while True:
        begun = time.monotonic()
        client = broker.open(4, name=f"x-{len(served)}")
        with contextlib.suppress(OSError):
            client.send(wire.connect(client.name, 4))
        try:
            client.expect("CONNACK", code=0)
        except AssertionError:
            assert client.closed and not client.buffer, client
            assert time.monotonic() - begun < 2, "refused late"
            return served
        served.append(client)
        assert len(served) < 64


def share_of_a_processor(broker, seconds=2):
    before, begun = broker.cpu_seconds(), time.monotonic()
    time.sleep(seconds)
    return (broker.cpu_seconds() - before) / (time.monotonic() - begun)


@pytest.mark.workers
@pytest.mark.nightjar("2.0 has no such lines")
def test_refused_with_a_close(start_broker, workers):
    broker = start_broker(descriptors=LIMIT)
    served = fill(broker)
    assert len(served) >= 20, len(served)
    for each in served:
        each.subscribe("t")
    served[0].send(wire.publish("t", b"still here"))
    for each in served:
        each.expect_message("t", b"still here")
    others = [broker.open(4) for _ in range(100)]
    lucky = [each for each in others if not each.ended(3)]
    assert len(lucky) < workers, "left hanging"  # in the place that was given up for another
    for number, each in enumerate(lucky):
        each.send(wire.connect(f"z-{number}", 4))
        each.expect("CONNACK", code=0)
    for each in served[:15]:
        each.disconnect()
    deadline = time.monotonic() + 3
    back = []
    while len(back) < 10:
        client = broker.open(4)
        with contextlib.suppress(OSError, AssertionError):
            client.send(wire.connect(f"y-{len(back)}", 4))
            client.expect("CONNACK", code=0)
            back.append(client)
        assert time.monotonic() < deadline, "nobody comes in again"
    for each in served[15:] + lucky + back:
        each.ping()
    count = broker.expect_line(ENDED, timeout=15)
    assert int(count.group(1)) >= 98
    assert broker.count_lines(BEGUN) == broker.count_lines(ENDED) == 1, broker.log()


@pytest.mark.workers
@pytest.mark.nightjar("2.0 closes as many as come")
def test_a_flood_costs_little(start_broker, workers):
    """
    Those who come again as soon as they are refused: a thousand at any time, far more than are
    refused in a second, so that connections are always waiting.
    """
    broker = start_broker(PENDING, descriptors=LIMIT)
    served = fill(broker)
    waiting = {}
    poller = select.epoll()

    def come():
        peer = socket.socket()
        peer.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            peer.connect(broker.address)
        waiting[peer.fileno()] = peer
        poller.register(peer, select.EPOLLIN | select.EPOLLHUP)

    for _ in range(800):
        come()
    closed = 0
    time.sleep(0.5)
    before, begun = broker.cpu_seconds(), time.monotonic()
    while time.monotonic() < begun + 4:
        for number, _ in poller.poll(0.2):
            poller.unregister(number)
            waiting.pop(number).close()
            closed += 1
            come()
        time.sleep(0.05)
    share = (broker.cpu_seconds() - before) / (time.monotonic() - begun)
    for each in waiting.values():
        each.close()
    print(f"{share:.1%} of a processor, {closed} refused")
    assert closed > 200
    assert share < 0.05 * (4 if broker.is_sanitized() else 1), f"{share:.1%} of a processor"
    for each in served:
        each.ping()


@pytest.mark.workers
def test_waiting_in_vain_costs_nothing(start_broker, workers):
    """Not even the reserve is left: they wait, and nobody turns round in circles."""
    broker = start_broker(PENDING, descriptors=LIMIT)
    served = fill(broker)
    broker.limit_descriptors(3)
    waiting = [broker.open(4) for _ in range(20)]
    share = share_of_a_processor(broker)
    print(f"{share:.1%} of a processor")
    assert share < 0.05, f"{share:.1%} of a processor"
    assert not any(each.ended(0.01) for each in waiting), "there was a reserve"
    for each in served:
        each.ping()
    broker.limit_descriptors(LIMIT[0])
    served_now = [each for each in waiting if not each.ended(2)]
    assert len(served_now) < workers, "left hanging"  # in the place of a reserve
    for number, each in enumerate(served_now):
        each.send(wire.connect(f"y-{number}", 4))
        each.expect("CONNACK", code=0)


@pytest.mark.workers
def test_descriptors_come_back(start_broker, workers):
    """Connections of every fate leave nothing open."""
    broker = start_broker()
    broker.connect("first", 4).disconnect()
    time.sleep(0.2)
    before = broker.descriptors()
    for number in range(60):
        broker.connect(f"a-{number}", 4).disconnect()
        broker.connect(f"b-{number}", 5).close()
        broker.connect(f"c-{number}", 5, lasting=True).reset()
        broker.connect("same", 4)
        half = broker.open()
        half.send(wire.connect("half", 4)[:5])
        half.close()
        bad = broker.open()
        bad.send(b"\xff\xff\xff")
        bad.expect_close()
    broker.connect("same", 4).disconnect()
    deadline = time.monotonic() + 5
    while broker.descriptors() > before and time.monotonic() < deadline:
        time.sleep(0.05)
    assert broker.descriptors() <= before
