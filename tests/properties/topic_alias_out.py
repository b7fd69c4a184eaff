"""
Topic aliases that the broker uses: max_topic_alias_broker of them, for whom asked for them, first
come first served, never given to another topic, and only where they shorten what follows.
"""

import pytest

from harness import wire


def connect(broker, most, **fields):
    return broker.connect("to", 5, properties={"topic_alias_maximum": most,
                                               **fields.pop("properties", {})}, **fields)


def expect(client, topic, alias, payload=b"x", **fields):
    """A message whose topic and alias are these."""
    got = client.expect("PUBLISH", topic=topic, payload=payload, **fields)
    assert got.properties.get("topic_alias") == alias, got
    client.acknowledge(got)
    return got


@pytest.mark.holds("5.0: MQTT-3.3.2-8")
@pytest.mark.workers
@pytest.mark.nightjar("2.0 uses none")
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_named_once_and_numbered_then(broker, qos, workers):
    client = connect(broker, 10)
    client.subscribe("#", qos=2)
    publisher = broker.connect("from", 4)
    for turn in range(3):
        for number in (1, 2):
            publisher.publish(f"topic/{number}", b"x", qos)
            expect(client, f"topic/{number}" if turn == 0 else "", number)


@pytest.mark.workers
@pytest.mark.nightjar("2.0 uses none")
def test_first_come_first_served(broker, workers):
    """Ten by default, whatever the client would take."""
    client = connect(broker, 65535)
    client.subscribe("#")
    publisher = broker.connect("from", 4)
    for turn in range(2):
        for number in range(1, 13):
            publisher.publish(f"topic/{number}", b"x")
            if number <= 10:
                expect(client, "" if turn else f"topic/{number}", number)
            else:
                expect(client, f"topic/{number}", None)


@pytest.mark.workers
@pytest.mark.holds("5.0: MQTT-3.1.2-26 MQTT-3.1.2-27 MQTT-3.3.2-11")
@pytest.mark.nightjar("2.0 uses none")
@pytest.mark.config("max_topic_alias_broker 2")
@pytest.mark.parametrize("most, used", [(1, 1), (2, 2), (3, 2), (0, 0)])
def test_the_lower_of_both(broker, most, used, workers):
    client = connect(broker, most) if most else broker.connect("to", 5)
    client.subscribe("#")
    publisher = broker.connect("from", 4)
    for number in range(1, 4):
        publisher.publish(f"topic/{number}", b"x")
        expect(client, f"topic/{number}", number if number <= used else None)


@pytest.mark.workers
@pytest.mark.config("max_topic_alias_broker 0")
def test_none(broker, workers):
    client = connect(broker, 10)
    client.subscribe("#")
    publisher = broker.connect("from", 4)
    for _ in range(2):
        publisher.publish("topic/1", b"x")
        expect(client, "topic/1", None)


@pytest.mark.workers
@pytest.mark.nightjar("2.0 uses none")
def test_only_where_it_is_shorter(broker, workers):
    """Three bytes of alias against the bytes of the topic."""
    client = connect(broker, 10)
    client.subscribe("#")
    publisher = broker.connect("from", 4)
    for _ in range(2):
        publisher.publish("abc", b"x")
        expect(client, "abc", None)
    publisher.publish("abcd", b"x")
    first = expect(client, "abcd", 1)
    publisher.publish("abcd", b"x")
    assert len(expect(client, "", 1).raw) < len(first.raw)


@pytest.mark.workers
@pytest.mark.nightjar("2.0 uses none")
def test_a_new_connection_begins_anew(broker, workers):
    """What is sent again is sent with its topic."""
    client = connect(broker, 10, lasting=True)
    client.subscribe("#", qos=1)
    publisher = broker.connect("from", 4)
    for number in (1, 1, 2):
        publisher.publish(f"topic/{number}", b"x", 1)
    for topic, alias in (("topic/1", 1), ("", 1), ("topic/2", 2)):
        got = client.expect("PUBLISH", topic=topic)
        assert got.properties["topic_alias"] == alias
    client.close()
    broker.expect_line(r"Client .* disconnected: connection closed by client\.")
    publisher.publish("topic/2", b"y", 1)
    again = connect(broker, 1, lasting=True, session=True)
    expect(again, "topic/1", 1, dup=True)
    expect(again, "", 1, dup=True)
    expect(again, "topic/2", None, dup=True)
    expect(again, "topic/2", None, b"y", dup=False)


@pytest.mark.workers
@pytest.mark.holds("5.0: MQTT-3.1.2-24")
@pytest.mark.nightjar("2.0 uses none")
def test_the_packet_stays_within_the_maximum(broker, workers):
    """An alias is not introduced where that would make the packet too large; where it makes it small
    enough it is used."""
    topic = "topic/" + "x" * 30
    bare = len(wire.publish(topic, b"", version=5))
    client = connect(broker, 10, properties={"maximum_packet_size": bare + 20})
    client.subscribe("#")
    publisher = broker.connect("from", 4)
    publisher.publish(topic, b"a" * 20)
    expect(client, topic, None, b"a" * 20)
    publisher.publish(topic, b"b" * 18)
    expect(client, topic, None, b"b" * 18)
    publisher.publish(topic, b"c" * 17)
    expect(client, topic, 1, b"c" * 17)
    publisher.publish(topic, b"d" * 40)
    expect(client, "", 1, b"d" * 40)


@pytest.mark.workers
@pytest.mark.nightjar("2.0 uses none")
def test_with_other_properties(broker, workers):
    client = connect(broker, 10)
    client.send(wire.subscribe(1, ("#", 1), version=5,
                               properties={"subscription_identifier": 300}))
    client.expect("SUBACK")
    publisher = broker.connect("from", 5)
    properties = {"content_type": "text", "user_property": [("b", "1"), ("a", "2")],
                  "message_expiry_interval": 1000, "topic_alias": 7}
    publisher.publish("topic/1", b"x", 1, properties=properties)
    publisher.publish("", b"x", 1, properties=properties)
    for topic in ("topic/1", ""):
        got = expect(client, topic, 1)
        assert got.properties["user_property"] == properties["user_property"]
        assert got.properties["content_type"] == "text"
        assert got.properties["subscription_identifier"] == [300]
        assert got.properties["message_expiry_interval"] <= 1000


@pytest.mark.workers
@pytest.mark.nightjar("2.0 uses none")
@pytest.mark.config("max_topic_alias_broker 1000")
def test_a_thousand(broker, workers):
    client = connect(broker, 1000)
    client.subscribe("#")
    publisher = broker.connect("from", 4)
    for turn in range(2):
        for number in range(1, 1011):
            publisher.send(wire.publish(f"topic/{number}", b"x"))
        for number in range(1, 1011):
            if number > 1000:
                expect(client, f"topic/{number}", None)
            else:
                expect(client, "" if turn else f"topic/{number}", number)
