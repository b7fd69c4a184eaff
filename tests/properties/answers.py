"""
Answers to a client that cannot take much, or wants no explanations: what is not needed is left out,
the answer itself comes.

Reason String and User Property are what may be left out, so the answers here are bare.
"""

import pytest

from harness import wire
from harness.wire import connect

ASKED, UNASKED = {"request_problem_information": 1}, {"request_problem_information": 0}
# CONNACK is the largest answer to a client that needs no explanation.
SMALLEST = len(bytes.fromhex("20 0e 00 00 0b 22 00 0a 27 00 1e 84 80 21 00 14"))

# name: what to send, and the answer
ANSWERS = {
    "PUBACK": (wire.publish("nobody", b"x", 1, 1, version=5), "40 03 00 01 10"),
    "PUBREC": (wire.publish("nobody", b"x", 2, 1, version=5), "50 03 00 01 10"),
    "PUBACK of a refusal": (wire.publish("$SYS/x", b"x", 1, 1, version=5), "40 03 00 01 87"),
    "PUBREC of a refusal": (wire.publish("$SYS/x", b"x", 2, 1, version=5), "50 03 00 01 87"),
    "PUBREL": (wire.ack("PUBREC", 7), "62 03 00 07 92"),
    "PUBCOMP": (wire.ack("PUBREL", 7), "70 03 00 07 92"),
    "SUBACK": (wire.subscribe(1, ("a", 0), ("b", 1), version=5), "90 05 00 01 00 00 01"),
    "UNSUBACK": (wire.unsubscribe(1, "a", version=5), "b0 04 00 01 00 11"),
    "DISCONNECT": (wire.publish("a/+", version=5), "e0 01 90"),
}


@pytest.mark.holds("5.0: MQTT-3.1.2-29 MQTT-3.4.2-2 MQTT-3.4.2-3 MQTT-3.5.2-2 MQTT-3.5.2-3",
                   "5.0: MQTT-3.6.2-2 MQTT-3.6.2-3 MQTT-3.7.2-2 MQTT-3.7.2-3 MQTT-3.9.2-1",
                   "5.0: MQTT-3.9.2-2 MQTT-3.11.2-1 MQTT-3.11.2-2 MQTT-3.14.2-3",
                   "5.0: MQTT-3.14.2-4")
@pytest.mark.nightjar("2.0 says less, and more briefly")
@pytest.mark.parametrize("properties", [{"maximum_packet_size": SMALLEST, **ASKED}, UNASKED],
                         ids=["no room", "unasked"])
@pytest.mark.parametrize("name", ANSWERS)
def test_bare(broker, name, properties):
    client = broker.connect("x", 5, properties=properties)
    packet, answer = ANSWERS[name]
    client.send(packet)
    client.expect_bytes(bytes.fromhex(answer))
    if name == "DISCONNECT":
        client.expect_close()
    else:
        client.ping()


@pytest.mark.holds("5.0: MQTT-3.1.2-24 MQTT-3.2.2-19 MQTT-3.2.2-20")
@pytest.mark.nightjar("2.0 takes no heed of the size")
@pytest.mark.parametrize("size", range(1, 6))
def test_a_refusal_fits(broker, size):
    """A CONNACK that says no is five bytes; who takes less sees the connection close."""
    client = broker.open(5)
    client.send(connect("x", 5, properties={"authentication_method": "none such",
                                            "maximum_packet_size": size, **ASKED}))
    if size >= 5:
        client.expect_bytes(bytes.fromhex("20 03 00 8c 00"))
    client.expect_close()


@pytest.mark.holds("5.0: MQTT-3.1.2-24 MQTT-3.2.2-19 MQTT-3.2.2-20")
@pytest.mark.nightjar("2.0 takes no heed of the size")
def test_a_welcome_that_does_not_fit(broker):
    """What CONNACK has to say cannot be left out: there is no such connection."""
    client = broker.open(5)
    client.send(connect("x", 5, properties={"maximum_packet_size": SMALLEST - 1}))
    client.expect_close()
    broker.connect("x", 5, properties={"maximum_packet_size": SMALLEST}).ping()


@pytest.mark.holds("5.0: MQTT-3.1.2-24")
@pytest.mark.nightjar("2.0 answers what does not fit")
def test_more_codes_than_fit(broker):
    """What could not be answered is not done."""
    client = broker.connect("x", 5, properties={"maximum_packet_size": SMALLEST})
    client.send(wire.subscribe(1, *(("t", 0) for _ in range(SMALLEST)), version=5))
    client.expect_end(0x95)
