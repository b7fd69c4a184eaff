"""
Payload Format Indicator: check_payload_format refuses what is marked as text and is not UTF-8. It
is passed on either way, unaltered.
"""

import pytest

from harness import wire
from harness.wire import Will

TEXT = {"payload_format_indicator": 1}
BYTES = {"payload_format_indicator": 0}
WRONG = [b"\xff", b"text\xc3", b"\xed\xa0\x80"]
RIGHT = [b"", "größe €\n\t\0\x7f".encode(), b"plain"]

on = pytest.mark.config("check_payload_format true")
ours = pytest.mark.nightjar("an option of ours")


@pytest.mark.holds("5.0: MQTT-3.3.2-4")
@on
@ours
@pytest.mark.workers
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_wrong_text_is_refused(broker, qos, workers):
    watcher = broker.connect("watcher", 5)
    watcher.subscribe("#", qos=2)
    client = broker.connect("from", 5)
    for payload in WRONG:
        client.send(wire.publish("t", payload, qos, 7 if qos else None, version=5,
                                 properties=TEXT))
        if qos:
            client.expect("PUBACK" if qos == 1 else "PUBREC", id=7, reason=0x99)
    for payload in RIGHT:
        client.publish("t", payload, qos, properties=TEXT)
        got = watcher.expect_message("t", payload)
        assert got.properties == TEXT


@pytest.mark.workers
@on
@ours
def test_what_is_no_text_is_not_looked_at(broker, workers):
    watcher = broker.connect("watcher", 5)
    watcher.subscribe("#")
    client = broker.connect("from", 5)
    old = broker.connect("old", 4)
    for payload in WRONG:
        client.publish("t", payload, properties=BYTES)
        assert watcher.expect_message("t", payload).properties == BYTES
        client.publish("t", payload)
        watcher.expect_message("t", payload)
        old.publish("t", payload)
        watcher.expect_message("t", payload)


@on
@ours
def test_a_will(broker):
    client = broker.open(5)
    client.send(wire.connect("x", 5, will=Will("w", b"\xff", properties=TEXT)))
    client.expect("CONNACK", code=0x99)
    client.expect_close()
    broker.connect("x", 5, will=Will("w", b"fine", properties=TEXT)).ping()


@pytest.mark.workers
def test_off_by_default(broker, workers):
    watcher = broker.connect("watcher", 5)
    watcher.subscribe("#")
    client = broker.connect("from", 5, will=Will("w", b"\xff", properties=TEXT))
    for payload in WRONG:
        client.publish("t", payload, properties=TEXT)
        assert watcher.expect_message("t", payload).properties == TEXT
