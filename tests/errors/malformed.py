"""
Packets that break the format or the protocol end the connection they came on: version 5 is told the
exact reason first. Nobody else notices, and one line says what happened.
"""

import pytest

from harness import wire

MALFORMED, PROTOCOL = 0x81, 0x82


def publish(version, **fields):
    return wire.publish("t", b"x", version=version, **fields)


def with_flags(packet, flags):
    return bytes([packet[0] & 0xF0 | flags]) + packet[1:]


# name: (packet of a version, reasons of version 5)
BOTH = {
    "type 0": (lambda v: b"\x00\x00", (MALFORMED, PROTOCOL)),
    "PINGREQ with flags": (lambda v: b"\xc1\x00", (MALFORMED,)),
    "PINGREQ with a body": (lambda v: b"\xc0\x01\x00", (MALFORMED,)),
    "DISCONNECT with flags": (lambda v: b"\xe2\x00", (MALFORMED,)),
    "PUBACK with flags": (lambda v: with_flags(wire.ack("PUBACK", 1), 2), (MALFORMED,)),
    "PUBREC with flags": (lambda v: with_flags(wire.ack("PUBREC", 1), 1), (MALFORMED,)),
    "PUBREL without flags": (lambda v: with_flags(wire.ack("PUBREL", 1), 0), (MALFORMED,)),
    "PUBCOMP with flags": (lambda v: with_flags(wire.ack("PUBCOMP", 1), 8), (MALFORMED,)),
    "PUBACK cut short": (lambda v: b"\x40\x01\x00", (MALFORMED,)),
    "PUBREL cut short": (lambda v: b"\x62\x01\x00", (MALFORMED,)),
    "PUBACK of id 0": (lambda v: wire.ack("PUBACK", 0), (MALFORMED, PROTOCOL)),
    "QoS 3": (lambda v: publish(v, qos=3, id=1), (MALFORMED,)),
    "QoS 1 with id 0": (lambda v: publish(v, qos=1, id=0), (MALFORMED, PROTOCOL)),
    "QoS 0 with DUP": (lambda v: publish(v, dup=True), (MALFORMED, PROTOCOL)),
    "over-long length": (lambda v: b"\x30" + wire.varint(5, 2) + publish(v)[2:][:5], (MALFORMED,)),
    "length of five bytes": (lambda v: b"\x30\xff\xff\xff\xff\x01", (MALFORMED,)),
    "PUBLISH without topic": (lambda v: b"\x30\x00", (MALFORMED,)),
    "topic longer than the packet": (lambda v: b"\x30\x05\x00\x09abc", (MALFORMED,)),
    "topic not UTF-8": (
        lambda v: wire.publish(b"\xff", version=v), (MALFORMED,)),
    "topic with NUL": (lambda v: wire.publish(b"a\0", version=v), (MALFORMED,)),
    "topic with a surrogate": (
        lambda v: wire.publish(b"\xed\xa0\x80", version=v), (MALFORMED,)),
    "topic with +": (lambda v: wire.publish("a/+", version=v), (MALFORMED, PROTOCOL, 0x90)),
    "topic with #": (lambda v: wire.publish("#", version=v), (MALFORMED, PROTOCOL, 0x90)),
    "empty topic": (lambda v: wire.publish("", version=v), (MALFORMED, PROTOCOL, 0x90)),
    "CONNACK": (lambda v: b"\x20\x02\x00\x00", (PROTOCOL, MALFORMED)),
    "SUBACK": (lambda v: b"\x90\x03\x00\x01\x00", (PROTOCOL, MALFORMED)),
    "UNSUBACK": (lambda v: b"\xb0\x02\x00\x01", (PROTOCOL, MALFORMED)),
    "PINGRESP": (lambda v: b"\xd0\x00", (PROTOCOL, MALFORMED)),
}


def with_property(*pairs, **fields):
    return lambda v: publish(5, properties=pairs, **fields)


ONLY_5 = {
    "AUTH with flags": (lambda v: b"\xf1\x02\x18\x00", (MALFORMED,)),
    "unknown property": (lambda v: publish(5, properties=b"\x7f\x00"), (MALFORMED, PROTOCOL)),
    "property of CONNECT": (with_property(("receive_maximum", 1)), (MALFORMED, PROTOCOL)),
    "property twice": (with_property(("content_type", "a"), ("content_type", "b")),
                       (PROTOCOL, MALFORMED)),
    "property cut short": (lambda v: publish(5, properties=b"\x02\x00\x00"), (MALFORMED,)),
    "property length too long": (lambda v: wire.packet(
        "PUBLISH", 0, wire.text("t") + b"\x20" + b"x"), (MALFORMED,)),
    "over-long property length": (lambda v: wire.packet(
        "PUBLISH", 0, wire.text("t") + b"\x80\x00" + b"x"), (MALFORMED,)),
    "payload format 2": (with_property(("payload_format_indicator", 2)), (PROTOCOL, MALFORMED)),
    "content type not UTF-8": (with_property(("content_type", b"\xff")), (MALFORMED,)),
    "user property not UTF-8": (with_property(("user_property", (b"\xff", "x"))), (MALFORMED,)),
    "response topic with a wildcard": (with_property(("response_topic", "a/+")),
                                       (PROTOCOL, MALFORMED, 0x90)),
    "response topic not UTF-8": (with_property(("response_topic", b"\xff")), (MALFORMED,)),
    "topic alias 0": (with_property(("topic_alias", 0)), (0x94,)),
    "topic alias above the maximum": (with_property(("topic_alias", 11)), (0x94,)),
    "topic alias never set": (
        lambda v: wire.publish("", b"x", version=5, properties={"topic_alias": 3}),
        (PROTOCOL, 0x94)),
    "PUBACK with an unknown reason": (
        lambda v: wire.ack("PUBACK", 1, 0x42), (MALFORMED, PROTOCOL)),
    "PUBACK with a property of PUBLISH": (
        lambda v: wire.ack("PUBACK", 1, 0, {"content_type": "x"}), (MALFORMED, PROTOCOL)),
    "PUBACK with bytes left over": (
        lambda v: wire.packet("PUBACK", 0, b"\0\1\0\0xx"), (MALFORMED,)),
}

CASES = [(v, name) for v in (4, 5) for name in BOTH] + [(5, name) for name in ONLY_5]
CASES += [(4, "AUTH"), (4, "PUBACK with bytes left over")]


def case(protocol, name):
    if protocol == 4 and name == "AUTH":
        return b"\xf0\x00", ()
    if protocol == 4 and name == "PUBACK with bytes left over":
        return wire.packet("PUBACK", 0, b"\0\1\0"), ()
    encode, reasons = (BOTH | ONLY_5)[name]
    return encode(protocol), reasons


# What Debian's mosquitto 2.0.11 lets pass, closes without a reason, or gives another reason for.
LENIENT_4 = [
    "PINGREQ with flags", "PINGREQ with a body", "QoS 0 with DUP", "PUBACK with flags",
    "PUBREC with flags", "PUBCOMP with flags", "SUBACK", "UNSUBACK", "PINGRESP",
    "PUBACK with bytes left over",
]
LENIENT_5 = LENIENT_4 + [
    "PUBREL without flags", "DISCONNECT with flags", "PUBACK cut short", "PUBREL cut short",
    "PUBACK of id 0", "AUTH with flags", "property twice", "payload format 2",
    "content type not UTF-8", "over-long length", "user property not UTF-8",
    "length of five bytes", "CONNACK", "response topic with a wildcard",
    "response topic not UTF-8", "topic alias 0", "PUBACK with an unknown reason",
    "PUBACK with a property of PUBLISH",
]


@pytest.mark.holds("3.1.1: MQTT-1.5.3-1 MQTT-1.5.3-2 MQTT-2.2.2-1 MQTT-2.2.2-2 MQTT-2.3.1-1",
                   "3.1.1: MQTT-3.3.1-2 MQTT-3.3.1-4 MQTT-3.3.2-1 MQTT-3.3.2-2 MQTT-3.6.1-1",
                   "3.1.1: MQTT-3.14.1-1 MQTT-4.7.1-1 MQTT-4.7.3-1 MQTT-4.7.3-2 MQTT-4.8.0-1",
                   "5.0: MQTT-1.5.4-1 MQTT-1.5.4-2 MQTT-1.5.5-1 MQTT-1.5.7-1 MQTT-2.1.3-1",
                   "5.0: MQTT-2.2.1-3 MQTT-3.2.2-17 MQTT-3.3.1-2 MQTT-3.3.1-4 MQTT-3.3.2-1",
                   "5.0: MQTT-3.3.2-2 MQTT-3.3.2-8 MQTT-3.3.2-9 MQTT-3.3.2-13 MQTT-3.3.2-14",
                   "5.0: MQTT-3.3.2-19 MQTT-3.6.1-1 MQTT-3.14.1-1 MQTT-3.14.2-1",
                   "5.0: MQTT-3.14.4-1 MQTT-3.14.4-2 MQTT-3.15.1-1 MQTT-4.7.0-1 MQTT-4.7.3-1",
                   "5.0: MQTT-4.7.3-2 MQTT-4.13.1-1 MQTT-4.13.2-1")
@pytest.mark.differs("2.0 is lenient", protocol=4, name=LENIENT_4)
@pytest.mark.differs("2.0 is lenient", protocol=5, name=LENIENT_5)
@pytest.mark.workers
@pytest.mark.parametrize("protocol, name", [
    pytest.param(*each, id=f"{each[0]}-{each[1].replace(' ', '_')}") for each in CASES])
def test_ends(broker, protocol, name, workers):
    packet, reasons = case(protocol, name)
    watcher = broker.connect("watcher", protocol)
    watcher.subscribe("smuggled")
    client = broker.connect("bad", protocol)
    client.send(packet, wire.publish("smuggled", b"x", version=protocol))
    client.expect_end(*reasons)
    watcher.expect_nothing(0.05)
    broker.expect_end_line("bad", why=r"(malformed packet|protocol error|topic alias invalid)")
