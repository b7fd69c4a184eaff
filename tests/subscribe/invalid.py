"""
Filters and requests that break the rules.
"""

import pytest

from harness import wire

FILTERS = ["a#", "a/#/b", "#/a", "a+", "+a", "a/b+/c", "", b"a\0b", b"\xff", b"\xed\xa0\x80"]


def expect_refusal(client):
    """The connection ends, or the filter is answered with a failure."""
    got = client.receive() if client.version == 5 else None
    if client.version == 4:
        client.expect_close()
        return
    assert got is not None
    if got.kind == "SUBACK":
        assert got.codes[0] in (0x8F, 0x80), got
        return
    assert got.kind == "DISCONNECT" and got.reason in (0x81, 0x82, 0x8F), got
    client.expect_close()


@pytest.mark.holds("3.1.1: MQTT-1.5.3-1 MQTT-1.5.3-2 MQTT-3.8.3-1 MQTT-4.7.1-2 MQTT-4.7.1-3",
                   "3.1.1: MQTT-4.7.3-1 MQTT-4.7.3-2",
                   "5.0: MQTT-1.5.4-1 MQTT-1.5.4-2 MQTT-3.8.3-1 MQTT-4.7.1-1 MQTT-4.7.1-2",
                   "5.0: MQTT-4.7.3-1 MQTT-4.7.3-2")
@pytest.mark.parametrize("topic_filter", FILTERS)
def test_bad_filter(broker, version, topic_filter):
    client = broker.connect("x", version)
    client.send(wire.subscribe(1, (topic_filter, 0), version=version))
    expect_refusal(client)


@pytest.mark.holds("3.1.1: MQTT-3.10.3-1 MQTT-4.7.1-2 MQTT-4.7.1-3 MQTT-4.7.3-1 MQTT-4.7.3-2",
                   "5.0: MQTT-3.10.3-1 MQTT-4.7.1-1 MQTT-4.7.1-2 MQTT-4.7.3-1 MQTT-4.7.3-2")
@pytest.mark.parametrize("topic_filter", FILTERS)
def test_bad_filter_in_unsubscribe(broker, version, topic_filter):
    client = broker.connect("x", version)
    client.send(wire.unsubscribe(1, topic_filter, version=version))
    client.expect_end(0x81, 0x82, 0x8F)


SHAPES = {
    "no filter": (wire.subscribe, (1,), {}, (0x82, 0x81)),
    "id 0": (wire.subscribe, (0, ("a", 0)), {}, (0x82, 0x81)),
    "QoS 3": (wire.subscribe, (1, ("a", 3)), {}, (0x81, 0x82)),
    "reserved option bits": (wire.subscribe, (1, ("a", 0xC0)), {}, (0x81,)),
    "flags 0": (wire.subscribe, (1, ("a", 0)), {"flags": 0}, (0x81,)),
    "unsubscribe from nothing": (wire.unsubscribe, (1,), {}, (0x82, 0x81)),
    "unsubscribe with id 0": (wire.unsubscribe, (0, "a"), {}, (0x82, 0x81)),
    "unsubscribe with flags 0": (wire.unsubscribe, (1, "a"), {"flags": 0}, (0x81,)),
}


@pytest.mark.holds("3.1.1: MQTT-2.2.2-2 MQTT-2.3.1-1 MQTT-3.8.1-1 MQTT-3.8.3-3 MQTT-3.8.3-4",
                   "3.1.1: MQTT-3.10.1-1 MQTT-3.10.3-2",
                   "5.0: MQTT-2.2.1-3 MQTT-3.8.1-1 MQTT-3.8.3-2 MQTT-3.8.3-5 MQTT-3.10.1-1",
                   "5.0: MQTT-3.10.3-2")
@pytest.mark.parametrize("name", SHAPES)
def test_bad_shape(broker, version, name):
    encode, arguments, fields, reasons = SHAPES[name]
    client = broker.connect("x", version)
    client.send(encode(*arguments, version=version, **fields))
    client.expect_end(*reasons)


@pytest.mark.holds("3.1.1: MQTT-3.8.3-4")
def test_options_of_5_are_reserved_bits_in_3_1_1(broker):
    client = broker.connect("x", 4)
    client.send(wire.subscribe(1, ("a", 0x04), version=4))
    client.expect_close()


def test_retain_handling_3(broker):
    client = broker.connect("x", 5)
    client.send(wire.subscribe(1, ("a", 0x30), version=5))
    client.expect_end(0x82, 0x81)


def test_cut_short(broker, version):
    client = broker.connect("x", version)
    whole = wire.subscribe(1, ("a/b", 0), version=version)
    client.send(wire.packet("SUBSCRIBE", 2, whole[2:-1]))
    client.expect_end(0x81)
