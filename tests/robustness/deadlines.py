"""A peer that does not connect in time is closed, however it passes the time."""

import time

import pytest

from harness import wire

pytestmark = pytest.mark.nightjar("connect_timeout is ours")


@pytest.mark.config("connect_timeout 2")
@pytest.mark.workers
def test_connect_timeout(broker, workers):
    silent, half, slow = broker.open(), broker.open(), broker.open()
    begun = time.monotonic()
    half.send(wire.connect("half", 4)[:10])
    for byte in wire.connect("slow" * 10, 4)[:15]:
        slow.send(bytes([byte]))
        time.sleep(0.1)
    for each in (silent, half, slow):
        each.expect_close()
        assert 1.9 < time.monotonic() - begun < 4.5, "not after two seconds"


@pytest.mark.config("connect_timeout 1")
@pytest.mark.workers
def test_who_connected_stays(broker, version, workers):
    clients = [broker.connect(f"x-{n}", version) for n in range(8)]
    time.sleep(3)
    for each in clients:
        each.ping()


def test_ten_seconds_by_default(broker):
    silent = broker.open()
    begun = time.monotonic()
    silent.expect_close(timeout=14)
    assert 9.9 < time.monotonic() - begun < 13
