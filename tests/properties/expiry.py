"""
Message expiry: counted while a message waits, and the message dropped when it has run out before
its delivery began.
"""

import time

import pytest

from harness import wire

EXPIRY = "message_expiry_interval"


@pytest.mark.holds("5.0: MQTT-3.3.2-6")
@pytest.mark.workers
def test_at_once(broker, workers):
    client = broker.connect("to", 5)
    client.subscribe("t")
    broker.connect("from", 5).publish("t", b"x", properties={EXPIRY: 100})
    assert client.take_message().properties == {EXPIRY: 100}


@pytest.mark.holds("5.0: MQTT-3.3.2-6")
@pytest.mark.differs("2.0 lets it never expire")
@pytest.mark.workers
@pytest.mark.parametrize("retain", [False, True])
def test_never_more_than_came(broker, retain, workers):
    """What expires at once may be delivered at once, and has not a second to live there either."""
    client = broker.connect("to", 5)
    client.subscribe("t")
    broker.connect("from", 5).publish("t", b"x", retain=retain, properties={EXPIRY: 0})
    assert client.take_message().properties == {EXPIRY: 0}


@pytest.mark.holds("5.0: MQTT-3.3.2-6")
@pytest.mark.workers
@pytest.mark.parametrize("interval", [1 << 31, (1 << 32) - 2, (1 << 32) - 1])
def test_as_late_as_can_be(broker, interval, workers):
    """More than a century hence: told all the same, a will's as well."""
    expiry = {"message_expiry_interval": interval}
    to = broker.connect("to", 5)
    to.subscribe("t")
    sender = broker.connect("from", 5, will=wire.Will("t", b"will", properties=expiry))
    sender.publish("t", b"x", properties=expiry)
    sender.reset()
    for payload in (b"x", b"will"):
        got = to.expect("PUBLISH", payload=payload)
        assert interval - 2 <= got.properties["message_expiry_interval"] <= interval


@pytest.mark.holds("5.0: MQTT-3.3.2-5 MQTT-3.3.2-6")
@pytest.mark.workers
def test_counted_in_a_queue(broker, workers):
    client = broker.connect("to", 5, lasting=True)
    client.subscribe("t", qos=1)
    client.disconnect()
    publisher = broker.connect("from", 5)
    publisher.publish("t", b"short", 1, properties={EXPIRY: 1})
    publisher.publish("t", b"long", 1, properties={EXPIRY: 100})
    publisher.publish("t", b"for ever", 1)
    time.sleep(2.2)
    again = broker.connect("to", 5, lasting=True, session=True)
    assert again.expect_message("t", b"long").properties[EXPIRY] in (96, 97, 98)
    assert again.expect_message("t", b"for ever").properties == {}
    again.expect_nothing()


@pytest.mark.holds("5.0: MQTT-3.3.2-5 MQTT-3.3.2-6")
@pytest.mark.workers
def test_counted_when_retained(broker, workers):
    publisher = broker.connect("from", 5)
    publisher.publish("short", b"x", 1, retain=True, properties={EXPIRY: 1})
    publisher.publish("long", b"x", 1, retain=True, properties={EXPIRY: 100})
    time.sleep(2.2)
    client = broker.connect("to", 5)
    client.subscribe("+")
    assert client.expect_message("long", b"x", retain=True).properties[EXPIRY] in (96, 97, 98)
    client.expect_nothing()


@pytest.mark.workers
def test_applies_to_clients_of_3_1_1(broker, workers):
    client = broker.connect("to", 4, lasting=True)
    client.subscribe("t", qos=1)
    client.disconnect()
    broker.connect("from", 5).publish("t", b"x", 1, properties={EXPIRY: 1})
    time.sleep(2.2)
    broker.connect("to", 4, lasting=True, session=True).expect_nothing()


@pytest.mark.holds("5.0: MQTT-4.3.3-7")
@pytest.mark.differs("2.0 drops it")
@pytest.mark.workers
def test_what_was_sent_does_not_expire(broker, workers):
    client = broker.connect("to", 5, lasting=True)
    client.subscribe("t", qos=2)
    broker.connect("from", 5).publish("t", b"x", 2, properties={EXPIRY: 1})
    id = client.expect("PUBLISH").id
    client.close()
    time.sleep(2.2)
    again = broker.connect("to", 5, lasting=True, session=True)
    again.acknowledge(again.expect("PUBLISH", id=id, dup=True))


@pytest.mark.holds("5.0: MQTT-4.3.3-13")
def test_the_handshake_outlives_the_message(broker):
    """A QoS 2 message that expires between PUBLISH and PUBREL is acknowledged to the end."""
    client = broker.connect("from", 5)
    client.send(wire.publish("t", b"x", 2, 5, version=5, properties={EXPIRY: 1}))
    client.expect("PUBREC", id=5)
    time.sleep(2.2)
    client.send(wire.publish("t", b"x", 2, 5, dup=True, version=5, properties={EXPIRY: 1}))
    client.expect("PUBREC", id=5)
    client.send(wire.ack("PUBREL", 5))
    client.expect("PUBCOMP", id=5, reason=0)
