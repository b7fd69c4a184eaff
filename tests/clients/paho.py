"""paho-mqtt does what its users expect."""

import time

import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from harness.tools import Paho


@pytest.mark.holds("3.1.1: MQTT-7.0.0-2 MQTT-7.1.1-1",
                   "5.0: MQTT-4.2.0-1")
@pytest.mark.workers
@pytest.mark.versions(3, 4, 5)
def test_round_trip(broker, version, workers):
    with Paho(broker.address, version, "both") as client:
        client.subscribe([("a/+", 2), ("b", 0)])
        for qos in (0, 1, 2):
            client.publish(f"a/{qos}", f"hello {qos}", qos=qos)
            got = client.message()
            assert (got.topic, got.payload, got.qos) == (f"a/{qos}", b"hello %d" % qos, qos)


@pytest.mark.workers
def test_many_messages(broker, version, workers):
    """As many as the library sends at once, from two threads."""
    with Paho(broker.address, version, "to") as to, \
            Paho(broker.address, version, "from") as sender:
        to.subscribe("t", qos=2)
        for number in range(300):
            sender.client.publish("t", str(number), qos=number % 3)
        got = [int(to.message().payload) for _ in range(300)]
        assert sorted(got) == list(range(300))
        for qos in range(3):
            assert [each for each in got if each % 3 == qos] == list(range(qos, 300, 3))


def test_properties(broker):
    with Paho(broker.address, 5, "both") as client:
        client.subscribe("t", qos=1)
        given = Properties(PacketTypes.PUBLISH)
        given.UserProperty = [("a", "1"), ("b", "2")]
        given.CorrelationData = b"cd"
        client.publish("t", b"x", qos=1, properties=given)
        got = client.message()
        assert got.properties.UserProperty == [("a", "1"), ("b", "2")]
        assert got.properties.CorrelationData == b"cd"


def test_keep_alive(broker, version):
    """The library's own pings keep the connection."""
    with Paho(broker.address, version, "quiet", keepalive=1) as client:
        time.sleep(4)
        assert client.events.empty()
        client.subscribe("t")
