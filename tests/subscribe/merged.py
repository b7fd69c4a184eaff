"""
Overlapping subscriptions of one client with `allow_duplicate_messages false`: one copy, at the
highest QoS that one of them allows, with the identifiers of all.
"""

import pytest

pytestmark = pytest.mark.config("allow_duplicate_messages false")


@pytest.mark.differs("2.0 sends a copy for each to a client of version 5", version=5)
@pytest.mark.holds("3.1.1: MQTT-3.3.5-1", "5.0: MQTT-3.3.4-2")
@pytest.mark.workers
def test_one_copy(broker, version, workers):
    client = broker.connect("to", version)
    client.subscribe(("a/#", 0), ("a/+", 1), ("a/b", 2))
    publisher = broker.connect("from", version)
    for qos in (0, 1, 2):
        publisher.publish("a/b", b"x", qos)
        client.expect_message("a/b", b"x", qos=qos)
    publisher.publish("a/b/c", b"y", 2)
    client.expect_message("a/b/c", b"y", qos=0)
    client.expect_nothing()


@pytest.mark.holds("5.0: MQTT-3.3.4-4")
@pytest.mark.nightjar("2.0 sends a copy for each")
@pytest.mark.workers
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_all_identifiers(broker, workers, qos):
    client = broker.connect("to", 5)
    for number, each in enumerate(("a/#", "a/+", "a/b", "#", "+/b")):
        client.subscribe(each, qos=qos, properties={"subscription_identifier": 100 * number + 1})
    client.subscribe("+/+", qos=qos)
    publisher = broker.connect("from", 5)
    publisher.publish("a/b", b"x", qos, properties={"user_property": [("k", "v")],
                                                    "content_type": "text"})
    got = client.expect_message("a/b", b"x", qos=qos)
    assert sorted(got.properties["subscription_identifier"]) == [1, 101, 201, 301, 401]
    assert got.properties["user_property"] == [("k", "v")]
    assert got.properties["content_type"] == "text"
    publisher.publish("c", b"y", qos)
    assert client.expect_message("c", b"y").properties["subscription_identifier"] == [301]
    client.expect_nothing()


@pytest.mark.workers
def test_each_client_one(broker, version, workers):
    clients = [broker.connect(f"to-{n}", version) for n in range(8)]
    for each in clients:
        each.subscribe("a/+", qos=1)
        if version == 4:
            each.subscribe("a/#", qos=1)
    publisher = broker.connect("from", version)
    for number in range(5):
        publisher.publish("a/b", b"%d" % number, 1)
    for each in clients:
        for number in range(5):
            each.expect_message("a/b", b"%d" % number, qos=1)
        each.expect_nothing(0.03)


@pytest.mark.nightjar("2.0 sends a copy for each")
@pytest.mark.workers
def test_what_waits_keeps_its_identifiers(broker, workers):
    client = broker.connect("to", 5, lasting=True)
    client.subscribe("a/#", qos=1, properties={"subscription_identifier": 1})
    client.subscribe("a/b", qos=2, properties={"subscription_identifier": 2})
    client.disconnect()
    broker.connect("from", 5).publish("a/b", b"x", 2)
    again = broker.connect("to", 5, lasting=True, session=True)
    got = again.expect_message("a/b", b"x", qos=2)
    assert sorted(got.properties["subscription_identifier"]) == [1, 2]
    again.expect_nothing()


@pytest.mark.nightjar("2.0 sends a copy for each")
@pytest.mark.workers
def test_wishes_are_joined(broker, workers):
    """Retained as published if one subscription asks for it; nothing of its own if none wants it."""
    client = broker.connect("to", 5)
    client.subscribe(("a/b", 0b0_1101), ("a/#", 1))  # no local, as published, QoS 1
    publisher = broker.connect("from", 5)
    publisher.publish("a/b", b"x", 1, retain=True)
    client.expect_message("a/b", b"x", qos=1, retain=True)
    client.publish("a/b", b"own")
    client.expect_message("a/b", b"own", qos=0, retain=False)
    client.expect_nothing()
