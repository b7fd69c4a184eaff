"""
A valid CONNECT is acknowledged, in the bytes that Mosquitto's clients know.
"""

import pytest

from harness import wire


@pytest.mark.holds("3.1.1: MQTT-3.1.4-4 MQTT-3.2.0-1 MQTT-3.2.2-1 MQTT-3.2.2-3")
@pytest.mark.versions(3, 4)
def test_connack_of_version_3(broker, version):
    client = broker.open(version)
    client.send(wire.connect("known", version))
    client.expect_bytes(bytes.fromhex("20 02 00 00"))
    client.ping()


# Topic alias maximum 10, maximum packet size 2,000,000, receive maximum 20: in this order.
CONNACK_5 = bytes.fromhex("20 0e 00 00 0b 22 00 0a 27 00 1e 84 80 21 00 14")


@pytest.mark.holds("5.0: MQTT-2.2.2-1 MQTT-3.1.4-5 MQTT-3.2.0-1 MQTT-3.2.0-2 MQTT-3.2.2-1",
                   "5.0: MQTT-3.2.2-2")
@pytest.mark.differs("2.0 has no limit on packets by default")
def test_connack_of_version_5(broker):
    client = broker.open(5)
    client.send(wire.connect("known", 5))
    client.expect_bytes(CONNACK_5)
    client.ping()
