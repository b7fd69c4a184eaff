"""
Overlapping subscriptions of one client: a copy for each, none above its granted QoS, and one at the
highest. (Mosquitto 2.1's default, `allow_duplicate_messages true`.)
"""

import pytest


@pytest.mark.holds("3.1.1: MQTT-3.3.5-1",
                   "5.0: MQTT-3.3.4-2")
@pytest.mark.differs("2.0 sends one copy to a client of version 3", version=4)
@pytest.mark.workers
def test_a_copy_for_each(broker, version, workers):
    client = broker.connect("to", version)
    client.subscribe(("a/#", 0), ("a/+", 1), ("a/b", 2))
    broker.connect("from", version).publish("a/b", b"x", 2)
    assert sorted(each.qos for each in client.collect(3)) == [0, 1, 2]
    client.expect_nothing()


@pytest.mark.workers
def test_two_clients_do_not_overlap(broker, version, workers):
    clients = [broker.connect(f"to-{n}", version) for n in range(6)]
    for each in clients:
        each.subscribe("a/+", qos=1)
    broker.connect("from", version).publish("a/b", b"x", 1)
    for each in clients:
        each.expect_message("a/b", b"x", qos=1)
    for each in clients:
        each.expect_nothing(0.03)
