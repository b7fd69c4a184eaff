"""
The same filter again replaces the subscription; unsubscribing takes the very same text.
"""

import pytest

from harness import wire


@pytest.mark.holds("3.1.1: MQTT-3.8.4-3",
                   "5.0: MQTT-3.8.4-3")
@pytest.mark.workers
def test_one_copy_with_the_new_qos(broker, version, workers):
    client = broker.connect("to", version)
    publisher = broker.connect("from", version)
    for qos in (0, 2, 1):
        client.subscribe("t/+", qos=qos)
        publisher.publish("t/x", b"%d" % qos, 2)
        client.expect_message("t/x", b"%d" % qos, qos=qos)
    client.expect_nothing()


@pytest.mark.holds("3.1.1: MQTT-3.8.4-3",
                   "5.0: MQTT-3.8.4-4")
@pytest.mark.workers
def test_nothing_is_lost_by_replacing(broker, version, workers):
    client = broker.connect("to", version)
    client.subscribe("t", qos=0)
    publisher = broker.connect("from", version)
    data = []
    for number in range(200):
        data.append(wire.publish("t", b"%d" % number, version=version))
    publisher.send(*data, pieces=200, delay=0.0005)
    seen, acknowledged = [], 0
    for id in range(1, 41):
        client.send(wire.subscribe(id, ("t", id % 2), version=version))
    while len(seen) < 200 or acknowledged < 40:
        got = client.expect_any()
        if got.kind == "SUBACK":
            acknowledged += 1
        else:
            seen.append(int(got.payload))
            assert got.kind == "PUBLISH", got
    assert seen == list(range(200))


@pytest.mark.holds("3.1.1: MQTT-3.10.4-1 MQTT-3.10.4-2",
                   "5.0: MQTT-3.10.4-1 MQTT-3.10.4-2")
@pytest.mark.workers
def test_unsubscribed(broker, version, workers):
    client = broker.connect("to", version)
    client.subscribe("a/+", "a/b", "a/#")
    publisher = broker.connect("from", version)
    for gone in ("a/#", "a/b"):
        client.unsubscribe(gone)
    publisher.publish("a/b/c", b"no longer")
    publisher.publish("a/b", b"by a/+")
    client.expect_message("a/b", b"by a/+")
    client.unsubscribe("a/b", "+/b", "#")
    publisher.publish("a/b", b"still")
    client.expect_message("a/b", b"still")
    client.unsubscribe("a/+")
    publisher.publish("a/b", b"never")
    client.expect_nothing()


@pytest.mark.holds("3.1.1: MQTT-3.10.4-3",
                   "5.0: MQTT-3.10.4-3")
@pytest.mark.workers
def test_deliveries_begun_are_completed(broker, version, workers):
    client = broker.connect("to", version)
    client.subscribe("t", qos=2)
    publisher = broker.connect("from", version)
    publisher.publish("t", b"x", 2)
    got = client.expect("PUBLISH")
    client.unsubscribe("t")
    client.acknowledge(got)
    client.ping()
