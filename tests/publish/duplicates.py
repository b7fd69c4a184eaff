"""
DUP and packet identifiers: QoS 2 comes once, QoS 1 knows no duplicates, and the publisher's DUP is
nobody else's business.
"""

import pytest

from harness import wire


def pair(broker, version):
    subscriber = broker.connect("to", version)
    subscriber.subscribe("t", qos=2)
    return subscriber, broker.connect("from", version)


@pytest.mark.holds("3.1.1: MQTT-3.3.1-3 MQTT-4.3.3-2",
                   "5.0: MQTT-3.3.1-3 MQTT-4.3.3-10")
@pytest.mark.differs("2.0 ends a connection that repeats twice")
@pytest.mark.workers
def test_repeated_qos_2_is_delivered_once(broker, version, workers):
    subscriber, publisher = pair(broker, version)
    for dup in (False, True, True):
        publisher.send(wire.publish("t", b"x", 2, 5, dup=dup, version=version))
        publisher.expect("PUBREC", id=5)
    publisher.send(wire.ack("PUBREL", 5))
    publisher.expect("PUBCOMP", id=5)
    publisher.publish("t", b"end")
    subscriber.expect_message("t", b"x", dup=False)
    subscriber.expect_message("t", b"end")


@pytest.mark.holds("3.1.1: MQTT-4.3.3-2",
                   "5.0: MQTT-4.3.3-12")
@pytest.mark.workers
def test_qos_2_id_is_free_after_pubcomp(broker, version, workers):
    subscriber, publisher = pair(broker, version)
    for payload in (b"1", b"2"):
        publisher.send(wire.publish("t", payload, 2, 5, version=version))
        publisher.expect("PUBREC", id=5)
        publisher.send(wire.ack("PUBREL", 5))
        publisher.expect("PUBCOMP", id=5)
        subscriber.expect_message("t", payload)


@pytest.mark.holds("3.1.1: MQTT-3.3.1-3 MQTT-4.3.2-2",
                   "5.0: MQTT-3.3.1-3 MQTT-4.3.2-5")
@pytest.mark.workers
def test_qos_1_id_means_a_new_message_each_time(broker, version, workers):
    subscriber, publisher = pair(broker, version)
    for dup in (False, True):
        publisher.send(wire.publish("t", b"x", 1, 5, dup=dup, version=version))
        publisher.expect("PUBACK", id=5)
        subscriber.expect_message("t", b"x", dup=False)


@pytest.mark.workers
def test_repeated_pubrel(broker, version, workers):
    subscriber, publisher = pair(broker, version)
    publisher.send(wire.publish("t", b"x", 2, 5, version=version))
    publisher.expect("PUBREC", id=5)
    for _ in range(2):
        publisher.send(wire.ack("PUBREL", 5))
        publisher.expect("PUBCOMP", id=5)
    subscriber.expect_message("t", b"x")
    subscriber.expect_nothing()


@pytest.mark.holds("3.1.1: MQTT-4.1.0-1 MQTT-4.3.3-2",
                   "5.0: MQTT-4.1.0-1 MQTT-4.3.3-10")
@pytest.mark.workers
def test_qos_2_is_remembered_over_a_reconnect(broker, version, workers):
    """A resumed publisher repeats with DUP: no second delivery."""
    subscriber = broker.connect("to", version)
    subscriber.subscribe("t", qos=2)
    publisher = broker.connect("from", version, lasting=True)
    publisher.send(wire.publish("t", b"x", 2, 5, version=version))
    publisher.expect("PUBREC", id=5)
    publisher.close()
    again = broker.connect("from", version, lasting=True, session=True)
    again.send(wire.publish("t", b"x", 2, 5, dup=True, version=version))
    again.expect("PUBREC", id=5)
    again.send(wire.ack("PUBREL", 5))
    again.expect("PUBCOMP", id=5)
    again.publish("t", b"end")
    subscriber.expect_message("t", b"x")
    subscriber.expect_message("t", b"end")
