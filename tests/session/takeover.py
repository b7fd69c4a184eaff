"""
The later of two connections with one client id wins; the earlier is told (5.0) and closed, and a
lasting session goes over whole, wherever the connections were accepted.
"""

import threading

import pytest

from harness import wire
from harness.client import Closed
from harness.wire import Will


@pytest.mark.holds("3.1.1: MQTT-3.1.4-2",
                   "5.0: MQTT-3.1.4-3 MQTT-3.14.2-2")
@pytest.mark.differs("2.0.11 gives no reason", version=5)
@pytest.mark.workers
@pytest.mark.versions(3, 4, 5)
def test_the_earlier_one_is_closed(broker, version, workers):
    for number in range(8):
        first = broker.connect(f"x-{number}", version)
        second = broker.connect(f"x-{number}", version)
        first.expect_end(0x8E)
        second.ping()


@pytest.mark.holds("3.1.1: MQTT-3.1.4-2",
                   "5.0: MQTT-3.1.4-3")
@pytest.mark.differs("2.0.11 gives no reason")
@pytest.mark.workers
def test_across_versions(broker, workers):
    first = broker.connect("x", 5)
    second = broker.connect("x", 4)
    first.expect_end(0x8E)
    third = broker.connect("x", 5)
    second.expect_close()
    third.ping()


@pytest.mark.differs("2.0.11 gives no reason", version=5)
@pytest.mark.workers
def test_the_session_goes_over(broker, version, workers):
    publisher = broker.connect("from", version)
    for number in range(8):
        name, topic = f"x-{number}", f"t/{number}"
        first = broker.connect(name, version, lasting=True)
        first.subscribe(topic, qos=1)
        publisher.publish(topic, b"in flight", 1)
        id = first.expect("PUBLISH").id
        second = broker.connect(name, version, lasting=True, session=True)
        first.expect_end(0x8E)
        second.acknowledge(second.expect("PUBLISH", payload=b"in flight", id=id, dup=True))
        publisher.publish(topic, b"later", 1)
        second.expect_message(topic, b"later")


@pytest.mark.differs("2.0.11 gives no reason", version=5)
@pytest.mark.workers
def test_a_clean_one_takes_over_nothing(broker, version, workers):
    first = broker.connect("x", version, lasting=True)
    first.subscribe("t", qos=1)
    second = broker.connect("x", version, clean=True, session=False)
    first.expect_end(0x8E)
    broker.connect("from", version).publish("t", b"x", 1)
    second.expect_nothing()


@pytest.mark.workers
def test_the_will_of_the_earlier_one(broker, version, workers):
    """The connection of 3.1.1 ended without a DISCONNECT: its will is published."""
    watcher = broker.connect("watcher", version)
    watcher.subscribe("gone")
    broker.connect("x", version, will=Will("gone", b"x"))
    broker.connect("x", version)
    watcher.expect_message("gone", b"x")


@pytest.mark.holds("3.1.1: MQTT-3.1.4-2",
                   "5.0: MQTT-3.1.4-3")
@pytest.mark.workers
def test_a_race_leaves_exactly_one(broker, version, workers):
    """Many connections with one id at once: one of them lives, all others are ended."""
    clients = [broker.open(version, name=f"racer {n}") for n in range(12)]
    threads = [threading.Thread(target=each.send, args=(wire.connect("one", version),))
               for each in clients]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    living = 0
    for client in clients:
        try:
            got = client.receive()
            assert got is not None and got.kind == "CONNACK" and got.code == 0, got
        except Closed:
            continue  # replaced before its turn
    for client in clients:
        try:
            got = client.receive(0.3)
            if got is None:
                client.ping()
                living += 1
            else:
                assert got.kind == "DISCONNECT" and got.reason == 0x8E, got
        except Closed:
            pass
    assert living == 1


@pytest.mark.workers
def test_nothing_is_lost_over_take_overs(broker, version, workers):
    """QoS 1 messages published while the connection changes hands all arrive."""
    client = broker.connect("x", version, lasting=True)
    client.subscribe("t", qos=1)
    publisher = broker.connect("from", version)
    seen = set()
    for turn in range(10):
        for number in range(turn * 5, turn * 5 + 5):
            publisher.publish("t", b"%d" % number, 1)
        successor = broker.connect("x", version, lasting=True, session=True)
        while (got := drain(client)) is not None:
            seen.add(got)
        client = successor
    while len(seen) < 50:
        seen.add(int(client.take_message().payload))
    client.expect_nothing(0.05)


def drain(client):
    """The number of the next message of a connection that is being closed, None at its end."""
    try:
        got = client.receive(2)
    except Closed:
        return None
    if got is None or got.kind == "DISCONNECT":
        return None
    return int(got.payload)


@pytest.mark.holds("3.1.1: MQTT-3.1.2-10", "5.0: MQTT-3.14.4-3")
@pytest.mark.workers
@pytest.mark.parametrize("lasting", [False, True])
def test_who_left_is_not_taken_over(broker, version, lasting, workers):
    """Whatever came before the end of the earlier connection counts, whoever is quicker."""
    watcher = broker.connect("watcher", version)
    watcher.subscribe("#", qos=1)
    for number in range(30):
        name = f"x-{number}"
        first = broker.connect(name, version, will=Will("gone", name.encode()), lasting=lasting)
        first.send(wire.publish("last", name.encode(), version=version), wire.disconnect())
        broker.connect(name, version, lasting=lasting, session=lasting).send(
            wire.publish("first", name.encode(), version=version))
        watcher.expect("PUBLISH", topic="last", payload=name)
        watcher.expect("PUBLISH", topic="first", payload=name)
