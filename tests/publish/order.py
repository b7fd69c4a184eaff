"""
One publisher's messages arrive in the order in which they were sent, whatever the number of workers
between, and nothing is lost or doubled.
"""

import pytest

from harness import wire

EACH = 300


def stream(publisher, version, qos):
    """EACH messages in one go; acknowledgements are left to be read later."""
    return b"".join(
        wire.publish("t", b"%s:%d" % (publisher, number), qos, number + 1 if qos else None,
                     version=version) for number in range(EACH))


def drain_acks(client, version, qos):
    if qos == 1:
        for number in range(EACH):
            client.expect("PUBACK", id=number + 1)


@pytest.mark.holds("3.1.1: MQTT-4.6.0-2 MQTT-4.6.0-5 MQTT-4.6.0-6",
                   "5.0: MQTT-4.6.0-2 MQTT-4.6.0-5 MQTT-4.6.0-6")
@pytest.mark.config("max_queued_messages 0")
@pytest.mark.workers
@pytest.mark.parametrize("qos", [0, 1])
def test_order_of_each_publisher(broker, version, qos, workers):
    subscribers = [broker.connect(f"to-{n}", version) for n in range(3)]
    for each in subscribers:
        each.subscribe("t", qos=qos)
    publishers = [broker.connect(f"from-{n}", version) for n in range(4)]
    for number, each in enumerate(publishers):
        each.send(stream(b"%d" % number, version, qos))
    for each in publishers:
        drain_acks(each, version, qos)
    for each in subscribers:
        expected = {b"%d" % number: 0 for number in range(4)}
        for message in each.collect(4 * EACH):
            publisher, number = message.payload.split(b":")
            assert int(number) == expected[publisher], message
            expected[publisher] += 1
        each.expect_nothing(0.05)


@pytest.mark.holds("3.1.1: MQTT-4.6.0-3 MQTT-4.6.0-5 MQTT-4.6.0-6",
                   "5.0: MQTT-4.6.0-3 MQTT-4.6.0-5 MQTT-4.6.0-6")
@pytest.mark.workers
def test_order_at_qos_2(broker, version, workers):
    subscriber = broker.connect("to", version)
    subscriber.subscribe("t", qos=2)
    publisher = broker.connect("from", version)
    for start in range(0, 100, 10):
        for number in range(start, start + 10):
            publisher.send(wire.publish("t", b"%d" % number, 2, number + 1, version=version))
        for number in range(start, start + 10):
            publisher.expect("PUBREC", id=number + 1)
            publisher.send(wire.ack("PUBREL", number + 1))
        for number in range(start, start + 10):
            publisher.expect("PUBCOMP", id=number + 1)
    seen = []
    while len(seen) < 100:
        got = subscriber.expect_any()
        if got.kind == "PUBLISH":
            seen.append(int(got.payload))
            subscriber.send(wire.ack("PUBREC", got.id))
        else:
            assert got.kind == "PUBREL", got
            subscriber.send(wire.ack("PUBCOMP", got.id))
    assert seen == list(range(100))


@pytest.mark.workers
def test_what_follows_an_acknowledgement_follows_everywhere(broker, version, workers):
    """A second client that acts on the first one's PUBACK cannot be seen before it."""
    watchers = [broker.connect(f"watcher-{n}", version) for n in range(4)]
    for each in watchers:
        each.subscribe("t")
    first, second = broker.connect("first", version), broker.connect("second", version)
    for number in range(50):
        first.publish("t", b"cause %d" % number, 1)
        second.publish("t", b"effect %d" % number, 1)
        for each in watchers:
            each.expect_message("t", b"cause %d" % number)
            each.expect_message("t", b"effect %d" % number)
