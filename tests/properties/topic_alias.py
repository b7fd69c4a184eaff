"""
Topic aliases of a publisher: up to the announced maximum, changed at will, gone with the
connection; and none towards a client that did not ask for them.
"""

import pytest

from harness import wire


def alias(number):
    return {"topic_alias": number}


@pytest.mark.holds("5.0: MQTT-3.1.2-27 MQTT-3.3.2-12")
@pytest.mark.workers
def test_set_and_used(broker, workers):
    subscriber = broker.connect("to", 5)
    subscriber.subscribe("#")
    client = broker.connect("from", 5)
    top = client.connack.properties["topic_alias_maximum"]
    assert top == 10
    for number in range(1, top + 1):
        client.publish(f"t/{number}", b"set", properties=alias(number))
    for number in range(1, top + 1):
        client.publish("", b"used", number % 3, properties=alias(number))
    client.publish("other", b"changed", properties=alias(1))
    client.publish("", b"used", properties=alias(1))
    for number in range(1, top + 1):
        assert subscriber.expect_message(f"t/{number}", b"set").properties == {}
    for number in range(1, top + 1):
        subscriber.expect_message(f"t/{number}", b"used")
    subscriber.expect_message("other", b"changed")
    subscriber.expect_message("other", b"used")


@pytest.mark.holds("5.0: MQTT-3.3.2-7")
def test_gone_with_the_connection(broker):
    client = broker.connect("from", 5, lasting=True)
    client.publish("t", b"x", 1, properties=alias(1))
    client.disconnect()
    again = broker.connect("from", 5, lasting=True, session=True)
    again.send(wire.publish("", b"x", version=5, properties=alias(1)))
    again.expect_end(0x82, 0x94)


@pytest.mark.holds("5.0: MQTT-3.2.2-18")
def test_none_allowed(start_broker):
    broker = start_broker("listener {port} 127.0.0.1\nmax_topic_alias 0\nallow_anonymous true\n")
    client = broker.connect("from", 5)
    assert client.connack.properties.get("topic_alias_maximum", 0) == 0
    client.send(wire.publish("t", b"x", version=5, properties=alias(1)))
    client.expect_end(0x94)


@pytest.mark.holds("5.0: MQTT-3.1.2-26 MQTT-3.3.2-8 MQTT-3.3.2-11")
@pytest.mark.workers
def test_towards_a_client_that_allows_them(broker, workers):
    """Whatever the broker makes of it: no alias above the maximum, and each topic resolves."""
    client = broker.connect("to", 5, properties={"topic_alias_maximum": 2})
    client.subscribe("t/#")
    publisher = broker.connect("from", 5)
    known = {}
    for turn in range(3):
        for number in range(4):
            publisher.publish(f"t/{number}", b"x", 1)
            got = client.expect("PUBLISH")
            number_used = got.properties.get("topic_alias")
            topic = got.topic or known[number_used]
            if number_used is not None:
                assert 1 <= number_used <= 2
                known[number_used] = topic
            assert topic == f"t/{number}"
