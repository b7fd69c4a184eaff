"""
Maximum Packet Size of a client: what is larger is not sent, counts as done, and the rest flows.
"""

import pytest


@pytest.mark.holds("5.0: MQTT-3.1.2-24 MQTT-3.1.2-25")
@pytest.mark.workers
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_too_large_is_skipped(broker, qos, workers):
    client = broker.connect("to", 5, properties={"maximum_packet_size": 100,
                                                 "receive_maximum": 2})
    client.subscribe("t", qos=qos)
    publisher = broker.connect("from", 5)
    for number in range(5):
        publisher.publish("t", b"x" * 200, qos)
        publisher.publish("t", b"%d" % number, qos)
    for number in range(5):
        client.expect_message("t", b"%d" % number)
    client.expect_nothing()


@pytest.mark.holds("5.0: MQTT-3.1.2-24")
@pytest.mark.differs("2.0 forgets the fixed header")
@pytest.mark.workers
def test_the_border(broker, workers):
    """The whole packet counts, with its fixed header."""
    client = broker.connect("to", 5, properties={"maximum_packet_size": 50})
    client.subscribe("t")
    publisher = broker.connect("from", 5)
    fixed = len(b"\x30\x00" b"\x00\x01t" b"\x00")
    publisher.publish("t", b"x" * (50 - fixed + 1))
    publisher.publish("t", b"y" * (50 - fixed))
    client.expect_message("t", b"y" * (50 - fixed))
    client.expect_nothing()
