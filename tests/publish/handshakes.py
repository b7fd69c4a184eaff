"""
The whole handshakes, both ways: from a publisher at QoS 0, 1 and 2, and to a subscriber.
"""

import pytest

from harness import wire


@pytest.mark.holds("3.1.1: MQTT-3.3.1-2 MQTT-3.8.4-6",
                   "5.0: MQTT-3.3.1-2 MQTT-3.8.4-8")
@pytest.mark.workers
@pytest.mark.parametrize("granted", [0, 1, 2])
@pytest.mark.parametrize("sent", [0, 1, 2])
def test_delivery_at_the_lower_qos(broker, version, sent, granted, workers):
    subscriber = broker.connect("to", version)
    subscriber.subscribe("a/b", qos=granted)
    publisher = broker.connect("from", version)
    for number in range(3):
        publisher.publish("a/b", b"%d" % number, sent)
        subscriber.expect_message("a/b", b"%d" % number, qos=min(sent, granted), dup=False,
                                  retain=False)


@pytest.mark.holds("3.1.1: MQTT-2.3.1-6 MQTT-3.3.4-1 MQTT-4.3.2-2 MQTT-4.3.3-2",
                   "5.0: MQTT-2.2.1-5 MQTT-3.3.4-1 MQTT-4.3.2-4 MQTT-4.3.3-8 MQTT-4.3.3-11")
@pytest.mark.workers
def test_answers_to_a_publisher(broker, version, workers):
    broker.connect("to", version).subscribe("t")
    client = broker.connect("from", version)
    client.send(wire.publish("t", b"x", 1, 0x1234, version=version))
    client.expect_bytes(bytes.fromhex("40 02 12 34"))
    client.send(wire.publish("t", b"x", 2, 0xABCD, version=version))
    client.expect_bytes(bytes.fromhex("50 02 ab cd"))
    client.send(wire.ack("PUBREL", 0xABCD))
    client.expect_bytes(bytes.fromhex("70 02 ab cd"))
    client.send(wire.publish("t", b"x", 0, version=version))
    client.ping()


@pytest.mark.holds("3.1.1: MQTT-2.2.2-1 MQTT-2.3.1-1 MQTT-2.3.1-5 MQTT-2.3.1-6 MQTT-3.3.1-2",
                   "3.1.1: MQTT-4.3.1-1 MQTT-4.3.2-1 MQTT-4.3.3-1",
                   "5.0: MQTT-2.1.3-1 MQTT-2.2.1-2 MQTT-2.2.1-4 MQTT-2.2.1-5 MQTT-2.2.2-1",
                   "5.0: MQTT-3.3.1-2 MQTT-4.3.1-1 MQTT-4.3.2-1 MQTT-4.3.2-2 MQTT-4.3.3-1",
                   "5.0: MQTT-4.3.3-2 MQTT-4.3.3-4")
@pytest.mark.workers
def test_the_bytes_of_a_delivery(broker, version, workers):
    subscriber = broker.connect("to", version)
    subscriber.subscribe("t", qos=2)
    publisher = broker.connect("from", version)
    none = "00" if version == 5 else ""
    length = 7 if version == 5 else 6
    publisher.publish("t", b"x")
    subscriber.expect_bytes(bytes.fromhex(f"30 {length - 2:02x} 00 01 74 {none} 78"))
    publisher.publish("t", b"x", 1)
    subscriber.expect_bytes(bytes.fromhex(f"32 {length:02x} 00 01 74 00 01 {none} 78"))
    publisher.publish("t", b"x", 2)
    subscriber.expect_bytes(bytes.fromhex(f"34 {length:02x} 00 01 74 00 02 {none} 78"))
    subscriber.send(wire.ack("PUBREC", 2))
    subscriber.expect_bytes(bytes.fromhex("62 02 00 02"))
    subscriber.send(wire.ack("PUBCOMP", 2))
    subscriber.send(wire.ack("PUBACK", 1))
    subscriber.ping()


@pytest.mark.workers
def test_acknowledgements_in_long_form(broker, workers):
    """5.0 allows a reason, and properties, where the short form would do."""
    subscriber = broker.connect("to", 5)
    subscriber.subscribe("t", qos=2)
    publisher = broker.connect("from", 5)
    publisher.publish("t", b"1", 1)
    first = subscriber.expect("PUBLISH", payload=b"1")
    subscriber.send(wire.ack("PUBACK", first.id, 0, {"reason_string": "thanks"}))
    publisher.send(wire.publish("t", b"2", 2, 9, version=5))
    publisher.expect("PUBREC", id=9)
    publisher.send(wire.ack("PUBREL", 9, 0, {"user_property": [("a", "b")]}))
    publisher.expect("PUBCOMP", id=9)
    second = subscriber.expect("PUBLISH", payload=b"2")
    subscriber.send(wire.ack("PUBREC", second.id, 0, {}))
    subscriber.expect("PUBREL", id=second.id)
    subscriber.send(wire.ack("PUBCOMP", second.id, 0, {}))
    subscriber.ping()


@pytest.mark.holds("5.0: MQTT-4.3.3-4 MQTT-4.4.0-2")
@pytest.mark.workers
@pytest.mark.parametrize("qos, answer", [(1, "PUBACK"), (2, "PUBREC")])
def test_a_refused_delivery_is_over(broker, qos, answer, workers):
    """An answer of 0x80 or more: no PUBREL follows, and nothing is sent again."""
    subscriber = broker.connect("to", 5, lasting=True)
    subscriber.subscribe("t", qos=2)
    publisher = broker.connect("from", 5)
    publisher.publish("t", b"1", qos)
    first = subscriber.expect("PUBLISH", payload=b"1")
    subscriber.send(wire.ack(answer, first.id, 0x97))
    subscriber.expect_nothing()
    subscriber.disconnect()
    broker.connect("to", 5, lasting=True, session=True).expect_nothing()


@pytest.mark.holds("5.0: MQTT-3.4.2-1 MQTT-3.5.2-1")
@pytest.mark.differs("2.0 does not say so in PUBREC")
def test_no_subscribers(broker):
    """A publisher of version 5 hears that nobody listened."""
    client = broker.connect("from", 5)
    client.send(wire.publish("nobody", b"x", 1, 7, version=5))
    client.expect_bytes(bytes.fromhex("40 03 00 07 10"))
    client.send(wire.publish("nobody", b"x", 2, 8, version=5))
    client.expect_bytes(bytes.fromhex("50 03 00 08 10"))
    client.send(wire.ack("PUBREL", 8))
    client.expect_bytes(bytes.fromhex("70 02 00 08"))


@pytest.mark.holds("5.0: MQTT-3.6.2-1 MQTT-3.7.2-1")
@pytest.mark.differs("2.0 does not say that it knows nothing of them", version=5)
def test_unknown_acknowledgements(broker, version):
    """An acknowledgement of nothing ends no connection, and what asks for an answer has one."""
    unknown = 0x92 if version == 5 else 0
    client = broker.connect("x", version)
    client.send(wire.ack("PUBREL", 77))
    client.expect("PUBCOMP", id=77, reason=unknown)
    client.send(wire.ack("PUBREC", 78))
    client.expect("PUBREL", id=78, reason=unknown)
    client.send(wire.ack("PUBACK", 79), wire.ack("PUBCOMP", 80))
    client.ping()


@pytest.mark.holds("3.1.1: MQTT-4.6.0-4 MQTT-4.6.0-6",
                   "5.0: MQTT-4.6.0-4")
@pytest.mark.workers
def test_pubrels_in_the_order_of_pubrecs(broker, version, workers):
    subscriber = broker.connect("to", version)
    subscriber.subscribe("t", qos=2)
    publisher = broker.connect("from", version)
    for number in range(6):
        publisher.publish("t", b"%d" % number, 2)
    ids = [subscriber.expect("PUBLISH").id for _ in range(6)]
    order = [ids[place] for place in (3, 0, 5, 1, 4, 2)]
    subscriber.send(*(wire.ack("PUBREC", id) for id in order))
    for id in order:
        subscriber.expect("PUBREL", id=id)


@pytest.mark.holds("3.1.1: MQTT-3.3.5-2",
                   "5.0: MQTT-3.4.2-1 MQTT-3.5.2-1 MQTT-4.3.3-9")
@pytest.mark.differs("2.0 closes the connection", version=4)
@pytest.mark.workers
def test_a_publish_that_is_not_allowed(broker, version, workers):
    """
    Nobody but the broker publishes below $SYS. 3.1.1 has no word for that: the handshake goes on
    and nothing comes of it. A PUBREC of 0x80 or more frees the identifier for a new message.
    """
    refused = 0x87 if version == 5 else 0
    subscriber = broker.connect("to", version)
    subscriber.subscribe("$SYS/x", "t")
    client = broker.connect("from", version)
    client.send(wire.publish("$SYS/x", b"0", version=version))
    client.send(wire.publish("$SYS/x", b"1", 1, 1, version=version))
    client.expect("PUBACK", id=1, reason=refused)
    client.send(wire.publish("$SYS/x", b"2", 2, 2, version=version))
    client.expect("PUBREC", id=2, reason=refused)
    if version == 4:
        client.send(wire.ack("PUBREL", 2))
        client.expect("PUBCOMP", id=2)
    client.send(wire.publish("t", b"new", 2, 2, version=version))
    client.expect("PUBREC", id=2, reason=0)
    client.send(wire.ack("PUBREL", 2))
    client.expect("PUBCOMP", id=2, reason=0)
    subscriber.expect_message("t", b"new")
    subscriber.expect_nothing()
