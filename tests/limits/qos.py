"""
max_qos: version 5 is told, nobody may publish or leave a will above it, and no subscription gets
more.
"""

import pytest

from harness import wire
from harness.wire import Will


@pytest.mark.holds("5.0: MQTT-3.2.2-9")
@pytest.mark.parametrize("most", [0, 1])
def test_announced(start_broker, most):
    broker = start_broker(f"listener {{port}} 127.0.0.1\nallow_anonymous true\nmax_qos {most}\n")
    assert broker.connect("x", 5).connack.properties["maximum_qos"] == most


@pytest.mark.config("max_qos 2")
def test_two_is_not_announced(broker):
    assert "maximum_qos" not in broker.connect("x", 5).connack.properties


@pytest.mark.holds("5.0: MQTT-3.2.2-10")
@pytest.mark.config("max_qos 1")
@pytest.mark.workers
def test_subscriptions_are_granted_less(broker, version, workers):
    client = broker.connect("to", version)
    client.subscribe("a", "b", "c", codes=[1, 1, 1], qos=2)
    client.subscribe("d", codes=[0], qos=0)
    publisher = broker.connect("from", version)
    publisher.publish("a", b"x", 1)
    client.expect_message("a", b"x", qos=1)


@pytest.mark.config("max_qos 0")
def test_nothing_is_refused_for_asking_for_more(broker, version):
    client = broker.connect("to", version)
    client.subscribe("a", "b", codes=[0, 0], qos=2)


@pytest.mark.workers
@pytest.mark.holds("5.0: MQTT-3.2.2-11")
@pytest.mark.config("max_qos 1")
def test_a_publish_above_it_ends_the_connection(broker, version, workers):
    watcher = broker.connect("watcher", version)
    watcher.subscribe("#")
    client = broker.connect("x", version)
    client.publish("t", b"allowed", 1)
    client.send(wire.publish("t", b"too much", 2, 7, version=version))
    client.expect_end(0x9B)
    watcher.expect_message("t", b"allowed")
    watcher.expect_nothing()


@pytest.mark.holds("5.0: MQTT-3.2.2-12")
@pytest.mark.config("max_qos 1")
def test_a_will_above_it_is_refused(broker, version):
    client = broker.open(version)
    client.send(wire.connect("x", version, will=Will("w", b"x", qos=2)))
    if version == 5:
        client.expect("CONNACK", code=0x9B)
    client.expect_close()
    broker.connect("x", version, will=Will("w", b"x", qos=1)).ping()
