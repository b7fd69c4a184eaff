"""
Retain Handling and Retain As Published.
"""

import pytest

AS_PUBLISHED = 0x08


def handling(value, qos=0):
    return value << 4 | qos


@pytest.fixture
def retained(broker):
    broker.connect("from", 5).publish("t", b"x", 1, retain=True)


@pytest.mark.holds("5.0: MQTT-3.3.1-9 MQTT-3.8.4-4")
@pytest.mark.workers
def test_handling_0_sends_each_time(broker, retained, workers):
    client = broker.connect("to", 5)
    for _ in range(2):
        client.subscribe(("t", handling(0)), codes=[0])
        client.expect_message("t", b"x", retain=True)


@pytest.mark.holds("5.0: MQTT-3.3.1-10")
@pytest.mark.workers
def test_handling_1_sends_to_new_subscriptions(broker, retained, workers):
    client = broker.connect("to", 5)
    client.subscribe(("t", handling(1)), codes=[0])
    client.expect_message("t", b"x", retain=True)
    client.subscribe(("t", handling(1)), codes=[0])
    client.expect_nothing()
    client.unsubscribe("t")
    client.subscribe(("t", handling(1)), codes=[0])
    client.expect_message("t", b"x", retain=True)


@pytest.mark.holds("5.0: MQTT-3.3.1-11")
@pytest.mark.workers
def test_handling_2_sends_nothing(broker, retained, workers):
    client = broker.connect("to", 5)
    client.subscribe(("t", handling(2)), codes=[0])
    client.expect_nothing()


@pytest.mark.holds("5.0: MQTT-3.3.1-12 MQTT-3.3.1-13")
@pytest.mark.workers
def test_as_published(broker, workers):
    plain, exact = broker.connect("plain", 5), broker.connect("exact", 5)
    plain.subscribe(("t", 1), codes=[1])
    exact.subscribe(("t", 1 | AS_PUBLISHED), codes=[1])
    publisher = broker.connect("from", 5)
    publisher.publish("t", b"kept", 1, retain=True)
    plain.expect_message("t", b"kept", retain=False)
    exact.expect_message("t", b"kept", retain=True)
    publisher.publish("t", b"gone by", 1)
    plain.expect_message("t", b"gone by", retain=False)
    exact.expect_message("t", b"gone by", retain=False)


@pytest.mark.workers
def test_replay_is_marked_either_way(broker, retained, workers):
    for name, options in (("plain", 0), ("exact", AS_PUBLISHED)):
        client = broker.connect(name, 5)
        client.subscribe(("t", options), codes=[0])
        client.expect_message("t", b"x", retain=True)
