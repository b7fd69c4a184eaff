"""
What a publisher of version 5 says about a message reaches every subscriber as it was said; other
versions get the message alone.
"""

import pytest

from harness import wire

GIVEN = {
    "payload_format_indicator": 1,
    "content_type": "text/plain; charset=utf-8",
    "response_topic": "answer/to/me",
    "correlation_data": b"\0\1\2\xff",
    "user_property": [("b", "2"), ("a", "1"), ("b", "3"), ("", ""), ("b", "2")],
}


@pytest.mark.holds("5.0: MQTT-3.3.2-4 MQTT-3.3.2-15 MQTT-3.3.2-16 MQTT-3.3.2-17",
                   "5.0: MQTT-3.3.2-18 MQTT-3.3.2-20")
@pytest.mark.workers
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_to_every_subscriber(broker, qos, workers):
    clients = [broker.connect(f"to-{n}", 5) for n in range(4)]
    for each in clients:
        each.subscribe("t", qos=qos)
    broker.connect("from", 5).publish("t", "grüß".encode(), qos, properties=GIVEN)
    for each in clients:
        assert each.expect_message("t", "grüß".encode()).properties == GIVEN


@pytest.mark.workers
def test_between_versions(broker, workers):
    old, new = broker.connect("old", 4), broker.connect("new", 5)
    old.subscribe("t", qos=1)
    new.subscribe("t", qos=1)
    broker.connect("from-5", 5).publish("t", b"5", 1, properties=GIVEN)
    old.expect_message("t", b"5")
    assert new.expect_message("t", b"5").properties == GIVEN
    broker.connect("from-4", 4).publish("t", b"4", 1)
    old.expect_message("t", b"4")
    assert new.expect_message("t", b"4").properties == {}


@pytest.mark.workers
def test_retained(broker, workers):
    broker.connect("from", 5).publish("t", b"x", 1, retain=True, properties=GIVEN)
    client = broker.connect("to", 5)
    client.subscribe("t")
    assert client.expect_message("t", b"x", retain=True).properties == GIVEN


@pytest.mark.workers
def test_queued(broker, workers):
    client = broker.connect("to", 5, lasting=True)
    client.subscribe("t", qos=1)
    client.disconnect()
    broker.connect("from", 5).publish("t", b"x", 1, properties=GIVEN)
    again = broker.connect("to", 5, lasting=True, session=True)
    assert again.expect_message("t", b"x").properties == GIVEN


@pytest.mark.workers
def test_each_kind_alone(broker, workers):
    client = broker.connect("to", 5)
    client.subscribe("t")
    publisher = broker.connect("from", 5)
    for name, value in GIVEN.items():
        publisher.publish("t", b"x", properties={name: value})
        assert client.expect_message("t", b"x").properties == {name: value}


@pytest.mark.workers
def test_many_and_large(broker, workers):
    pairs = [(f"key-{n}", "v" * n) for n in range(600)]  # far more than a read buffer
    client = broker.connect("to", 5)
    client.subscribe("t", qos=1)
    broker.connect("from", 5).publish("t", b"x", 1, properties={"user_property": pairs})
    assert client.expect_message("t", b"x").properties == {"user_property": pairs}


@pytest.mark.workers
def test_format_is_not_believed_for_bytes(broker, workers):
    """0 says nothing about the payload; any bytes pass."""
    client = broker.connect("to", 5)
    client.subscribe("t")
    broker.connect("from", 5).publish("t", b"\xff\xfe", properties={"payload_format_indicator": 0})
    got = client.expect_message("t", b"\xff\xfe")
    assert got.properties.get("payload_format_indicator", 0) == 0


@pytest.mark.workers
def test_response_topic_round_trip(broker, workers):
    server, client = broker.connect("server", 5), broker.connect("client", 5)
    server.subscribe("question")
    client.subscribe("answer/1")
    client.publish("question", b"2+2", properties={"response_topic": "answer/1",
                                                   "correlation_data": b"q1"})
    asked = server.take_message()
    server.publish(asked.properties["response_topic"], b"4",
                   properties={"correlation_data": asked.properties["correlation_data"]})
    got = client.expect_message("answer/1", b"4")
    assert got.properties == {"correlation_data": b"q1"}


@pytest.mark.holds("5.0: MQTT-2.2.2-1")
def test_empty_properties_of_an_empty_message(broker):
    client = broker.connect("to", 5)
    client.subscribe("t")
    client.send(wire.publish("t", b"", version=5))
    client.expect_bytes(bytes.fromhex("30 04 00 01 74 00"))
