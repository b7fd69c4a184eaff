"""
max_topic_alias: version 5 is told how many aliases it may use, and one above that ends the
connection.
"""

import pytest

from harness import wire


@pytest.mark.parametrize("most", [3, 65535])
def test_up_to_the_limit(start_broker, most):
    broker = start_broker(
        f"listener {{port}} 127.0.0.1\nallow_anonymous true\nmax_topic_alias {most}\n")
    client = broker.connect("x", 5)
    assert client.connack.properties["topic_alias_maximum"] == most
    client.subscribe("a")
    client.send(wire.publish("a", b"1", version=5, properties={"topic_alias": most}))
    client.expect("PUBLISH", payload=b"1")
    if most < 65535:
        client.send(wire.publish("a", b"2", version=5, properties={"topic_alias": most + 1}))
        client.expect_end(0x94)


def test_none(start_broker):
    broker = start_broker(
        "listener {port} 127.0.0.1\nallow_anonymous true\nmax_topic_alias 0\n")
    client = broker.connect("x", 5)
    assert "topic_alias_maximum" not in client.connack.properties
    client.send(wire.publish("a", b"1", version=5, properties={"topic_alias": 1}))
    client.expect_end(0x94)
