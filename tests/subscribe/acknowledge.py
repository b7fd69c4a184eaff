"""
SUBACK and UNSUBACK: one for each request, with its identifier and a code for each filter in order.
"""

import pytest

from harness import wire


@pytest.mark.holds("3.1.1: MQTT-2.3.1-7 MQTT-3.8.4-1 MQTT-3.8.4-2 MQTT-3.8.4-4 MQTT-3.8.4-5",
                   "3.1.1: MQTT-3.9.3-1 MQTT-3.9.3-2",
                   "5.0: MQTT-2.2.1-6 MQTT-2.2.2-1 MQTT-3.8.4-1 MQTT-3.8.4-2 MQTT-3.8.4-5",
                   "5.0: MQTT-3.8.4-6 MQTT-3.8.4-7 MQTT-3.9.3-1 MQTT-3.9.3-2")
@pytest.mark.versions(3, 4, 5)
def test_codes_in_order(broker, version):
    client = broker.connect("x", version)
    client.send(wire.subscribe(0xFFFF, ("a", 0), ("b/+", 2), ("c/#", 1), ("a", 1),
                               version=version))
    client.expect_bytes(bytes.fromhex(
        "90 07 ff ff 00 00 02 01 01" if version == 5 else "90 06 ff ff 00 02 01 01"))


@pytest.mark.holds("3.1.1: MQTT-2.3.1-7 MQTT-3.10.4-4 MQTT-3.10.4-5 MQTT-3.10.4-6")
def test_unsuback_of_3(broker):
    client = broker.connect("x", 4)
    client.subscribe("a")
    client.send(wire.unsubscribe(7, "a", "never", version=4))
    client.expect_bytes(bytes.fromhex("b0 02 00 07"))


@pytest.mark.holds("5.0: MQTT-2.2.1-6 MQTT-2.2.2-1 MQTT-3.10.4-4 MQTT-3.10.4-5 MQTT-3.10.4-6",
                   "5.0: MQTT-3.11.3-1 MQTT-3.11.3-2")
def test_unsuback_of_5(broker):
    client = broker.connect("x", 5)
    client.subscribe("a", "b")
    client.send(wire.unsubscribe(7, "a", "never", "b", version=5))
    client.expect_bytes(bytes.fromhex("b0 06 00 07 00 00 11 00"))


@pytest.mark.holds("3.1.1: MQTT-3.8.4-4 MQTT-3.8.4-5 MQTT-3.10.4-6",
                   "5.0: MQTT-3.8.4-5 MQTT-3.8.4-6 MQTT-3.10.4-6")
@pytest.mark.workers
def test_many_filters(broker, version, workers):
    client = broker.connect("x", version)
    filters = [f"many/{number}/+" for number in range(1000)]
    client.subscribe(*filters)
    broker.connect("from", version).publish("many/999/x", b"y")
    client.expect_message("many/999/x", b"y")
    got = client.unsubscribe(*filters)
    assert version == 4 or got.codes == [0] * 1000


@pytest.mark.holds("3.1.1: MQTT-3.8.4-4 MQTT-3.10.4-6",
                   "5.0: MQTT-3.8.4-5 MQTT-3.10.4-6")
@pytest.mark.workers
def test_filters_count_one_after_another(broker, version, workers):
    """Of a filter that stands twice in one request the later one holds, as in two requests."""
    client = broker.connect("to", version)
    publisher = broker.connect("from", version)
    client.subscribe(("t", 0), ("t", 2), ("t", 1))
    publisher.publish("t", b"x", 2)
    client.expect_message("t", b"x", qos=1)
    answer = client.unsubscribe("t", "t")
    assert version == 4 or answer.codes == [0x00, 0x11]
    publisher.publish("t", b"y", 2)
    client.expect_nothing()
