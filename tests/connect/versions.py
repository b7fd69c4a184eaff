"""
A protocol level that the server does not speak is answered with the code for it, then closed.
"""

import pytest

from harness import wire

REFUSAL_3 = bytes.fromhex("20 02 00 01")
REFUSAL_5 = bytes.fromhex("20 03 00 84 00")


@pytest.mark.holds("3.1.1: MQTT-3.1.2-2 MQTT-3.2.2-4 MQTT-3.2.2-5",
                   "5.0: MQTT-3.1.2-2 MQTT-3.2.2-6 MQTT-3.2.2-7")
@pytest.mark.parametrize("name, level, answers", [
    ("MQTT", 0, [REFUSAL_3]),
    ("MQTT", 2, [REFUSAL_3]),
    ("MQTT", 6, [REFUSAL_5, REFUSAL_3]),
    ("MQTT", 0x7F, [REFUSAL_5, REFUSAL_3]),
    ("MQIsdp", 4, [REFUSAL_3]),
])
def test_unknown_level(broker, name, level, answers):
    client = broker.open(4)
    client.send(wire.connect("x", 4, name=name, level=level))
    client.expect_bytes(client.peek(max(map(len, answers)), answers))
    client.expect_close()


@pytest.mark.parametrize("level", [0x83, 0x84])
def test_bridges_may_connect(broker, level):
    client = broker.open(level & 0x7F)
    client.send(wire.connect("bridge", level & 0x7F, level=level))
    client.expect("CONNACK", code=0)
    client.ping()
