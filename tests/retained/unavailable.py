"""
retain_available false: announced, and held against those who retain all the same.
"""

import pytest

from harness import wire
from harness.wire import Will

pytestmark = pytest.mark.config("retain_available false")


def test_announced(broker):
    assert broker.connect("x", 5).connack.properties["retain_available"] == 0


@pytest.mark.holds("5.0: MQTT-3.2.2-13")
def test_a_retained_will_is_refused(broker):
    broker.connect("x", 5, code=0x9A, will=Will("gone", b"x", retain=True)).expect_close()
    broker.connect("x", 5, will=Will("gone", b"x")).ping()


@pytest.mark.holds("5.0: MQTT-3.2.2-14")
@pytest.mark.workers
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_a_retained_message_ends_the_connection(broker, version, qos, workers):
    watcher = broker.connect("watcher", version)
    watcher.subscribe("t")
    client = broker.connect("x", version)
    client.send(wire.publish("t", b"x", qos, 1 if qos else None, retain=True, version=version))
    client.expect_end(0x9A)
    watcher.expect_nothing(0.05)
