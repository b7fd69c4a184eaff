"""
Enhanced authentication is refused, not ignored, as long as nobody serves its methods.
"""

import pytest

from harness import wire


@pytest.mark.holds("5.0: MQTT-3.1.2-30 MQTT-4.12.0-1")
def test_a_method_is_refused(broker):
    client = broker.open(5)
    client.send(wire.connect("x", 5, properties={"authentication_method": "SCRAM-SHA-1",
                                                 "authentication_data": b"hello"}))
    got = client.expect("CONNACK")
    assert got.code in (0x8C, 0x87) and not got.properties, got
    client.expect_close()


@pytest.mark.holds("5.0: MQTT-4.12.0-6 MQTT-4.12.0-7 MQTT-4.12.1-1 MQTT-4.12.1-2")
@pytest.mark.differs("2.0 gives no reason")
def test_auth_without_a_method(broker):
    client = broker.connect("x", 5)
    assert "authentication_method" not in client.connack.properties
    client.send(wire.auth(0x19, {"authentication_method": "SCRAM-SHA-1"}))
    client.expect_end(0x82)


def test_auth_before_connack(broker):
    client = broker.open(5)
    client.send(wire.auth(0x18, {"authentication_method": "x"}))
    client.expect_close()


@pytest.mark.holds("5.0: MQTT-3.1.2-28")
@pytest.mark.parametrize("asked", [{}, {"request_response_information": 0}], ids=["unasked", "0"])
def test_no_response_information_unasked(broker, asked):
    client = broker.connect("x", 5, properties=asked)
    assert "response_information" not in client.connack.properties
