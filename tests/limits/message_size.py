"""
message_size_limit: what has a larger payload is acknowledged and goes nowhere; nothing else changes.
"""

import pytest

from harness import wire

LIMIT = "message_size_limit 100"


@pytest.mark.config(LIMIT)
@pytest.mark.workers
@pytest.mark.differs("2.0 sends 0x95, which no acknowledgement may carry", protocol=5, qos=[1, 2])
@pytest.mark.parametrize("protocol", [3, 4, 5])
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_larger_is_dropped(broker, protocol, qos, workers):
    watcher = broker.connect("watcher", protocol)
    watcher.subscribe("#", qos=2)
    client = broker.connect("from", protocol)
    client.send(wire.publish("t", b"x" * 101, qos, 7 if qos else None, True, version=protocol))
    if qos:
        expect_ack(client, "PUBACK" if qos == 1 else "PUBREC", 0x83 if protocol == 5 else 0)
    client.publish("t", b"y" * 100, qos)
    watcher.expect_message("t", b"y" * 100)
    late = broker.connect("late", protocol)
    late.subscribe("#")  # nothing was retained either
    late.expect_nothing()


def expect_ack(client, kind, reason):
    client.expect(kind, id=7, reason=reason)
    if kind == "PUBREC" and reason == 0:
        client.send(wire.ack("PUBREL", 7))
        client.expect("PUBCOMP", id=7)


@pytest.mark.config(LIMIT)
@pytest.mark.differs("2.0 sends 0x95, which no acknowledgement may carry")
def test_a_refused_id_is_free_again(broker):
    client = broker.connect("from", 5)
    client.send(wire.publish("t", b"x" * 101, 2, 7, version=5))
    client.expect("PUBREC", id=7, reason=0x83)
    client.send(wire.publish("t", b"y", 2, 7, version=5))
    client.expect("PUBREC", id=7, reason=0x10)


@pytest.mark.workers
@pytest.mark.config(LIMIT)
def test_only_the_payload_counts(broker, version, workers):
    watcher = broker.connect("watcher", version)
    watcher.subscribe("#")
    client = broker.connect("from", version)
    client.publish("t" * 200, b"x" * 100)
    watcher.expect_message("t" * 200, b"x" * 100)


@pytest.mark.config(LIMIT)
@pytest.mark.workers
@pytest.mark.parametrize("protocol", [3, 4, 5])
def test_a_larger_will_is_refused(broker, protocol, workers):
    """As Mosquitto: code 5 (not authorised) for 3.x, which has no word for it."""
    watcher = broker.connect("watcher", protocol)
    watcher.subscribe("w")
    client = broker.open(protocol)
    client.send(wire.connect("x", protocol, will=wire.Will("w", b"x" * 101)))
    client.expect("CONNACK", code=0x95 if protocol == 5 else 5)
    client.expect_close()
    broker.connect("x", protocol, will=wire.Will("w", b"y" * 100)).close()
    watcher.expect_message("w", b"y" * 100)
    watcher.expect_nothing()
