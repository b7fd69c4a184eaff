"""
Names of groups, and the answers to SUBSCRIBE and UNSUBSCRIBE: a bad name is refused by itself, and
the other filters of the packet are served.
"""

import pytest

from harness import wire

BAD = ["$share", "$share/", "$share/g", "$share//t", "$share/g+/t", "$share/#/t", "$share/+/t",
       "$share/g/", "$share/g/a+", "$share/g/#/a"]


@pytest.mark.holds("5.0: MQTT-4.8.2-1 MQTT-4.8.2-2")
@pytest.mark.nightjar("2.0 grants some and closes on others")
@pytest.mark.workers
@pytest.mark.parametrize("topic_filter", BAD)
def test_bad_names(broker, version, workers, topic_filter):
    client = broker.connect("x", version)
    client.subscribe((topic_filter, 1), ("t", 1), codes=[0x8F if version == 5 else 0x80, 1])
    broker.connect("from", version).publish("t", b"x", 1)
    client.expect_message("t", b"x")
    got = client.unsubscribe(topic_filter, "t")
    if version == 5:
        assert got.codes == [0x8F, 0]


@pytest.mark.workers
@pytest.mark.parametrize("name", ["g", "with space", "$SYS", "\u00fcml\u00e4ut", "x" * 1000])
def test_good_names(broker, version, workers, name):
    client = broker.connect("x", version)
    client.subscribe(f"$share/{name}/t/+", qos=1)
    publisher = broker.connect("from", version)
    publisher.publish("t/1", b"x", 1)
    client.expect_message("t/1", b"x")
    got = client.unsubscribe(f"$share/{name}/t/+")
    if version == 5:
        assert got.codes == [0]
        assert client.unsubscribe(f"$share/{name}/t/+").codes == [0x11]
    publisher.publish("t/1", b"y", 1)
    client.expect_nothing()


def test_connack_does_not_deny_them(broker):
    """Shared Subscription Available is 1 unless it is there (5.0 section 3.2.2.3.13)."""
    client = broker.connect("x", 5)
    assert client.connack.properties.get("shared_subscription_available", 1) == 1


@pytest.mark.holds("5.0: MQTT-3.8.3-4")
def test_no_local_is_a_protocol_error(broker):
    client = broker.connect("x", 5)
    client.send(wire.subscribe(1, ("$share/g/t", 4), version=5))
    client.expect_end(0x82)


@pytest.mark.workers
def test_the_name_is_no_topic(broker, version, workers):
    """Who publishes to `$share/...` reaches no group."""
    client = broker.connect("x", version)
    client.subscribe("$share/g/t", qos=1)
    publisher = broker.connect("from", version)
    publisher.publish("$share/g/t", b"x", 1)
    publisher.publish("t", b"y", 1)
    client.expect_message("t", b"y")
