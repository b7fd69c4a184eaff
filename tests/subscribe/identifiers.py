"""
Subscription identifiers are attached to deliveries, or refused with the code for it.
"""

import pytest

from harness import wire


@pytest.mark.holds("5.0: MQTT-3.3.4-3 MQTT-3.3.4-5")
@pytest.mark.workers
def test_attached(broker, workers):
    client = broker.connect("to", 5)
    if client.connack.properties.get("subscription_identifier_available") == 0:
        client.send(wire.subscribe(1, ("a", 0), version=5,
                                   properties={"subscription_identifier": 7}))
        client.expect_end(0xA1, 0x82)
        return
    client.subscribe("a/+", properties={"subscription_identifier": 7})
    client.subscribe("a/#", properties={"subscription_identifier": 268435455})
    client.subscribe("b")
    publisher = broker.connect("from", 5)
    publisher.publish("a/b", b"x")
    got = [each.properties["subscription_identifier"] for each in client.collect(2)]
    assert sorted(got) == [[7], [268435455]]
    publisher.publish("b", b"x")
    assert "subscription_identifier" not in client.take_message().properties
    client.subscribe("a/+", properties={"subscription_identifier": 8})
    publisher.publish("a/b", b"x")
    got = [each.properties["subscription_identifier"] for each in client.collect(2)]
    assert sorted(got) == [[8], [268435455]]


def test_zero(broker):
    client = broker.connect("to", 5)
    client.send(wire.subscribe(1, ("a", 0), version=5, properties={"subscription_identifier": 0}))
    client.expect_end(0x82, 0x81)


@pytest.mark.holds("5.0: MQTT-3.3.4-6")
@pytest.mark.differs("2.0 lets it pass")
def test_none_in_a_publish_of_a_client(broker):
    client = broker.connect("from", 5)
    client.send(wire.publish("a", b"x", version=5, properties={"subscription_identifier": 1}))
    client.expect_end(0x82, 0x81)
