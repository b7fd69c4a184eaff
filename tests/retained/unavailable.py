"""
retain_available false: nothing is retained, 5.0 is told so, and whoever retains all the same is closed.
"""

import pytest

from harness import wire

pytestmark = pytest.mark.config("retain_available false")

RETAIN_NOT_SUPPORTED = 0x9A


def test_connack_says_so(broker):
    assert broker.connect("a", 5).connack.properties["retain_available"] == 0


@pytest.mark.config("")
def test_connack_is_silent_otherwise(start_broker):
    broker = start_broker("listener {port} 127.0.0.1\nallow_anonymous true\n")
    assert "retain_available" not in broker.connect("a", 5).connack.properties


@pytest.mark.holds("5.0: MQTT-3.2.2-14")
@pytest.mark.workers
@pytest.mark.parametrize("qos", [0, 1, 2])
@pytest.mark.parametrize("payload", [b"x", b""])
def test_retained_publish(broker, version, qos, payload, workers):
    watcher = broker.connect("watcher", version)
    watcher.subscribe("#")
    client = broker.connect("from", version)
    client.send(wire.publish("t", payload, qos, 1 if qos else None, True, version=version),
                wire.publish("t", b"smuggled", version=version))
    client.expect_end(RETAIN_NOT_SUPPORTED)
    watcher.expect_nothing()
    broker.connect("other", version).publish("t", b"live", 1)
    watcher.expect_message("t", b"live", retain=False)


@pytest.mark.holds("5.0: MQTT-3.2.2-13")
@pytest.mark.workers
def test_retained_will(broker, version, workers):
    watcher = broker.connect("watcher", version)
    watcher.subscribe("#")
    client = broker.open(version)
    client.send(wire.connect("from", version, will=wire.Will("w", b"x", retain=True)))
    if version == 5:
        client.expect("CONNACK", code=RETAIN_NOT_SUPPORTED, session_present=False)
    client.expect_close()
    watcher.expect_nothing()
    broker.connect("from", version, will=wire.Will("w", b"gone")).close()
    watcher.expect_message("w", b"gone", retain=False)
