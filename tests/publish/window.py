"""
The in-flight window towards a subscriber: as many unacknowledged messages as it allows, never more;
the rest follows in order, and other packets are never held up.
"""

import pytest

from harness import wire


def fill(broker, version, count, qos=1):
    publisher = broker.connect("from", version)
    for number in range(count):
        publisher.publish("t", b"%d" % number, qos)
    return publisher


def expect_window(client, first, last):
    """Messages first to last-1 arrive and stay unacknowledged; then only an answer to a ping."""
    got = [client.expect("PUBLISH", payload=b"%d" % number) for number in range(first, last)]
    client.expect_nothing()
    return [each.id for each in got]


@pytest.mark.holds("3.1.1: MQTT-2.3.1-4",
                   "5.0: MQTT-2.2.1-4 MQTT-4.3.3-1 MQTT-4.9.0-1 MQTT-4.9.0-2")
@pytest.mark.differs("2.0 sends more than the window after an acknowledgement")
@pytest.mark.workers
@pytest.mark.parametrize("qos", [1, 2])
def test_twenty_by_default(broker, version, qos, workers):
    subscriber = broker.connect("to", version)
    subscriber.subscribe("t", qos=2)
    fill(broker, version, 30, qos)
    ids = expect_window(subscriber, 0, 20)
    assert ids == list(range(1, 21))
    if qos == 1:
        subscriber.send(wire.ack("PUBACK", ids[0]))
    else:
        subscriber.send(wire.ack("PUBREC", ids[0]))
        subscriber.expect("PUBREL", id=ids[0])
        subscriber.expect_nothing()
        subscriber.send(wire.ack("PUBCOMP", ids[0]))
    expect_window(subscriber, 20, 21)


@pytest.mark.holds("5.0: MQTT-3.3.4-9 MQTT-3.3.4-10 MQTT-4.9.0-1 MQTT-4.9.0-2 MQTT-4.9.0-3")
@pytest.mark.differs("2.0 sends more than the window after an acknowledgement")
@pytest.mark.workers
def test_receive_maximum_of_the_client(broker, workers):
    subscriber = broker.connect("to", 5, properties={"receive_maximum": 3})
    subscriber.subscribe("t", qos=1)
    fill(broker, 5, 10)
    ids = expect_window(subscriber, 0, 3)
    subscriber.subscribe("other")  # not held up
    subscriber.send(wire.ack("PUBACK", ids[1]))
    ids += expect_window(subscriber, 3, 4)
    for each in (ids[0], ids[2], ids[3]):
        subscriber.send(wire.ack("PUBACK", each))
    expect_window(subscriber, 4, 7)


@pytest.mark.differs("2.0 takes the client's number alone")
@pytest.mark.workers
def test_receive_maximum_does_not_widen(broker, workers):
    subscriber = broker.connect("to", 5, properties={"receive_maximum": 1000})
    subscriber.subscribe("t", qos=1)
    fill(broker, 5, 25)
    expect_window(subscriber, 0, 20)


@pytest.mark.config("max_inflight_messages 2")
@pytest.mark.workers
def test_max_inflight_messages(broker, version, workers):
    subscriber = broker.connect("to", version)
    if version == 5:
        assert subscriber.connack.properties["receive_maximum"] == 2
    subscriber.subscribe("t", qos=1)
    fill(broker, version, 5)
    expect_window(subscriber, 0, 2)


@pytest.mark.config("max_inflight_messages 1")
@pytest.mark.workers
def test_strictly_one_at_a_time(broker, version, workers):
    subscriber = broker.connect("to", version)
    subscriber.subscribe("t", qos=2)
    fill(broker, version, 5, 2)
    for number in range(5):
        subscriber.expect_message("t", b"%d" % number)


@pytest.mark.holds("5.0: MQTT-4.9.0-3")
@pytest.mark.workers
def test_qos_0_passes_a_full_window(broker, version, workers):
    subscriber = broker.connect("to", version)
    subscriber.subscribe("t", qos=2)
    publisher = fill(broker, version, 22)
    publisher.publish("t", b"quick")
    for number in range(20):
        subscriber.expect("PUBLISH", payload=b"%d" % number)
    subscriber.expect("PUBLISH", payload=b"quick", qos=0)


@pytest.mark.holds("5.0: MQTT-3.3.4-7")
@pytest.mark.differs("2.0 counts otherwise")
def test_a_publisher_above_the_announced_maximum(broker):
    """Twenty QoS 2 messages may await their PUBREL; one more ends the connection. (3.3.4-7)"""
    client = broker.connect("from", 5)
    assert client.connack.properties["receive_maximum"] == 20
    for number in range(1, 21):
        client.send(wire.publish("t", b"x", 2, number, version=5))
        client.expect("PUBREC", id=number)
    client.send(wire.publish("t", b"x", 2, 21, version=5))
    client.expect_end(0x93)


def test_a_publisher_of_3_1_1_has_no_maximum(broker):
    client = broker.connect("from", 4)
    for number in range(1, 100):
        client.send(wire.publish("t", b"x", 2, number))
        client.expect("PUBREC", id=number)
