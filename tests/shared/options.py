"""
Each member has options and a subscription identifier of its own; nothing is replayed to a shared
subscription.
"""

import pytest


@pytest.mark.workers
def test_identifier_and_options_of_the_member(broker, workers):
    one, two = broker.connect("one", 5), broker.connect("two", 5)
    one.subscribe(("$share/g/t", 1), properties={"subscription_identifier": 7})
    two.subscribe(("$share/g/t", 8), properties={"subscription_identifier": 268435455})
    publisher = broker.connect("from", 5)
    publisher.publish("t", b"x", 1, retain=True)
    publisher.publish("t", b"x", 1, retain=True)
    got = one.expect_message("t", b"x", qos=1, retain=False)
    assert got.properties["subscription_identifier"] == [7]
    got = two.expect_message("t", b"x", qos=0, retain=True)
    assert got.properties["subscription_identifier"] == [268435455]


@pytest.mark.workers
def test_subscribing_again_replaces(broker, workers):
    client = broker.connect("one", 5)
    client.subscribe(("$share/g/t", 0), properties={"subscription_identifier": 7})
    client.subscribe(("$share/g/t", 2))
    publisher = broker.connect("from", 5)
    for number in range(3):
        publisher.publish("t", b"%d" % number, 2)
    for number in range(3):
        got = client.expect_message("t", b"%d" % number, qos=2)
        assert "subscription_identifier" not in got.properties


@pytest.mark.workers
def test_no_retained_replay(broker, version, workers):
    publisher = broker.connect("from", version)
    publisher.publish("t", b"old", 1, retain=True)
    client = broker.connect("to", version)
    client.subscribe("$share/g/t", qos=1)
    client.subscribe("$share/h/#", qos=1)
    client.expect_nothing()
    publisher.publish("t", b"new", 1, retain=True)
    for _ in range(2):
        client.expect_message("t", b"new", retain=False)
    client.subscribe("t", qos=1)
    client.expect_message("t", b"new", retain=True)
