"""
A resumed session gets again what it had not acknowledged: same identifiers, DUP set, in order, and
of a QoS 2 delivery whose PUBREC came only the PUBREL.
"""

import pytest

from harness import wire


def deliveries(broker, version, qos, count):
    """A lasting client that received `count` messages and acknowledged none."""
    client = broker.connect("to", version, lasting=True)
    client.subscribe("t", qos=qos)
    publisher = broker.connect("from", version)
    for number in range(count):
        publisher.publish("t", b"%d" % number, qos)
    return client, [client.expect("PUBLISH", dup=False).id for _ in range(count)]


@pytest.mark.holds("3.1.1: MQTT-2.3.1-4 MQTT-3.3.1-1 MQTT-4.1.0-1 MQTT-4.3.2-1 MQTT-4.4.0-1",
                   "3.1.1: MQTT-4.6.0-1 MQTT-4.6.0-6",
                   "5.0: MQTT-3.3.1-1 MQTT-4.3.2-3 MQTT-4.3.3-3 MQTT-4.4.0-1 MQTT-4.6.0-1")
@pytest.mark.workers
@pytest.mark.parametrize("qos", [1, 2])
def test_unacknowledged(broker, version, qos, workers):
    client, ids = deliveries(broker, version, qos, 5)
    client.close()
    again = broker.connect("to", version, lasting=True, session=True)
    for number, id in enumerate(ids):
        got = again.expect("PUBLISH", payload=b"%d" % number, id=id, dup=True, qos=qos)
    for id in ids:
        again.send(wire.ack("PUBACK" if qos == 1 else "PUBREC", id))
        if qos == 2:
            again.expect("PUBREL", id=id)
            again.send(wire.ack("PUBCOMP", id))
    again.expect_nothing()
    assert got.topic == "t"


@pytest.mark.holds("3.1.1: MQTT-4.3.2-1 MQTT-4.4.0-1",
                   "5.0: MQTT-4.3.2-3 MQTT-4.4.0-1")
@pytest.mark.workers
def test_only_what_is_missing(broker, version, workers):
    client, ids = deliveries(broker, version, 1, 5)
    client.send(wire.ack("PUBACK", ids[1]), wire.ack("PUBACK", ids[3]))
    client.ping()
    client.disconnect()
    again = broker.connect("to", version, lasting=True, session=True)
    for number in (0, 2, 4):
        again.expect("PUBLISH", payload=b"%d" % number, id=ids[number], dup=True)
    again.expect_nothing()


@pytest.mark.holds("3.1.1: MQTT-4.3.3-1 MQTT-4.4.0-1",
                   "5.0: MQTT-4.3.3-5 MQTT-4.3.3-6 MQTT-4.4.0-1")
@pytest.mark.workers
def test_pubrel_again(broker, version, workers):
    client, ids = deliveries(broker, version, 2, 2)
    client.send(wire.ack("PUBREC", ids[0]))
    client.expect("PUBREL", id=ids[0])
    client.close()
    again = broker.connect("to", version, lasting=True, session=True)
    got = sorted((again.expect_any() for _ in range(2)), key=lambda each: each.kind)
    assert got[0].kind == "PUBLISH" and got[0].id == ids[1] and got[0].dup, got
    assert got[1].kind == "PUBREL" and got[1].id == ids[0], got
    again.send(wire.ack("PUBCOMP", ids[0]))
    again.acknowledge(got[0])
    again.disconnect()
    broker.connect("to", version, lasting=True, session=True).expect_nothing()


@pytest.mark.holds("5.0: MQTT-4.4.0-1")
@pytest.mark.workers
def test_never_on_a_living_connection(broker, version, workers):
    client, _ = deliveries(broker, version, 1, 1)
    client.expect_nothing(1.5)


@pytest.mark.holds("3.1.1: MQTT-2.3.1-4",
                   "5.0: MQTT-2.2.1-4 MQTT-4.3.2-1")
@pytest.mark.workers
def test_ids_of_the_resent_are_not_given_away(broker, version, workers):
    client, ids = deliveries(broker, version, 1, 3)
    client.close()
    again = broker.connect("to", version, lasting=True, session=True)
    for id in ids:
        again.expect("PUBLISH", id=id, dup=True)
    broker.connect("another", version).publish("t", b"new", 1)
    fresh = again.expect("PUBLISH", payload=b"new", dup=False)
    assert fresh.id not in ids


@pytest.mark.workers
def test_then_what_came_meanwhile(broker, version, workers):
    client, ids = deliveries(broker, version, 1, 2)
    client.close()
    broker.expect_line(r"Client to \[.*\] disconnected.*")
    publisher = broker.connect("later", version)
    publisher.publish("t", b"meanwhile", 1)
    again = broker.connect("to", version, lasting=True, session=True)
    again.expect("PUBLISH", id=ids[0], dup=True)
    again.expect("PUBLISH", id=ids[1], dup=True)
    again.expect("PUBLISH", payload=b"meanwhile", dup=False)


@pytest.mark.differs("2.0 resends all at once")
@pytest.mark.workers
def test_the_window_of_the_new_connection_counts(broker, workers):
    """A session resumed with a smaller Receive Maximum is resent no more than that at a time."""
    client, ids = deliveries(broker, 5, 1, 4)
    client.close()
    again = broker.connect("to", 5, lasting=True, session=True, properties={"receive_maximum": 2})
    for id in ids[:2]:
        again.expect("PUBLISH", id=id, dup=True)
    again.expect_nothing()
    again.send(wire.ack("PUBACK", ids[0]))
    again.expect("PUBLISH", id=ids[2], dup=True)
