"""
A subscriber that does not read delays nobody and costs bounded memory: its own queue drops.
"""

import time

import pytest

from harness import wire

COUNT, SIZE = 20_000, 1000


def resident_mib(broker):
    for line in open(f"/proc/{broker.pid}/status"):
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    raise AssertionError("no VmRSS")


def has_sanitizer(broker):
    return any(name in open(f"/proc/{broker.pid}/maps").read() for name in ("asan", "tsan")) or \
        resident_mib(broker) > 1000


@pytest.mark.workers
@pytest.mark.parametrize("qos", [0, 1])
def test_delays_nobody(broker, version, qos, workers):
    stuck = [broker.connect(f"stuck-{n}", version) for n in range(3)]
    for each in stuck:
        each.subscribe("t", qos=qos)
    quick = broker.connect("quick", version)
    quick.subscribe("t")
    publisher = broker.connect("from", version)
    begun = time.monotonic()
    for start in range(0, COUNT, 500):
        publisher.send(*(wire.publish("t", b"%06d" % n + b"." * SIZE, 1 if qos else 0,
                                      n % 60000 + 1 if qos else None, version=version)
                         for n in range(start, start + 500)))
        for number in range(start, start + 500):
            got = quick.expect("PUBLISH")
            assert int(got.payload[:6]) == number
        if qos:
            for _ in range(500):
                publisher.expect("PUBACK")
    assert time.monotonic() - begun < 25
    if not has_sanitizer(broker):
        assert resident_mib(broker) < 150, f"{resident_mib(broker):.0f} MiB"
    for each in stuck:
        first = each.expect("PUBLISH")
        assert int(first.payload[:6]) == 0


@pytest.mark.workers
def test_recovers(broker, version, workers):
    """Once it reads again it is served like everybody."""
    slow = broker.connect("slow", version)
    slow.subscribe("t", "again", qos=1)
    publisher = broker.connect("from", version)
    for start in range(0, 10_000, 500):
        publisher.send(*(wire.publish("t", b"%06d" % n + b"." * SIZE, version=version)
                         for n in range(start, start + 500)))
        publisher.ping()
    seen = []
    while (got := slow.receive(1.0)) is not None:
        seen.append(int(got.payload[:6]))
    assert seen == sorted(seen) and seen[0] == 0
    publisher.publish("again", b"x", 1)
    slow.expect_message("again", b"x")
    slow.ping()
