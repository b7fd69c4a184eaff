"""
Whatever comes before a CONNECT ends the connection, without an answer.
"""

import pytest

from harness import wire

FIRST = {
    "publish": wire.publish("a", b"x"),
    "publish qos 1": wire.publish("a", b"x", 1, 1),
    "subscribe": wire.subscribe(1, ("a", 0)),
    "pingreq": wire.pingreq(),
    "puback": wire.ack("PUBACK", 1),
    "disconnect": wire.disconnect(),
    "auth": wire.auth(0x18),
    "connack": bytes.fromhex("20020000"),
    "type 0": b"\0\0",
    "http": b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "tls": bytes.fromhex("160301007f"),
    "long length": bytes.fromhex("10ffffffffff"),
}


@pytest.mark.holds("3.1.1: MQTT-3.1.0-1",
                   "5.0: MQTT-3.1.0-1 MQTT-3.2.0-1 MQTT-3.14.0-1")
@pytest.mark.parametrize("name", FIRST)
def test_closes(broker, name):
    watcher = broker.connect("watcher")
    watcher.subscribe("#")
    client = broker.open()
    client.send(FIRST[name])
    client.expect_close()
    watcher.expect_nothing(0.05)
