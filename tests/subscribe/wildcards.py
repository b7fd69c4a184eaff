"""
Which topics a filter matches: levels, wildcards, topics that begin with $, and letters as they are.
"""

import pytest

from harness import wire

TOPICS = ["a", "a/", "/a", "/", "a/b", "a/b/c", "a//c", "A", "a b", "$x", "$x/a", "x/$y",
          "ä", "a\u0308", "\ufeffa", "//", "a/b/c/d/e/f"]

MATCHES = {
    "a": ["a"],
    "A": ["A"],
    "#": [each for each in TOPICS if not each.startswith("$")],
    "+": ["a", "A", "a b", "ä", "a\u0308", "\ufeffa"],
    "+/+": ["a/", "/a", "/", "a/b", "x/$y"],
    "/+": ["/a", "/"],
    "+/": ["a/", "/"],
    "a/#": ["a", "a/", "a/b", "a/b/c", "a//c", "a/b/c/d/e/f"],
    "a/+": ["a/", "a/b"],
    "a/+/c": ["a/b/c", "a//c"],
    "a/+/c/#": ["a/b/c", "a//c", "a/b/c/d/e/f"],
    "+/b/#": ["a/b", "a/b/c", "a/b/c/d/e/f"],
    "/#": ["/a", "/", "//"],
    "+/+/+": ["a/b/c", "a//c", "//"],
    "$x": ["$x"],
    "$x/#": ["$x", "$x/a"],
    "$x/+": ["$x/a"],
    "+/a": ["/a"],
    "+/$y": ["x/$y"],
    "ä": ["ä"],
    "a\u0308": ["a\u0308"],
    "\ufeffa": ["\ufeffa"],
}


@pytest.mark.holds("3.1.1: MQTT-1.5.3-3 MQTT-3.3.2-3 MQTT-4.7.1-2 MQTT-4.7.1-3 MQTT-4.7.2-1",
                   "3.1.1: MQTT-4.7.3-1 MQTT-4.7.3-4",
                   "5.0: MQTT-1.5.4-3 MQTT-3.3.2-3 MQTT-4.7.1-1 MQTT-4.7.1-2 MQTT-4.7.2-1",
                   "5.0: MQTT-4.7.3-1 MQTT-4.7.3-4")
@pytest.mark.workers
def test_matches(broker, version, workers):
    """One subscriber for each filter; a last message shows that nothing else is on its way."""
    subscribers = {}
    for number, topic_filter in enumerate(MATCHES):
        client = broker.connect(f"s{number}", version)
        client.subscribe(topic_filter, "the end")
        subscribers[topic_filter] = client
    publisher = broker.connect("from", version)
    for topic in TOPICS:
        publisher.publish(topic, topic.encode())
    publisher.publish("the end", b"")
    for topic_filter, client in subscribers.items():
        got = []
        while (message := client.expect("PUBLISH")).topic != "the end":
            assert message.payload == message.topic.encode()
            got.append(message.topic)
        assert got == MATCHES[topic_filter], topic_filter


@pytest.mark.holds("3.1.1: MQTT-4.7.3-3",
                   "5.0: MQTT-4.7.3-3")
@pytest.mark.workers
@pytest.mark.parametrize("topic", ["a/" * 199 + "a", "x" * 65535],
                         ids=["200 levels", "65535 bytes"])
def test_limits(broker, version, topic, workers):
    client = broker.connect("x", version)
    client.subscribe(topic)
    publisher = broker.connect("from", version)
    publisher.publish(topic, b"x", 1)
    client.expect_message(topic, b"x")


@pytest.mark.workers
@pytest.mark.parametrize("wildcard", ["a/" * 300 + "#", "/" * 65535], ids=["301", "65536"])
def test_too_deep(broker, version, wildcard, workers):
    """Refused: 3.1.1 by a close, 5 as a malformed packet; the rest goes on."""
    other = broker.connect("other", version)
    client = broker.connect("x", version)
    client.send(wire.subscribe(1, (wildcard, 0), version=version))
    client.expect_end(0x81)
    other.ping()
