"""
accept_protocol_versions: a listener speaks what it is told to; others are answered in their own
words.
"""

import pytest

from harness import wire

TWO = """
listener {port} 127.0.0.1
allow_anonymous true
accept_protocol_versions 3, 5
listener {port2} 127.0.0.1
allow_anonymous true
accept_protocol_versions 4
"""


def expect_refused(broker, version, address):
    client = broker.open(version, address)
    client.send(wire.connect("x", version), wire.publish("t", b"smuggled", version=version))
    client.expect("CONNACK", code=0x84 if version == 5 else 1)
    client.expect_close()


@pytest.mark.workers
@pytest.mark.holds("3.1.1: MQTT-3.1.2-2",
                   "5.0: MQTT-3.1.2-2")
@pytest.mark.nightjar("an option of 2.1")
def test_each_listener_its_own(start_broker, workers):
    broker = start_broker(TWO)
    second = ("127.0.0.1", broker.places["port2"])
    watcher = broker.connect("watcher", 5)
    watcher.subscribe("#")
    for version in (3, 5):
        broker.connect(f"x-{version}", version).ping()
        expect_refused(broker, version, second)
    broker.connect("x-4", 4, address=second).ping()
    expect_refused(broker, 4, broker.address)
    watcher.expect_nothing()


@pytest.mark.nightjar("an option of 2.1")
@pytest.mark.config("accept_protocol_versions 5")
@pytest.mark.parametrize("level", [0x83, 0x84])
def test_bridges_are_of_their_version(broker, level):
    client = broker.open(level & 0x7F)
    client.send(wire.connect("bridge", level & 0x7F, level=level))
    client.expect("CONNACK", code=1)
    client.expect_close()
