"""
No Local: what a client published does not come back to it.
"""

import pytest

from harness import wire

NO_LOCAL = 0x04


@pytest.mark.holds("5.0: MQTT-3.8.3-3")
@pytest.mark.workers
def test_no_local(broker, workers):
    client = broker.connect("both", 5)
    client.subscribe(("t", 1 | NO_LOCAL), codes=[1])
    other = broker.connect("other", 5)
    other.subscribe(("t", NO_LOCAL), codes=[0])
    client.publish("t", b"mine", 1)
    other.expect_message("t", b"mine")
    other.publish("t", b"theirs", 1)
    client.expect_message("t", b"theirs")
    other.expect_nothing()


def test_without_it_one_hears_oneself(broker, version):
    client = broker.connect("both", version)
    client.subscribe("t")
    client.send(wire.publish("t", b"mine", version=version))
    client.expect_message("t", b"mine")


@pytest.mark.holds("5.0: MQTT-3.8.3-4")
@pytest.mark.differs("2.0 grants it")
def test_no_local_on_a_shared_subscription(broker):
    client = broker.connect("x", 5)
    client.send(wire.subscribe(1, ("$share/g/t", NO_LOCAL), version=5))
    client.expect_end(0x82)


@pytest.mark.workers
def test_a_bridge_hears_nothing_of_its_own(broker, workers):
    """Protocol level 0x84 says bridge: no copy of its own, and the retain flag as published."""
    client = broker.open(4)
    client.send(wire.connect("bridge", 4, level=0x84))
    client.expect("CONNACK", code=0)
    client.subscribe("t")
    client.send(wire.publish("t", b"mine"))
    broker.connect("from", 4).publish("t", b"kept", retain=True)
    client.expect_message("t", b"kept", retain=True)
