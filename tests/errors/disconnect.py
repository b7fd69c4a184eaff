"""
DISCONNECT: nothing counts behind it, the server closes at once, and its contents are checked.
"""

import pytest

from harness import wire


@pytest.mark.holds("3.1.1: MQTT-3.14.4-2",
                   "5.0: MQTT-3.14.4-1 MQTT-3.14.4-2")
@pytest.mark.workers
def test_nothing_counts_behind_it(broker, version, workers):
    watcher = broker.connect("watcher", version)
    watcher.subscribe("#")
    client = broker.connect("x", version)
    client.send(wire.publish("before", b"x", version=version), wire.disconnect(),
                wire.publish("behind", b"x", version=version))
    client.expect_close()
    watcher.expect_message("before", b"x")
    watcher.expect_nothing()


def test_long_forms(broker):
    for packet in (wire.disconnect(0), wire.disconnect(0, {}),
                   wire.disconnect(0, {"reason_string": "done", "user_property": [("a", "b")]}),
                   wire.disconnect(0x80)):
        client = broker.connect("x", 5)
        client.send(packet)
        client.expect_close()


BAD = {
    "reason of the server": (wire.disconnect(0x8B), (0x81, 0x82)),
    "unknown reason": (wire.disconnect(0x42), (0x81, 0x82)),
    "property of the server": (wire.disconnect(0, {"server_reference": "x"}), (0x81, 0x82)),
    "bytes left over": (wire.packet("DISCONNECT", 0, b"\0\0x"), (0x81, 0x82)),
}


@pytest.mark.holds("5.0: MQTT-3.14.2-1")
@pytest.mark.nightjar("2.0 closes without looking")
@pytest.mark.parametrize("name", BAD)
def test_bad(broker, name):
    """A DISCONNECT may be answered by one that tells the mistake; the connection ends anyway."""
    packet, reasons = BAD[name]
    client = broker.connect("x", 5)
    client.send(packet)
    if not client.ended():
        client.expect_end(*reasons)


def test_body_in_3_1_1(broker):
    client = broker.connect("x", 4)
    client.send(b"\xe0\x01\x00")
    client.expect_close()


def test_line_in_the_log(broker, version):
    client = broker.connect("x", version)
    address = client.local
    client.disconnect()
    broker.expect_end_line("x", address)
