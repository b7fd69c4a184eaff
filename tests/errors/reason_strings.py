"""
Reason strings: to whom asked for problem information in so many words, and to nobody else.
"""

import pytest

from harness import wire

ASKED = {"request_problem_information": 1}
UNASKED = [{}, {"request_problem_information": 0}]


def refused(broker, properties):
    client = broker.open(5)
    client.send(wire.connect("x", 5, properties={"authentication_method": "x", **properties}))
    got = client.expect("CONNACK", code=0x8C)
    client.expect_close()
    return got


def dropped(broker, properties, kind="PUBACK"):
    client = broker.connect("x", 5, properties=properties)
    client.send(wire.publish("t", b"too large", 1 if kind == "PUBACK" else 2, 7, version=5))
    return client.expect(kind, id=7, reason=0x83)


def ended(broker, properties):
    client = broker.connect("x", 5, properties=properties)
    client.send(wire.publish("", b"x", version=5, properties={"topic_alias": 99}))
    got = client.expect("DISCONNECT", reason=0x94)
    client.expect_close()
    return got


pytestmark = [pytest.mark.config("message_size_limit 2"),
              pytest.mark.nightjar("2.0 sends none")]


def test_who_asks_is_told(broker):
    for got in (refused(broker, ASKED), dropped(broker, ASKED), dropped(broker, ASKED, "PUBREC"),
                ended(broker, ASKED)):
        assert got.properties["reason_string"], got


@pytest.mark.holds("5.0: MQTT-3.1.2-29")
@pytest.mark.parametrize("properties", UNASKED, ids=["silent", "no"])
def test_nobody_else_is(broker, properties):
    """Byte for byte what Mosquitto sends."""
    assert refused(broker, properties).raw == bytes.fromhex("20 03 00 8c 00")
    assert dropped(broker, properties).raw == bytes.fromhex("40 03 0007 83")
    assert dropped(broker, properties, "PUBREC").raw == bytes.fromhex("50 03 0007 83")
    assert ended(broker, properties).raw == bytes.fromhex("e0 01 94")


@pytest.mark.workers
def test_what_is_no_error_has_none(broker, workers):
    client = broker.connect("x", 5, properties=ASKED)
    assert "reason_string" not in client.connack.properties
    assert client.publish("t", b"", 1).raw == bytes.fromhex("40 03 0001 10")
    broker.connect("to", 5).subscribe("t")
    assert client.publish("t", b"", 1).raw == bytes.fromhex("40 02 0002")


@pytest.mark.holds("5.0: MQTT-3.2.2-19 MQTT-3.4.2-2 MQTT-3.14.2-3")
def test_not_beyond_the_maximum_packet_size(broker):
    """The answer comes without its text."""
    small = {**ASKED, "maximum_packet_size": 30}
    for got in (refused(broker, small), dropped(broker, small), ended(broker, small)):
        assert not got.properties and len(got.raw) <= 30


@pytest.mark.holds("5.0: MQTT-3.1.2-24")
def test_a_refusal_that_does_not_fit_is_a_close(broker):
    client = broker.open(5)
    client.send(wire.connect("x", 5, properties={"authentication_method": "x",
                                                 "maximum_packet_size": 4}))
    client.expect_close()
