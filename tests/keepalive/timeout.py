"""
Silence for one and a half keep alives ends the connection as if the network had failed; any packet
counts, and what was delivered to the client does not.
"""

import time

import pytest

from harness import wire
from harness.wire import Will

# Of one second: never early, and not much late (the wheel turns once a second).
EARLIEST, LATEST = 1.5, 4.5


def expect_timeout(client, since):
    """5.0 may be told 0x8D first."""
    if client.version == 5:
        try:
            client.expect("DISCONNECT", timeout=LATEST + 1, reason=0x8D)
        except AssertionError as error:
            assert "the server closed" in str(error), error
    if not client.closed:
        client.expect_close(LATEST + 1)
    waited = time.monotonic() - since
    assert EARLIEST - 0.01 <= waited <= LATEST, f"closed after {waited:.3f} s"


@pytest.mark.holds("3.1.1: MQTT-3.1.2-24",
                   "5.0: MQTT-3.1.2-22 MQTT-3.2.2-22")
@pytest.mark.workers
@pytest.mark.differs("2.0 closes late")
@pytest.mark.versions(3, 4, 5)
def test_silence(broker, version, workers):
    watcher = broker.connect("watcher", 4, keepalive=0)
    watcher.subscribe("gone")
    clients = []
    for number in range(4):
        client = broker.connect(f"x-{number}", version, keepalive=1, will=Will("gone", b"x"))
        clients.append((client, time.monotonic()))
    for client, since in clients:
        expect_timeout(client, since)
        watcher.expect_message("gone", b"x")
    broker.expect_end_line("x-0", why="exceeded timeout")


@pytest.mark.holds("3.1.1: MQTT-3.12.4-1",
                   "5.0: MQTT-3.12.4-1")
@pytest.mark.workers
def test_any_packet_counts(broker, version, workers):
    pinging = broker.connect("pinging", version, keepalive=1)
    publishing = broker.connect("publishing", version, keepalive=1)
    for _ in range(8):
        time.sleep(0.6)
        pinging.ping()
        publishing.send(wire.publish("t", b"x", version=version))
    pinging.ping()
    publishing.ping()


@pytest.mark.workers
@pytest.mark.differs("2.0 closes late")
def test_deliveries_do_not_count(broker, version, workers):
    client = broker.connect("x", version, keepalive=1)
    client.subscribe("t")
    since = time.monotonic()
    publisher = broker.connect("from", version)
    while True:
        publisher.publish("t", b"x", 1)
        try:
            got = client.receive(0.2)
        except Exception:
            break
        if got is None or got.kind == "DISCONNECT":
            client.expect_close()
            break
        assert time.monotonic() - since < LATEST, "still connected"
        time.sleep(0.1)
    assert time.monotonic() - since >= EARLIEST - 0.01


def test_zero_never_ends(broker, version):
    client = broker.connect("x", version, keepalive=0)
    assert client.receive(4) is None
    client.ping()


@pytest.mark.differs("2.0 closes late")
def test_part_of_a_packet_is_no_packet(broker):
    """A client that stopped in the middle of a packet is silent."""
    client = broker.connect("x", 4, keepalive=1)
    client.send(wire.publish("t", b"x" * 10)[:8])
    client.expect_close(LATEST)


@pytest.mark.holds("5.0: MQTT-3.1.2-21 MQTT-3.2.2-21")
@pytest.mark.differs("2.0 closes late")
@pytest.mark.config("max_keepalive 1")
def test_the_keep_alive_of_the_server(broker):
    """A client that asks for more, or for none, is told the server's, and held to that."""
    for asked in (60, 0):
        client = broker.connect("x", 5, keepalive=asked)
        since = time.monotonic()
        assert client.connack.properties["server_keep_alive"] == 1
        expect_timeout(client, since)
