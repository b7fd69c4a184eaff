"""
receive_maximum_exceeded: what becomes of QoS 2 messages of version 5 above the announced maximum.
Version 3 was told of none, and is not bound.
"""

import pytest

from harness import wire

MAXIMUM = 3
CONFIG = f"max_inflight_messages {MAXIMUM}\n"


def fill(client):
    for id in range(1, MAXIMUM + 1):
        client.send(wire.publish("t", b"x", 2, id, version=client.version))
        client.expect("PUBREC", id=id)


@pytest.mark.holds("5.0: MQTT-3.3.4-7")
@pytest.mark.config(CONFIG)
@pytest.mark.nightjar("2.0 does otherwise")
def test_disconnect_is_the_default(broker):
    client = broker.connect("from", 5)
    fill(client)
    client.send(wire.publish("t", b"x", 2, MAXIMUM, dup=True, version=5))  # a repeat is none more
    client.expect("PUBREC", id=MAXIMUM)
    client.send(wire.publish("t", b"x", 2, MAXIMUM + 1, version=5))
    client.expect_end(0x93)


@pytest.mark.config(CONFIG + "receive_maximum_exceeded quota")
@pytest.mark.nightjar("an option of ours")
@pytest.mark.workers
def test_quota(broker, workers):
    watcher = broker.connect("watcher", 5)
    watcher.subscribe("#")
    client = broker.connect("from", 5)
    fill(client)
    client.send(wire.publish("t", b"one too many", 2, 9, version=5))
    client.expect("PUBREC", id=9, reason=0x97)
    client.publish("t", b"quick")
    client.publish("t", b"safe", 1)
    client.send(wire.ack("PUBREL", 1))
    client.expect("PUBCOMP", id=1)
    client.send(wire.publish("t", b"again", 2, 9, version=5))
    client.expect("PUBREC", id=9, reason=0)
    for payload in [b"x"] * MAXIMUM + [b"quick", b"safe", b"again"]:
        watcher.expect_message("t", payload)


@pytest.mark.config(CONFIG)
@pytest.mark.versions(3, 4)
def test_version_3_is_not_bound(broker, version):
    client = broker.connect("from", version)
    fill(client)
    client.send(wire.publish("t", b"x", 2, MAXIMUM + 1, version=version))
    client.expect("PUBREC", id=MAXIMUM + 1)
